"""A report as one HTML page without anything from elsewhere: it opens on an isolated machine too."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeAlias

from ctmupgrade.core.plan.step_words import after_step, node_list
from ctmupgrade.core.run.account import Account
from ctmupgrade.core.run.journal import Status
from ctmupgrade.core.run.report import IncidentLine, JournalHead, NodeLine, ProgramLine, Report, StepLine
from ctmupgrade.render import timeline
from ctmupgrade.render.account import away_words
from ctmupgrade.render.markdown import check_of
from ctmupgrade.render.markup import Markup, Part, joined, tag
from ctmupgrade.render.moments import shown, span_tags, time_tag, zone_words
from ctmupgrade.render.observed import took_words
from ctmupgrade.render.observed_html import before_after_parts, clients_parts
from ctmupgrade.render.plain import state_now, version_now
from ctmupgrade.render.web_page import folded, page, section, table

_GOOD = ("done", "nothing-to-do", "dry-run", "pass")
_BAD = ("failed", "needs-operator", "inconclusive", "failure", "block", "unknown")
_MANY = 4  # nodes, of which "all" is said
_QUIET = ("pending", "unchanged", "skipped", "resume", "waiting")


def report_html(report: Report) -> str:
    """Return what happened, as a page."""
    body = tag("div", report_body(report), id="page")
    return page(report.title, body, head=report.run, more_style=timeline.STYLE)


def report_body(report: Report) -> Markup:
    """Return what is in the page."""
    parts = list(_sections(report))
    links = [
        tag("li", tag("a", heading, href=f"#{key}"))
        for key, heading, _ in parts
    ]  # fmt: skip
    return joined(
        tag("header", tag("h1", report.title), tag("p", _headline(report), class_=f"lead {_tone(report.outcome)}"),
            tag("dl", joined(_facts(report)), class_="facts")),
        tag("nav", tag("ul", joined(links)), aria_label="Parts of this report"),
        tag("main", joined(section(key, heading, *body) for key, heading, body in parts), id="content", tabindex="-1"),
        tag("footer", tag("p", f"Written by ctmupgrade from the journal of run {report.run}.")),
    )  # fmt: skip


Section: TypeAlias = tuple[str, str, tuple[Part, ...]]  # its id, its heading, what is in it


def _sections(report: Report) -> Iterator[Section]:
    """Each part of the page; what has nothing to say is left out."""
    zero, account = _zero(report), report.account
    if todo := [step for step in report.steps if step.remedy and step.status != Status.DONE]:
        yield "todo", "What to do", tuple(_todo(step) for step in todo)
    if account is not None and account.timeline.bars:
        words = tag("p", f"All times are {zone_words(account.timeline.begins)}.")
        yield "timeline", "Timeline", (words, timeline.timeline_figure(account.timeline, report.incidents))
    yield "nodes", "Versions before and after", (_nodes(report),)
    if report.incidents:
        yield "incidents", "Incidents", tuple(_incident(one, zero) for one in report.incidents)
    yield from _of_looks(report, zero)
    yield "checks", "Checks and waivers", tuple(_checks(report))
    yield from _of_the_record(report, zero)


def _of_looks(report: Report, zero: datetime) -> Iterator[Section]:
    """What is not as it was before."""
    if report.findings or report.before_after:
        parts = before_after_parts(report.findings, report.before_after)
        yield "before-after", "Before and after", tuple(parts)
    if report.clients is not None:
        yield "clients", "What clients saw", tuple(clients_parts(report.clients, zero))
    if report.account is not None and report.account.changes:
        yield "changes", "What changed besides the version", (_list(report.account.changes),)


def _of_the_record(report: Report, zero: datetime) -> Iterator[Section]:
    """What an auditor asks for."""
    account = report.account
    if account is not None and account.proofs:
        yield "evidence", "Evidence", tuple(_evidence(account))
    if report.programs:
        yield "programs", "Programs of the operator", tuple(_program(one, zero) for one in report.programs)
    if report.notes or any(step.notes for step in report.steps):
        yield "notes", "Notes", tuple(_notes(report))
    if account is not None and account.timeline.bars:
        yield "steps", "Steps", (_steps(report, account, zero),)
    if report.journal is not None:
        yield "journal", "Journal", (_journal(report.run, report.journal),)


def _headline(report: Report) -> str:
    return report.account.headline if report.account else f"{report.state}, {report.outcome}"


def _zero(report: Report) -> datetime:
    """The time in whose zone all are shown."""
    return datetime.fromisoformat(report.started) if report.started else datetime.now(UTC)


def _facts(report: Report) -> Iterator[Markup]:
    zero = _zero(report)
    archive = report.account.archive if report.account else ""
    code = f", exit code {report.exit_code}" if report.exit_code else ""
    facts: list[tuple[str, Part]] = [
        ("Run", [tag("code", report.run), f" {report.mode}, {report.strategy}"]),
        ("By", report.by),
        ("Target", f"{report.target}{f', {archive}' if archive else ''}"),
        ("From", [*span_tags(report.started, report.finished, zero), f" {zone_words(zero)}"]),
        ("State", [_word(report.state), ", outcome ", _word(report.outcome), code]),
    ]
    if took := took_words(report.times):
        facts.append(("Took", took))
    if report.why:
        facts.append(("Why", report.why))
    return (joined(tag("dt", name), tag("dd", value)) for name, value in facts)


def _word(word: str) -> Markup:
    """A state or a verdict: its tone is besides its word, never in place of it."""
    return tag("span", word, class_=f"state {_tone(word)}".strip())


def _tone(word: str) -> str:
    if word in _GOOD:
        return "good"
    return "bad" if word in _BAD else "quiet" if word in _QUIET else "wait"


def _lines(text: str) -> Markup:
    return tag("span", text, class_="lines")


def _list(lines: tuple[str, ...]) -> Markup:
    return tag("ul", [tag("li", _lines(line)) for line in lines])


def _todo(step: StepLine) -> Markup:
    why = after_step(step.id, step.error)
    why = f"skipped: {why}" if step.status == "skipped" else why
    return joined(tag("h3", step.id), tag("p", _lines(why)), tag("pre", step.remedy))


def _nodes(report: Report) -> Markup:
    account = report.account
    away = {one.node: one for one in account.timeline.away} if account else {}

    def row(node: NodeLine) -> tuple[Part, ...]:
        out = away.get(node.name)
        time = "-" if out is None else away_words(out.seconds, back=out.until is not None)
        return node.name, node.version_before, version_now(node), _word(state_now(node)), time

    heads = ("Node", "Before", "After", "State", "Out of service at most")
    return table(
        "Each node's version, as its own looks proved it", heads, [row(node) for node in report.nodes]
    )


def _steps(report: Report, account: Account, zero: datetime) -> Markup:
    statuses = {step.id: step.status for step in report.steps}
    rows: list[tuple[Part, ...]] = []
    for bar in account.timeline.bars:
        planned = f"{shown(bar.planned[0], zero)[11:]} to {shown(bar.planned[1], zero)[11:]}"
        for number, one in enumerate(bar.attempts or (None,)):
            again = f" (attempt {number + 1})" if number else ""
            real: Part = "-" if one is None else span_tags(one.began, one.ended or "", zero)
            how = statuses[bar.step] if one is None else one.how
            rows.append((f"{bar.step}{again}", planned, real, _word(how)))
    heads = ("Step", "Planned", "Real", "How it ended")
    return folded(
        "all-steps", "Every step, planned and real", table("Every attempt at every step", heads, rows)
    )


def _incident(one: IncidentLine, zero: datetime) -> Markup:
    where = one.step or one.node
    head = [time_tag(one.time, zero), " ", _word(one.kind), f" {where}" if where else ""]
    return tag(
        "article", tag("h3", head), tag("p", _lines(after_step(one.step, one.text))),
        tag("pre", one.remedy) if one.remedy else "", tag("p", f"By {one.who}", class_="quiet") if one.who else "",
        class_=f"incident {_tone(one.kind)}",
    )  # fmt: skip


def _checks(report: Report) -> Iterator[Part]:
    found = report.account.surroundings if report.account else None
    if found is not None and (found.passed or found.told):
        yield tag("p", f"Before the run began {found.passed} findings of the checks passed.")
        if found.told:
            rows = [
                (
                    one.check,
                    _names(one.nodes, report),
                    _word(one.verdict),
                    _lines(one.summary),
                )
                for one in found.told
            ]
            yield table("What did not simply pass", ("Check", "Nodes", "Verdict", "What was found"), rows)
    else:
        yield tag("p", "The journal does not tell what the checks found before the run.")
    if report.waived:
        yield table("Checks that were waived", ("Check", "Reason"), report.waived)
    else:
        yield tag("p", "No check was waived.")


def _names(nodes: tuple[str, ...], report: Report) -> Part:
    """Nodes, none of whose names is broken at its hyphen; a dash where there is none."""
    if len(nodes) == len(report.nodes) > _MANY:
        return node_list(nodes, len(nodes))
    return joined([tag("span", node, class_="name") for node in nodes], between=", ") if nodes else "-"


def _evidence(account: Account) -> Iterator[Part]:
    for number, node in enumerate(dict.fromkeys(proof.node for proof in account.proofs)):
        mine = [proof for proof in account.proofs if proof.node == node]
        yield tag("h3", node or "This machine")
        yield tag("ol", [tag("li", _lines(proof.words), class_="proof") for proof in mine])
        rows = [(proof.step, name, tag("code", value)) for proof in mine for name, value in proof.details]
        if rows:
            what = f"Hashes, ids and files of {node or 'this machine'}"
            yield folded(f"proof-{number}", what, table(what, ("Step", "What", "Value"), rows))


def _program(one: ProgramLine, zero: datetime) -> Markup:
    ended = one.error or ("how it ended is not known" if one.exit_code is None else f"exit {one.exit_code}")
    what = f"{one.what}{' (again)' if one.again else ''}{f' of {one.node}' if one.node else ''}"
    times = [*span_tags(one.started, one.finished, zero), f": {ended}"]
    output = tag("pre", one.output) if one.output else ""
    return joined(tag("h3", what), tag("p", tag("code", shlex.join(one.argv))), tag("p", times), output)


def _notes(report: Report) -> Iterator[Part]:
    if report.notes:
        yield _list(report.notes)
    noted = [tag("li", tag("b", step.id), ": ", _lines(note)) for step in report.steps for note in step.notes]
    if noted:
        yield folded("step-notes", "What the steps noted", tag("ul", joined(noted)))


def _journal(run: str, journal: JournalHead) -> Markup:
    return joined(
        tag("p", f"The journal had {journal.lines} lines when this was written. The sha256 of the last one, its head, was:"),
        tag("p", tag("code", journal.head)),
        tag("p", "Each line has the hash of the one before, so that this head vouches for all of them. To verify it:"),
        tag("pre", check_of(run, journal)),
        tag("p", "It exits with 5 where a line was changed, removed or added since."),
    )  # fmt: skip
