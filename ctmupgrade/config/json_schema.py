"""The form of cluster.yaml as a JSON schema, for editors; what a value means is in docs/cluster-yaml.md."""

from __future__ import annotations

from typing import Any

from ctmupgrade.config.schema import FileKeys

_DURATION = r"^(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+(?:\.\d+)?s)?(?:\d+ms)?$"


def cluster_schema() -> dict[str, Any]:
    """Return the schema. It is laxer than the program: what depends on several keys is told by ``ctmupgrade check``."""
    made = _plain(FileKeys.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cluster.yaml of ctmupgrade",
        **{key: value for key, value in made.items() if key != "title"},
    }


def _plain(value: Any) -> Any:
    """A part of the schema as an editor needs it: as a value is written in the file, without our names of classes."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(kinds := value.get("anyOf"), list):  # a key is left out, never null
        rest = {key: one for key, one in value.items() if key not in ("anyOf", "default", "title")}
        (kind,) = [one for one in kinds if one != {"type": "null"}]
        return _plain({**rest, **kind})
    if value.get("format") == "duration":
        return {"type": "string", "pattern": _DURATION}
    made = {key: _plain(one) for key, one in value.items() if not (key == "title" and isinstance(one, str))}
    for ours, theirs in (
        ("ge", "minimum"),
        ("le", "maximum"),
    ):  # pydantic leaves its own names beside a type of ours
        if ours in made:
            made[theirs] = made.pop(ours)
    return made
