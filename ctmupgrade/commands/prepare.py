"""``stage`` and ``backup``: a part of the plan alone, by the same loop and journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctmupgrade.commands import check
from ctmupgrade.commands.check import CheckResult
from ctmupgrade.commands.run import Outcome, RunOptions, begin, end, execute
from ctmupgrade.commands.runs import hold_cluster, locked, new_run_id
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.checks.membership import who_is_who
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.steps import MakeBackup, StageArchive, VerifyArchive
from ctmupgrade.core.plan.strategies import node_order, preparation
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.errors import ExitCode

# What concerns each, and nothing else stops it: a disk that is too small for an upgrade is no reason to have no backup.
_STAGE = ("archive_signature_good", "node_reachable", "free_space_sufficient")
_BACKUP = (
    "control_plane_reachable",
    "backup_downloaded_with_key",
)  # the latter blocks where none can be made


def prepare_only(setup: Setup, wishes: RunOptions, kind: type[StageArchive] | type[MakeBackup]) -> Outcome:
    """Do that part of the plan alone.

    A node that cannot be prepared is left out and holds no other one up; the exit code tells of it.
    """
    run_id = new_run_id(setup.home)
    wishes = replace(wishes, what=RunKind.STAGE if kind is StageArchive else RunKind.BACKUP)
    with hold_cluster(setup, run_id):  # before any look: a node that the other run reboots is no finding
        return _prepare(setup, wishes, kind, run_id)


def _prepare(
    setup: Setup, wishes: RunOptions, kind: type[StageArchive] | type[MakeBackup], run_id: str
) -> Outcome:
    result = check.check(setup, only=_STAGE if kind is StageArchive else _BACKUP)
    wanted = node_order(setup.cluster, setup.request.options)
    stops = tuple(f for f in result.findings if f.stops and (not f.node or f.node in wanted))
    if kind is MakeBackup:
        stops += tuple(_confused(result.facts, setup, wanted))
    out = {f.node for f in stops}
    names = tuple(name for name in wanted if name not in out)
    narrowed = CheckResult(result.facts, stops)
    if "" in out or not names:
        return Outcome(narrowed.code, result=narrowed, why="blocked by checks", examined=result.findings)
    plan = _plan_to_prepare(setup, result.facts, kind, names)
    wishes.tell(plan)
    state, folder = begin(setup, wishes, plan, run_id, result.findings)
    if setup.mode is Mode.DRY_RUN:
        ended = end(folder, state, "dry-run", setup, result)
    else:
        with locked(setup, folder):
            ended = replace(execute(setup, wishes, folder, state), result=result)
    code = ended.code if ended.code is not ExitCode.DONE else narrowed.code
    return replace(ended, code=code, left_out=stops, examined=result.findings)


def _confused(facts: Facts, setup: Setup, wanted: tuple[str, ...]) -> Iterator[Finding]:
    """Nodes whose backup would be another's: their urls do not lead to them."""
    for problem in who_is_who(facts.nodes, setup.cluster):
        for name in {problem.node, problem.beside}.intersection(wanted):
            yield Finding("cluster_members_match", Verdict.BLOCK, name, problem.text, problem.remedy)


def _plan_to_prepare(
    setup: Setup, facts: Facts, kind: type[StageArchive] | type[MakeBackup], names: tuple[str, ...]
) -> Plan:
    steps = [
        replace(step, after=tuple(a for a in step.after if kind is StageArchive))
        for step in preparation(facts, replace(setup.request.options, skips=()), names)
        if isinstance(step.action, kind) or (kind is StageArchive and isinstance(step.action, VerifyArchive))
    ]
    return plan_of(tuple(steps), facts, setup.cluster, setup.request.options, ())
