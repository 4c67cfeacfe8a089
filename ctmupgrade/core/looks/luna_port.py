"""Whether a node reaches a Luna HSM: TCP 1792 (vendor page Security Hardening)."""

from __future__ import annotations

from ctmupgrade.core.looks.excerpt import excerpt, not_told
from ctmupgrade.core.looks.facts import PortState
from ctmupgrade.core.looks.probes import Probe, Query

PORT = 1792
_CLOSED = ("refused", "timed out", "timeout", "no route", "unreachable")


def luna_port(host: str) -> Probe[PortState]:
    """Return the question whether ``host``:1792 takes a connection from a node."""

    def heard(code: int, out: str, err: str) -> PortState:
        said = f"{out} {err}".lower()
        if code == 0:
            return PortState(open=True, basis="it takes a connection")
        if code == 124 or any(word in said for word in _CLOSED):
            return PortState(open=False, basis=excerpt(f"{out} {err}") or "no answer")
        raise not_told(f"{out} {err}", f"exit {code}")

    tcp = f"exec 3<>/dev/tcp/{host}/{PORT}"
    return Probe(
        f"port {PORT} of {host}",
        (
            Query(("nc", "-z", "-v", "-w", "3", host, str(PORT)), heard),
            Query(("timeout", "3", "bash", "-c", tcp), heard),
        ),
    )
