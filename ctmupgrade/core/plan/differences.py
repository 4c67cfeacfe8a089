"""Name what differs between a plan that was reviewed and the plan that would be made now.

``run --plan FILE`` makes the plan again and executes that one, never the file's. The file says what was reviewed:
any difference in any field stops the run. Both are compared as plain JSON data, so that a field which this program
does not know is a difference too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from ctmupgrade.core.timing import without_times

_LONGEST = 80  # characters of a value that are shown
_ABSENT = object()
_IGNORED = ("schema", "window", "times", "digest")  # clock times change, and what is done does not
_OF_A_STEP = ("estimate_s", "worst_s")  # each run of the cluster teaches more about these


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return what differs between the facts of two plans, in words."""
    return list(_of(old, new, ""))


def differences(given: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return every difference between two plan documents, the facts first; nothing where they are equal.

    :param given: the document that was read from a file. :param now: the document of the plan as made now.
    """
    found = list(_of(given, now, "", ("basis", "steps", "id", "clients", *_IGNORED)))
    found += _of(_untimed(given.get("clients", _ABSENT)), _untimed(now.get("clients", _ABSENT)), "clients")
    facts = list(_of(given.get("basis", _ABSENT), now.get("basis"), ""))
    steps = list(_of_steps(given.get("steps"), now.get("steps")))
    rest = list(_of(given.get("id", _ABSENT), now.get("id"), "id")) if not (found or facts or steps) else []
    return [*facts, *steps, *found, *rest]


def _of(given: object, now: object, place: str, without: Sequence[str] = ()) -> Iterator[str]:
    """Go down where both sides are of one kind; what is not of one kind is one difference."""
    if isinstance(given, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*now, *given]):
            if name not in without:
                inner = f"{place}.{name}" if place else str(name)
                yield from _of(given.get(name, _ABSENT), now.get(name, _ABSENT), inner)
    elif type(given) is not type(now) or given != now:
        yield f"{place}: was {_shown(given)}, is {_shown(now)}"


def _untimed(clients: object) -> object:
    """What clients notice, without for how long: that is learnt, as the steps' estimates are."""
    if not isinstance(clients, Mapping):
        return clients
    return {name: without_times(said) if isinstance(said, str) else said for name, said in clients.items()}


def _of_steps(given: object, now: object) -> Iterator[str]:
    theirs, ours = _by_id(given), _by_id(now)
    if theirs is None or ours is None:
        yield "steps: the file has no list of steps with different ids"
        return
    for name in ours:
        if name not in theirs:
            yield f"step {name}: it is not in the file"
    for name in theirs:
        if name not in ours:
            yield f"step {name}: it is in the file, but would not be planned now"
    for name in (name for name in ours if name in theirs):
        yield from _of(theirs[name], ours[name], f"step {name}", _OF_A_STEP)
    if ours.keys() == theirs.keys() and list(ours) != list(theirs):
        yield "steps: their order differs"


def _by_id(steps: object) -> dict[str, object] | None:
    """Return the steps by their ids; None where they are no list of such."""
    if not isinstance(steps, list):
        return None
    found: dict[str, object] = {}
    for step in steps:
        name = step.get("id") if isinstance(step, Mapping) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = step
    return found


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    text = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
