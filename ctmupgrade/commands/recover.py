"""``recover``: looks at the cluster and the journals, says what is wrong, and takes the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from ctmupgrade.adapters.disk.run_store import RunFolder, folders, is_running
from ctmupgrade.collect.counts import count_of
from ctmupgrade.commands import check
from ctmupgrade.commands.run import Outcome, RunOptions, execute_plan
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import hold, hold_cluster, new_run_id, place_of, restore_world, unfinished
from ctmupgrade.commands.same_cluster import refuse_missing_archive
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.node_settings import half_lost
from ctmupgrade.core.plan.differences import changed
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.restore_choice import newest_whole
from ctmupgrade.core.plan.steps import JoinNode
from ctmupgrade.core.recovery.decide import Circumstances
from ctmupgrade.core.recovery.diagnose import diagnose, unheard_survivor, without_data
from ctmupgrade.core.recovery.pin import pin_of
from ctmupgrade.core.recovery.result import Diagnosis
from ctmupgrade.core.recovery.scene import Counts
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.core.run.operator_input import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory, past_of
from ctmupgrade.errors import CtmUpgradeError, ExitCode, UsageError

SETTLING = timedelta(minutes=3)  # so long what the members' summaries say may lag behind what was done
LOOK_EVERY = 5  # polls: each look is a dozen logins on each node


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found, and the plan of the way back (without steps where there is none).

    :ivar unfinished: a run that stopped; the way back takes its place.
    """

    diagnosis: Diagnosis
    plan: Plan
    unfinished: RunFolder | None
    result: check.CheckResult
    known: OperatorInput

    @property
    def pin(self) -> str:
        """Return the digest of what a person reads before saying yes."""
        return pin_of(self.plan)

    @property
    def code(self) -> ExitCode:
        """Return 0: nothing is wrong. 3: something is, and a way back is proposed. 4: nothing answers. 6: a person
        must decide."""
        if self.plan.steps:
            return ExitCode.BLOCKED
        if not self.diagnosis.wrong:
            return ExitCode.DONE
        silent = self.diagnosis.support and self.result.code is ExitCode.UNREACHABLE
        return ExitCode.UNREACHABLE if silent else ExitCode.NEEDS_OPERATOR


class WayChangedError(CtmUpgradeError):
    """The way back is no longer the one that was read. :ivar now: what it would be now."""

    exit_code = ExitCode.BLOCKED

    def __init__(self, now: Recovery, why: str) -> None:
        super().__init__(
            "the cluster has changed since; nothing was changed",
            details=why,
            remedy="read the new proposal, then use its pin",
        )
        self.now = now


def _mode(setup: Setup) -> Mode:
    """The mode of the runs that concern this cluster: a dry run looks at what live ones left."""
    return Mode.SIMULATED if setup.request.simulate else Mode.LIVE


def _past(setup: Setup, without: str = "") -> RunHistory:
    """:param without: a run that has not begun: it is no past."""
    states = (folder.state() for folder in folders(setup.home) if folder.run != without)
    return past_of(state for state in states if state.mode is _mode(setup))


def look(setup: Setup, known: OperatorInput) -> Recovery:
    """Return the diagnosis and its plan. It only looks.

    :raises UsageError: it is asked for nodes that are not in cluster.yaml.
    """
    names = {node.name for node in setup.cluster.nodes}
    wrong = sorted({*known.gone, *known.rejoin, known.survivor} - names - {""})
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: no such node in cluster.yaml", remedy=f"it has: {', '.join(sorted(names))}"
        )
    left = _stopped(setup)
    if left is not None and (left.path / "world.json").is_file():
        restore_world(left, setup)  # a simulated cluster, as the run that stopped has left it
    return _look(setup, known, left, running=is_running(place_of(setup)), asked=True)


def planned_again(setup: Setup, known: OperatorInput, *, without: str) -> Plan:
    """Return the plan of the way back that is proposed now. It only looks.

    :param without: a recovery that has not begun: what was proposed before it is asked for.
    """
    return _look(setup, known, _stopped(setup, without), without=without).plan


def _stopped(setup: Setup, without: str = "") -> RunFolder | None:
    """Return the run that stopped and whose place the way back would take; one that was handed over goes on elsewhere."""
    stopped = unfinished(setup.home, _mode(setup))
    own = (pair for pair in stopped if pair[0].run != without)
    return next((folder for folder, state in own if not state.custody.away), None)


def _look(
    setup: Setup,
    known: OperatorInput,
    left: RunFolder | None,
    *,
    running: bool = False,
    asked: bool = False,
    without: str = "",
) -> Recovery:
    """:param asked: nothing was done yet, so what a person named can still be refused."""
    result, past = check.check(setup), _past(setup, without)
    counts = _counts(setup, result.facts)
    past = replace(past, emptied=past.emptied | _without_keys(result.facts, counts))
    if asked and (why := unheard_survivor(result.facts, setup.cluster, known, past, counts)):
        raise UsageError(
            f"--survivor {known.survivor} cannot be followed: {why.text}",
            details="\n".join(why.commands[:-1]),
            remedy=why.commands[-1],
        )
    stops = [f for f in result.findings if f.stops and f.check != "versions_equal"]
    blocked = f"{stops[0].node} {stops[0].summary}".strip() if stops else ""
    around = Circumstances(left.run if left is not None else "", running, blocked, counts)
    found = diagnose(result.facts, setup.cluster, known, past, setup.request.options, around)
    notes = tuple(str(advice) for advice in found.advice)
    made = plan_of(found.steps, result.facts, setup.cluster, setup.request.options, notes)
    empty = (*without_data(result.facts, setup.cluster, known, past, counts), *result.facts.fresh)
    made = replace(made, without_data=empty, given_up=_given_up(made, known, counts))
    return Recovery(found, made, left, result, known)


def _counts(setup: Setup, facts: Facts) -> dict[str, dict[str, int]]:
    """Return how many keys and users the nodes tell to have, by name. What is not told proves nothing: the journals and the
    members' lists decide then."""
    told = [n for n, f in facts.nodes.items() if not isinstance(f.membership, Unknown)]
    counted = setup.tools.gather(lambda name: count_of(setup.fleet.control(name)), told)
    return {
        name: {what: n for what, n in found.items() if not isinstance(n, Unknown)}
        for name, found in counted.items()
    }


def _without_keys(facts: Facts, counts: Counts) -> frozenset[str]:
    """Return, where no node forms a cluster, the nodes that have no key although the newest whole backup has some: new
    appliances, or reset ones. None of them can hold the cluster's data. One that does not tell is not among them."""
    made = newest_whole(facts.manifests)
    told = (f.membership for f in facts.nodes.values() if not isinstance(f.membership, Unknown))
    if made is None or made.counts.get("keys", 0) <= 0 or any(own.clustered for own in told):
        return frozenset()
    return frozenset(name for name, found in counts.items() if found.get("keys") == 0)


def _given_up(plan: Plan, known: OperatorInput, counts: Counts) -> tuple[str, ...]:
    """Return the nodes that a person lets be erased although they have far more than the one that they join, or one of both does
    not tell: named in ``--rejoin``, while that one is named in ``--survivor``."""
    joins = {s.node: s.action.via for s in plan.steps if isinstance(s.action, JoinNode)}
    named = {n: via for n, via in joins.items() if n in known.rejoin and via == known.survivor}
    told = {name for name, found in counts.items() if "keys" in found}
    return tuple(
        n
        for n, via in named.items()
        if not {n, via} <= told or half_lost(counts.get(n, {}), counts.get(via, {}))
    )


def refuse_running(setup: Setup) -> None:
    """Refuse before any look what could not begin beside another run.

    :raises LockedError: one works on this cluster now.
    """
    if is_running(place_of(setup)):
        with hold(place_of(setup), new_run_id(setup.home)):
            pass


def perform(
    setup: Setup, wishes: RunOptions, recovery: Recovery, *, confirmed: bool = False
) -> tuple[Outcome, Recovery | None]:
    """Take the way back, by the same loop and journal as any run, then look again.

    :param confirmed: a person has read it and said yes, which took time: it is looked at again before anything is
        done, and refused where it is no longer the same.
    :returns: how it ended, and what is to be said of the cluster afterwards (None: it did not end).
    :raises LockedError: another run works on this cluster. :raises ConfigError: it upgrades a node, and the archive is missing.
    :raises WayChangedError: it is no longer what was read; nothing was changed.
    """
    refuse_missing_archive(setup, recovery.plan.steps)
    run_id = new_run_id(setup.home)
    with hold_cluster(setup, run_id):
        left = recovery.unfinished
        if left is not None:
            wishes = replace(wishes, take_over=(*wishes.take_over, left.run))
        Marks(setup, run_id, wishes.take_over, wishes.command).respect()
        if confirmed:
            recovery = _still(setup, recovery)
        # That run can still be resumed where this one cannot begin; and a dead node must not keep its own loss
        # from being repaired.
        outcome = execute_plan(
            setup, replace(wishes, what=RunKind.RECOVER, known=recovery.known), recovery.plan, run_id,
            spared=recovery.known.gone,
            marked=lambda: _end(setup, left, run_id) if left is not None else None,
        )  # fmt: skip
    if outcome.code is not ExitCode.DONE:
        return outcome, None
    after = _look_when_settled(setup, replace(recovery.known, rejoin=()))
    code = ExitCode.NEEDS_OPERATOR if after.diagnosis.wrong else ExitCode.DONE
    return replace(outcome, code=code), after


def _still(setup: Setup, read: Recovery) -> Recovery:
    """Return the way back as it is now, where it is the one that was read.

    :raises WayChangedError: it is not.
    """
    now = _look(setup, read.known, _stopped(setup))
    if now.unfinished != read.unfinished:
        raise WayChangedError(now, "another run started or ended since then")
    if now.pin != read.pin:
        raise WayChangedError(now, _what_changed(read.plan, now.plan))
    return now


def _what_changed(read: Plan, now: Plan) -> str:
    """Return what differs, in words."""
    return "\n".join(changed(read.basis, now.basis)) or "its steps differ"


def _look_when_settled(setup: Setup, known: OperatorInput) -> Recovery:
    """How the cluster is afterwards. What its members say of each other may lag behind a join for a while."""
    until = setup.clock.monotonic() + min(SETTLING, setup.cluster.timeouts.service).total_seconds()
    while True:
        after = _look(setup, known, None)
        if not after.diagnosis.passing or setup.clock.monotonic() >= until:
            return after
        setup.clock.sleep(LOOK_EVERY * setup.cluster.poll.total_seconds())


def _end(setup: Setup, folder: RunFolder, run_id: str) -> None:
    """The run that stopped is over: what it would do next was planned for another cluster than this one."""
    ended = journal.RunEnded("taken-over", {}, f"recover took its place: {run_id}", run_id)
    setup.runs.append(folder.run, ended, setup.clock.now())
