"""What a running step tells the loop."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode


@dataclass(frozen=True, slots=True)
class Started:
    """About to act. The executor journals it, durably, before the generator goes on."""

    before: Evidence

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", {name: foreign(text) for name, text in self.before.items()})


@dataclass(frozen=True, slots=True)
class Noted:
    """Worth keeping in the journal."""

    text: str
    code: NoteCode = NoteCode.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", one_line(foreign(self.text)))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sleep ``seconds``, then look again. ``since`` and ``until`` are for the reader.

    :ivar gist: what of it stays the same from look to look; "": all of it.
    """

    seconds: float
    what: str
    since: datetime
    until: datetime
    gist: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", one_line(foreign(self.what)))


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes done of all; ``pause`` is virtual time the simulator wants to pass."""

    what: str
    done: int
    total: int
    pause: float = 0.0


Tick: TypeAlias = Started | Noted | Waiting | Progress


Task: TypeAlias = Generator[Tick, None, Evidence]


TaskPart: TypeAlias = Generator[Tick, None, None]
