"""What a run that was aborted may have left at work on its nodes."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import RunUpgrade
from ctmupgrade.core.run.journal import RunState, Status


def scripts_left(state: RunState) -> tuple[str, ...]:
    """Return a sentence for each node on which an aborted run has started ks_upgrade.sh, and whose end no look has seen: it may
    still run, or wait for the reboot of its node. Nothing of a run that goes on, which looks itself."""
    if state.unfinished:
        return ()
    open_ended = (Status.STARTED, Status.INCONCLUSIVE)
    return tuple(
        f"{step.node}: ks_upgrade.sh was started and may still run: do not reboot the node, and do not start it again; "
        f"when it has ended: ctmupgrade recover   # it reboots {step.node}"
        for step in state.plan.steps
        if isinstance(step.action, RunUpgrade) and state.steps[step.id].status in open_ended
    )
