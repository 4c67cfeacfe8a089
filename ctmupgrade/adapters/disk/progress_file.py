"""The small file beside a journal that says what a run's steps do between two of its lines. Only for readers: no decision
is taken on it, and it may be lost at any moment."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import MIB
from ctmupgrade.adapters.disk.ownership import read_ours
from ctmupgrade.codec import doing_from_json, to_json
from ctmupgrade.core.overview.activity import Doing
from ctmupgrade.errors import UNFORESEEN, JournalError


def write_progress(path: Path, doing: Doing) -> None:
    """Write it, whole or not at all, for its owner alone. A run never fails for it: what cannot be written is left out."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps({"schema": 1, **to_json(doing)})
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)


def read_progress(path: Path) -> Doing:
    """Return what the file says; nothing where there is none that can be read, or others could have written it."""
    try:
        value = json.loads(read_ours(path, MIB))
        value.pop("schema", None)
        return doing_from_json(value)
    except (OSError, JournalError, *UNFORESEEN):
        return Doing()
