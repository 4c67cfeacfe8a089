"""Checks of hardware security modules that hold the root of trust: without them no service starts after a reboot."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, looked, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.looks.luna_port import PORT
from ctmupgrade.core.looks.node_state import HsmServer

_LIST, ALARM = "ksctl hsm servers list", "HSM Offline"
HSM_PAGE = "vendor pages Alarms and Security Hardening"


def _using(
    q: Question, check: str, verdict: Verdict
) -> tuple[dict[str, tuple[HsmServer, ...]], list[Finding]]:
    known, found = looked(q, check, lambda f: f.hsm, "whether it uses an HSM", _LIST, verdict)
    return {name: servers for name, servers in known.items() if servers}, found


def hsm_answers(q: Question) -> Iterator[Finding]:
    """Check that each node that uses an HSM reaches it now, by the appliance's own alarm."""
    check = "hsm_answers"
    using, found = _using(q, check, Verdict.MANUAL)
    for name in using:
        state = _alarm(q.facts.nodes[name])
        if state == "on":
            words = "its HSM does not answer: after the reboot no service would start"
            remedy = "fix the HSM or the way to it; ksctl alarms list must show HSM Offline as off"
            found.append(Finding(check, Verdict.BLOCK, name, words, remedy, HSM_PAGE))
        elif state != "off":
            words = f"whether its HSM answers is not known: the alarm HSM Offline is {state}"
            found.append(
                Finding(
                    check,
                    Verdict.MANUAL,
                    name,
                    words,
                    f"ksctl alarms list; {_LIST}   # look by hand",
                    HSM_PAGE,
                )
            )
    yield from or_pass(check, found, "every HSM that is used answers" if using else "no node uses an HSM")


def _alarm(facts: NodeFacts) -> str:
    if isinstance(facts.alarms, Unknown):
        return "not known"
    states = {alarm.state or "not told" for alarm in facts.alarms if alarm.name == ALARM}
    return "on" if "on" in states else next(iter(sorted(states)), "not listed")


def hsm_port_open(q: Question) -> Iterator[Finding]:
    """Check that each node opens a connection to its Luna HSMs."""
    check = "hsm_port_open"
    using, found = _using(q, check, Verdict.WARN)
    for name in using:
        for host, state in q.facts.nodes[name].hsm_ports.items():
            remedy = f"nc -z -v {host} {PORT}   # on {name}; open the port in the firewall"
            if isinstance(state, Unknown):
                words = f"whether it reaches its HSM at {host}:{PORT} could not be looked up: {state.why}"
                found.append(Finding(check, Verdict.MANUAL, name, words, remedy, HSM_PAGE, state.unreachable))
            elif not state.open:
                words = f"cannot reach its HSM at {host}:{PORT} ({state.basis})"
                found.append(Finding(check, Verdict.BLOCK, name, words, remedy, HSM_PAGE))
    yield from or_pass(check, found, "every HSM that is used is reached" if using else "no node uses an HSM")


def hsm_same_everywhere(q: Question) -> Iterator[Finding]:
    """Check that all nodes use the same HSM partitions: the weakest node sets the strength of all."""
    check = "hsm_same_everywhere"
    known, found = looked(q, check, lambda f: f.hsm, "whether it uses an HSM", _LIST)
    each = {name: _partitions(servers) for name, servers in known.items()}
    if len(set(each.values())) > 1:
        listing = "; ".join(f"{name}: {', '.join(parts) or 'none'}" for name, parts in each.items())
        words = f"nodes use different HSM partitions ({listing})"
        found.append(
            Finding(
                check, Verdict.WARN, "", words, f"{_LIST}   # on each node; make sure that it is meant so"
            )
        )
    yield from or_pass(check, found, "all nodes use the same HSM partitions, or none")


def _partitions(servers: tuple[HsmServer, ...]) -> tuple[str, ...]:
    return tuple(sorted({one.serial or one.partition or one.kind or "an HSM" for one in servers}))


def hsm_client_fits_target(q: Question) -> Iterator[Finding]:
    """Ask a person whether the target supports the firmware of the HSMs; no list of it is published in a form to read."""
    check = "hsm_client_fits_target"
    using, found = _using(q, check, Verdict.WARN)
    if using:
        words = (
            f"whether {q.cluster.target.version.short} supports the firmware and client of the HSMs in use"
        )
        remedy = "read the release notes of the target for the HSM's firmware and client"
        found.append(Finding(check, Verdict.MANUAL, "", words, remedy))
    yield from or_pass(check, found, "no node uses an HSM")
