"""The JSON documents of the contract. Fields may be added, never changed."""

from __future__ import annotations

from dataclasses import asdict

from ctmupgrade.core.checks.catalogue import harm_of
from ctmupgrade.core.checks.findings import Finding, overall
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.estimates import node_seconds
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.plan.windows import WindowFit, clock, latest
from ctmupgrade.core.recovery.result import Diagnosis
from ctmupgrade.core.run.listed import ListedRun
from ctmupgrade.core.run.report import NodeLine, Report
from ctmupgrade.render.account import account_fields, step_fields
from ctmupgrade.render.recovery import mark_of, placed

SCHEMA = 1


def finding_document(finding: Finding) -> dict[str, object]:
    """Return one finding."""
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "node": finding.node or None,
        "summary": finding.summary,
        "remedy": finding.remedy,
        "doc": finding.doc,
        "harm": harm_of(finding).value,
        "source": finding.source,
    }


def node_document(facts: NodeFacts) -> dict[str, object]:
    """Return one node as a check saw it; null is "not known"."""
    system, boot = facts.system, facts.boot
    known = not isinstance(system, Unknown)
    return {
        "name": facts.name,
        "reachable": not isinstance(facts.shell, Unknown),
        "version": str(system.version) if not isinstance(system, Unknown) else None,
        "model": system.model if not isinstance(system, Unknown) else None,
        "control_plane": known,
        "node_id": facts.node_id or None,
        "boot_id": boot.boot_id if not isinstance(boot, Unknown) else None,
        "keysecure": facts.unit.active if not isinstance(facts.unit, Unknown) else None,
        "free_bytes": min(m.free for m in facts.mounts) if not isinstance(facts.mounts, Unknown) else None,
    }


def check_document(
    cluster: Cluster, mode: Mode, facts: Facts, findings: tuple[Finding, ...]
) -> dict[str, object]:
    """Return the document of ``check``."""
    return {
        "schema": SCHEMA,
        "cluster": cluster.name,
        "mode": mode.value,
        "at": facts.at.isoformat(timespec="seconds"),
        "verdict": overall(findings).value,
        "findings": [finding_document(f) for f in findings],
        "nodes": [node_document(n) for n in facts.nodes.values()],
    }


def times_document(plan: Plan) -> dict[str, object]:
    """Return how long a plan takes, usually and at worst: all of it, and how long each node is out of service. Seconds."""
    nodes = []
    for node in plan.nodes:
        usual, worst = node_seconds(plan.steps, node)
        nodes.append({"name": node, "estimate_s": usual, "worst_s": worst})
    total = {"estimate_s": plan.critical_path_s(), "worst_s": plan.critical_path_s(worst=True)}
    return {**total, "nodes": nodes}


def window_document(fit: WindowFit | None) -> dict[str, object] | None:
    """Return how a plan lies in its maintenance window; None where the window has no end."""
    if fit is None:
        return None
    window = fit.window
    return {
        "start": clock(window, window.start) if window.start else None,
        "finish_by": clock(window, window.finish_by) if window.finish_by else None,
        "fitting": fit.fitting,
        "of": len(fit.nodes),
        "at_once": fit.at_once,
        "nodes": [
            {
                "node": times.node,
                "begins": clock(window, times.begins),
                "ends": clock(window, times.ends),
                "at_worst": latest(window, times.worst),
                "fits": times.fits,
            }
            for times in fit.nodes
        ],
    }


OUTCOMES = ("done", "partial", "failed", "aborted", "nothing-to-do", "dry-run")


def _outcome(word: str) -> str | None:
    """The outcome as other programs know it; None where a run may still go on: what it waits for is its state."""
    return "aborted" if word == "taken-over" else word if word in OUTCOMES else None


def report_document(report: Report) -> dict[str, object]:
    """Return the document of ``status`` and ``report``, and the last line of a run."""
    more = step_fields(report.account) if report.account else {}
    return {
        "schema": SCHEMA,
        "run": report.run,
        "kind": report.kind,
        "cluster": report.cluster,
        "mode": report.mode,
        "state": report.state,
        "outcome": _outcome(report.outcome),
        "strategy": report.strategy,
        "target": report.target,
        "by": report.by,
        "started": report.started,
        "finished": report.finished,
        "exit_code": report.exit_code,
        "why": report.why,
        "waived": [{"check": check, "reason": reason} for check, reason in report.waived],
        "decisions": list(report.decisions),
        "incidents": [asdict(incident) for incident in report.incidents],
        "journal": {"lines": report.journal.lines, "head": report.journal.head} if report.journal else None,
        **({"programs": [asdict(one) for one in report.programs]} if report.programs else {}),
        "notes": list(report.notes),
        "findings": [asdict(one) for one in report.findings],
        "compared": len(report.before_after),
        "before_after": [asdict(one) for one in report.before_after if one.verdict != "same"],
        "clients": asdict(report.clients) if report.clients else None,
        **asdict(report.times),
        **(account_fields(report.account) if report.account else {}),
        "nodes": [_node_line(node) for node in report.nodes],
        "steps": [
            {
                "id": s.id,
                "status": s.status,
                "started": s.started or None,
                "finished": s.finished or None,
                "evidence": dict(s.evidence),
                "error": s.error,
                "remedy": s.remedy,
                "notes": list(s.notes),
                **asdict(s.times),
                **more.get(s.id, {}),
            }
            for s in report.steps
        ],
    }


def _node_line(node: NodeLine) -> dict[str, object]:
    return {
        "name": node.name,
        "version_before": node.version_before,
        "version_after": node.version_after,
        "state": node.state,
        **asdict(node.times),
    }


def listed_document(run: ListedRun) -> dict[str, object]:
    """Return one line of ``runs``; null is "not known"."""
    finished = run.finished.isoformat(timespec="seconds") if run.finished else None
    return {
        "id": run.run,
        "run": run.run,
        "cluster": run.cluster,
        "kind": run.kind,
        "mode": run.mode or None,
        "when": run.when or None,
        "finished": finished,
        "outcome": run.outcome,
    }


def blocked_document(
    cluster: Cluster, mode: Mode, facts: Facts, findings: tuple[Finding, ...], code: int
) -> dict[str, object]:
    """Return the last line of a run that never began, in the shape of a report."""
    nodes = []
    for node in facts.nodes.values():
        version = "" if isinstance(node.version, Unknown) else str(node.version)
        nodes.append(
            {"name": node.name, "version_before": version, "version_after": version, "state": "unchanged"}
        )
    return {
        "schema": SCHEMA,
        "run": None,
        "cluster": cluster.name,
        "mode": mode.value,
        "state": "aborted",
        "outcome": "aborted",
        "exit_code": code,
        "nodes": nodes,
        "steps": [],
        "findings": [finding_document(f) for f in findings if f.stops],
    }


def recovery_document(
    cluster: Cluster,
    mode: Mode,
    found: Diagnosis,
    plan: Plan,
    *,
    pin: str = "",
    take: str = "",
    place: str = "",
) -> dict[str, object]:
    """Return the document of ``recover``.

    :param pin: the digest of the way back, for ``recover --pin``. :param take: the command that takes it.
    :param place: options that our commands need.
    """
    return {
        "schema": SCHEMA,
        "cluster": cluster.name,
        "mode": mode.value,
        "headline": found.headline,
        "urgency": found.urgency.words,
        "wrong": list(found.wrong),
        "works": list(found.works),
        "advice": [str(advice) for advice in found.advice],
        "actions": [
            {"text": advice.sentence, "commands": [placed(command, place) for command in advice.commands]}
            for advice in found.advice
        ],
        "support": found.support,
        "plan": plan.id,
        "pin": pin,
        "take": placed(take, place) if take else "",
        "estimate_s": found.seconds,
        "erases": list(found.erased),
        "losses": list(found.losses),
        "if_left": list(found.if_left),
        "steps": [_recovery_step(step) for step in plan.steps],
    }


def _recovery_step(step: Step) -> dict[str, object]:
    return {
        "id": step.id,
        "node": step.node,
        "action": step.action.kind,
        "why": step.why,
        "after": list(step.after),
        "estimate_s": step.estimate_s,
        "destroys": mark_of(step.action).lower(),
    }
