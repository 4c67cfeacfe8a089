"""Say in one sentence what clients notice: who loses what for how long, and what goes on working.

Only what the facts say is told; what they do not say is told as not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.looks.node_state import OF_NO_CLIENTS
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan import steps as kinds
from ctmupgrade.core.plan.restore_actions import ResetSpare, RestoreBackup
from ctmupgrade.core.plan.steps import Step, in_service
from ctmupgrade.core.timing import clock_time

WHOLE = ""  # the key of the sentence about all of a plan
BALANCER = "LOAD_BALANCER_ADDRESS"  # a cluster's property (vendor page "Properties")
_WATCHED = kinds.Settle | kinds.CompareSettings  # it serves again while it is watched


def clients_notice(steps: Sequence[Step], facts: Facts, cluster: Cluster) -> Mapping[str, str]:
    """Return what clients notice of each node's steps, by the node's name, and of all of them (:data:`WHOLE`)."""
    if restoring := _restored(steps):
        return restoring
    away = {
        name: seconds
        for name in dict.fromkeys(step.node for step in steps if step.node)
        if (seconds := seconds_away(steps, name))
    }
    if not away:
        return {WHOLE: _nothing_lost(steps)} if steps else {}
    if _is_rebuild(steps, cluster):
        return {WHOLE: _rebuild(steps, facts, cluster)}
    found = {name: _of_node(name, seconds, facts, cluster, steps) for name, seconds in away.items()}
    return {WHOLE: next(iter(found.values())) if len(found) == 1 else _in_turn(away, facts, cluster), **found}


def notice_of_some(clients: Mapping[str, str], nodes: Sequence[str]) -> str:
    """Return the sentence about all of a plan for some of its nodes, the others being done; "" where there is none."""
    whole, each = clients.get(WHOLE, ""), "each of {} is out of service"
    named = [name for name in clients if name != WHOLE]
    return whole.replace(each.format(_listed(named)), each.format(_listed(nodes)), 1) if nodes else whole


def _restored(steps: Sequence[Step]) -> dict[str, str]:
    """Of a restore: who serves from when on. Of a drill: that nobody loses anything. Of another plan: nothing."""
    first = next((step.node for step in steps if isinstance(step.action, RestoreBackup)), "")
    if not first:
        return {}
    if any(isinstance(step.action, ResetSpare) for step in steps):
        return {WHOLE: f"No client loses a node: only {first} is changed, which no client must use."}
    until = sum(s.estimate_s for s in steps if s.node == first and not isinstance(s.action, _WATCHED))
    joiners = [step.node for step in steps if isinstance(step.action, kinds.JoinNode)]
    alone = ", alone, until the others have joined, one after the other" if joiners else ""
    whole = (
        f"Until {first} is restored and proven (about {clock_time(until)}) no node serves the cluster's keys. Then {first} "
        f"does{alone}. Clients must be pointed at it."
    )
    return {
        WHOLE: whole,
        **{name: f"{name} serves no client before it has joined; {first} does." for name in joiners},
    }


def seconds_away(steps: Iterable[Step], name: str) -> int:
    """Return for how many seconds a node does not serve, usually: 0 where it serves throughout."""
    mine = [
        s for s in steps if s.node == name and not in_service(s.action) and not isinstance(s.action, _WATCHED)
    ]
    changing = any(kinds.changes_node(step.action) for step in mine)
    return sum(step.estimate_s for step in mine) if changing else 0


def _is_rebuild(steps: Sequence[Step], cluster: Cluster) -> bool:
    removed = any(isinstance(step.action, kinds.RemoveNode) for step in steps)
    return (
        cluster.strategy is StrategyName.REBUILD
        and removed
        and any(isinstance(s.action, kinds.NewCluster) for s in steps)
    )


def _nothing_lost(steps: Sequence[Step]) -> str:
    found = []
    if any(isinstance(step.action, kinds.MakeBackup) for step in steps):
        found.append("a backup is made while its node serves")
    count = sum(isinstance(step.action, kinds.StageArchive) for step in steps)
    if count:
        found.append(
            f"the archive is sent to {count} node{'' if count == 1 else 's'}, which takes a share of the network"
        )
    return f"No client loses a node{': ' if found else ''}{'; '.join(found)}."


def _of_node(name: str, seconds: int, facts: Facts, cluster: Cluster, steps: Sequence[Step]) -> str:
    others = [node.name for node in cluster.nodes if node.name != name]
    if cluster.strategy is StrategyName.STANDALONE or not others:
        return (
            f"While {name} is out of service (about {clock_time(seconds)}), nothing else serves: all its clients lose everything, "
            f"on {_ports(name, facts)}.{_registered(facts)}"
        )
    erased = any(kinds.erases(step.action) for step in steps if step.node == name)
    more = f" What they wrote to {name} alone is lost." if erased else ""
    return (
        f"While {name} is out of service (about {clock_time(seconds)}), its clients lose it, on {_ports(name, facts)}; "
        f"{_going_on(others, facts)}.{_only_here(name, others, facts)}{more} {_clients(facts)}"
    )


def _in_turn(away: Mapping[str, int], facts: Facts, cluster: Cluster) -> str:
    longest = max(away.values())
    ports = {_ports(name, facts) for name in away}
    on = f"on {ports.pop()}" if len(ports) == 1 else "on the ports that each serves"
    names = list(away)
    if cluster.strategy is StrategyName.STANDALONE:
        return f"While each is out of service (about {clock_time(longest)}), all its clients lose everything, {on}.{_registered(facts)}"
    silent = [node.name for node in cluster.nodes if _serves(facts, node.name) is not True]
    rest = len(cluster.nodes) - 1
    goes_on = (
        f"the other {rest} go on serving"
        if not silent and rest > 1
        else f"the other {'one goes' if rest == 1 else 'ones go'} on serving"
    )
    if silent:
        goes_on = f"the others go on serving, but whether {_listed(silent)} serve{'s' if len(silent) == 1 else ''} is not known"
    return (
        f"While each of {_listed(names)} is out of service in its turn (about {clock_time(longest)} each), its clients lose it, "
        f"{on}; {goes_on}. {_clients(facts)}"
    )


def _rebuild(steps: Sequence[Step], facts: Facts, cluster: Cluster) -> str:
    survivor = next(step.node for step in steps if isinstance(step.action, kinds.NewCluster))
    alone = sum(s.estimate_s for s in steps if s.node == survivor and isinstance(
        s.action, kinds.RunUpgrade | kinds.Reboot | kinds.AwaitNode))  # fmt: skip
    whole = sum(step.estimate_s for step in steps if not in_service(step.action))
    others = [node.name for node in cluster.nodes if node.name != survivor]
    return (
        f"From the first removal to the last join (about {clock_time(whole)} at most) {_listed(others)} serve{'s' if len(others) == 1 else ''} no client, and while "
        f"{survivor} is upgraded (about {clock_time(alone)}) no node does: all clients lose everything, on {_ports(survivor, facts)}; "
        f"before and after that only {survivor} serves. {_clients(facts)}"
    )


def _ports(name: str, facts: Facts) -> str:
    """What a node offers to clients: "443 (web), 5696 (kmip)"."""
    node = _facts_of(name, facts)
    if node is None or isinstance(node.interfaces, Unknown):
        return "ports that are not known"
    shown = [one if port is None else f"{port} ({one})" for one, port in _offered(node)]
    return ", ".join(shown) or "no interface that is enabled"


def _offered(node: NodeFacts) -> Iterator[tuple[str, int | None]]:
    if not isinstance(node.interfaces, Unknown):
        for one in node.interfaces.rows:
            if one.enabled and not one.name.lower().startswith(OF_NO_CLIENTS):
                yield one.name, one.port


def _facts_of(name: str, facts: Facts) -> NodeFacts | None:
    return facts.nodes.get(name) or facts.fresh.get(name)


def _serves(facts: Facts, name: str) -> bool | None:
    """Whether a node serves clients now; None: not known."""
    node = _facts_of(name, facts)
    if node is None or isinstance(node.services, Unknown):
        return None
    return node.services.started


def _going_on(others: Sequence[str], facts: Facts) -> str:
    by_answer: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for other in others:
        by_answer[_serves(facts, other)].append(other)
    well, ill, unknown = by_answer[True], by_answer[False], by_answer[None]
    said = (
        [f"{_listed(well)} go{'es' if len(well) == 1 else ''} on serving"]
        if well
        else ["no other node is known to serve"]
    )
    said += [f"not all services of {_listed(ill)} are started"] if ill else []
    said += (
        [f"whether {_listed(unknown)} serve{'s' if len(unknown) == 1 else ''} is not known"]
        if unknown
        else []
    )
    return ", ".join(said)


def _only_here(name: str, others: Sequence[str], facts: Facts) -> str:
    """What no other node offers, where all of them tell what they offer."""
    mine, rest = _facts_of(name, facts), [_facts_of(other, facts) for other in others]
    if mine is None or any(one is None or isinstance(one.interfaces, Unknown) for one in rest):
        return ""
    elsewhere = {offered for one in rest if one is not None for offered in _offered(one)}
    alone = [
        one if port is None else f"{port} ({one})"
        for one, port in _offered(mine)
        if (one, port) not in elsewhere
    ]
    return f" No other node offers {_listed(alone)}: its clients have nothing meanwhile." if alone else ""


def _clients(facts: Facts) -> str:
    """Who the clients are as far as the cluster knows them, and whether they know another node."""
    properties = facts.shared.properties
    balancer = "" if isinstance(properties, Unknown) else properties.get(BALANCER, "").strip()
    if balancer:
        return f"Clients come through the load balancer {balancer}.{_registered(facts)}"
    return f"Whether clients know another node, or a load balancer, is not known.{_registered(facts)}"


def _registered(facts: Facts) -> str:
    """How many CTE clients the cluster has; nothing where it has none."""
    count = facts.shared.cte_clients
    if isinstance(count, Unknown):
        return " How many CTE clients there are is not known."
    return f" {count} CTE client{' is' if count == 1 else 's are'} registered." if count else ""


def _listed(names: Sequence[str]) -> str:
    """Names for a reader: "ctm-2 and ctm-3"; of many only how many."""
    if len(names) > _MOST_NAMES:
        return f"{len(names)} nodes"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


_MOST_NAMES = 6
