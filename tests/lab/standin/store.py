"""What a node keeps over reboots, its audit log, and the errors of its API."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path("/var/lib/lab")
Doc = dict[str, Any]


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def boot_id() -> str:
    """This boot's id."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class ApiError(Exception):
    """An error body of the API: ``code``, ``codeDesc``, ``message``."""

    def __init__(self, status: int, code: int, words: str, message: str = "") -> None:
        super().__init__(message or words)
        self.status = status
        self.body: Doc = {"code": code, "codeDesc": words}
        if message:
            self.body["message"] = message


def bad_request(message: str) -> ApiError:
    """Something is wrong with the request."""
    return ApiError(400, 15, "NCERRBadRequest: Bad HTTP request", message)


def not_found() -> ApiError:
    """There is no such thing."""
    return ApiError(404, 16, "NCERRResourceNotFound: Resource not found")


def internal(message: str = "") -> ApiError:
    """It went wrong inside."""
    return ApiError(500, 14, "NCERRInternalServerError: unexpected error", message)


class Store:
    """The node's state, one JSON file, and its audit log."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.doc: Doc = json.loads((folder / "state.json").read_text())

    @contextmanager
    def change(self) -> Iterator[Doc]:
        """The state, to be changed; written when the block ends well."""
        with self.lock:
            yield self.doc
            self._write("state.json", json.dumps(self.doc))

    def audit(self, kind: str, command: str, **more: Any) -> None:
        """Appends a line to the audit log."""
        line = json.dumps({"at": now(), "kind": kind, "command": command, **more}) + "\n"
        with (self.folder / "audit.jsonl").open("a") as file:
            file.write(line)

    def marker(self) -> Doc | None:
        """What ``ks_upgrade.sh`` left about its run; None: no run since the last boot."""
        try:
            found: Doc = json.loads((self.folder / "upgrade.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def forget_marker(self) -> None:
        """A boot has dealt with it."""
        (self.folder / "upgrade.json").unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        draft = self.folder / f".{name}"
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o600)
        draft.replace(self.folder / name)
