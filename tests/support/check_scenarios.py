"""The scenarios of the checks, ``fixtures/checks/ID.yaml``: how a healthy cluster of three nodes differs where a check fails.

``fails`` (and ``passes``, where the healthy cluster does not pass) have ``world`` (its nodes by name), ``cluster`` (keys of
cluster.yaml), ``backups`` (on this machine), ``options`` (of the command line) and what is found then: ``verdict``, ``node``,
and a part of the summary, ``says``. A check that is about this machine has ``shown_by`` instead: a test of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support import golden

FOLDER = Path(__file__).parents[2] / "fixtures" / "checks"
ARCHIVE = "610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v{version}_RevA.tar.gz.gpg"


def scenario(identity: str) -> dict[str, Any]:
    """A check's scenarios. :raises OSError: it has none."""
    found: dict[str, Any] = YAML(typ="safe").load(FOLDER / f"{identity}.yaml")
    return found


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The base with what the other adds or replaces."""
    found = dict(base)
    for key, own in over.items():
        both = isinstance(own, Mapping) and own and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], own) if both else own
    return found


def _keep(folder: Path, node: str, version: str, created: datetime, proven: datetime | None = None) -> None:
    """A whole backup of a node with its key, as `ctmupgrade backup` leaves it."""
    folder.mkdir(exist_ok=True)
    about: dict[str, Any] = {
        "schema": 1, "cluster": "prod", "node": node, "version": version, "backup_id": f"b-{node}", "key_id": "key-default",
        "created": created.isoformat(), "proven": proven.isoformat() if proven else None,
    }  # fmt: skip
    for field, suffix in (("file", "backup"), ("key_file", "key")):
        data = f"{suffix} of {node}".encode()
        (folder / f"prod-{node}-b.{suffix}").write_bytes(data)
        hashed = hashlib.sha256(data).hexdigest()
        about[field] = {"name": f"prod-{node}-b.{suffix}", "size": len(data), "sha256": hashed}
    (folder / f"prod-{node}-b.manifest.json").write_text(json.dumps(about), encoding="utf-8")


def findings(case: Mapping[str, Any], folder: Path, *only: str) -> list[dict[str, Any]]:
    """What ``check`` finds in a scenario.

    :param folder: an empty one, for its files.
    :param only: ids of checks; none: all.
    """
    write_scenario(case, folder)
    wanted = [word for identity in only for word in ("--only", identity)]
    common = ["--state-dir", str(folder / "state"), "--simulate", str(folder), "--format", "json"]
    _, printed = golden.call("check", *wanted, *common, *case.get("options", []))
    found: list[dict[str, Any]] = json.loads(printed)["findings"]
    return found


def write_scenario(case: Mapping[str, Any], folder: Path) -> None:
    """Writes a scenario's fixture into a new folder."""
    folder.mkdir()
    target = {"version": "2.21.0", **case.get("cluster", {}).get("target", {})}
    archive = ARCHIVE.format(**target)
    nodes: dict[str, Any] = {f"ctm-{n}": {} for n in (1, 2, 3)}
    world = merged({"nodes": nodes}, case.get("world", {}))
    world["nodes"] = [{"name": name, **node} for name, node in world["nodes"].items()]
    cluster = {
        "cluster": "prod",
        "strategy": "in-place",
        "target": {"archive": f"./{archive}", "signer": "0123456789ABCDEF0123456789ABCDEF01234567"},
        "backup": {"key_password_env": "CTM_BACKUP_KEY_PASSWORD"},
        "nodes": [{"name": f"ctm-{n}", "host": f"10.0.0.1{n}"} for n in (1, 2, 3)],
    }
    for name, value in (("world.yaml", world), ("cluster.yaml", merged(cluster, case.get("cluster", {})))):
        text = json.dumps(value, default=datetime.isoformat)  # JSON is YAML
        (folder / name).write_text(text, encoding="utf-8")
    for backup in case.get("backups", ()):
        _keep(folder / "backups", **backup)
