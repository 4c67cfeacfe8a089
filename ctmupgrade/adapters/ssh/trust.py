"""Which host key a server must show: a pinned fingerprint, or what known_hosts says. Never a guess."""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from ctmupgrade.adapters.disk.bounded_file import MIB, read_bounded
from ctmupgrade.adapters.ssh.agent import CERTIFICATE
from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.host_certificates import (
    authority_of,
    certificate_trouble,
    shows_certificate,
)
from ctmupgrade.adapters.ssh.patterns import matches
from ctmupgrade.errors import HostKeyError

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
_MOST = 16 * MIB  # bytes of a list of host keys


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file that speaks of the host in question."""

    kind: str  # "ssh-ed25519", "ssh-rsa", ...
    blob: bytes
    revoked: bool
    where: str  # "file:line"


def known_name(host: str, port: int) -> str:
    """Return how known_hosts names a host: ``host``, or ``[host]:port`` for another port than 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def known_keys(files: Iterable[Path], host: str, port: int) -> tuple[KnownKey, ...]:
    """Return the keys that ``files`` hold for a host; files that cannot be read count as empty.

    As in OpenSSH, a host on another port falls back to its plain name when ``[host]:port`` is
    not known.
    """
    lines = [line for file in files for line in _lines(file)]
    keys = _of_name(lines, known_name(host, port))
    return keys or _of_name(lines, known_name(host, 22))


def authorities(files: Iterable[Path], host: str, port: int) -> tuple[KnownKey, ...]:
    """Return the certificate authorities that ``files`` name for a host, under its name with or without its port."""
    names = {known_name(host, port), known_name(host, 22)}
    lines = [line for file in files for line in _lines(file)]
    signing = [(where, words) for where, words in lines if words[0] == "@cert-authority" and len(words) > 3]
    fitting = [(w, words) for w, words in signing if any(_matches(words[1], name) for name in names)]
    return tuple(key for where, words in fitting if (key := _known(words[2:], where, revoked=False)))


def revoked_keys(file: Path) -> tuple[KnownKey, ...]:
    """Return the keys of a ``RevokedHostKeys`` file, one a line.

    :raises HostKeyError: it cannot be read, or is a KRL; as in OpenSSH no host is trusted then.
    """
    try:
        data = read_bounded(file, _MOST)
    except OSError as error:
        why = error.strerror or str(error)
    else:
        if not data.startswith(b"SSHKRL\n"):
            lines = [(where, words) for where, words in _fields(file, data) if len(words) > 1]
            return tuple(key for where, words in lines if (key := _known(words, where, revoked=True)))
        why = "it is a KRL, which is not supported; a list of public keys is"
    raise HostKeyError(
        f"RevokedHostKeys of the SSH configuration: {file}: {why}",
        remedy="Without it no host key can be trusted. Correct it, or remove it for these hosts.",
    )


def _lines(file: Path) -> list[tuple[str, list[str]]]:
    try:
        return list(_fields(file, read_bounded(file, _MOST)))
    except OSError as error:
        if error.errno != errno.EFBIG:
            return []
        raise HostKeyError(
            f"{file}: {error.strerror}: what it revokes is not known",
            remedy="Name a shorter one: ssh.known_hosts in cluster.yaml.",
        ) from error


def _fields(file: Path, data: bytes) -> Iterator[tuple[str, list[str]]]:
    r"""The words of each line, with its place. Lines end at \n and words at blanks and tabs, as for OpenSSH:
    whatever else looks like an end of line is part of a comment, and a NUL ends what it reads of a line."""
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.partition(b"\0")[0].replace(b"\t", b" ").decode("utf-8", "surrogateescape")
        words = [word for word in line.split(" ") if word]
        if words and not words[0].startswith("#") and words[0] != "\r":
            yield f"{file}:{number}", words


def _of_name(lines: Iterable[tuple[str, list[str]]], name: str) -> tuple[KnownKey, ...]:
    found = []
    for where, words in lines:
        marker = words[0] if words[0].startswith("@") else ""
        fields = words[1:] if marker else words
        # An authority's line must not pass for a host's own key.
        if len(fields) < 3 or marker not in ("", "@revoked") or not _matches(fields[0], name):
            continue
        if key := _known(fields[1:], where, revoked=bool(marker)):
            found.append(key)
    return tuple(found)


def _known(fields: list[str], where: str, *, revoked: bool) -> KnownKey | None:
    """A key from its type and its base64; None where the two do not belong together."""
    kind, text = fields[0], fields[1].rstrip("\r\v\f")
    try:
        blob = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        return None
    size = int.from_bytes(blob[:4], "big")
    return KnownKey(kind, blob, revoked, where) if blob[4 : 4 + size] == kind.encode() else None


def _matches(patterns: str, name: str) -> bool:
    hit = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            hit = hit or _hashed(pattern, name)
        elif matches(pattern.removeprefix("!").lower(), name):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit


def _hashed(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of one server's host keys, and the verdict on the one it shows.

    :ivar pinnable: a node's own key may stand in cluster.yaml; a jump host's has its place in known_hosts only.
    :ivar authorities: whose host certificates are good for it; not for one whose own key is pinned.
    :ivar unread: what else speaks of the host, and is not read.
    """

    label: str  # the node's name, for errors
    host: str
    port: int
    files: tuple[Path, ...]
    known: tuple[KnownKey, ...]
    pinned: str | None = None
    pinnable: bool = True
    unread: tuple[str, ...] = ()
    authorities: tuple[KnownKey, ...] = ()

    @property
    def by_certificate(self) -> bool:
        """Return whether a certificate may prove who the server is."""
        return bool(self.authorities) and not self.pinned

    def preference(
        self, offered: tuple[str, ...], tried: Iterable[str] = (), *, certificates: bool = False
    ) -> tuple[str, ...]:
        """Return the ``offered`` host key algorithms, those that known_hosts has a key for first.

        Without this a server with several keys shows one that known_hosts does not have, and an
        honest host looks like an impostor. ``tried`` key types are left out.

        :param certificates: those of certificates come before all; else they are the last resort.
        """
        gone = {name for kind in tried for name in _algorithms(kind)}
        wanted = [name for key in self.known if not key.revoked for name in _algorithms(key.kind)]
        first = [name for name in offered if name in wanted]
        plain = tuple(dict.fromkeys(name for name in (*first, *offered) if name not in gone))
        signed = tuple(f"{name}{CERTIFICATE}" for name in plain)
        return (*signed, *plain) if certificates else (*plain, *signed)

    def accepts(self, key: paramiko.PKey) -> bool:
        """Return whether this is the server's key.

        :raises HostKeyError: it is revoked; whatever else is said of it.
        """
        blob = key.asbytes()
        self._refuse_revoked(
            key, blob, f"the host key of {self.host}:{self.port}", "give the appliance a new host key"
        )
        if self.pinned:
            return hmac.compare_digest(fingerprint(blob), _normal(self.pinned))
        return any(known.blob == blob for known in self.known) or self._is_certified(key)

    def _is_certified(self, key: paramiko.PKey) -> bool:
        if not self.by_certificate or not shows_certificate(key) or self._trouble(key):
            return False
        self._refuse_revoked(
            key, authority_of(key), f"the authority that signed the host key of {self.host}:{self.port}",
            "have the host's key signed by another one",
        )  # fmt: skip
        return True

    def _trouble(self, key: paramiko.PKey) -> str:
        return certificate_trouble(key, self.host.lower(), (one.blob for one in self.authorities))

    def _refuse_revoked(self, key: paramiko.PKey, blob: bytes, what: str, remedy: str) -> None:
        for known in self.known:
            if known.revoked and known.blob == blob:
                raise HostKeyError(
                    f"{self.label}: {what} is revoked",
                    details=f"seen {key.get_name()} {fingerprint(blob)}, revoked in {known.where}",
                    remedy=f"Do not connect. The key was withdrawn: {remedy}.",
                )

    def refusal(self, keys: list[paramiko.PKey]) -> HostKeyError:
        """Return the error for keys that are not the server's: what was seen, expected, and to do."""
        seen = list({key.asbytes(): key for key in reversed(keys)}.values())[::-1]
        shown = ", ".join(f"{key.get_name()} {fingerprint(key.asbytes())}" for key in seen)
        good = [key for key in self.known if not key.revoked]
        kinds = {key.get_name() for key in seen}
        if self.pinned:
            what, expected = "is not the pinned one", f"host_key: {_normal(self.pinned)}"
        elif not good:
            files = ", ".join(str(file) for file in self.files)
            what, expected = "is unknown", f"no entry for {known_name(self.host, self.port)} in {files}"
        else:
            changed = any(key.kind in kinds for key in good)
            what = "has CHANGED" if changed else "is known only in another key type"
            expected = ", ".join(f"{key.kind} {fingerprint(key.blob)} ({key.where})" for key in good)
        return HostKeyError(
            f"{self.label}: the host key of {self.host}:{self.port} {what}: {shown or 'none usable'}",
            details="\n".join(
                [
                    f"seen: {shown or 'none usable'}",
                    f"expected: {expected}",
                    *self._certificates(keys),
                    *self.unread,
                ]
            ),
            remedy=self._remedy(seen),
        )

    def _certificates(self, keys: list[paramiko.PKey]) -> list[str]:
        """Why no certificate of an authority has proven who it is, where one could."""
        if not self.by_certificate:
            return []
        where = ", ".join(f"@cert-authority in {one.where}" for one in self.authorities)
        troubles = [
            f"not trusted: its certificate: {self._trouble(key)}" for key in keys if shows_certificate(key)
        ]
        return [f"or: a certificate by {where}", *(troubles or ["it shows no certificate"])]

    def _remedy(self, seen: list[paramiko.PKey]) -> str:
        machine = "appliance's own console" if self.pinnable else "jump host's own console"
        text = (
            f"Compare the fingerprint with the one on the {machine} (there: ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub). Do not take it from ssh-keyscan, which shows whoever "
            "answers. If they differ, stop: somebody may intercept the connection."
        )
        if not seen:
            return text
        key = seen[0]
        line = (
            f"{known_name(self.host, self.port)} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}"
        )
        target = self.files[0] if self.files else "~/.ssh/known_hosts"
        text = f"{text} If they are equal, replace the host's lines in {target} by:\n  {line}"
        if self.pinnable:
            text += f'\nor under the node in cluster.yaml:\n  host_key: "{fingerprint(key.asbytes())}"'
        return text


def _algorithms(kind: str) -> tuple[str, ...]:
    """The negotiable algorithms that show a key of this type (an RSA key signs in two ways)."""
    return _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)


def _normal(pinned: str) -> str:
    text = pinned.strip().rstrip("=")
    return text if text.startswith("SHA256:") else f"SHA256:{text}"
