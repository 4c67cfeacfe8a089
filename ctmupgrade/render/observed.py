"""What is worse than before a run, and what clients saw of it, as sections of a Markdown report and as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ctmupgrade.core.run.before_after import TITLES
from ctmupgrade.core.run.report import Report
from ctmupgrade.core.run.report_lines import ClientPortLine, ClientsLine, ComparedLine, TimesLine
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import code, markdown
from ctmupgrade.render.once import names_itself


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"


def finding_texts(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what is worse than before, in a sentence each, and what to look at."""
    for one in report.findings:
        named = names_itself([one.node], one.summary)
        where = "" if named else f"{one.node}: "
        yield f"{where}{one.summary}", one.remedy


def no_worse(lines: Iterable[ComparedLine]) -> str:
    """Say that nothing is worse than before; what could not be looked at since is no proof of it."""
    if any(one.unknown_now for one in lines):
        return "nothing that could be compared is worse than before; what is not known now is listed"
    return "nothing is worse than before"


def observed_markdown(report: Report) -> Iterator[str]:
    """Yield the lines of both sections; nothing where nobody looked."""
    if report.findings or report.before_after:
        yield from ("", "## Before and after", "")
        yield from (
            f"- **worse**: {markdown(text)}: {code(remedy)}" for text, remedy in finding_texts(report)
        )
        if not report.findings:
            yield f"- {no_worse(report.before_after)}"
        shown = [one for one in report.before_after if one.verdict != "same"]
        if shown:
            yield from ("", "| where | what | before | after | |", "|---|---|---|---|---|")
            for one in shown:
                told = (
                    one.text
                    if one.verdict == "not known"
                    else ": ".join(filter(None, (one.verdict, one.text)))
                )
                yield _row(one.node, TITLES.get(one.topic, one.topic), one.before, one.after, told)
        same = len(report.before_after) - len(shown)
        if same:
            yield from ("", f"{same} of {len(report.before_after)} comparisons show no difference.")
    if report.clients is not None:
        yield from ("", "## What clients saw", "")
        yield from (f"- {markdown(line)}" for line in client_lines(report.clients))
        measured = [port for port in report.clients.ports if port.probed]
        if measured:
            yield from ("", "| node | port | away | longest | times | now |", "|---|---|---|---|---|---|")
            rows: dict[tuple[str, ...], list[str]] = {}
            for port in measured:
                rows.setdefault(_cells(port), []).append(f"{port.port} ({port.service})")
            yield from (_row(node, ", ".join(ports), *cells) for (node, *cells), ports in rows.items())


def _cells(port: ClientPortLine) -> tuple[str, ...]:
    about = "" if all(one.sure for one in port.outages) else "at most "
    return (
        port.node, f"{about}{clock_time(port.away_s)}" if port.outages else "never",
        clock_time(port.longest_s) if port.outages else "", str(len(port.outages) or ""),
        "answers" if port.back else "does not answer",
    )  # fmt: skip


def client_lines(clients: ClientsLine) -> Iterator[str]:
    """Yield in sentences whether there was ever no node, and what was not measured."""
    measured = [port for port in clients.ports if port.probed]
    if measured:
        yield f"asked from here every {clients.every_s} s: no time is known better than that"
    gaps: dict[str, list[str]] = {service: [] for service in dict.fromkeys(port.service for port in measured)}
    for one in clients.without_any:
        lasted = f"for {clock_time(one.seconds)} from {one.began}" + ("" if one.ended else ", to the end")
        gaps.setdefault(one.service, []).append(lasted)
    alike: dict[str, list[str]] = {}
    for service, times in gaps.items():
        alike.setdefault("; ".join(times), []).append(service)
    for told, services in alike.items():
        of = ", ".join(services)
        yield (
            f"no node answered clients of {of} {told}"
            if told
            else f"at every moment some node answered clients of {of}"
        )
    yield from (
        f"not measured from {began} to {ended}: nobody looked" for began, ended in clients.not_measured
    )
    for port in clients.ports:
        if not port.probed:
            what = f"{port.node} {port.port} ({port.service})" if port.port else port.node
            yield f"not measured: {what}: {port.why}"


def took_words(times: TimesLine) -> str:
    """Return how long it took, beside what was expected; "" where nothing was estimated."""
    if not times.estimate_s:
        return ""
    expected = f"expected {clock_time(times.estimate_s)}, at worst {clock_time(times.worst_s)}"
    return f"{clock_time(times.took_s)}; {expected}" if times.took_s is not None else expected
