"""Checks of the ways between the nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.check import VENDOR, Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.consensus_port import PORT, is_needed
from ctmupgrade.core.looks.facts import Maybe, PortState, Unknown
from ctmupgrade.core.looks.shell_probes import CLUSTER_PORT


def port_5432_open(q: Question) -> Iterator[Finding]:
    """Judge whether each node reaches each other's database port."""
    check, proven = "port_5432_open", health.connected_pairs(q.facts.nodes, q.facts.at)
    found = []
    for name, facts in q.facts.nodes.items():
        for peer in _others(q, name):
            state = facts.ports.get(peer, Unknown("not asked", _away(q, name)))
            if (name, peer) in proven or (not isinstance(state, Unknown) and state.open):
                continue
            to = q.cluster.node(peer).cluster_host
            remedy = (
                f"nc -z {to} {CLUSTER_PORT}   # on the node; open the port in the firewall in both directions"
            )
            if isinstance(state, Unknown):
                what = f"whether {to}:{CLUSTER_PORT} ({peer}) can be reached"
                found.append(unknown(check, name, state, remedy, what))
            else:
                # A node that is off has no open port: that follows, and says nothing of the firewall.
                words = f"cannot reach {to}:{CLUSTER_PORT} ({peer})"
                found.append(
                    Finding(check, Verdict.BLOCK, name, words, remedy, VENDOR, unreachable=_away(q, peer))
                )
    yield from found or [
        Finding(check, Verdict.PASS, "", f"port {CLUSTER_PORT} is open in both directions between all nodes")
    ]


def port_2380_open(q: Question) -> Iterator[Finding]:
    """Check that nodes reach each other on TCP 2380, which a cluster needs from 2.22 on.

    Where the cluster runs such a release already, a closed or unknown way blocks; where only the target needs it,
    nothing may listen there yet, so that a person must look at the firewall.
    """
    check, found = "port_2380_open", list[Finding]()
    versions = [f.version for f in q.facts.nodes.values() if not isinstance(f.version, Unknown)]
    if not q.clustered or not is_needed(q.cluster.target.version, *versions):
        yield Finding(check, Verdict.PASS, "", f"port {PORT} between the nodes is needed from 2.22 on only")
        return
    now = is_needed(*versions)
    for name, facts in q.facts.nodes.items():
        for peer in _others(q, name):
            state = facts.consensus_ports.get(peer, Unknown("not asked", _away(q, name)))
            if isinstance(state, Unknown) or not state.open:
                found.append(_not_reached(q, name, peer, state, now=now))
    closed = [f for f in found if f.verdict is Verdict.WARN]
    if len(closed) > 2 and len(closed) == len(q.facts.nodes) * (len(q.facts.nodes) - 1):
        words = f"no node can reach port {PORT} of any other, which a cluster needs from 2.22 on"
        found = [Finding(check, Verdict.WARN, "", words, closed[0].remedy, VENDOR)]
    yield from found or [
        Finding(check, Verdict.PASS, "", f"port {PORT} is open in both directions between all nodes")
    ]


def _not_reached(q: Question, name: str, peer: str, state: Maybe[PortState], *, now: bool) -> Finding:
    """:param now: the cluster needs the port already."""
    check, to = "port_2380_open", f"{q.cluster.node(peer).cluster_host}:{PORT}"
    remedy = (
        f"nc -z -v {to.replace(':', ' ')}   # on the node: refused is fine, too; else open the port in the firewall in both "
        "directions"
    )
    if not isinstance(state, Unknown):
        words = f"cannot reach {to} ({peer}), which a cluster needs from 2.22 on ({state.basis})"
        return Finding(
            check,
            Verdict.BLOCK if now else Verdict.WARN,
            name,
            words,
            remedy,
            VENDOR,
            unreachable=_away(q, peer),
        )
    if now:
        return unknown(check, name, state, remedy, f"whether {to} ({peer}) can be reached")
    words = f"whether {to} ({peer}) can be reached is not known ({state.why}); it is needed from 2.22 on"
    return Finding(check, Verdict.MANUAL, name, words, remedy, VENDOR)


def _others(q: Question, name: str) -> list[str]:
    return [peer for peer in q.facts.nodes if peer != name] if q.clustered else []


def _away(q: Question, name: str) -> bool:
    shell = q.facts.nodes[name].shell
    return isinstance(shell, Unknown) and shell.unreachable
