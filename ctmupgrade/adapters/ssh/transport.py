"""paramiko's connection with our limits: algorithms, sizes, and what the other side said when it hung up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import paramiko
from paramiko.packet import Packetizer

from ctmupgrade.adapters.ssh.agent import CERTIFICATE

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr")
DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
LARGEST_PACKET = 262_144  # bytes, as in OpenSSH: nobody may make us keep more before we know who it is
_LARGEST_GREETING = 65_536  # bytes of lines before the SSH version
_SPARE = 1024  # of a packet's own frame: length, padding, MAC
# What paramiko calls the lists that a server sends, and what sshd_config calls them.
LISTS = {
    "kex_algo_list": ("key exchange", "KexAlgorithms"),
    "server_key_algo_list": ("host key", "HostKeyAlgorithms"),
    "server_encrypt_algo_list": ("cipher", "Ciphers"),
    "server_mac_algo_list": ("MAC", "MACs"),
}


# What closing a channel raises where the jump host that it goes through is gone: it would take leave of it.
_GONE = (EOFError, OSError, paramiko.SSHException)


class _BoundedPacketizer(Packetizer):
    """Ends the connection instead of keeping what no honest server sends."""

    _greeting = 0
    greeted: tuple[str, ...] = ()  # the last lines before the SSH version

    def readline(self, timeout: float) -> str:
        line: str = super().readline(timeout)
        if not line.startswith("SSH-"):
            self.greeted = (*self.greeted[-2:], line[:200])
        return line

    def close(self) -> None:
        """Close the connection, whatever its way says: what comes after this tells those who wait."""
        with suppress(*_GONE):
            super().close()

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > LARGEST_PACKET + _SPARE:
            raise paramiko.SSHException(f"a packet of {n} bytes: at most {LARGEST_PACKET} are allowed")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        piece: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._greeting += len(piece)
        if self._greeting > _LARGEST_GREETING:
            raise paramiko.SSHException("its greeting does not end")
        return piece


class BoundedTransport(paramiko.Transport):
    """A connection whose packets are bounded, and that remembers what the server offered and said."""

    def __init__(self, sock: Any) -> None:
        self.offered: Mapping[str, list[str]] = {}
        self.said = ""  # the server's words when it hung up
        super().__init__(sock, packetizer_class=_BoundedPacketizer)
        options = self.get_security_options()
        options.ciphers = CIPHERS
        options.digests = DIGESTS

    def run(self) -> None:
        """Serve the connection to its end, which is no traceback where its way is gone."""
        with suppress(*_GONE):
            super().run()

    def close(self) -> None:
        """End it, also where its way is gone. Again: nothing happens."""
        with suppress(*_GONE):
            super().close()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Return the host key algorithms in our order: paramiko puts certificates last, always, and we choose."""
        return tuple(self.get_security_options().key_types)

    def hung_up_with(self) -> str:
        """Return the server's words when it hung up, or what it said instead of its version; or nothing."""
        greeted = self.packetizer.greeted if isinstance(self.packetizer, _BoundedPacketizer) else ()
        return self.said or " ".join(line.strip() for line in greeted).strip()

    def mismatch(self) -> tuple[str, str, list[str], tuple[str, ...]] | None:
        """Return where the two sides have nothing in common: what, its sshd_config keyword, theirs, ours."""
        options = self.get_security_options()
        ours = (options.kex, options.key_types, options.ciphers, options.digests)
        for (name, (what, keyword)), mine in zip(LISTS.items(), ours, strict=True):
            theirs = self.offered.get(name, [])
            if theirs and not set(theirs) & set(mine):
                return what, keyword, theirs, tuple(name for name in mine if not name.endswith(CERTIFICATE))
        return None

    def _really_parse_kex_init(
        self,
        m: paramiko.Message,
        ignore_first_byte: bool = False,
    ) -> dict[str, Any]:
        parsed: dict[str, Any] = super()._really_parse_kex_init(m, ignore_first_byte)  # type: ignore[misc]
        self.offered = {name: _algorithms(parsed[name]) for name in LISTS if name in parsed}
        return parsed

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.said = m.get_string()[:1000].decode("utf-8", "replace").strip()


def _algorithms(listed: Iterable[str]) -> list[str]:
    """Without what stands among them and is none (RFC 8308; OpenSSH's strict key exchange)."""
    return [name for name in listed if not name.startswith(("kex-strict-", "ext-info-"))]
