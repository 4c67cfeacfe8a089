"""A recovery whose process died before any node was marked: no node vouches for its plan, so the plan is made again."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from ctmupgrade.adapters.disk.run_store import RunFolder, folders
from ctmupgrade.commands import recover
from ctmupgrade.commands.runs import unfinished
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.plan.differences import changed
from ctmupgrade.core.plan.plan import digest_of
from ctmupgrade.core.run.again import recover_command
from ctmupgrade.core.run.journal import RunState, StepState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.errors import BlockedError

_IN_THE_PLACE_OF_ANOTHER = (RunKind.RECOVER, RunKind.RESTORE)


def is_planned_again(setup: Setup, state: RunState) -> bool:
    """Return whether a recovery of which nothing was begun is the way back that is proposed now, to the same words of its operator.

    Whoever can write a journal can write any plan into it; what this program proposes by itself, by what the nodes tell now, is
    no more than it would do anyway. Data that only a person can give up is given up by no file.

    :raises BlockedError: it is not; what is to be typed.
    """
    if kind_of(state) is not RunKind.RECOVER or not _is_untouched(state):
        return False
    if state.plan.given_up:
        raise _refused(
            state,
            f"it erases {', '.join(state.plan.given_up)}, which may have data that no other node has, and no node keeps the "
            "head of its journal, so that nothing vouches for its steps",
        )
    known = state.surroundings.known
    strange = (
        {*known.gone, *known.rejoin, known.survivor} - {node.name for node in setup.cluster.nodes} - {""}
    )
    if strange:
        raise _refused(
            state, f"its journal names {', '.join(sorted(strange))}, which cluster.yaml does not have"
        )
    now = recover.planned_again(_as_it_began(setup, state), known, without=state.run)
    if digest_of(now) != digest_of(state.plan):
        found = "; ".join(changed(state.plan.basis, now.basis)[:3]) or "its steps differ"
        raise _refused(state, f"the way back that is proposed now is another one: {found}")
    return True


def _is_untouched(state: RunState) -> bool:
    """Return whether nothing was begun or decided. A node is marked before that."""
    return not state.decisions and all(held == StepState() for held in state.steps.values())


def _as_it_began(setup: Setup, state: RunState) -> Setup:
    made = copy(setup)
    made.request = replace(setup.request, options=state.plan.options)
    return made


def _refused(state: RunState, why: str) -> BlockedError:
    return BlockedError(
        f"run {state.run} was stopped before it began, and cannot continue: {why}",
        details="nothing was changed",
        remedy=f"{recover_command(state)}   # looks again; the way back that it takes then ends run {state.run}",
    )


def replaced_by(setup: Setup, state: RunState) -> RunFolder | None:
    """Return the run that stopped and in whose place a recovery or a restore was begun, where it did not come to end it."""
    if kind_of(state) not in _IN_THE_PLACE_OF_ANOTHER or _has_replaced(setup, state):
        return None
    older = (pair for pair in unfinished(setup.home, state.mode) if pair[0].run < state.run)
    return next((folder for folder, held in older if not held.custody.away), None)


def _has_replaced(setup: Setup, state: RunState) -> bool:
    """Whether it has ended a run: there may be other rehearsals that wait, which are not its own. An earlier version may have, and
    did not write whose place was taken."""
    older = (folder.state() for folder in folders(setup.home) if folder.run < state.run)
    return any(held.outcome == "taken-over" and held.successor in ("", state.run) for held in older)
