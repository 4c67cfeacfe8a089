"""The timeline as a picture: for each node what was planned above what really happened, readable without colour.

The widths are shares of the page's, so that it fits a phone and a sheet of paper, and its words keep their size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctmupgrade.core.run.attempts import Attempt
from ctmupgrade.core.run.report import IncidentLine
from ctmupgrade.core.run.timeline import Bar, Timeline
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.markup import Markup, joined, raw, tag
from ctmupgrade.render.moments import shown

STYLE = """
.times{list-style:none;padding:0;margin:.6rem 0}.times .row{margin:0;padding:.15rem 0;border-top:1px solid var(--line)}
.times .who{font-weight:600;font-size:.9rem}.times .who span{font-weight:400;color:var(--quiet)}
svg{display:block;width:100%;overflow:visible}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
.plan{fill:none;stroke:var(--quiet);stroke-dasharray:4 3}
.away{fill:var(--bar);stroke:var(--edge)}.calm{fill:var(--calm);stroke:var(--edge)}
.failed{fill:url(#hatch);stroke:var(--bad);stroke-width:2.5}.hatch{stroke:var(--bad);stroke-width:3}
.hatch-back{fill:var(--paper)}svg text.on-away{fill:var(--bar-ink)}
.tick{stroke:var(--line)}.now{stroke:var(--ink);stroke-width:1.5}.window{fill:none;stroke:var(--good);stroke-width:2}
.mark{fill:var(--bad)}svg text.letter{font-weight:700;font-size:11px}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;font-size:.88rem;padding:0;list-style:none}
.legend svg{display:inline-block;width:34px;height:14px;vertical-align:-2px;margin-right:.4rem}
.roomy{display:none}@media (min-width:900px){.roomy{display:inline}}
"""
_LETTERS = {"failure": "F", "inconclusive": "I", "pause": "P", "stop-asked": "S", "decision": "D", "resume": "R",
            "handed-over": "H", "taken-over": "T", "program": "O", "clock": "C", "request-refused": "X", "end": "E"}  # fmt: skip
_LOCK = "L"
_MEANINGS = {"F": "failure", "I": "not known how it ended", "P": "pause", "S": "stop asked for", "D": "decision",
             "R": "resume", "H": "handed over", "T": "taken over", "O": "the operator's own program", "C": "clock set back",
             "X": "request refused", "E": "end", _LOCK: "database locked for up to 30 s, for all nodes"}  # fmt: skip
_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)  # minutes between labels
_NARROW, _ROOMY = 3.4, 10.5  # pixels of a hundredth of the picture, on a phone and on a screen
_CHAR = 7.2  # pixels of a letter, at most
_MOST_LABELS = 5
_MOST_ON_A_SHEET = 8  # nodes


@dataclass(frozen=True, slots=True)
class _Scale:
    """From when to when the picture goes."""

    begins: datetime
    ends: datetime

    def at(self, moment: datetime) -> float:
        """Hundredths of the width."""
        whole = (self.ends - self.begins).total_seconds()
        return max(0.0, min(100.0, 100 * (moment - self.begins).total_seconds() / whole))


def timeline_figure(times: Timeline, incidents: Sequence[IncidentLine]) -> Markup:
    """Return the picture with its legend. :param incidents: of the same run; each is marked."""
    scale, here = _scale(times), _Picture(times, tuple(incidents))
    nodes = list(dict.fromkeys(bar.node for bar in times.bars))
    used = {letter for node in nodes for _, letter in here.marks(node)} | {x for _, x in here.marks(None)}
    rows = (tag("li", here.row(node, scale), class_="row") for node in nodes)
    return tag(
        "figure",
        tag("ol", tag("li", here.axis(scale), class_="row"), joined(rows), class_="times"),
        tag("figcaption", _legend(sorted(used), window=_window_words(times))),
        class_="whole" if len(nodes) <= _MOST_ON_A_SHEET else "",
    )


@dataclass(frozen=True, slots=True)
class _Picture:
    times: Timeline
    incidents: tuple[IncidentLine, ...]

    def marks(self, node: str | None) -> list[tuple[datetime, str]]:
        """When something happened to a node, or (None) to the whole run, each with its letter."""
        names = {bar.node for bar in self.times.bars}
        found = [
            (datetime.fromisoformat(one.time), _LETTERS.get(one.kind, "?"))
            for one in self.incidents
            if (one.node if one.node in names and one.node else None) == node
        ]
        for bar in self.times.bars:
            if bar.step == self.times.locked and bar.node == node and bar.attempts:
                found.append((bar.attempts[0].began, _LOCK))
        return sorted(found, key=lambda one: one[0])  # at one moment as they came

    def row(self, node: str, scale: _Scale) -> Markup:
        """A node's name, and its bars."""
        mine = [bar for bar in self.times.bars if bar.node == node]
        marks = self.marks(node) if node else []
        height = 46 if marks else 33
        drawn = [
            *_lines(self.times, scale, height),
            *(_planned(bar, scale) for bar in mine),
            *(_real(bar, one, scale, self.times.ends) for bar in mine for one in bar.attempts),
            *_letters(marks, scale, 44),
        ]
        words = self._away(node)
        return joined(
            tag("div", node or "This machine", tag("span", f" - {words}") if words else "", class_="who"),
            tag("svg", joined(drawn), height=str(height), role="img",
                aria_label=f"{node or 'this machine'}: {_said(mine, self.times)}"),
        )  # fmt: skip

    def axis(self, scale: _Scale) -> Markup:
        """The clock, and what concerns the whole run."""
        labels = list(_labels(scale))
        days = len({f"{moment:%d}" for moment in labels}) > 1
        texts = [
            tag("text", f"{moment:%d %b %H:%M}" if days and number == 0 else f"{moment:%H:%M}",
                x=f"{scale.at(moment):.2f}%", y="12", text_anchor="start" if scale.at(moment) < 8 else
                "end" if scale.at(moment) > 94 else "middle")
            for number, moment in enumerate(labels)
        ]  # fmt: skip
        marks = self.marks(None)
        height = 34 if marks else 18
        return tag(
            "svg", raw(_HATCH), joined(texts), joined(_letters(marks, scale, 32)), height=str(height), role="img",
            aria_label=f"the clock, from {shown(scale.begins, scale.begins)} to {shown(scale.ends, scale.begins)}",
        )  # fmt: skip

    def _away(self, node: str) -> str:
        found = next((one for one in self.times.away if one.node == node), None)
        if found is None:
            return ""
        if found.until is None:
            return f"out of service for {clock_time(found.seconds)}, not proven to be back"
        return f"out of service for {clock_time(found.seconds)} at most"


_HATCH = (
    '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="hatch-back" width="7" height="7"/><line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>'
)


def _scale(times: Timeline) -> _Scale:
    moments = [times.begins, times.ends, *(moment for bar in times.bars for moment in bar.planned)]
    begins, ends = min(moments), max(moments)
    finish = times.window.finish_by
    if finish is not None and ends < finish < ends + (ends - begins):  # near enough to be in the picture
        ends = finish
    zone = times.begins.tzinfo
    return _Scale(begins.astimezone(zone), max(ends, begins + timedelta(minutes=1)).astimezone(zone))


def _labels(scale: _Scale) -> Iterator[datetime]:
    minutes = (scale.ends - scale.begins).total_seconds() / 60
    every = next((n for n in _STEPS_MIN if minutes / n <= _MOST_LABELS), _STEPS_MIN[-1])
    midnight = scale.begins.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = -((midnight - scale.begins) // timedelta(minutes=every))  # the first full one in the picture
    moment = midnight + passed * timedelta(minutes=every)
    while moment <= scale.ends:
        yield moment
        moment += timedelta(minutes=every)


def _lines(times: Timeline, scale: _Scale, height: int) -> Iterator[Markup]:
    """The clock's ticks, and the ends of the maintenance window."""
    for moment in _labels(scale):
        yield _line(scale.at(moment), height, "tick")
    for end in (times.window.start, times.window.finish_by):
        if end is not None and scale.begins <= end <= scale.ends:
            yield _line(scale.at(end), height, "window")


def _line(x: float, height: int, class_: str) -> Markup:
    return tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1="0", y2=str(height), class_=class_)


def _planned(bar: Bar, scale: _Scale) -> Markup:
    begins, ends = (scale.at(moment) for moment in bar.planned)
    words = f"{bar.phase}, planned: {_span(*bar.planned)}"
    return _rect(begins, ends, 2, 7, "plan", words)


def _real(bar: Bar, one: Attempt, scale: _Scale, until: datetime) -> Markup:
    begins, ends = scale.at(one.began), scale.at(one.ended or max(until, one.began))
    kind = "failed" if one.how in ("failed", "inconclusive") else "calm" if bar.serves else "away"
    box = _rect(begins, ends, 13, 18, kind, f"{bar.phase}, {one.how}: {_span(one.began, one.ended)}")
    wide = len(bar.phase) * _CHAR + 6
    if kind == "failed" or (ends - begins) * _ROOMY < wide:
        return box
    roomy = "" if (ends - begins) * _NARROW >= wide else "roomy"
    text = tag("text", bar.phase, x=f"{(begins + ends) / 2:.2f}%", y="26", text_anchor="middle",
               class_=f"on-{kind} {roomy}".strip())  # fmt: skip
    return joined(box, text)


def _rect(begins: float, ends: float, y: int, height: int, class_: str, words: str) -> Markup:
    width = max(0.25, ends - begins)
    return tag("rect", tag("title", words), x=f"{min(begins, 99.75):.2f}%", y=str(y), width=f"{width:.2f}%",
               height=str(height), class_=class_)  # fmt: skip


def _letters(marks: list[tuple[datetime, str]], scale: _Scale, y: int) -> Iterator[Markup]:
    """Marks, those that would lie on each other behind each other."""
    groups: list[tuple[float, str]] = []
    for moment, letter in marks:
        x = scale.at(moment)
        if groups and x - groups[-1][0] < 3 + 2.5 * len(groups[-1][1]):
            if letter not in groups[-1][1]:
                groups[-1] = (groups[-1][0], groups[-1][1] + letter)
        else:
            groups.append((x, letter))
    for x, letters in groups:
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        yield tag("text", f"▲{letters}", x=f"{x:.2f}%", y=str(y), text_anchor=anchor, class_="letter")


def _span(begins: datetime, ends: datetime | None) -> str:
    last = f"{ends:%H:%M:%S}" if ends else "an end that is not known"
    return f"{begins:%H:%M:%S} to {last}"


def _said(bars: Sequence[Bar], times: Timeline) -> str:
    """The bars in words, for who cannot see them."""
    told = [f"{bar.phase} {one.how} {_span(one.began, one.ended)}" for bar in bars for one in bar.attempts]
    return "; ".join(told) if told else "nothing was begun yet" if times.bars else "nothing"


def _window_words(times: Timeline) -> str:
    window = times.window
    ends = [
        f"{word} {shown(moment, times.begins)}"
        for word, moment in (("from", window.start), ("until", window.finish_by))
        if moment is not None
    ]
    return f"maintenance window: {' '.join(ends)}" if ends else ""


def _legend(letters: Sequence[str], *, window: str) -> Markup:
    samples = [
        ("plan", 3, 7, "planned"),
        ("calm", 1, 12, "real, the node served its clients"),
        ("away", 1, 12, "real, the node was out of service"),
        ("failed", 1, 12, "failed, or not known how it ended"),
    ]
    items = [
        tag("li", tag("svg", tag("rect", x="1", y=str(y), width="32", height=str(h), class_=kind), aria_hidden="true"), words)
        for kind, y, h, words in samples
    ]  # fmt: skip
    if window:
        line = tag("line", x1="17", x2="17", y1="0", y2="14", class_="window")
        items.append(tag("li", tag("svg", line, aria_hidden="true"), window))
    items += [tag("li", tag("b", f"▲{one} "), _MEANINGS.get(one, "something else")) for one in letters]
    return tag("ul", joined(items), class_="legend")
