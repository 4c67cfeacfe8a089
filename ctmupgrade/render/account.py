"""What a report tells of a run besides its bare steps, for JSON and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.run.account import Account
from ctmupgrade.core.run.report import Report
from ctmupgrade.core.run.timeline import Bar
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import code, markdown


def account_fields(account: Account) -> dict[str, object]:
    """Return the fields of a report's document that are about the whole run. Times are ISO 8601, null where unknown."""
    times, found = account.timeline, account.surroundings
    longest = times.longest_away
    return {
        "headline": account.headline,
        "duration_s": account.seconds,
        "archive": account.archive,
        "longest_away": {"node": longest.node, "seconds": longest.seconds} if longest else None,
        "away": [
            {"node": one.node, "since": _iso(one.since), "until": _iso(one.until), "seconds": one.seconds}
            for one in times.away
        ],
        "window": {"start": _iso(times.window.start), "finish_by": _iso(times.window.finish_by)},
        "database_locked_during": times.locked or None,
        "checks": {"passed": found.passed, "told": [asdict(one) for one in found.told]},
        "changes": list(account.changes),
    }


def step_fields(account: Account) -> dict[str, dict[str, object]]:
    """Return what is told of each step besides, by its id: words, planned times, and every attempt."""
    words = {proof.step: proof.words for proof in account.proofs}
    return {bar.step: {"words": words.get(bar.step, ""), **_times(bar)} for bar in account.timeline.bars}


def _times(bar: Bar) -> dict[str, object]:
    """With every attempt where there were several; else its times are the step's own."""
    begins, ends = bar.planned
    attempts = [{"began": _iso(one.began), "ended": _iso(one.ended), "how": one.how} for one in bar.attempts]
    more = {"attempts": attempts} if len(attempts) > 1 else {}
    return {"planned_begins": _iso(begins), "planned_ends": _iso(ends), **more}


def account_lines(report: Report, account: Account) -> Iterator[str]:
    """Yield the same as Markdown, behind the nodes."""
    yield from _list("What changed besides the version", account.changes)
    yield from _list("Out of service at most", (away_words(one.seconds, back=one.until is not None, node=one.node)
                                                for one in account.timeline.away))  # fmt: skip
    yield from _checks(report, account)
    repeated = [bar for bar in account.timeline.bars if len(bar.attempts) > 1]
    if repeated:
        yield from ("", "## Attempts", "", "| step | began | ended | how |", "|---|---|---|---|")
    for bar in repeated:
        for one in bar.attempts:
            yield f"| {markdown(bar.step)} | {_iso(one.began)} | {_iso(one.ended) or 'not known'} | {one.how} |"


def away_words(seconds: int, *, back: bool, node: str = "") -> str:
    """Return how long a node was out of service. :param back: it was proven to be back."""
    return f"{f'{node}: ' if node else ''}{clock_time(seconds)}{'' if back else ', not proven to be back'}"


def _checks(report: Report, account: Account) -> Iterator[str]:
    found = account.surroundings
    if not found.passed and not found.told:
        return
    yield from ("", "## Checks", "", f"{found.passed} findings of the checks passed before the run.")
    if found.told:
        yield from ("", "| check | nodes | verdict | what was found |", "|---|---|---|---|")
    for one in found.told:
        nodes = node_list(one.nodes, len(report.nodes))
        yield f"| {code(one.check)} | {markdown(nodes)} | {one.verdict} | {markdown(one.summary)} |"


def _list(heading: str, lines: Iterator[str] | tuple[str, ...]) -> Iterator[str]:
    told = [f"- {markdown(line)}" for line in lines]
    if told:
        yield from ("", f"## {heading}", "", *told)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
