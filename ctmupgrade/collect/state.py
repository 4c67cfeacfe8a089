"""Asks for what takes several questions to know, and, of one member each, for what all members share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.patience import PatientReader
from ctmupgrade.core.looks import seen_probes, state_probes
from ctmupgrade.core.looks.facts import Maybe, NodeFacts, PortState, Unknown
from ctmupgrade.core.looks.luna_port import luna_port
from ctmupgrade.core.looks.node_state import OF_NO_CLIENTS, Interface, Interfaces
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.core.looks.shared_state import SharedState
from ctmupgrade.core.model import Cluster
from ctmupgrade.ports import Clock, Gather, Looks, Reader

MOST_CHAINS = 6  # interfaces of one node whose certificates are asked for

SHARED: Mapping[str, Probe[object]] = {
    "errors": state_probes.CLUSTER_ERRORS,
    "schedules": state_probes.SCHEDULES,
    "quorum": state_probes.QUORUM,
    "properties": state_probes.PROPERTIES,
    "accounts": state_probes.ACCOUNTS,
    "cte_clients": seen_probes.CTE_COUNT,
}


def interfaces_of(control: Reader) -> Maybe[Interfaces]:
    """Return a node's interfaces, with the certificates of those that clients use.

    Where the first cannot be had, the others are not asked for: not every release knows the command.
    """
    rows = ask(control, state_probes.INTERFACES)
    if isinstance(rows, Unknown):
        return rows
    served = [one for one in rows if one.enabled and not one.name.lower().startswith(OF_NO_CLIENTS)]
    chains: dict[str, Interface] = {}
    missing: list[tuple[str, str]] = []
    for one in served[:MOST_CHAINS]:
        found = ask(control, state_probes.certificate(one.name))
        if not isinstance(found, Unknown):
            chains[one.name] = replace(one, chain=found)
            continue
        missing.append((one.name, found.why))
        if found.unreachable or not chains:
            break
    return Interfaces(tuple(chains.get(one.name, one) for one in rows), tuple(missing))


def shared_state(
    looks: Looks, cluster: Cluster, nodes: Mapping[str, NodeFacts], clock: Clock, gather: Gather
) -> SharedState:
    """Return what all members share: a question to each of those that answer, in turn, so that none has much to answer."""
    answering = [name for name, facts in nodes.items() if not isinstance(facts.system, Unknown)]
    if not answering:
        return SharedState(**dict.fromkeys(SHARED, Unknown("no control plane answers", unreachable=True)))
    whom = {field: answering[index % len(answering)] for index, field in enumerate(SHARED)}

    def of(field: str) -> object:
        name = whom[field]
        return ask(PatientReader.of_control(looks, cluster.node(name), clock), SHARED[field])

    answers: dict[str, Any] = gather(of, list(SHARED))
    return SharedState(**answers)


def hsm_ports(looks: Looks, name: str, facts: NodeFacts) -> dict[str, Maybe[PortState]]:
    """Return whether a node reaches its HSMs."""
    if isinstance(facts.shell, Unknown) or isinstance(facts.hsm, Unknown):
        return {}
    shell = looks.shell(name)
    return {
        host: ask(shell, luna_port(host)) for host in dict.fromkeys(one.host for one in facts.hsm) if host
    }
