"""Requests that other shells leave for a run: pause, abort, an operator's decision."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ctmupgrade.adapters.disk.durable import failed, make_dirs, sync_dir, write_new


@dataclass(frozen=True, slots=True)
class StopRequest:
    """What another shell asks of a run."""

    kind: str  # pause, abort, retry, ...
    at: datetime
    payload: dict[str, object]
    path: Path


def write_request(run_dir: Path, kind: str, payload: Mapping[str, object], *,
                  clock: Callable[[], int] = time.time_ns) -> Path:  # fmt: skip
    """Leaves a request for the run in ``run_dir``; it appears whole or not at all.

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


def read_requests(run_dir: Path) -> list[StopRequest]:
    """The requests that wait, oldest first. Files that are none of ours are left alone."""
    found = []
    for path in sorted((run_dir / "requests").glob("[0-9]*.json")):
        with suppress(OSError, ValueError):
            match json.loads(path.read_text()):
                case {"kind": str(kind), "at": str(at), "payload": dict(payload)}:
                    found.append(StopRequest(kind, datetime.fromisoformat(at), payload, path))
                case _:
                    continue
    return found


def clear_requests(requests: Iterable[StopRequest]) -> None:
    """Removes exactly these, once the journal has them; one that came meanwhile stays."""
    for request in requests:
        request.path.unlink(missing_ok=True)
