"""Reports as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from ctmupgrade.core.plan.step_words import after_step
from ctmupgrade.core.run.journal import Status
from ctmupgrade.core.run.report import IncidentLine, JournalHead, Report
from ctmupgrade.core.run.summary import Summary
from ctmupgrade.render.account import account_lines
from ctmupgrade.render.escape import code, markdown
from ctmupgrade.render.observed import observed_markdown, took_words
from ctmupgrade.render.plain import state_now, version_now


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"


def summary_markdown(summary: Summary, backups: Iterable[str]) -> str:
    """Return one page for whoever takes a run over."""
    lines = [
        f"# {markdown(summary.title)}: hand-over",
        "",
        f"- run: {code(summary.run)}, {markdown(summary.state)}",
    ]
    for heading, sentences in (*summary.parts, ("Backups", tuple(backups))):
        lines += [
            "",
            f"## {heading}",
            "",
            *(f"- {markdown(sentence)}" for sentence in sentences or ("nothing",)),
        ]
    return "\n".join((*lines, ""))


def report_markdown(report: Report) -> str:
    """Return what happened, for the change record."""
    account = report.account
    lines = [
        f"# {markdown(report.title)}",
        "",
        *([markdown(account.headline), ""] if account else []),
        f"- run: {code(report.run)} ({report.mode}), {report.strategy}, by {markdown(report.by)}",
        f"- from {report.started} to {report.finished}",
        f"- state: **{report.state}**, outcome: **{report.outcome}**"
        + (f", exit code {report.exit_code}" if report.exit_code else ""),
    ]
    if took := took_words(report.times):
        lines.append(f"- took: {took}")
    if report.why:
        lines.append(f"- why: {markdown(report.why)}")
    lines += [f"- waived: {code(check)}: {markdown(reason)}" for check, reason in report.waived]
    lines += [f"- decision: {markdown(decision)}" for decision in report.decisions]
    lines += [f"- note: {markdown(note)}" for note in report.notes]
    lines += [
        "",
        "## Nodes",
        "",
        "| node | before | after | state | out of service |",
        "|---|---|---|---|---|",
    ]
    lines += [
        _row(n.name, n.version_before, version_now(n), state_now(n), took_words(n.times))
        for n in report.nodes
    ]
    lines += account_lines(report, account) if account else []
    lines += _step_lines(report)
    if report.incidents:
        lines += ["", "## Incidents", "", "| time | what | where | text | by |", "|---|---|---|---|---|"]
        lines += [
            _row(one.time, one.kind, one.step or one.node, _with_remedy(one), one.who)
            for one in report.incidents
        ]
    lines += [*observed_markdown(report), *_program_lines(report)]
    noted = [(s.id, note) for s in report.steps for note in s.notes]
    if noted:
        lines += ["", "## Notes", ""]
        lines += [f"- {markdown(step)}: {markdown(note)}" for step, note in noted]
    troubled = [s for s in report.steps if s.remedy and s.status != Status.DONE]
    if troubled:
        lines += ["", "## What to do", ""]
        for s in troubled:
            lines.append(f"- {markdown(s.id)} ({s.status}):")
            lines += [f"  - {markdown(line)}" for line in s.remedy.splitlines()]
    lines += ["", *_journal_lines(report)]
    return "\n".join(lines)


def _step_lines(report: Report) -> Iterator[str]:
    account = report.account
    words = {proof.step: proof.words for proof in account.proofs} if account else {}
    ends = (
        {bar.step: bar.planned[1].isoformat(timespec="seconds") for bar in account.timeline.bars}
        if account
        else {}
    )
    yield from (
        "",
        "## Steps",
        "",
        "| step | status | planned until | started | finished | took | evidence |",
    )
    yield "|---|---|---|---|---|---|---|"
    for step in report.steps:
        proof = "; ".join(f"{k}: {v}" for k, v in step.evidence.items()) or after_step(step.id, step.error)
        told = words.get(step.id, "")
        said = " ".join(part for part in (told, proof) if part and (part is told or not told.endswith(part)))
        took = took_words(step.times)
        yield _row(step.id, step.status, ends.get(step.id, ""), step.started, step.finished, took, said)


def program_cells(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each hook or check of the operator's: what, node, command, times, exit code, output."""
    return [
        (
            f"{one.what}{' (again)' if one.again else ''}",
            one.node,
            shlex.join(one.argv),
            one.started,
            one.finished or "not known",
            one.error or ("not known" if one.exit_code is None else str(one.exit_code)),
            one.output,
        )
        for one in report.programs
    ]


def _program_lines(report: Report) -> list[str]:
    if not report.programs:
        return []
    head = ["| what | node | command | started | finished | exit | output |", "|---|---|---|---|---|---|---|"]
    return ["", "## Programs of the operator", "", *head, *(_row(*cells) for cells in program_cells(report))]


def _with_remedy(one: IncidentLine) -> str:
    text = after_step(one.step, one.text)
    return f"{text} -> {'; '.join(one.remedy.splitlines())}" if one.remedy else text


def check_of(run: str, journal: JournalHead) -> str:
    """Return the command that tells whether a journal still ends as it did."""
    return journal.check or f"ctmupgrade report {run} --verify --head {journal.head}"


def _journal_lines(report: Report) -> list[str]:
    """What the journal ended in when this was written, for whoever checks it later."""
    if report.journal is None:
        return []
    check = code(check_of(report.run, report.journal))
    return [
        "## Journal",
        "",
        f"- lines: {report.journal.lines}, head: `{report.journal.head}`",
        f"- to check it later: {check}",
    ]
