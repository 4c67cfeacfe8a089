"""Until when certificates are valid: the little of X.509 that is read of a PEM chain, by the standard library alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ctmupgrade.core.looks.excerpt import NotUnderstoodError

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]{1,65536}?)-----END CERTIFICATE-----")
MOST = 16  # certificates of one chain that are read
_UTC_TIME, _SEQUENCE = 0x17, 0x30


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of a chain.

    :ivar not_after: from then on nobody trusts it. :ivar fingerprint: SHA-256 of its DER form, in hex.
    """

    not_after: datetime
    fingerprint: str


def chain(text: str) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM chain, the interface's own first.

    :raises NotUnderstoodError: there is none, or one cannot be read.
    """
    found = tuple(_certificate(block) for block in _PEM.findall(text.replace("\\n", "\n"))[:MOST])
    if not found:
        raise NotUnderstoodError("no certificate in the answer")
    return found


def _certificate(block: str) -> Certificate:
    try:
        der = base64.b64decode("".join(block.split()), validate=True)
        return Certificate(_not_after(der), hashlib.sha256(der).hexdigest())
    except (binascii.Error, IndexError, ValueError):
        raise NotUnderstoodError("a certificate that cannot be read") from None


def _not_after(der: bytes) -> datetime:
    """RFC 5280: Certificate { tbs { [0] version?, serial, algorithm, issuer, validity { notBefore, notAfter }, ... } ... }."""
    (_, certificate), *_ = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = [(tag, value) for tag, value in _parts(signed) if tag != 0xA0]
    tag, validity = fields[3]
    if tag != _SEQUENCE:
        raise ValueError("no validity")
    _, (kind, when) = list(_parts(validity))[:2]
    text = when.decode("ascii")
    if kind == _UTC_TIME:  # two digits of a year: 1950 to 2049
        text = f"{'19' if text >= '5' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in a row of DER values. :raises IndexError: it is cut."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            width = size & 0x7F
            if not 0 < width <= 4:
                raise ValueError("a length that is none")
            size, at = int.from_bytes(der[at : at + width], "big"), at + width
        if at + size > len(der):
            raise IndexError("cut short")
        yield tag, der[at : at + size]
        at += size
