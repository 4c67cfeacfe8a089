"""Addresses in cluster.yaml: hosts, URLs and jump hosts, as texts that no shell, resolver or ssh reads otherwise."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
# What a resolver reads as numbers, octal ones too.
_LIKE_IPV4 = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
_WITH_PORT = re.compile(r"([^:]+|\[[^\]]+\]):(\d+)", re.ASCII)
_JUMP = re.compile(r"(?:ssh://)?(?:(?!-)[^@\s,]+@)?(\[[^\]]+\]|[^@:\[\]\s]+)(?::(\d{1,5}))?/?", re.ASCII)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
# A dot-atom and a host (RFC 5322): what needs no quotes in a header.
_MAILBOX = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}+(?:\.{_ATOM}+)*@([A-Za-z0-9.-]{{1,253}})")
_SERVER = re.compile(r"(\[[^\]]+\]|[^:/\[\]\s]+)(?::(\d{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://(\[[^\]@/]+\]|[^:/?#@\s\[\]]+)(?::(\d{1,5}))?/?", re.ASCII)


def host(value: str) -> str:
    """Return a host name or an IP address; one of IPv6 with or without brackets, which it loses.

    :raises ValueError: anything else. It goes into command lines here and on other nodes: nothing in it may mean
        anything to a shell or to ssh. A number is refused that a resolver reads in its own way (``010.1``).
    """
    expected = "a host name or an IP address is expected, without a scheme, port or blanks"
    text = value.strip()
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        raise ValueError(f"a host without a port is expected; port: {with_port.group(2)} is a key of its own")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare and _is_ipv6(bare):
        return bare
    if not _HOST.fullmatch(text) or (_LIKE_IPV4.fullmatch(text) and not _is_ipv4(text)):
        raise ValueError(expected)
    return text


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    address, sign, zone = text.partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return bool(not sign or re.fullmatch(r"(?!-)[\w.-]+", zone, re.ASCII))


def _is_host(text: str) -> bool:
    try:
        return bool(host(text))
    except ValueError:
        return False


def loopback(name: str) -> bool:
    """Return whether a URL's host is this very machine: by its address, or ``localhost``."""
    try:
        return ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return name.lower() == "localhost"


_OWN_NAMES = re.compile(r"(?:.*\.)?(?:localhost\d*|localdomain\d*|ip6-localhost|ip6-loopback)")


def this_machine(name: str) -> bool:
    """Return whether a host stands for the machine that it is asked on: ``local`` (cluster.yaml's word for no SSH), any
    loopback or unspecified address however it is written, ``localhost`` and its like (RFC 6761). Of ``.local``, which
    mDNS hands out (RFC 6762), only the bare word."""
    text = name.strip().strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        address = ip_address(text)
    except ValueError:
        return text == "local" or (not text.endswith(".local") and bool(_OWN_NAMES.fullmatch(text)))
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_loopback or inner.is_unspecified or (inner.version == 4 and inner.packed[0] == 0)


def among_nodes(node: str, its_url: str | None) -> str:
    """Return what the other nodes call a node where cluster.yaml does not say it: its host; of the one that this runs
    on, the host of its URL; ``localhost`` where that too is only this machine."""
    if node != "local":
        return node
    found = _URL.fullmatch(its_url or "")
    name = found.group(2).strip("[]").replace("%25", "%") if found else ""
    return "localhost" if not name or this_machine(name) else name


def url(text: str) -> str:
    """Return a URL of a control plane. :raises ValueError: it is none, or would carry the password in clear text."""
    expected = "https://HOST or https://HOST:PORT is expected"
    found = _URL.fullmatch(text)
    if not found or not _is_host(found.group(2).replace("%25", "%")):
        raise ValueError(expected)
    if int(found.group(3) or 443) not in range(1, 65536):
        raise ValueError("a port from 1 to 65535 is expected")
    if found.group(1) == "http" and not loopback(found.group(2)):
        raise ValueError(
            "https:// is expected: the password and the backups would cross the network in clear text (http:// is "
            "taken for this machine alone, as http://127.0.0.1:PORT)"
        )
    return text


def same_url(url: str) -> str:
    """Return a URL in a form in which equal ones are equal: without the usual port, in small letters."""
    found = _URL.fullmatch(url)
    if not found:
        return url.casefold()
    scheme, name, port = found.groups()
    try:
        name = ip_address(name.strip("[]")).compressed
    except ValueError:
        name = name.strip("[]").rstrip(".").casefold()
    return f"{scheme}://{name}:{int(port or (443 if scheme == 'https' else 80))}"


def jumps(text: str) -> str:
    """Return a list of jump hosts. :raises ValueError: it is none."""
    expected = "user@host or user@host:port is expected, several with commas between them"
    for spec in text.split(","):
        found = _JUMP.fullmatch(spec.strip())
        if not found or not _is_host(found.group(1)) or int(found.group(2) or 22) not in range(1, 65536):
            raise ValueError(expected)
    return text


def mailbox(text: str) -> str:
    """Return a mail address. :raises ValueError: it is none, or would need quotes in a header."""
    found = _MAILBOX.fullmatch(text)
    if not found or not _is_host(found.group(1)):
        raise ValueError("a mail address is expected, like ops@example.com, without a name before it")
    return text


def server(text: str, usual: int = 25) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an IPv6 address loses its brackets.

    :param usual: the port where none is written. :raises ValueError: it is neither ``HOST`` nor ``HOST:PORT``.
    """
    found = _SERVER.fullmatch(text)
    if not found or not _is_host(found.group(1)):
        raise ValueError("HOST or HOST:PORT is expected, an IPv6 address in brackets")
    port = int(found.group(2) or usual)
    if port not in range(1, 65536):
        raise ValueError("a port from 1 to 65535 is expected")
    return host(found.group(1)), port


_LOG_PORTS = {"udp": 514, "tcp": 514, "tls": 6514}  # RFC 5426, custom, RFC 5425


def log_address(text: str) -> tuple[str, str, int]:
    """Return transport, host and port of a system log. :raises ValueError: it is none."""
    transport, sign, place = text.partition("://")
    if not sign or transport not in _LOG_PORTS:
        raise ValueError("udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT is expected")
    return (transport, *server(place, _LOG_PORTS[transport]))
