"""Lines folded between words to a terminal's width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

COMMAND = "      "  # what a line with a command of recover begins with
_PROGRAMS = ("ctmupgrade", "ksctl", "sudo", "gpg", "export", "ssh", "ssh-keygen", "ssh-keyscan")
_LABELLED = re.compile(r"-> [\w' ]{1,40}: ctmupgrade ")  # a command behind a few words, also for copying
_FOR_COPYING = (*(f"-> {program} " for program in _PROGRAMS), "to go on: ")


def folded(lines: Iterable[str], width: int) -> list[str]:
    """Return the lines, folded between words to a terminal's width; those with a command stay whole, for copying."""
    made: list[str] = []
    for line in lines:
        text = line.lstrip(" -")
        start = line[: len(line) - len(text)]
        if len(line) <= width or start == COMMAND or _for_copying(line.lstrip()):
            made.append(line)
            continue
        made += textwrap.wrap(
            text, max(width, 20), initial_indent=start, subsequent_indent=" " * len(start),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return made


def _for_copying(text: str) -> bool:
    return text.startswith(_FOR_COPYING) or _LABELLED.match(text) is not None
