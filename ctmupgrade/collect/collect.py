"""Asks nodes and their control planes the probes' questions. Only looks: it is given Readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ctmupgrade.collect.ask import ask, not_foreseen
from ctmupgrade.collect.fact_table import CONTROL_FACTS, SHELL_FACTS, Asked, Fact, answers
from ctmupgrade.collect.patience import PatientReader
from ctmupgrade.collect.state import hsm_ports
from ctmupgrade.core.checks import health
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.consensus_port import consensus_port, is_needed
from ctmupgrade.core.looks.facts import ClockReading, Facts, Maybe, NodeFacts, PortState, Unknown
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.errors import (
    AuthenticationError,
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    UnreachableError,
    UsageError,
)
from ctmupgrade.ports import Clock, Gather, Looks, Reader


def _reach(reader: Reader) -> Maybe[bool]:
    """Whether commands run there at all; ``ls`` is known to work in the restricted shell."""
    try:
        reader.read("ls", timeout=30.0)
    except (HostKeyError, AuthenticationError, UsageError) as error:
        return Unknown(". ".join(p for p in (error.brief, error.details, error.remedy) if p))
    except CtmUpgradeError as error:
        return Unknown(error.brief, unreachable=isinstance(error, UnreachableError | ConnectionLostError))
    return True


def _clock_by_ksctl(facts: NodeFacts, clock: Clock) -> Maybe[ClockReading]:
    if isinstance(facts.system, Unknown) or facts.system.time is None:
        return Unknown("neither `date` nor ksctl tells the node's time")
    return ClockReading(facts.system.time.timestamp() + 0.5 - clock.now().timestamp(), 2.0)


def health_of(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> NodeFacts:
    """Return what the gate between two nodes must know of one."""
    node = cluster.node(name)
    shell, control = PatientReader.of_shell(looks, node, clock), PatientReader.of_control(looks, node, clock)
    asked = Asked(shell, control, cluster, clock)
    unit = ask(asked.shell, shell_probes.UNIT)
    if isinstance(unit, Unknown) and unit.unreachable:
        return _silent(name, unit)
    found = answers(asked, [fact for fact in SHELL_FACTS if fact.health and fact.field != "unit"])
    found |= answers(asked, [fact for fact in CONTROL_FACTS if fact.health])
    return _facts(name, {"shell": True, "unit": unit, **found})


def _facts(name: str, found: Mapping[str, object]) -> NodeFacts:
    return NodeFacts(name, **found)  # type: ignore[arg-type]  # each row of the table names a field and asks for it


def _silent(name: str, why: Unknown) -> NodeFacts:
    """A node that does not answer: nothing about it is known, for that reason."""
    return _facts(
        name, {"shell": _gone(why), **_unanswered(SHELL_FACTS, why), **_unanswered(CONTROL_FACTS, why)}
    )


def _gone(why: Unknown) -> Unknown:
    return Unknown(why.why, unreachable=why.unreachable, host_key=why.host_key)


def _unanswered(table: Iterable[Fact], why: Unknown) -> dict[str, object]:
    return {fact.field: _gone(why) for fact in table}


def node_facts(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> NodeFacts:
    """Return everything about one node, over one connection and its control plane: a row of the table each."""
    node = cluster.node(name)
    shell, control = PatientReader.of_shell(looks, node, clock), PatientReader.of_control(looks, node, clock)
    asked, reach = Asked(shell, control, cluster, clock), _reach(shell)
    if isinstance(reach, Unknown) and reach.unreachable:
        control.hurry()
    found = {"shell": reach, **answers(asked, CONTROL_FACTS)}
    if isinstance(reach, Unknown):
        return _facts(name, found | _unanswered(SHELL_FACTS, reach))
    facts = _facts(name, found | answers(asked, SHELL_FACTS))
    if isinstance(facts.clock, Unknown):
        facts = replace(facts, clock=_clock_by_ksctl(facts, clock))
    return facts


def _addresses(cluster: Cluster, nodes: Mapping[str, NodeFacts]) -> dict[str, str]:
    """What the nodes call each other: as cluster.yaml says, or, of the one that this runs on, as they list it; ""
    where neither tells."""
    listed = {
        member.node_id: member.host
        for facts in nodes.values()
        if not isinstance(facts.members, Unknown)
        for member in facts.members
    }
    return {
        name: cluster.node(name).address_among_nodes or listed.get(f.node_id, "") for name, f in nodes.items()
    }


def _nameless(peer: str) -> Unknown:
    return Unknown(
        f"the address of {peer} among the nodes is not known: set its cluster_host in cluster.yaml"
    )


def _ports(shell: Reader, hosts: Mapping[str, str], unproven: Iterable[str]) -> dict[str, Maybe[PortState]]:
    return {
        peer: ask(shell, shell_probes.port(hosts[peer])) if hosts[peer] else _nameless(peer)
        for peer in unproven
    }


def _guarded(look: Callable[[str], NodeFacts]) -> Callable[[str], NodeFacts]:
    """A look at one node that ends neither the process nor the looks at other nodes: whatever is raised that is
    no error of ours makes all of that node unknown."""

    def safe(name: str) -> NodeFacts:
        try:
            return look(name)
        except CtmUpgradeError:
            raise
        except Exception as error:
            return _silent(name, Unknown(not_foreseen(error)))

    return safe


def collect_nodes(looks: Looks, cluster: Cluster, clock: Clock, gather: Gather) -> Mapping[str, NodeFacts]:
    """Return all nodes at once; then port 5432 between those that no fresh report shows connected."""
    names = [node.name for node in cluster.nodes]
    nodes = gather(_guarded(lambda name: node_facts(looks, cluster, name, clock)), names)
    proven, hosts = health.connected_pairs(nodes, clock.now()), _addresses(cluster, nodes)

    def ports_of(name: str) -> dict[str, Maybe[PortState]]:
        if isinstance(nodes[name].shell, Unknown):
            return {}
        unproven = [p for p in names if p != name and (name, p) not in proven]
        shell = PatientReader.of_shell(looks, cluster.node(name), clock)
        return _ports(shell, hosts, unproven) if unproven else {}

    asked, consensus = gather(ports_of, names), _consensus_ports(looks, cluster, nodes, gather)
    using = [name for name in names if isinstance(nodes[name].hsm, tuple) and nodes[name].hsm]
    hsm = gather(lambda name: hsm_ports(looks, name, nodes[name]), using) if using else {}
    return {
        name: replace(facts, ports=asked[name], consensus_ports=consensus[name], hsm_ports=hsm.get(name, {}))
        for name, facts in nodes.items()
    }


def _consensus_ports(
    looks: Looks, cluster: Cluster, nodes: Mapping[str, NodeFacts], gather: Gather
) -> Mapping[str, Mapping[str, Maybe[PortState]]]:
    """Port 2380 between all nodes, where a version that runs or is to come needs it."""
    versions = [f.version for f in nodes.values() if not isinstance(f.version, Unknown)]
    needed = is_needed(cluster.target.version, *versions) and cluster.strategy is not StrategyName.STANDALONE
    hosts = _addresses(cluster, nodes)

    def asked(name: str) -> dict[str, Maybe[PortState]]:
        if not needed or isinstance(nodes[name].shell, Unknown):
            return {}
        shell = looks.shell(name)
        return {
            p: ask(shell, consensus_port(hosts[p])) if hosts[p] else _nameless(p) for p in nodes if p != name
        }

    return gather(asked, list(nodes))


def all_health(looks: Looks, cluster: Cluster, clock: Clock, gather: Gather) -> Mapping[str, NodeFacts]:
    """Return what the gate must know, of all nodes."""
    names = [node.name for node in cluster.nodes]
    return gather(_guarded(lambda name: health_of(looks, cluster, name, clock)), names)


def facts_of(nodes: Mapping[str, NodeFacts], clock: Clock) -> Facts:
    """Return facts without the local part, for judgements that need only the nodes."""
    return Facts(clock.now(), nodes, Unknown("not asked"))
