"""Escape texts of others for Markdown. For HTML there is ``html.escape``, for the shell ``shlex``, for YAML JSON.

Escaped here: what CommonMark and its table extension can take for markup, whatever stands around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ctmupgrade.core.clean_text import clean, one_line

# What means something inside a line, each before which a backslash is CommonMark's own escape. Not in it: "_" between
# letters, and what means something only at a line's start or behind one of these ("(", "!", "#", "-").
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = re.compile(r"<|&(?=[#\w])")
_LINE_START = re.compile(r">|[-+=](?=[-+=\s]|$)|#(?=[#\s]|$)|\d{1,9}(?=[.)](?:\s|$))")
_LINK = re.compile(r"(?i)(?<=http)(s?)(:)(?=//)|(?<=ftp)()(:)(?=//)|(?<=www)()(\.)")


def markdown(text: str) -> str:
    """Return a text as one line of Markdown that shows exactly it, also in a table's cell or behind a bullet."""
    line = one_line(clean(text)).replace("\t", " ").strip()
    line = _MARKUP.sub(lambda found: f"\\{found[0]}", _ENTITIES.sub(lambda found: _NAMES[found[0]], line))
    line = _LINK.sub(lambda found: f"{found[1] or ''}\\{found[2] or found[4] or found[6]}", line)
    start = _LINE_START.match(line)
    if start is None:
        return line
    return f"{start[0]}\\{line[start.end() :]}" if start[0].isdigit() else f"\\{line}"


_NAMES = {"<": "&lt;", "&": "&amp;"}


def code(text: str) -> str:
    """Return a text as inline code, behind a fence that nothing in it can end."""
    line = one_line(clean(text)).replace("|", "\\|")
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""


def block(lines: Iterable[str], language: str = "") -> list[str]:
    """Return lines as a fenced block of code, behind a fence that nothing in them can end."""
    body = [line for text in lines for line in clean(text).split("\n")]
    fence = "`" * max(3, _longest_run("\n".join(body)) + 1)
    return [f"{fence}{language}", *body, fence]


def ours(lines: Iterable[str]) -> list[str]:
    """Return lines for a terminal of which each begins with our own words: what others said may have several, and
    those are indented."""
    return [clean(line).replace("\n", "\n    ") for line in lines]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
