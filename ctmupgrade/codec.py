"""Values to JSON and back. With ``config`` the only module that knows the validation library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ctmupgrade.core.json_text import BadJsonError, read_json
from ctmupgrade.core.overview.activity import Doing
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.journal import Event
from ctmupgrade.errors import JournalError, UsageError

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """One per type; building one is what costs."""
    return TypeAdapter(kind)


_EVENT = Annotated[Event, Field(discriminator="kind")]


def event_to_json(event: Event) -> dict[str, object]:
    """Return an event as a journal line's ``event``."""
    value: dict[str, object] = _adapter(_EVENT).dump_python(event, mode="json")
    return value


def event_from_json(value: object) -> Event:
    """Return the event of a journal's line. :raises JournalError: not an event of this version."""
    try:
        event: Event = _adapter(_EVENT).validate_python(value, strict=False)
    except ValidationError as error:
        raise JournalError(
            f"an event of the journal cannot be read: {_first(error)}",
            remedy="another version of ctmupgrade wrote it; use that version",
        ) from None
    return event


def plan_to_json(plan: Plan) -> dict[str, object]:
    """Return the plan document: steps with ``action`` as a word (contract) and its details beside it."""
    value: dict[str, object] = _adapter(Plan).dump_python(plan, mode="json")
    steps = value["steps"]
    assert isinstance(steps, list)  # noqa: S101 - what the line above made
    for step in steps:
        step["details"] = step.pop("action")
        step["action"] = step["details"]["kind"]
    del value["past_notes"]  # for reports, which have them from the journal
    if not plan.without_data:
        del value["without_data"]
    if not plan.given_up:
        del value["given_up"]
    return {"schema": 1, **value}


def sealed(document: Mapping[str, object]) -> dict[str, object]:
    """Return a plan document with the digest of all that is in it, so that each later change of the file is seen."""
    return {**document, "digest": _digest(document)}


def is_sealed(document: Mapping[str, object]) -> bool:
    """Return whether a plan document is as :func:`sealed` left it. Whoever can write the file can seal it again: what decides
    anything is compared with the plan of now besides."""
    return document.get("digest") == _digest({k: v for k, v in document.items() if k != "digest"})


def _digest(document: Mapping[str, object]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plan_document(text: str, place: str) -> dict[str, object]:
    """Read a plan file as plain JSON data.

    :param place: the file's name, for the message.
    :raises UsageError: it is not JSON, or no object."""
    try:
        value = read_json(text)
    except BadJsonError as error:
        raise UsageError(f"{place}: it is not a plan: {error}", remedy=_NEW_PLAN) from None
    if not isinstance(value, dict):
        raise UsageError(f"{place}: it is not a plan: an object is expected", remedy=_NEW_PLAN)
    return value


def plan_from_document(document: Mapping[str, object], place: str) -> Plan:
    """Turn a plan document into a plan.

    :param place: the file's name, for the message.
    :raises UsageError: it is not a plan of this version."""
    value = {
        name: part for name, part in document.items() if name not in ("schema", "window", "times", "digest")
    }
    steps = value.get("steps")
    if isinstance(steps, list) and all(isinstance(step, dict) for step in steps):
        value["steps"] = [{**step, "action": step.get("details")} for step in steps]
    try:
        plan: Plan = _adapter(Plan).validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{place}: it is not a plan: {_first(error)}", remedy=_NEW_PLAN) from None
    schema = document.get("schema")
    if type(schema) is not int or schema != 1:  # True is no number here
        raise UsageError(f"{place}: it is not a plan of this version: schema 1 is expected", remedy=_NEW_PLAN)
    return plan


_NEW_PLAN = "ctmupgrade plan -o FILE   # makes one"


def to_json(value: object) -> Any:
    """Return any of the core's values as plain JSON data."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def doing_from_json(value: object) -> Doing:
    """Return what :func:`to_json` made of a Doing. :raises ValueError: it is none."""
    made: Doing = _adapter(Doing).validate_python(value)
    return made


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}"
