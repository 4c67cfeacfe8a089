"""Which addresses host names stand for, as a port: only an adapter asks a resolver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Protocol


class Names(Protocol):
    """Says which addresses a host name stands for."""

    def addresses(self, hosts: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """Return the addresses of each host, within seconds; none for what is not known. Never raises."""
        ...


class NoNames:
    """Knows addresses as they are written, and no name: nothing is asked."""

    def addresses(self, hosts: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """See :meth:`Names.addresses`."""
        return {host: frozenset(filter(None, [address_in(host)])) for host in hosts}


def address_in(host: str) -> str:
    """Return an IP address in the one spelling in which equal ones are equal; "" where ``host`` is a name."""
    try:
        found = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).compressed
