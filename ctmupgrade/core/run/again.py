"""The command that does again what a run was for, where that run itself does not go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.drill import spare_of
from ctmupgrade.core.plan.option_words import given_words
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.plan.steps import DeleteClusterConfig, JoinNode, NewCluster, RemoveNode, ResetNode
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import RunKind, kind_of

_TAKES_APART = RemoveNode | DeleteClusterConfig | ResetNode | NewCluster | JoinNode


def again_command(state: RunState) -> str:
    """Return the command, with the options that the run was begun with and that still count, as it is typed.

    A rebuild that took its cluster apart is no longer one that a run can begin with: ``recover`` finds its way back.
    """
    match kind_of(state):
        case RunKind.RECOVER:
            return recover_command(state)
        case RunKind.REBUILD if _is_apart(state):
            return "ctmupgrade recover"
        case RunKind.RESTORE:
            return " ".join(("ctmupgrade restore", *_of_restore(state)))
        case RunKind.DRILL:
            return " ".join(("ctmupgrade drill", *_of_drill(state)))
        case RunKind.STAGE | RunKind.BACKUP as kind:
            return f"ctmupgrade {kind.value}"
        case _:
            keeper = state.plan.options.survivor
            named = f" --survivor {shlex.quote(keeper)}" if keeper else ""
            return f"ctmupgrade run{named}{given_words(state.plan.options)}"


def recover_command(state: RunState) -> str:
    """Return ``recover`` with the options that a recovery was begun with. A node that it has joined again, or removed, is named no
    more: it would be erased once again."""
    known, done = state.surroundings.known, _finished(state)
    rejoin = tuple(name for name in known.rejoin if name not in done)
    gone = tuple(name for name in known.gone if name not in done)
    return (
        f"ctmupgrade recover{replace(known, gone=gone, rejoin=rejoin).words}{given_words(state.plan.options)}"
    )


def _finished(state: RunState) -> frozenset[str]:
    """Return the nodes whose last join, or, where none follows, whose removal is done."""
    last = {s.node: s.id for s in state.plan.steps if isinstance(s.action, RemoveNode)}
    last |= {s.node: s.id for s in state.plan.steps if isinstance(s.action, JoinNode)}
    return frozenset(node for node, step in last.items() if state.steps[step].status is Status.DONE)


def _is_apart(state: RunState) -> bool:
    return any(
        isinstance(step.action, _TAKES_APART) and state.steps[step.id].started for step in state.plan.steps
    )


def _of_restore(state: RunState) -> Iterator[str]:
    for step in state.plan.steps:
        if isinstance(step.action, RestoreBackup):
            yield f"--on {shlex.quote(step.node)}"
            # A simulated run's backups are gone with it.
            yield from () if state.mode is Mode.SIMULATED else (f"--backup {shlex.quote(step.action.file)}",)
            yield from (f"--gone {shlex.quote(name)}" for name in step.action.gone)
            yield from ("--force",) if step.action.force else ()
    yield from ("--shared-hsm-partition",) if state.plan.options.shared_hsm_partition else ()


def _of_drill(state: RunState) -> Iterator[str]:
    try:
        yield f"--on {shlex.quote('='.join(spare_of(state.plan)))}"
    except ValueError:  # a journal that somebody has written to
        return
