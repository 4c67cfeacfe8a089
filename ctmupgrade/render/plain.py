"""Plain lines: one per change, with the time, for terminals without colours, logs and schedulers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ctmupgrade.core.checks.findings import Finding, Verdict, overall, silent_nodes
from ctmupgrade.core.model import Node
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.clients import WHOLE
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import ResetSpare, RestoreBackup
from ctmupgrade.core.plan.step_words import after_step, node_list
from ctmupgrade.core.plan.steps import JoinNode, erases
from ctmupgrade.core.plan.time_words import about, time_lines
from ctmupgrade.core.plan.windows import WindowFit, fit_lines, fit_summary
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.core.run.report import NodeLine, Report
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.alike import MOST_REMEDIES, alike, rest_of
from ctmupgrade.render.escape import ours
from ctmupgrade.render.observed import finding_texts
from ctmupgrade.render.once import names_itself, without_name

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
    findings: Iterable[Finding],
    *,
    verbose: bool = False,
    of: Iterable[Finding] | None = None,
    nodes: Sequence[Node] = (),
) -> list[str]:
    """Return what was found, worst first; passes only counted, unless verbose.

    :param of: all that the check found, where only a part of it is shown: it is what is counted.
    :param nodes: the cluster's: what differs only by whom it is about is shown once.
    """
    return [line for _verdict, line in marked_finding_lines(findings, verbose=verbose, of=of, nodes=nodes)]


def marked_finding_lines(
    findings: Iterable[Finding],
    *,
    verbose: bool = False,
    of: Iterable[Finding] | None = None,
    nodes: Sequence[Node] = (),
) -> list[tuple[Verdict | None, str]]:
    """Return the same, each line with the verdict that it begins with; None: it begins with none."""
    found = list(findings)
    following = () if verbose else _following(found)
    named = len({f.node for f in found if f.node})
    order = (Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN, Verdict.SKIPPED, Verdict.PASS)
    lines: list[tuple[Verdict | None, str]] = []
    for verdict in order:
        shown = [
            f
            for f in found
            if f.verdict is verdict and (verdict is not Verdict.PASS or verbose) and f not in following
        ]
        for group in alike(shown, nodes):
            lines.append((verdict, f"{verdict.value.upper():{MARK}}{_said(group, named)}"))
            if verdict is not Verdict.PASS:
                lines += ((None, f"        {line}") for line in _to_do(group))
    if following:
        lines.append((None, f"        ({len(following)} more follow from that; -v lists them)"))
    leading = [f for f in found if f not in following]
    lines.append((None, verdict_line(leading, found if of is None else list(of))))
    return [(verdict, text) for verdict, line in lines for text in ours([line])]


def stop_lines(findings: Iterable[Finding], nodes: Sequence[Node]) -> list[str]:
    """Return what does not let a run begin, for a telephone: what is alike once, and what only follows from it counted."""
    found = [f for f in findings if f.stops]
    following = _following(found)
    named = len({f.node for f in found if f.node})
    leading = [f for f in found if f not in following]
    lines = [line for group in alike(leading, nodes) for line in ours([_said(group, named)])]
    return [*lines, *([f"{len(following)} more follow from that"] if following else [])]


def _said(group: Sequence[Finding], nodes: int) -> str:
    """What is found of a group of nodes, in the words of the first."""
    first, names = group[0], [f.node for f in group if f.node]
    where = "" if not names or names_itself(names, first.summary) else f" {node_list(names, nodes)}:"
    whose = f" (the words of {first.node})" if len({f.summary for f in group}) > 1 else ""
    text = without_name(first.node, first.summary) if len(names) > 1 else first.summary
    return f"{first.check}:{where} {text}{whose}"


def _to_do(group: Sequence[Finding]) -> Iterator[str]:
    remedies = list(dict.fromkeys(f.remedy for f in group if f.remedy))
    yield from (f"-> {remedy}" for remedy in remedies[:MOST_REMEDIES])
    if rest := rest_of(remedies):
        yield f"({rest})"


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


def client_lines(plan: Plan) -> list[str]:
    """Return what clients notice of all of a plan; nothing where it was made without that."""
    return [f"  clients: {plan.clients[WHOLE]}"] if plan.clients.get(WHOLE) else []


def plan_title(plan: Plan) -> str:
    """Return what a plan is for: a restore and a drill bring no node to the target."""
    aim = f"{plan.strategy.value}, to {plan.target.version}"
    if _restored(plan):
        aim = "drill" if any(isinstance(step.action, ResetSpare) for step in plan.steps) else "restore"
    return f"plan {plan.id}: {plan.cluster}, {aim}"


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan for a reader: what, where, why, how long, and what users notice."""
    lines = [plan_title(plan)]
    lines += [f"  note: {note}" for note in plan.notes]
    lines += client_lines(plan)
    width = max((len(s.id) for s in plan.steps), default=0)
    for step in plan.steps:
        hold = "1 node holds" if step.holders == 1 else f"{step.holders} nodes hold"
        holders = f"  [{hold} the data]" if step.holders >= 0 else ""
        worst = clock_time(worst_of(step))
        lines.append(
            f"  {step.id:{width}}  ~{clock_time(step.estimate_s):>8}, at worst {worst:>8}  {step.why}{holders}"
        )
    if plan.steps:
        lines += [f"  {line}" for line in time_lines(plan)]
    else:
        lines.append("  nothing to do")
    return ours(lines)


def question(plan: Plan, cluster_size: int) -> list[str]:
    """Return what is about to change, said before it is asked for: every node that a step touches, and all that erases."""
    nodes = node_list((step.node for step in plan.steps if step.node), cluster_size)
    lines = [
        f"About to change {plan.cluster} ({cluster_size} node{'' if cluster_size == 1 else 's'}): {nodes or 'no node'}",
        f"  {_in_short(plan)}",
    ]
    lines += [
        f"  ERASES all data of {step.node or 'a node that is not named'}: {step.id}"
        for step in plan.steps
        if erases(step.action)
    ]
    lines += [f"  {note}" for note in plan.notes]
    lines += client_lines(plan)
    lines.append(f"  {about(plan.critical_path_s(), plan.critical_path_s(worst=True))} in all")
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


def report_lines(report: Report, *, told: bool = False, took: Mapping[str, int] | None = None) -> list[str]:
    """Return a run in a few lines.

    :param told: its events were shown right before: why a step failed is not said again, only what to do.
    :param took: for how many seconds each node was out of service, where that is known.
    """
    lines = [head_line(report)]
    if report.why and not report.stopped_by and not told:  # a failure is told once: by its step
        lines.append(f"  {report.why}")
    width = max((len(n.name) for n in report.nodes), default=0)
    lines += [f"  {node_line(node, width, (took or {}).get(node.name))}" for node in report.nodes]
    lines += [f"  {text}" for text in (*report.pending_reboots, *report.left_behind)]
    lines += stuck_lines(report, told=told)
    for text, remedy in finding_texts(report):
        lines += [f"  worse than before: {text}", f"    -> {remedy}"]
    return ours([*lines, *journal_lines(report)])


def journal_lines(report: Report) -> list[str]:
    """Return what a run's journal ends in, for who wants to hold on to it; nothing where that is not known."""
    made = report.journal
    return [f"  journal: {made.lines} lines, head {made.head}"] if made else []


def head_line(report: Report, *, alive: bool = True) -> str:
    """Return what a run is and how it is, in one line. :param alive: a process works on it, where it is not over."""
    if report.kind == RunKind.DRY_RUN:
        return f"run {report.run}: {report.title}: nothing was changed"
    outcome = f", outcome {report.outcome}" if report.outcome != report.state else ""
    state = "interrupted" if report.state in ("running", "pausing") and not alive else report.state
    return f"run {report.run}: {report.title} ({report.mode}): {state}{outcome}"


def version_now(node: NodeLine) -> str:
    """Return the version that a look has proven; after a step that changes it and has not ended well, none has."""
    return node.version_after if node.seen else "not seen yet"


def node_line(node: NodeLine, width: int, took_s: int | None = None) -> str:
    """Return a node in one line: its versions, its state, and how long it was out of service."""
    took = f", out of service for {clock_time(took_s)}" if took_s is not None else ""
    return f"{node.name:{width}}  {node.version_before} -> {version_now(node)}  {state_now(node)}{took}"


def state_now(node: NodeLine) -> str:
    """Return a node's state in words. What was begun when the run ended is not said to go on."""
    return "was running when the run ended" if node.state == "interrupted" else node.state


def stuck_lines(report: Report, *, told: bool = False, begun: bool = True) -> list[str]:
    """Return the steps that failed or are half done, each with what to do.

    :param told: why they failed was said before. :param begun: those that are half done, too.
    """
    lines = []
    for step in report.steps:
        if step.status in ("failed", "inconclusive") or (begun and step.status == "started"):
            why = f": {after_step(step.id, step.error)}" if step.error and not told else ""
            lines.append(f"  {step.id}: {step.status}{why}")
            lines += [f"    -> {line}" for line in step.remedy.splitlines()]
    return lines
