"""Who is told of a run, as cluster.yaml names them: webhooks, mailboxes, system logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

SMTPS = 465  # the port on which TLS begins at once (RFC 8314)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that takes a POST. The URL itself is a secret: it stays in its variable.

    :ivar ca_file: certificates to trust instead of this machine's.
    """

    url_env: str
    format: Literal["slack", "teams", "json"] = "json"
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return f"the {self.format} webhook of {self.url_env}"


@dataclass(frozen=True, slots=True)
class Mail:
    """Mailboxes, and the server that takes mail for them. :ivar user: to log in with; "" where there is no login."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 25
    user: str = ""
    password_env: str = ""
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return f"mail through {address(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Syslog:
    """A system log on another machine."""

    transport: Literal["udp", "tcp", "tls"]
    host: str
    port: int
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return f"syslog {self.transport}://{address(self.host, self.port)}"


Receiver: TypeAlias = Webhook | Mail | Syslog


def address(host: str, port: int) -> str:
    """Return host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def variables_of(receiver: Receiver) -> tuple[str, ...]:
    """Return the environment variables that hold its secrets."""
    match receiver:
        case Webhook(url_env=name) | Mail(password_env=name):
            return (name,) if name else ()
        case Syslog():
            return ()
