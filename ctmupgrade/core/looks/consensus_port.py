"""The port by which the control planes of a cluster agree: TCP 2380 (etcd peers), needed besides 5432 from 2.22 on.

A Thales group's deployment kit opens it for 2.22 and worked without it on 2.19 (docs/appliance.md 2). Whether anything listens
there before that upgrade is not known: a refused connection proves an open way, a time-out does not prove a closed
one.
"""

from __future__ import annotations

from ctmupgrade.core.looks.excerpt import not_told
from ctmupgrade.core.looks.facts import PortState
from ctmupgrade.core.looks.probes import Probe, Query
from ctmupgrade.core.version import Version

PORT = 2380
SINCE = (2, 22)
_CLOSED = ("timed out", "timeout", "no route", "unreachable", "filtered")


def is_needed(*versions: Version) -> bool:
    """Return whether any of these releases needs the port."""
    return any(version.line >= SINCE for version in versions)


def consensus_port(host: str) -> Probe[PortState]:
    """Return the question whether ``host``:2380 can be reached from a node; refused means reached."""

    def heard(code: int, out: str, err: str) -> PortState:
        said = f"{out} {err}".lower()
        if code == 0:
            return PortState(open=True, basis="it takes a connection")
        if "refused" in said:
            return PortState(open=True, basis="it is reached, and nothing listens there now")
        if code == 124 or any(word in said for word in _CLOSED):
            return PortState(open=False, basis="no answer")
        raise not_told(f"{out} {err}", f"exit {code}")

    tcp = f"exec 3<>/dev/tcp/{host}/{PORT}"
    return Probe(
        f"port {PORT} of {host}",
        (
            Query(("nc", "-z", "-v", "-w", "3", host, str(PORT)), heard),
            Query(("timeout", "3", "bash", "-c", tcp), heard),
        ),
    )
