"""What is worse than before a run, and what clients saw of it, as parts of the report's page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ctmupgrade.core.run.report_lines import ClientPortLine, ClientsLine, ComparedLine, FindingLine
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.markup import Markup, Part, tag
from ctmupgrade.render.moments import span_tags
from ctmupgrade.render.web_page import folded, table


def before_after_parts(found: tuple[FindingLine, ...], lines: tuple[ComparedLine, ...]) -> Iterator[Part]:
    """Yield what is worse, in full, and what was compared, folded away where nothing differs."""
    if not found:
        yield tag("p", "Nothing that was compared is worse than before.")
    yield from (_worse(one) for one in found)
    other = [one for one in lines if one.verdict != "same"]
    heads = ("Node", "What", "Before", "After", "Verdict")
    if other:
        yield table("What differs", heads, map(_row, other))
    same = [one for one in lines if one.verdict == "same"]
    if same:
        words = f"What is as before: {len(same)} of {len(lines)} comparisons"
        yield folded("as-before", words, table(words, heads, map(_row, same)))


def _worse(one: FindingLine) -> Markup:
    return tag(
        "article", tag("h3", f"Worse: {one.check}{f' of {one.node}' if one.node else ''}"),
        tag("p", tag("span", one.summary, class_="lines")), tag("pre", one.remedy) if one.remedy else "", class_="incident bad",
    )  # fmt: skip


def _row(one: ComparedLine) -> tuple[Part, ...]:
    told = f"{one.verdict}: {one.text}" if one.text else one.verdict
    return one.node or "the cluster", one.topic.replace("_", " "), one.before, one.after, told


def clients_parts(seen: ClientsLine, zero: datetime) -> Iterator[Part]:
    """Yield whether some node answered at every moment, and for each port how long it did not. :param zero: for its zone."""
    yield tag(
        "p",
        f"Each port was asked from this machine every {seen.every_s} s: no time is known better than that.",
    )
    for gap in seen.without_any:
        lasted = "at least " if not gap.ended else "" if gap.sure else "at most "
        yield tag("p", tag("strong", f"No node answered clients of {gap.service}"), f" for {lasted}{clock_time(gap.seconds)}: ",
                  *span_tags(gap.began, gap.ended, zero))  # fmt: skip
    asked = [port for port in seen.ports if port.probed]
    if asked:
        if not seen.without_any:
            yield tag("p", "At every moment some node answered clients of each service.")
        heads = ("Node", "Port", "Without an answer", "Longest", "Times", "At the last look")
        yield table("Ports that clients use", heads, map(_port, asked))
    for began, ended in seen.not_measured:
        yield tag("p", "Not measured, for nobody looked: ", *span_tags(began, ended, zero))
    others = [
        f"{one.node} {one.port or ''} ({one.service}): {one.why}" for one in seen.ports if not one.probed
    ]
    if others:
        yield tag("p", "Not measured:")
        yield tag("ul", [tag("li", line) for line in others])


def _port(port: ClientPortLine) -> tuple[Part, ...]:
    about = "" if all(one.sure for one in port.outages) else "at most "
    away = f"{about}{clock_time(port.away_s)}" if port.outages else "never"
    longest = clock_time(port.longest_s) if port.outages else "-"
    back = "answered" if port.back else tag("span", "did not answer", class_="state bad")
    return port.node, f"{port.port} ({port.service})", away, longest, str(len(port.outages)), back
