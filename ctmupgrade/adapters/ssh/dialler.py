"""Connections to one node, one after the other: how patient the next attempt is, and which keys were taken before."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

from ctmupgrade.adapters.ssh.carriers import DroppedError
from ctmupgrade.adapters.ssh.connect import AGAIN_TIMEOUT, CONNECT_TIMEOUT, Link, Log, connect
from ctmupgrade.core.model import Node
from ctmupgrade.errors import AuthenticationError, HostKeyError, UnreachableError

_PAUSES = (0.2, 0.5, 1.0)  # seconds before another try where the server dropped us
LONG_EVERY = 6  # so often a node that did not answer gets the whole time again: a slow line is not given up


class Dialler:
    """Makes connections. Thread-safe, for what it keeps is advice only."""

    def __init__(self, node: Node, log: Log, withheld: Collection[str] = ()) -> None:
        self._node = node
        self._log = log
        self._withheld = withheld
        self._accepted: dict[str, str] = {}
        self._unanswered = 0  # attempts in a row that made no connection

    def dial(self) -> Link:
        """Return a new connection. Same errors as :func:`ctmupgrade.adapters.ssh.connect.connect`."""
        try:
            link = self._connect()
        except (HostKeyError, AuthenticationError):
            raise
        except UnreachableError:
            self._unanswered += 1
            raise
        self._unanswered = 0
        for login in link.logins:
            if self._accepted.get(login.hop.label) != login.credential.fingerprint:
                self._accepted[login.hop.label] = login.credential.fingerprint
                self._log(f"{login.hop.label}: {login.hop.user} enters with {login.credential.origin}")
        return link

    def _connect(self) -> Link:
        patience = AGAIN_TIMEOUT if self._unanswered % LONG_EVERY else CONNECT_TIMEOUT
        # A server that let us in before may still count a connection that we have just ended.
        for pause in _PAUSES if self._accepted else ():
            with suppress(DroppedError):
                return self._try(patience)
            time.sleep(pause)
        return self._try(patience)

    def _try(self, patience: float) -> Link:
        return connect(
            self._node, prefer=self._accepted, log=self._log, patience=patience, withheld=self._withheld
        )
