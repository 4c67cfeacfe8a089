"""The appliance that ctmupgrade runs on (``host: local``): what its reboot, which ends this process, forbids."""

from __future__ import annotations

from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.plan.strategies import order_as_given
from ctmupgrade.errors import UsageError


def own_node_last(cluster: Cluster, options: Options) -> None:
    """Refuse an order in which something is left to do behind the reboot that ends this process.

    :raises UsageError: ``--order`` names the own node, and not as the last one.
    """
    own, ordered = cluster.own_node, order_as_given(cluster, options)
    if not own or own not in options.order or ordered[-1:] == (own,) or own not in ordered:
        return
    others = ",".join(name for name in ordered if name != own)
    raise UsageError(
        f"--order: {own} must come last: ctmupgrade runs on it (host: local), and its reboot ends ctmupgrade",
        remedy=f"--order {others},{own}, or leave {own} out of it; any other order: run ctmupgrade on another machine",
    )


def own_node_survives(cluster: Cluster, options: Options) -> None:
    """Refuse a rebuild that would erase or leave out the appliance which ctmupgrade runs on.

    :raises UsageError: another survivor is asked for, or the own node is to be held back or replaced; or the others
        would not find it.
    """
    own = cluster.own_node
    if not own:
        return
    why = (
        f"ctmupgrade runs on {own} (host: local), so {own} must be the survivor of a rebuild: every other node is "
        "erased when it joins"
    )
    elsewhere = f"leave it out, or run ctmupgrade on another machine than {own}"
    if options.survivor not in ("", own):
        raise UsageError(f"--survivor {options.survivor}: {why}", remedy=elsewhere)
    if own == options.hold_back or own in dict(options.fresh):
        option = "--hold-back" if own == options.hold_back else "--fresh"
        raise UsageError(f"{option} {own}: {why}", remedy=elsewhere)
    if len(cluster.nodes) > 1 and not cluster.node(own).address_among_nodes:
        raise UsageError(
            f"{own}: the other nodes join through it, and its address among them is not known (host: local)",
            remedy=f"add to {own} in cluster.yaml: cluster_host: ADDRESS   # as the others reach it on port 5432",
        )
