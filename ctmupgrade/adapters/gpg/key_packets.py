"""Takes one key out of a file of OpenPGP keys (RFC 4880, 11.1), for gpgv, which imports nothing.

Nothing cryptographic is decided here: gpgv checks each self-signature and each revocation itself. What matters is that
none that the file holds is left out, and that each stands where gpgv looks for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ctmupgrade.adapters.gpg.armor import is_armored

_SIGNATURE, _SECRET, _PUBLIC, _SECRET_SUB, _MARKER, _TRUST, _USER, _PUBLIC_SUB, _PICTURE = (
    2,
    5,
    6,
    7,
    10,
    12,
    13,
    14,
    17,
)
_PGP = b"PGP"  # all that a marker may say (RFC 4880, 5.8): gpg reads nothing behind another
_PRIMARY, _SUB, _NAMES = (_SECRET, _PUBLIC), (_SECRET_SUB, _PUBLIC_SUB), (_USER, _PICTURE)
_REVOKES_KEY = 0x20  # class of a signature (RFC 4880, 5.2.1)
_CERTIFIES = range(0x10, 0x14)
# How many numbers (MPIs) a public key has (RFC 4880, 5.5.2); those of elliptic curves begin with the curve's id.
_NUMBERS = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4, 18: 1, 19: 1, 22: 1}
_SIGNED = {1: 1, 3: 1, 17: 2, 19: 2, 22: 2}  # and a signature (5.2.2)
_ON_CURVES = (18, 19, 22)
_ECDH = 18  # has the parameters of a key derivation besides
_BITS = {  # of a curve, by its id (RFC 6637, 11; RFC 9580, 9.2)
    "2a8648ce3d030107": 256, "2b81040022": 384, "2b81040023": 521, "2b8104000a": 256, "2b2403030208010107": 256,
    "2b240303020801010b": 384, "2b240303020801010d": 512, "2b06010401da470f01": 255, "2b060104019755010501": 255,
    "2b6571": 448,
}  # fmt: skip


class DamagedError(Exception):
    """The file cannot be read to its end."""


@dataclass(slots=True)
class _Part:
    """A primary key, a user id or a subkey, with the signatures that stand behind it."""

    tag: int
    body: bytes
    signatures: dict[bytes, None] = field(default_factory=dict)  # in their order, each once


@dataclass(slots=True)
class Key:
    """One key of the file, all its copies put together.

    :ivar fingerprint: of the primary key, in capitals. :ivar made: seconds since 1970.
    """

    fingerprint: str
    made: int
    parts: dict[tuple[int, bytes], _Part]

    @property
    def name(self) -> str:
        """Return the first user id, or that there is none."""
        names = [part.body for part in self.parts.values() if part.tag == _USER]
        return names[0].decode("utf-8", "replace") if names else "no name"

    @property
    def usable(self) -> bool:
        """Return whether any user id is certified, without which gpg imports no key."""
        return any(
            _class_of(one) in _CERTIFIES
            for part in self.parts.values()
            if part.tag in _NAMES
            for one in part.signatures
        )

    def strengths(self) -> dict[str, tuple[str, int]]:
        """Return algorithm id and bits of the primary key and of each subkey, by fingerprint."""
        keys = [part.body for part in self.parts.values() if part.tag in (_PUBLIC, _PUBLIC_SUB)]
        return {_fingerprint(body): (str(body[5]), _bits(body)) for body in keys}

    def packed(self, revocations: dict[bytes, None]) -> bytes:
        """Return the key as gpgv reads it.

        :param revocations: of any key of the file: gpgv takes those that are this key's, by their cryptography.
        """
        order = {_PUBLIC: 0, _USER: 1, _PICTURE: 1, _PUBLIC_SUB: 2}
        out = []
        for part in sorted(self.parts.values(), key=lambda part: order[part.tag]):
            more = revocations if part.tag == _PUBLIC else {}
            out.append(_packet(part.tag, part.body))
            out += [_packet(_SIGNATURE, one) for one in {**more, **part.signatures}]
        return b"".join(out)


def read_keys(data: bytes) -> tuple[dict[str, Key], dict[bytes, None]]:
    """Return the keys of a file, armored or binary, by fingerprint, and all signatures that revoke a whole key.

    :raises DamagedError: a packet is cut, or cannot belong to a key.
    """
    keys: dict[str, Key] = {}
    revocations: dict[bytes, None] = {}
    for block in _dearmored(data) if is_armored(data) else [data]:
        key: Key | None = None
        part: _Part | None = None
        for tag, body in _packets(block):
            if tag in (*_PRIMARY, *_SUB):
                body = _public(body, tag in (_SECRET, _SECRET_SUB))  # noqa: PLW2901 - the same packet
                key = _key(keys, body) if tag in _PRIMARY else key
                part = _part(key, _PUBLIC if tag in _PRIMARY else _PUBLIC_SUB, body)
            elif tag in _NAMES:
                part = _part(key, tag, body)
            elif tag == _SIGNATURE:
                _refuse_broken(body)
                if _class_of(body) == _REVOKES_KEY:  # its own block, or misplaced: gpg puts it in its place
                    revocations[body] = None
                elif part is not None:
                    part.signatures[body] = None
            elif tag != _TRUST and (tag, body) != (_MARKER, _PGP):
                raise DamagedError
    return keys, revocations


def _key(keys: dict[str, Key], body: bytes) -> Key | None:
    """The key of this packet; None for a version that neither we nor gpg 2.2 know, whose packets are passed over."""
    if body[:1] != b"\4":
        return None
    found = _fingerprint(body)
    return keys.setdefault(found, Key(found, int.from_bytes(body[1:5], "big"), {}))


def _part(key: Key | None, tag: int, body: bytes) -> _Part | None:
    if key is None or (tag == _PUBLIC_SUB and body[:1] != b"\4"):
        return None
    return key.parts.setdefault((tag, body), _Part(tag, body))


def _dearmored(data: bytes) -> Iterator[bytes]:
    """The content of each armored block, whose lines are known to be whole (:func:`.armor.stray_line`)."""
    block: list[bytes] | None = None
    headers, check = False, b""
    for raw in data.split(b"\n"):
        line = raw.strip()
        if line.startswith(b"-----BEGIN PGP P"):
            block, headers, check = [], True, b""
        elif line.startswith(b"-----END PGP P") and block is not None:
            yield _decoded(b"".join(block), check)
            block = None
        elif block is not None and headers:
            headers = bool(line)
        elif block is not None and line.startswith(b"="):
            check = line[1:]
        elif block is not None:
            block.append(line)


def _decoded(text: bytes, check: bytes) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
        if check and base64.b64decode(check, validate=True) != _crc24(data):
            raise DamagedError
    except binascii.Error as error:
        raise DamagedError from error
    return data


def _crc24(data: bytes) -> bytes:
    """RFC 4880, 6.1."""
    table = []
    for number in range(256):
        value = number << 16
        for _ in range(8):
            value = (value << 1) ^ (0x1864CFB if value & 0x800000 else 0)
        table.append(value & 0xFFFFFF)
    crc = 0xB704CE
    for byte in data:
        crc = ((crc << 8) & 0xFFFFFF) ^ table[(crc >> 16) ^ byte]
    return crc.to_bytes(3, "big")


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, at, size = _header(data, at)
        if size > len(data) - at:
            raise DamagedError
        yield tag, data[at : at + size]
        at += size


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the body begins, and its bytes (RFC 4880, 4.2). Keys have neither partial nor unknown lengths."""
    first = data[at]
    if not first & 0x80:
        raise DamagedError
    if not first & 0x40:
        count = (1, 2, 4, 0)[first & 3]
        if not count:
            raise DamagedError
        return (first >> 2) & 15, at + 1 + count, _number(data, at + 1, count)
    one = _number(data, at + 1, 1)
    if one < 192:
        return first & 63, at + 2, one
    if one < 224:
        return first & 63, at + 3, ((one - 192) << 8) + _number(data, at + 2, 1) + 192
    if one < 255:
        raise DamagedError
    return first & 63, at + 6, _number(data, at + 2, 4)


def _number(data: bytes, at: int, count: int) -> int:
    if at + count > len(data):
        raise DamagedError
    return int.from_bytes(data[at : at + count], "big")


def _public(body: bytes, secret: bool) -> bytes:
    """The public half of a key's packet; gpg imports that of a file of secret keys.

    :raises DamagedError: it is cut, or of a kind that ends nobody knows where.
    """
    if body[:1] != b"\4":
        return body
    algorithm, at = _number(body, 5, 1), 6
    if algorithm not in _NUMBERS and not secret:
        return body  # a kind of tomorrow; nothing is signed by it that counts here
    if algorithm not in _NUMBERS:
        raise DamagedError
    if algorithm in _ON_CURVES:
        at += 1 + _number(body, at, 1)
    at = _behind_numbers(body, at, _NUMBERS[algorithm])
    if algorithm == _ECDH:
        at += 1 + _number(body, at, 1)
    if at > len(body) or secret is (at == len(body)):
        raise DamagedError
    return body[:at]


def _refuse_broken(signature: bytes) -> None:
    """gpg stops reading at a signature that does not hold together: it must be seen, whosesoever it is.

    :raises DamagedError: its lengths do not add up (RFC 4880, 5.2).
    """
    version = _number(signature, 0, 1)
    if version == 3:
        at, count = 19, _SIGNED.get(_number(signature, 15, 1))
    elif version == 4:
        at, count = 4, _SIGNED.get(_number(signature, 2, 1))
        for _ in ("hashed", "unhashed"):
            at += 2 + _number(signature, at, 2)
        at += 2
    else:
        return  # passed over by gpg 2.2 too
    if count is not None and _behind_numbers(signature, at, count) != len(signature):
        raise DamagedError


def _behind_numbers(body: bytes, at: int, count: int) -> int:
    """Where ``count`` MPIs end (RFC 4880, 3.2)."""
    for _ in range(count):
        at += 2 + (_number(body, at, 2) + 7) // 8
    return at


def _bits(body: bytes) -> int:
    """How large a key is; 0 where that is not known."""
    if body[5] in _ON_CURVES:
        return _BITS.get(body[7 : 7 + body[6]].hex(), 0) if len(body) > 7 else 0
    return _number(body, 6, 2) if len(body) > 7 and body[5] in _NUMBERS else 0


def _fingerprint(body: bytes) -> str:
    """RFC 4880, 12.2; SHA-1 is what it is made of."""
    if len(body) < 7:
        raise DamagedError
    return (
        hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    )


def _class_of(signature: bytes) -> int:
    return signature[2 if signature[0] < 4 else 1] if len(signature) > 2 else -1


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body
