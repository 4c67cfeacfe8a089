"""Whether every member holds what every other holds.

Promise 5: a node is taken out of service, removed or reset only when those that stay hold its data. Replication that
has stopped leaves a member connected, ready and GOOD, with old data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ctmupgrade.core.checks.health import (
    FRESH,
    Problem,
    clock_of,
    fresh_reports,
    names_by_id,
)
from ctmupgrade.core.looks.facts import NodeFacts
from ctmupgrade.core.looks.replication import Lag
from ctmupgrade.core.model import Cluster


@dataclass(frozen=True, slots=True)
class MostLag:
    """So far behind another a node may be.

    :ivar must_tell: a summary without any number is not enough. Where nothing is removed, connected and GOOD are: not
        every release's summary has these numbers.
    """

    seconds: float
    bytes: int
    must_tell: bool = False


# Replication is asynchronous: while clients write, somebody is always a little behind.
WORKING = MostLag(10.0, 16 * 2**20)
# What a removed node had not yet sent is lost: next to nothing.
REMOVAL = MostLag(1.0, 64 * 2**10, must_tell=True)
# Not every release's summary has these numbers, and no waiting brings them.
NOT_TOLD = (
    "ksctl keys list; ksctl users list   # on each node, while no client writes: total must be the same on all, for this release "
    "does not report the delay. If it is: --skip replication_caught_up=REASON"
)
BEFORE_REMOVAL = replace(WORKING, must_tell=True)  # for the check of a rebuild, hours before it


def behind_problems(
    nodes: Mapping[str, NodeFacts], cluster: Cluster, now: datetime, most: MostLag = WORKING
) -> list[Problem]:
    """Return whether every configured node holds what every other holds, as far as :func:`caught_up_problems` can say."""
    ids = names_by_id(nodes)
    return list(caught_up_problems(nodes, ids, now, most)) if len(cluster.nodes) > 1 else []


def blocked_problems(nodes: Mapping[str, NodeFacts]) -> Iterator[Problem]:
    """Yield the nodes that take no changes any more from another, as that one's report says; how far one is behind passes."""
    ids, reports = names_by_id(nodes), fresh_reports(nodes)
    for own, name in ids.items():
        peers = reports[own].peers if own in reports else {}
        for peer, seen in ids.items():
            if peer != own and peer in peers and peers[peer].lag.blocked:
                yield from _lag_problems(seen, name, peers[peer].lag, WORKING)


def caught_up_problems(
    nodes: Mapping[str, NodeFacts], ids: Mapping[str, str], now: datetime, most: MostLag
) -> Iterator[Problem]:
    """Yield what speaks against it: each of these members has a fresh report by which each other one has taken all that it has to give.

    :param ids: the members that are asked about, id to name.
    :param most: how far behind one may be.
    """
    reports = fresh_reports(nodes)
    for own, name in ids.items():
        report = reports.get(own)
        if len(ids) > 1 and (report is None or report.updated is None):
            yield Problem(
                name,
                "whether the others have all its changes is not known: it has no cluster summary",
                unknown=True,
            )
        elif (
            len(ids) > 1 and report and report.updated and clock_of(nodes[name], now) - report.updated > FRESH
        ):
            yield Problem(
                name,
                "whether the others have all its changes is not known: its cluster summary is old",
                unknown=True,
            )
        elif report is not None:
            others = [(peer, seen) for peer, seen in ids.items() if peer != own]
            for peer, seen in others:
                view = report.peers.get(peer)
                if view is None or view.connected is not True:
                    words = f"whether it has all that {name} has is not known: they are not connected"
                    yield Problem(seen, words, unknown=True, beside=name)
                else:
                    yield from _lag_problems(seen, name, view.lag, most)


def _lag_problems(seen: str, name: str, lag: Lag, most: MostLag) -> Iterator[Problem]:
    """Yield what is wrong with a node's lag behind ``name``, which reports it; nothing where it is caught up."""
    lacks = f"behind {name}: it lacks changes that only others hold"
    if lag.blocked:
        yield Problem(seen, f"no longer takes changes from {name}: replication is blocked", beside=name)
    elif lag.unclear:
        text = f"how far it is behind {name} cannot be read: {lag.unclear}"
        yield Problem(seen, text, unknown=True, beside=name)
    elif lag.seconds is not None and lag.seconds > most.seconds:
        yield Problem(seen, f"is {lag.seconds:.0f} s {lacks}", beside=name)
    elif lag.catchup_s:
        yield Problem(seen, f"needs {lag.catchup_s:.0f} s to catch up with", beside=name, heard=True)
    elif lag.bytes is not None and lag.bytes > (most.bytes if lag.seconds is not None else 0):
        yield Problem(seen, f"is {lag.bytes} bytes {lacks}", beside=name)
    elif most.must_tell and not lag.told:
        text = f"how far it is behind {name} is missing from the cluster summary"
        yield Problem(seen, text, unknown=True, beside=name, remedy=NOT_TOLD)
