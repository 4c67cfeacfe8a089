"""What a plan's reader must know where ctmupgrade runs on one of the appliances that it upgrades."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.notes import note
from ctmupgrade.core.plan.steps import MakeBackup, Reboot, Step


def own_node_notes(cluster: Cluster, steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield what its reboot ends, and where its backup is; nothing where no step reboots it."""
    own = cluster.own_node
    mine = [step for step in steps if step.node == own]
    if not own or not any(isinstance(step.action, Reboot) for step in mine):
        return
    when = "first, as the survivor" if cluster.strategy is StrategyName.REBUILD else "last"
    turn = f"{own} is upgraded {when}, " if len(cluster.nodes) > 1 else ""
    yield note(
        f"ctmupgrade runs on {own} itself: {turn}this shell ends with the reboot of {own}, and the run must be resumed "
        "after it; how is printed before the upgrade",
        f"ctmupgrade ran on {own} itself: its shell ended with the reboot of {own}, and the run was resumed after it",
    )
    if any(isinstance(step.action, MakeBackup) for step in mine) or len(cluster.nodes) == 1:
        kept = f"the backups are kept on {own} itself (backup.directory)"
        yield note(f"{kept}: copy them to another machine before {own} is upgraded", kept)
