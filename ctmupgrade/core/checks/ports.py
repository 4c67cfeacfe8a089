"""Checks of the ways between the nodes, besides port 5432."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import VENDOR, Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.consensus_port import PORT, is_needed
from ctmupgrade.core.looks.facts import Unknown


def port_2380_open(q: Question) -> Iterator[Finding]:
    """Check that nodes reach each other on TCP 2380, which a cluster needs from 2.22 on.

    Where the cluster runs such a release already, a closed or unknown way blocks; where only the target needs it,
    nothing may listen there yet, so that a person must look at the firewall.
    """
    check, found = "port_2380_open", False
    versions = [f.version for f in q.facts.nodes.values() if not isinstance(f.version, Unknown)]
    if not q.clustered or not is_needed(q.cluster.target.version, *versions):
        yield Finding(check, Verdict.PASS, "", "port 2380 between the nodes is needed from 2.22 on only")
        return
    now = is_needed(*versions)
    for name, facts in q.facts.nodes.items():
        for peer in (other for other in q.facts.nodes if other != name):
            state = facts.consensus_ports.get(peer, Unknown("not asked", _away(q, name)))
            if not isinstance(state, Unknown) and state.open:
                continue
            found = True
            to = f"{q.cluster.node(peer).cluster_host}:{PORT}"
            remedy = f"nc -z -v {to.replace(':', ' ')}   # on {name}: refused is fine, too; else open the port in the firewall in both directions"
            if not isinstance(state, Unknown):
                verdict = Verdict.BLOCK if now else Verdict.WARN
                words = f"cannot reach {to} ({peer}), which a cluster needs from 2.22 on ({state.basis})"
                yield Finding(check, verdict, name, words, remedy, VENDOR, unreachable=_away(q, peer))
            elif now:
                yield unknown(check, name, state, remedy, f"whether {to} ({peer}) can be reached")
            else:
                words = f"whether {to} ({peer}) can be reached is not known ({state.why}); it is needed from 2.22 on"
                yield Finding(check, Verdict.MANUAL, name, words, remedy, VENDOR)
    if not found:
        yield Finding(check, Verdict.PASS, "", "port 2380 is open in both directions between all nodes")


def _away(q: Question, name: str) -> bool:
    shell = q.facts.nodes[name].shell
    return isinstance(shell, Unknown) and shell.unreachable
