"""Which nodes are between their upgrade and their reboot, and who reboots them."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import Reboot, RunUpgrade
from ctmupgrade.core.run.journal import RunState, Status

_BY_HAND = "sudo reboot; then: ctmupgrade check"
_NOT_REBOOTED = "the node must still be rebooted"
_NOT_PROVEN = "it is not proven that the node was rebooted"


def pending_reboots(state: RunState, *, aborted: bool) -> tuple[str, ...]:
    """Return a sentence for each node on which ks_upgrade.sh has ended, and whose reboot nobody has begun, or is left
    unproven by a decision to skip the node: it may say that it is of the new version already (docs/appliance.md 1.2), so
    that nothing else tells.

    :param aborted: nobody will go on with this run.
    """
    done = {(s.node, type(s.action)) for s in state.plan.steps if state.steps[s.id].status is Status.DONE}
    found = {
        step.node: held
        for step in state.plan.steps
        if isinstance(step.action, Reboot)
        and (held := state.steps[step.id]).status in (Status.PENDING, Status.SKIPPED)
    }
    lines = []
    for node in state.plan.nodes:
        if node not in found or (node, RunUpgrade) not in done:
            continue
        skipped, begun = found[node].status is Status.SKIPPED, found[node].started is not None
        is_so = _NOT_PROVEN if begun else _NOT_REBOOTED
        todo = _todo(skipped=skipped, begun=begun, aborted=aborted)
        lines.append(f"{node}: ks_upgrade.sh has ended, and {is_so} ({todo})")
    return tuple(lines)


def _todo(*, skipped: bool, begun: bool, aborted: bool) -> str:
    """What a person does about it; a skipped node is rebooted by no resume."""
    if not (skipped or aborted):
        return "resuming the run reboots it"
    when = "before anything else" if aborted else "before you resume the run"
    if begun:
        return f"bring it back {when}; if uptime on the node shows no reboot: {_BY_HAND}"
    why = "the run does not reboot it, for it is skipped; " if skipped and not aborted else ""
    return f"{why}on the node, {when}: {_BY_HAND}"
