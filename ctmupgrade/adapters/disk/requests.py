"""Requests that other shells leave for a run: pause, abort, an operator's decision."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from ctmupgrade.adapters.disk.durable import failed, make_dirs, sync_dir, write_new
from ctmupgrade.adapters.disk.ownership import read_ours, refuse_foreign
from ctmupgrade.codec import event_from_json
from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.run.events import NodeDecided, StopAsked
from ctmupgrade.errors import ForeignStateError, JournalError

MOST = 1_000  # requests that are read at once; the others wait
_LARGEST = 64 * 1024  # bytes of a request
_LONGEST_BY, _LONGEST_REASON = 200, 1_000  # characters
Asked: TypeAlias = StopAsked | NodeDecided


@dataclass(frozen=True, slots=True)
class StopRequest:
    """What another shell asks of a run: to stop, or an operator's decision. Nothing else may be asked."""

    kind: str  # pause, abort, node-retry, node-skip, node-done
    at: datetime
    event: Asked
    path: Path


def write_request(run_dir: Path, kind: str, payload: Mapping[str, object], *,
                  clock: Callable[[], int] = time.time_ns) -> Path:  # fmt: skip
    """Leave a request for the run in ``run_dir``; it appears whole or not at all.

    :param kind: lower case letters and dashes, such as ``pause``.
    :raises ValueError: another kind, or a payload that is not JSON.
    :raises JournalError: it cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z-]*", kind):
        raise ValueError(f"{kind!r} is no kind of request")
    now = clock()
    folder = run_dir / "requests"
    at = datetime.fromtimestamp(now / 1e9, UTC).isoformat()
    name = f"{now:020d}-{kind}-{os.getpid()}"
    try:
        make_dirs(folder)
        draft, final = folder / f".{name}.part", folder / f"{name}.json"
        write_new(draft, json.dumps({"kind": kind, "at": at, "payload": dict(payload)}).encode())
        draft.rename(final)
        sync_dir(folder)
    except OSError as error:
        raise failed(folder, "the request cannot be written", error) from error
    return final


def read_requests(run_dir: Path, nodes: Collection[str]) -> tuple[list[StopRequest], list[tuple[Path, str]]]:
    """Return the requests that wait, oldest first, and the files that are none, each with why.

    :param nodes: the nodes of the run's plan.
    """
    folder = run_dir / "requests"
    try:
        refuse_foreign(folder)
        paths = sorted(folder.glob("[0-9]*.json"))[:MOST]
    except ForeignStateError as error:
        return [], [(folder, error.brief)]
    except OSError as error:
        return [], [(folder, f"it cannot be read: {error.strerror}")]
    good: list[StopRequest] = []
    wrong: list[tuple[Path, str]] = []
    for path in paths:
        try:
            good.append(_request(path, nodes))
        except FileNotFoundError:
            continue
        except JournalError as error:
            wrong.append((path, error.brief))
        except OSError as error:
            wrong.append((path, f"the request cannot be read: {error.strerror}"))
        except (ValueError, RecursionError):
            wrong.append((path, "the request is not understood"))
    return good, wrong


def _request(path: Path, nodes: Collection[str]) -> StopRequest:
    """:raises ValueError: it is no request. :raises JournalError: likewise, or it is not ours. :raises OSError:"""
    match read_json(read_ours(path, _LARGEST).decode("utf-8")):
        case {"kind": str(kind), "at": str(at), "payload": dict(payload)}:
            event = event_from_json(payload)
        case _:
            raise ValueError(path.name)
    if not isinstance(event, StopAsked | NodeDecided):
        raise JournalError(f"a request may be to stop, or a decision, and not {event.kind}")
    if kind != _kind_of(event):
        raise JournalError(f"the request says {kind}, and what it asks is {_kind_of(event)}")
    if isinstance(event, NodeDecided) and (event.node not in nodes or not event.reason.strip()):
        raise JournalError(f"the request decides on {event.node}, which the run has not, or without a reason")
    named = replace(_short(event), request=path.name)  # what its file is called, whatever it says itself
    return StopRequest(kind, datetime.fromisoformat(at), named, path)


def _short(event: Asked) -> Asked:
    """The same with texts that fit into a journal and on a screen, whoever wrote them."""
    by = event.by[:_LONGEST_BY]
    if isinstance(event, StopAsked):
        return replace(event, by=by)
    return replace(event, by=by, reason=event.reason[:_LONGEST_REASON])


def _kind_of(event: Asked) -> str:
    return event.what if isinstance(event, StopAsked) else f"node-{event.decision}"


def set_aside(path: Path) -> str:
    """Give a file that is no request a name that is looked at no more, and return its path. Never fails."""
    aside = path.with_name(f"refused-{path.name}")
    with suppress(OSError):
        if path.name != "requests":
            path.rename(aside)
            return str(aside)
    return str(path)


def clear_requests(requests: Iterable[StopRequest]) -> None:
    """Remove exactly these, once the journal has them; one that came meanwhile stays."""
    for request in requests:
        request.path.unlink(missing_ok=True)
