"""The board as lines of a terminal of any size: what matters first where it has no room for all.

Nothing here writes; see ``board``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ctmupgrade.core.clean_text import clean, one_line
from ctmupgrade.core.overview.overview import Group, NodeRow, Overview
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render import overview_words as words

WIDE = 118  # columns from which on a node's row also says what is waited for
NEWS = 3  # last events that are shown at least
_COUNTED: tuple[tuple[Group, str], ...] = (
    ("waiting", "waiting"), ("done", "done"), ("skipped", "skipped"), ("unchanged", "not in this run"),
)  # fmt: skip
_STYLES = {"done": "green", "stuck": "bold red", "in work": "bold cyan", "skipped": "yellow"}


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size, in characters."""

    width: int
    height: int


def board_lines(view: Overview, news: Sequence[str], size: Size, hint: str = "") -> list[Text]:
    """Return the board: at most as many lines as the terminal has but one, each narrower than it.

    :param news: the last events, oldest first. :param hint: what keys do.
    """
    room = Size(max(size.width - 1, 10), max(size.height - 1, 4))
    head, foot = _head(view, room.width), [_line(hint, room.width, "dim")] if hint else []
    left = room.height - len(head) - len(foot) - 1
    nodes = _nodes(view, room.width, left - NEWS - 1)
    left -= len(nodes) + 1
    told = [_line(one, room.width, "dim") for one in news[-left:]] if left > 0 else []
    body = [*head, Text(), *nodes, *([Text(), *told] if told else [])]
    return [*body[: room.height - len(foot)], *foot]


def _text(text: str) -> str:
    """A text of anybody's: no second line, nothing that acts."""
    return one_line(clean(text)).replace("\t", " ")


def _line(text: str, width: int, style: str = "") -> Text:
    return Text(shortened(_text(text), width), style)


def shortened(text: str, width: int) -> str:
    """Return a text cut between two words to a width, with dots; a single long word is cut inside itself."""
    if cell_len(text) <= width:
        return text
    cut = set_cell_size(text, max(width - 4, 1)).rstrip()
    head, blank, _ = cut.rpartition(" ")
    return f"{head if blank and len(head) > width // 2 else cut} ..."


def _head(view: Overview, width: int) -> list[Text]:
    state = view.state
    alarm = "bold red" if state.name in ("failed", "needs-operator") or not view.alive else "bold"
    first = f"{state.mode.value}  {words.title_words(view)}"
    since = f"since {words.hour(state.started, view.at)} ({clock_time(view.elapsed_s)})"
    lines = [_line(first, width, "bold")]
    lines += _parts([f"{words.state_words(view)}", since, f"run {state.run}"], width, alarm)
    lines += _parts([*words.progress_words(view), words.end_words(view), words.window_words(view)], width)
    lines += _parts(words.health_words(view), width)
    for node, work in view.waits:
        if not node:
            lines += [_line(words.wait_words("", work), width, "cyan")]
    return lines


def _parts(parts: Iterable[str], width: int, style: str = "") -> list[Text]:
    """Parts beside each other, as many as a line has room for; none is torn apart."""
    lines: list[str] = []
    for part in (_text(one) for one in parts if one):
        if lines and cell_len(lines[-1]) + 3 + cell_len(part) <= width:
            lines[-1] += f" | {part}"
        else:
            lines.append(part)
    return [_line(line, width, style) for line in lines]


def _nodes(view: Overview, width: int, room: int) -> list[Text]:
    """All nodes where there is room, with what they wait for; else those that matter, and how many the others are."""
    columns = _Columns.of(view, width)
    for details in (3, 1):
        lines = columns.head(view.rows)
        for row in view.rows:
            lines += columns.row(row, details)
        if len(lines) <= room:
            return lines
    for details in (2, 1, 0):
        lines = _folded_nodes(view, columns, details, room)
        if len(lines) <= room or not details:
            return lines[: max(room, 1)]
    return []


def _folded_nodes(view: Overview, columns: _Columns, details: int, room: int) -> list[Text]:
    counts = _counts(view, columns)
    matter = [*view.group("stuck"), *view.group("in work")]
    lines, shown = columns.head(matter), 0
    for row in matter:
        made = columns.row(row, details)
        more = 1 if shown + 1 < len(matter) else 0
        if not details and len(lines) + len(made) + more + len(counts) > room:
            break
        lines, shown = lines + made, shown + 1
    if rest := matter[shown:]:
        lines.append(
            _line(
                f"and {len(rest)} more in work: {words.some(r.name for r in rest)}",
                columns.width,
                "bold cyan",
            )
        )
    return lines + counts


def _counts(view: Overview, columns: _Columns) -> list[Text]:
    lines = []
    for group, word in _COUNTED:
        rows = view.group(group)
        if not rows:
            continue
        begins = f"next {rows[0].name}" if group == "waiting" else words.some((r.name for r in rows), 5)
        if group == "waiting" and rows[0].span is not None and view.alive:
            begins += f", about {words.hour(rows[0].span.begins, view.at)}"
        text = f"{words.count(len(rows), 'node')} {word}: {begins}"
        lines.append(_line(text, columns.width, _STYLES.get(group, "dim")))
    return lines


@dataclass(frozen=True, slots=True)
class _Columns:
    """The table of nodes in a width: without the last column where it is narrow."""

    view: Overview
    width: int
    widths: tuple[int, ...]
    wide: bool

    @classmethod
    def of(cls, view: Overview, width: int) -> _Columns:
        name = min(max((cell_len(row.name) for row in view.rows), default=4), 24 if width < WIDE else 40)
        version = max((cell_len(row.version) for row in view.rows), default=0)
        phase = max((cell_len(row.phase) for row in view.rows), default=0)
        wide = width >= WIDE
        phase = min(max(phase, 18), 30 if wide else 22)
        return cls(
            view, width, (max(name, 4), *((max(version, 7),) if wide else ()), phase, 10, 10, 9, 9), wide
        )

    def head(self, rows: Sequence[NodeRow]) -> list[Text]:
        """The headings; none where no node is shown."""
        cells = [
            "NODE",
            *(["VERSION"] if self.wide else []),
            "PHASE",
            "FOR",
            "USUALLY",
            "DONE AT",
            "AT WORST",
        ]
        return [Text(self._cells([*cells, *(["WAITS FOR"] if self.wide else [])]), "dim")] if rows else []

    def _cells(self, cells: Sequence[str]) -> str:
        fixed = [set_cell_size(shortened(c, w), w) for c, w in zip(cells, self.widths, strict=False)]
        return shortened("  ".join([*fixed, *cells[len(self.widths) :]]).rstrip(), self.width)

    def row(self, row: NodeRow, details: int) -> list[Text]:
        """A node, and in a narrow table so many lines at most of what it waits for."""
        said, cells = self._said(row), self._fixed(row)
        uploads = any(work.activity and work.activity.total for work in row.work)
        indent = sum(self.widths) + 2 * len(self.widths)
        if self.wide:
            lines = self._folded(said, self.width - indent, max(details, 1)) or [""]
            first = Text(self._cells([*cells, lines[0]]))
            lines = [" " * indent + line for line in lines[1:]]
        elif uploads and said:
            first = Text(self._cells(cells[:2]) + "  ")
            first.append(shortened(said, self.width - cell_len(first.plain)))
            lines = []
        else:
            first = Text(self._cells(cells))
            lines = [f"  {line}" for line in self._folded(said, self.width - 2, details)]
        style = _STYLES.get(row.group, "dim")
        start = self.widths[0] + 2 + (self.widths[1] + 2 if self.wide else 0)
        first.stylize(style, start, start + self.widths[2 if self.wide else 1])
        return [first, *(Text(line, style if row.group == "stuck" else "") for line in lines)]

    def _fixed(self, row: NodeRow) -> list[str]:
        view, work = self.view, max(row.work, key=lambda one: one.elapsed_s, default=None)
        elapsed = clock_time(work.elapsed_s) if work else ""
        if row.took_s is not None:
            elapsed = clock_time(row.took_s)
        usual = clock_time(work.usual_s) if work else ""
        span = row.span if view.alive else None
        ends, worst = (
            words.hour(at, view.at) if at else "" for at in (span and span.ends, span and span.worst)
        )
        return [
            _text(row.name),
            *([_text(row.version) or "not known"] if self.wide else []),
            row.phase,
            elapsed,
            usual,
            ends,
            worst,
        ]

    def _said(self, row: NodeRow) -> str:
        if row.why:
            return _text(row.why)
        works = sorted(
            row.work, key=lambda work: not (work.activity and work.activity.total)
        )  # uploads first
        works = (
            works[:1] if works and not self.wide and works[0].activity and works[0].activity.total else works
        )
        said = "; ".join(text for work in works if (text := words.doing_words(work)))
        said = said.removeprefix(f"{row.name}: ")  # its row says whom it is about
        late = [work for work in row.work if words.is_late(work)]
        more = f"{words.usual_words(late[0])}; " if late else ""
        return _text(f"{more}{said}")

    @staticmethod
    def _folded(text: str, width: int, most: int) -> list[str]:
        if not text or most <= 0:
            return []
        return textwrap.wrap(text, max(width, 20), max_lines=most, placeholder=" ...", break_on_hyphens=False)
