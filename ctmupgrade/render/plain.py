"""Plain lines: one per change, with the time, for terminals without colours, logs and schedulers."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from ctmupgrade.core.checks.findings import Finding, Verdict, overall, silent_nodes
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import ResetSpare, RestoreBackup
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.plan.steps import JoinNode, erases
from ctmupgrade.core.plan.windows import WindowFit, fit_lines, fit_summary
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.incidents import program_failure
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.core.run.observed import observed_words
from ctmupgrade.core.run.report import Report
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import ours
from ctmupgrade.render.observed import finding_texts
from ctmupgrade.render.once import after_step, names_itself

MIB = 2**20


def mode_line(mode: Mode, cluster: str, *, looks_only: bool) -> str:
    """Return what every command says first."""
    meaning = {
        Mode.LIVE: "only looking" if looks_only else "nodes will be changed",
        Mode.DRY_RUN: "nothing will be changed",
        Mode.SIMULATED: "no network; a simulated cluster in virtual time",
    }[mode]
    return f"{mode.value}: {cluster}: {meaning}"


MARK = 8  # columns of the word that a finding's line begins with


def finding_lines(
    findings: Iterable[Finding], *, verbose: bool = False, of: Iterable[Finding] | None = None
) -> list[str]:
    """Return what was found, worst first; passes only counted, unless verbose.

    :param of: all that the check found, where only a part of it is shown: it is what is counted.
    """
    return [line for _verdict, line in marked_finding_lines(findings, verbose=verbose, of=of)]


def marked_finding_lines(
    findings: Iterable[Finding], *, verbose: bool = False, of: Iterable[Finding] | None = None
) -> list[tuple[Verdict | None, str]]:
    """Return the same, each line with the verdict that it begins with; None: it begins with none."""
    found = list(findings)
    following = () if verbose else _following(found)
    nodes = {f.node for f in found if f.node}
    order = (Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN, Verdict.SKIPPED, Verdict.PASS)
    lines: list[tuple[Verdict | None, str]] = []
    for verdict in order:
        shown = [
            f
            for f in found
            if f.verdict is verdict and (verdict is not Verdict.PASS or verbose) and f not in following
        ]
        for finding, names in _grouped(shown):
            named = not names or names_itself(names, finding.summary)
            where = "" if named else f" {node_list(names, len(nodes))}:"
            lines.append(
                (verdict, f"{verdict.value.upper():{MARK}}{finding.check}:{where} {finding.summary}")
            )
            if finding.remedy and verdict is not Verdict.PASS:
                lines.append((None, f"        -> {finding.remedy}"))
    if following:
        lines.append((None, f"        ({len(following)} more follow from that; -v lists them)"))
    leading = [f for f in found if f not in following]
    lines.append((None, verdict_line(leading, found if of is None else list(of))))
    return [(verdict, text) for verdict, line in lines for text in ours([line])]


_ENDINGS = {
    Verdict.BLOCK: "Blocked: {n} to fix first",
    Verdict.UNKNOWN: "Not known: {n} that could not be found out",
    Verdict.MANUAL: "Ready; {n} to confirm by hand",
    Verdict.WARN: "Ready; {n} to read",
    Verdict.SKIPPED: "Ready; {n} skipped",
    Verdict.PASS: "Ready",
}


def verdict_line(found: list[Finding], counted: list[Finding]) -> str:
    """Return the last line: whether to go on, and how many checks say what; a check says what its worst finding says.

    :param found: what the verdict is of. :param counted: all that the check found.
    """
    worst = overall(found)
    by_check: dict[str, list[Finding]] = {}
    for finding in counted:
        by_check.setdefault(finding.check, []).append(finding)
    each = [overall(same) for same in by_check.values()]
    concerned = len({f.check for f in found if f.verdict is worst})
    count = f"{concerned} thing{'' if concerned == 1 else 's'}"
    rest = [
        f"{number} {_counted(verdict, number)}"
        for verdict in (Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN, Verdict.SKIPPED)
        if (number := each.count(verdict))
    ]
    passes = f"{each.count(Verdict.PASS)} of {len(each)} checks pass"
    return f"{_ENDINGS[worst].format(n=count)}. {', '.join([passes, *rest])}"


def _counted(verdict: Verdict, number: int) -> str:
    words = {Verdict.BLOCK: "blocking", Verdict.WARN: "warning" if number == 1 else "warnings"}
    return words.get(verdict, verdict.value)


def _grouped(findings: list[Finding]) -> list[tuple[Finding, list[str]]]:
    """Findings that say the same of several nodes, as one, with the nodes' names."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.check, finding.summary, finding.remedy), []).append(finding)
    return [(group[0], [f.node for f in group if f.node]) for group in alike.values()]


def _following(found: list[Finding]) -> tuple[Finding, ...]:
    """What is wrong or unknown only because its node, or its control plane, does not answer or let us in."""
    causes = ("node_reachable", "control_plane_reachable")
    silent = silent_nodes(found)
    shut = {f.node for f in found if f.check in causes and f.verdict is Verdict.BLOCK}
    return tuple(
        f
        for f in found
        if f.check not in causes
        and (
            (f.unreachable and (silent or shut))
            or (f.node in silent and f.verdict in (Verdict.UNKNOWN, Verdict.MANUAL, Verdict.BLOCK))
            or (f.node in shut and f.verdict in (Verdict.UNKNOWN, Verdict.MANUAL))
        )
    )


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan for a reader: what, where, why, how long, and what users notice."""
    aim = "restore" if _restored(plan) else f"{plan.strategy.value}, to {plan.target.version}"
    lines = [f"plan {plan.id}: {plan.cluster}, {aim}"]
    lines += [f"  note: {note}" for note in plan.notes]
    width = max((len(s.id) for s in plan.steps), default=0)
    for step in plan.steps:
        holders = f"  [{step.holders} node(s) hold the data]" if step.holders >= 0 else ""
        lines.append(f"  {step.id:{width}}  ~{clock_time(step.estimate_s):>8}  {step.why}{holders}")
    if plan.steps:
        lines.append(
            f"  about {clock_time(plan.critical_path_s())} in all; a node is away for 10 minutes or more"
        )
    else:
        lines.append("  nothing to do")
    return ours(lines)


def question(plan: Plan, cluster_size: int) -> list[str]:
    """Return what is about to change, said before it is asked for: every node that a step touches, and all that erases."""
    nodes = node_list((step.node for step in plan.steps if step.node), cluster_size)
    lines = [
        f"About to change {plan.cluster} ({cluster_size} node(s)): {nodes or 'no node'}",
        f"  {_in_short(plan)}",
    ]
    lines += [
        f"  ERASES all data of {step.node or 'a node that is not named'}: {step.id}"
        for step in plan.steps
        if erases(step.action)
    ]
    lines += [f"  {note}" for note in plan.notes]
    lines.append(f"  about {clock_time(plan.critical_path_s())} in all")
    return ours(lines)


def _restored(plan: Plan) -> list[str]:
    return [step.node for step in plan.steps if isinstance(step.action, RestoreBackup)]


def _in_short(plan: Plan) -> str:
    """What is done, in one line."""
    onto = _restored(plan)
    if any(isinstance(step.action, ResetSpare) for step in plan.steps):
        return f"restore a backup onto the spare {node_list(onto)}, prove it, reset the spare; nothing else is changed"
    if onto:
        joining = node_list(step.node for step in plan.steps if isinstance(step.action, JoinNode))
        return f"restore a backup onto {node_list(onto)}, make a new cluster of it, then join {joining or 'no other node'}"
    if plan.strategy is StrategyName.REBUILD:
        return f"remove, upgrade to {plan.target.version}, rebuild and join"
    return f"ks_upgrade.sh to {plan.target.version} and a reboot on each, one after another"


def window_lines(fit: WindowFit | None) -> list[str]:
    """Return how a plan lies in its maintenance window, with clock times; nothing where the window has no end."""
    return [] if fit is None else ours([f"  {fit_summary(fit)}", *(f"    {line}" for line in fit_lines(fit))])


def _short(value: str, limit: int = 48) -> str:
    """A long value with its middle left out; the journal and the report have it whole."""
    return value if len(value) <= limit else f"{value[: limit // 3]}...{value[-(limit - limit // 3 - 3) :]}"


def event_line(event: Event, state: RunState) -> str:
    """Return one line per change, with its time."""
    if isinstance(event, journal.RunPaused) and state.paused_by:
        return f"{state.at.isoformat(timespec='seconds')} paused for that (exit {event.code})"
    return ours([f"{state.at.isoformat(timespec='seconds')} {_event_words(event, state)}"])[0]


def _event_words(event: Event, state: RunState) -> str:  # noqa: C901 - one case a kind
    match event:
        case journal.NodesSeen() | journal.PortsWatched() | journal.PortsSeen():
            return observed_words(event, state.observed)
        case journal.RunStarted(run=run, mode=mode):
            return f"run {run} started ({mode.value})"
        case journal.RunResumed(by=by):
            return f"resumed by {by}"
        case journal.RunHandedOver(by=by, file=file):
            return f"handed over by {by} into {file}"
        case journal.RunTakenOver(by=by):
            return f"taken over by {by}"
        case journal.StepStarted(step=step):
            return f"{step} started"
        case journal.StepNoted(step=step, text=text):
            return f"{step}: {text}"
        case journal.StepDone(step=step, evidence=evidence):
            proof = "; ".join(f"{k}={_short(v)}" for k, v in evidence.items())
            return f"{step} done{f' ({proof})' if proof else ''}"
        case journal.StepFailed(step=step, error=error, inconclusive=inconclusive):
            word = "INCONCLUSIVE" if inconclusive else "FAILED"
            return f"{step} {word}: {after_step(step, error)}"  # the remedy is told at the end, where it is needed
        case journal.StepReopened(step=step, why=why):
            return f"{step} is looked at again: {why}"
        case journal.NodeDecided(node=node, decision=decision, reason=reason, by=by):
            return f"{node}: {decision} by {by}: {reason}"
        case journal.StopAsked(what=what, by=by, here=here):
            again = "; Ctrl-C again leaves at once, the appliance's work goes on" if here else ""
            return f"{what} asked by {by}; the step in hand is finished first{again}"
        case journal.RequestRefused(file=file, why=why):
            return f"a request was set aside: {why} ({file})"
        case journal.ProgramStarted(what=what, node=node, argv=argv, again=again):
            more = " (run again: how it ended before is not known)" if again else ""
            return f"{what}{f' of {node}' if node else ''} runs: {shlex.join(argv)}{more}"
        case journal.ProgramEnded(what=what, node=node, code=0):
            return f"{what}{f' of {node}' if node else ''} ended with 0"
        case journal.ProgramEnded(what=what, node=node, code=code, output=output, error=error):
            return program_failure(what, node, code, output, error)
        case journal.RunPaused(why=why, code=code):
            return f"paused (exit {code}): {why}"
        case journal.RunEnded(outcome=outcome):
            return f"ended: {outcome}"


def report_lines(report: Report, *, told: bool = False) -> list[str]:
    """Return a run in a few lines.

    :param told: its events were shown right before: why a step failed is not said again, only what to do.
    """
    lines = [
        f"run {report.run}: {report.title} ({report.mode}): {report.state}"
        + (f", outcome {report.outcome}" if report.outcome != report.state else "")
    ]
    if report.kind == RunKind.DRY_RUN:
        lines = [f"run {report.run}: {report.title}: nothing was changed"]
    if report.why and not report.stopped_by and not told:  # a failure is told once: by its step
        lines.append(f"  {report.why}")
    width = max((len(n.name) for n in report.nodes), default=0)
    for node in report.nodes:
        after = node.version_after if node.seen else "not seen yet"
        lines.append(f"  {node.name:{width}}  {node.version_before} -> {after}  {node.state}")
    lines += [f"  {text}" for text in (*report.pending_reboots, *report.left_behind)]
    for step in report.steps:
        if step.status in ("failed", "inconclusive", "started"):
            why = f": {after_step(step.id, step.error)}" if step.error and not told else ""
            lines.append(f"  {step.id}: {step.status}{why}")
            lines += [f"    -> {line}" for line in step.remedy.splitlines()]
    for text, remedy in finding_texts(report):
        lines += [f"  worse than before: {text}", f"    -> {remedy}"]
    if report.journal is not None:
        lines.append(f"  journal: {report.journal.lines} lines, head {report.journal.head}")
    return ours(lines)
