"""Checks of the certificates that clients see."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from ctmupgrade.core.checks.check import Question, looked, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.node_state import Interface

MARGIN = timedelta(days=30)


def _show(interface: str) -> str:
    """The command that shows a certificate; the name is what a node said."""
    return f"ksctl interfaces certificate get --name {shlex.quote(interface)}"


def interface_certs_last(q: Question) -> Iterator[Finding]:
    """Check that the certificate of each interface that clients use is valid for 30 days after the work."""
    check = "interface_certs_last"
    known, found = looked(q, check, lambda f: f.interfaces, "its interfaces", "ksctl interfaces list")
    for name, interfaces in known.items():
        for interface in (one for one in interfaces.rows if one.chain):
            end = interface.chain[0].not_after
            if verdict := _judged(q, end):
                what = "has expired" if end <= q.facts.at else f"ends on {end:%Y-%m-%d}"
                summary = f"the certificate of its interface {interface.name} {what}"
                remedy = f"renew it before the upgrade, then: {_show(interface.name)}"
                found.append(Finding(check, verdict, name, summary, remedy))
        for interface_name, why in interfaces.not_read:
            summary = f"the certificate of its interface {interface_name} could not be looked up: {why}"
            found.append(
                Finding(check, Verdict.WARN, name, summary, f"{_show(interface_name)}   # look by hand")
            )
    yield from or_pass(
        check, found, "the certificates of all interfaces are valid for 30 days after the work"
    )


def _judged(q: Question, end: datetime) -> Verdict | None:
    if end <= q.period.end:
        return Verdict.BLOCK
    return Verdict.WARN if end <= q.period.end + MARGIN else None


def ca_lasts(q: Question) -> Iterator[Finding]:
    """Check that the authorities that signed the interfaces' certificates are valid as long, as far as a chain shows them."""
    check = "ca_lasts"
    known, found = looked(q, check, lambda f: f.interfaces, "its interfaces", "ksctl interfaces list")
    for name, interfaces in known.items():
        for interface in interfaces.rows:
            end = _first_end(interface)
            if end is not None and end <= q.period.end + MARGIN:
                summary = f"an authority that signed the certificate of its interface {interface.name} ends on {end:%Y-%m-%d}"
                remedy = "ksctl ca locals list; ksctl ca externals list   # renew it: all certificates under it fail at once"
                found.append(Finding(check, Verdict.WARN, name, summary, remedy))
    yield from or_pass(
        check, found, "no authority of an interface's certificate ends within 30 days after the work"
    )


def _first_end(interface: Interface) -> datetime | None:
    return min((one.not_after for one in interface.chain[1:]), default=None)
