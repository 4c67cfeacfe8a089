"""Reports and runbooks as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ctmupgrade.core import steps
from ctmupgrade.core.findings import Finding, Verdict
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.plan import Plan
from ctmupgrade.core.probes import UPGRADE_SCRIPT
from ctmupgrade.core.report import Report
from ctmupgrade.core.steps import Step
from ctmupgrade.core.timing import clock_time


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def report_markdown(report: Report) -> str:
    """What happened, for the change record."""
    lines = [
        f"# Upgrade of {report.cluster} to {report.target}",
        "",
        f"- run: `{report.run}` ({report.mode}), {report.strategy}, by {report.by}",
        f"- from {report.started} to {report.finished}",
        f"- state: **{report.state}**, outcome: **{report.outcome}**"
        + (f", exit code {report.exit_code}" if report.exit_code else ""),
    ]
    if report.why:
        lines.append(f"- why: {report.why}")
    lines += [f"- waived: `{check}`: {reason}" for check, reason in report.waived]
    lines += [f"- decision: {decision}" for decision in report.decisions]
    lines += [f"- note: {note}" for note in report.notes]
    lines += ["", "## Nodes", "", "| node | before | after | state |", "|---|---|---|---|"]
    lines += [f"| {n.name} | {n.version_before} | {n.version_after} | {n.state} |" for n in report.nodes]
    lines += [
        "",
        "## Steps",
        "",
        "| step | status | started | finished | evidence |",
        "|---|---|---|---|---|",
    ]
    for step in report.steps:
        proof = "; ".join(f"{k}: {v}" for k, v in step.evidence.items()) or step.error
        lines.append(f"| {step.id} | {step.status} | {step.started} | {step.finished} | {_cell(proof)} |")
    noted = [(s.id, note) for s in report.steps for note in s.notes]
    if noted:
        lines += ["", "## Notes", ""]
        lines += [f"- {step}: {note}" for step, note in noted]
    troubled = [s for s in report.steps if s.remedy]
    if troubled:
        lines += ["", "## What to do", ""]
        lines += [f"- {s.id}: {s.error}\n  - {s.remedy}" for s in troubled]
    return "\n".join(lines)


def runbook_markdown(plan: Plan, cluster: Cluster, findings: tuple[Finding, ...]) -> str:
    """The plan with the manual command for every step: what to do where the tool cannot be used."""
    lines = [
        f"# Runbook: {plan.cluster} to {plan.target.version} ({plan.strategy.value})",
        "",
        f"Plan `{plan.id}`, about {clock_time(plan.critical_path_s())} in all.",
        "",
        *[f"- {note}" for note in plan.notes],
    ]
    stops = [f for f in findings if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    if stops:
        lines += ["", "## Before", ""]
        for f in stops:
            lines.append(f"- **{f.verdict.value}** {f.check} {f.node}: {f.summary}")
            if f.remedy:
                lines.append(f"  - `{f.remedy}`")
    lines += ["", "## Steps", ""]
    for number, step in enumerate(plan.steps, 1):
        lines += [f"### {number}. {step.id} (about {clock_time(step.estimate_s)})", "", step.why, "", "```sh"]
        lines += list(manual(step, plan, cluster))
        lines += ["```", ""]
    return "\n".join(lines)


def _ssh(node: Node, command: str = "") -> str:
    words = ["ssh", *(["-t"] if "ks_upgrade" in command else [])]
    if node.ssh.port != 22:
        words += ["-p", str(node.ssh.port)]
    if node.ssh.identity_file:
        words += ["-i", str(node.ssh.identity_file)]
    if node.ssh.proxy_jump:
        words += ["-J", node.ssh.proxy_jump]
    words.append(f"{node.ssh.user}@{node.host}")
    return shlex.join([*words, *([command] if command else [])])


def _ksctl(node: Node, command: str) -> str:
    return f"KSCTL_URL={shlex.quote(node.url)} {node.ksctl.command} {command}"


def manual(step: Step, plan: Plan, cluster: Cluster) -> Iterator[str]:
    """The commands a person would type for a step."""
    archive = plan.target.archive
    if not step.node:
        yield f"gpg --verify {shlex.quote(str(cluster.target.archive))}   # by {plan.target.signer}"
        return
    node = cluster.node(step.node)
    match step.action:
        case steps.MakeBackup():
            yield _ksctl(node, "backup create --scope system")
            yield _ksctl(node, "backup status   # until it is complete")
            yield _ksctl(node, "backup download --id ID --file FILE")
            yield _ksctl(node, "backupkeys download --id KEY --file KEYFILE   # asks for a password")
        case steps.StageArchive():
            yield f"scp {shlex.quote(str(cluster.target.archive))} {node.ssh.user}@{node.host}:."
            yield _ssh(node, f"sha256sum {archive}") + f"   # {plan.target.sha256}"
        case steps.Gate():
            for other in cluster.nodes:
                yield _ksctl(other, "cluster nodes list   # all ready")
        case steps.RunUpgrade(force_path=force):
            yield _ssh(node, f"sudo {UPGRADE_SCRIPT} {'-o ' if force else ''}-f {archive}")
            yield f"# until: Upgrade to {plan.target.version} succeeded"
        case steps.Reboot():
            yield _ssh(node, "sudo reboot")
        case steps.AwaitNode() | steps.Settle():
            yield _ssh(node, "systemctl status keysecure")
            yield _ksctl(node, "system info get; ksctl services status; ksctl cluster summary")
        case _:
            yield from _manual_rebuild(step, node)


def _manual_rebuild(step: Step, node: Node) -> Iterator[str]:
    match step.action:
        case steps.RecordSettings() | steps.CompareSettings():
            yield _ksctl(
                node, "ntp servers list; ksctl proxy list; ksctl interfaces list; ksctl products list"
            )
        case steps.RemoveNode(via=via, node_id=node_id):
            yield f"# through {via}:"
            yield _ksctl(node, f"cluster nodes delete --id {node_id}").replace(node.url, f"https://{via}")
        case steps.DeleteClusterConfig():
            yield _ksctl(node, "cluster delete")
        case steps.ResetNode():
            yield _ksctl(node, "services reset   # wipes the node's data")
        case steps.NewCluster():
            yield _ksctl(node, f"cluster new --host {node.cluster_host}")
        case steps.RestoreSettings():
            yield _ksctl(node, "ntp servers add --host TIME-SERVER   # as recorded")
        case steps.JoinNode(via=via):
            yield f"# through {via}; erases the data of {node.name}:"
            yield f"ksctl cluster fulljoin --member {via} --newnodehost {node.cluster_host} --newnodeconfig FILE"
        case steps.RestartServices(by_shell=True):
            yield _ssh(node, "sudo systemctl restart keysecure")
        case steps.RestartServices():
            yield _ksctl(node, "services restart")
        case _:
            return
