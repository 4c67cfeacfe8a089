"""Messages of RFC 5424 to another machine, over UDP (RFC 5426), TCP (RFC 6587, by octet count) or TLS (RFC 5425)."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from ctmupgrade.adapters.notify.connecting import connected, tls, words
from ctmupgrade.adapters.notify.errors import NotDeliveredError
from ctmupgrade.core.receivers import Syslog

_GOODBYE = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class SyslogSender:
    """Sends to one system log. That UDP arrives, and that TCP is read, nobody says."""

    receiver: Syslog

    def send(self, payload: bytes) -> None:
        """Send one message. :raises NotDeliveredError: it could not be sent."""
        to = self.receiver
        try:
            if to.transport == "udp":
                self._datagram(payload)
                return
            with connected(to.host, to.port) as sock:
                frame = b"%d %s" % (len(payload), payload)
                if to.transport == "tcp":
                    sock.sendall(frame)
                    return
                with tls(to.ca_file).wrap_socket(sock, server_hostname=to.host.partition("%")[0]) as secured:
                    secured.sendall(frame)
                    # Read what the server sent meanwhile: else our end resets the connection, and it may never read ours.
                    secured.settimeout(_GOODBYE)
                    with suppress(OSError):
                        secured.unwrap()
        except (OSError, ValueError) as error:
            raise NotDeliveredError(words(error)) from None

    def _datagram(self, payload: bytes) -> None:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            self.receiver.host, self.receiver.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.sendto(payload, address)
