"""A command on a node's terminal, over SSH: held by an OpenSSH client that outlives us, else by ourselves.

After a ``kill -9`` of ours, or Ctrl-C twice, the client's connection stays, and with it the terminal: a script that
has no screen session yet, or never gets one, goes on. Where no OpenSSH client can be used, it gets SIGHUP then.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import IO

import paramiko

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.held_terminal import HeldTerminal, Screen
from ctmupgrade.adapters.ssh.connect import CHANNEL_TIMEOUT, Link, Login
from ctmupgrade.adapters.ssh.node_file import UnusableError
from ctmupgrade.adapters.ssh.openssh import child_command, child_environ, keys_for_child
from ctmupgrade.ports import Screenful

_FOREIGN = (paramiko.SSHException, OSError, EOFError)
_ENTERING = 60.0  # seconds for the client to get in, where we are in already
_TICK = 0.02
_SSH_FAILED = 255  # ssh's own exit status, and any command's
_STATUS = re.compile(r"^debug1: Exit status (\d+)\r?$", re.MULTILINE)


class SshTerminal:
    """Implements :class:`ctmupgrade.ports.Terminal` on our own connection; a thread keeps the output flowing."""

    def __init__(self, link: Link, channel: paramiko.Channel, why: str) -> None:
        """:param why: no OpenSSH client can hold it."""
        self.ends_with_us = why
        self._link = link
        self._channel = channel
        self.screen = Screen()
        channel.settimeout(None)
        threading.Thread(target=self._drain, daemon=True).start()

    def look(self) -> Screenful:
        """Return the new output, without waiting; at most the last 256 KiB of it. Never raises."""
        text, done = self.screen.look()
        return Screenful(text, done, self._code() if done else None)

    def close(self) -> None:
        """End the terminal's connection. What runs there gets SIGHUP unless it was detached."""
        with suppress(Exception):
            self._channel.close()
        self._link.close()

    def _code(self) -> int | None:
        channel = self._channel
        return channel.exit_status if channel.eof_received and channel.exit_status >= 0 else None

    def _drain(self) -> None:
        with suppress(*_FOREIGN):
            while piece := self._channel.recv(65_536):
                self.screen.add(piece)
        # The status comes after the end of output, or never.
        self._channel.status_event.wait(CHANNEL_TIMEOUT)
        self.screen.end()
        self._link.close()


class HeldSsh(HeldTerminal):
    """An OpenSSH client on a held terminal, and through it the node's."""

    log: IO[bytes] | None = None  # what the client says about itself

    def code(self) -> int | None:
        """Return the command's exit status; None where the connection broke. 255 can mean both: its log tells."""
        code = super().code()
        return None if code == _SSH_FAILED and not self._told() else code

    def close(self) -> None:
        """End the terminal's connection. What runs there gets SIGHUP unless it was detached."""
        self.process.terminate()

    def _told(self) -> bool:
        if self.log is None:
            return False
        self.log.seek(0)
        return _STATUS.search(self.log.read().decode("utf-8", "replace")) is not None


def held_by_ssh(logins: Sequence[Login], command: str) -> HeldSsh:
    """Start ``command`` on a terminal of the last of ``logins``, over a connection that outlives us.

    The client waits at a gate after it has entered and before it sends the command, so that nothing was started
    where this fails, or where we die meanwhile.

    :raises UnusableError: no OpenSSH client here, or it does not get in.
    """
    program = shutil.which("ssh")
    if not program or sys.platform == "win32":
        raise UnusableError("no ssh program here")
    with private_folder() as folder:
        log, there, gate = folder / "log", folder / "there", folder / "gate"
        os.mkfifo(gate, 0o600)
        # ssh runs the local command when it has entered, before it opens the session, and waits for its end.
        # Without a gate (the folder is gone, the holder is dead) it ends the client too.
        ask = f'{{ : > {quote(str(there))}; read -r go; }} < {quote(str(gate))}; test "$go" = go || kill -9 $PPID'
        wishes = {
            "PermitLocalCommand": "yes",
            "LocalCommand": ask.replace("%", "%%"),
            "LogLevel": "DEBUG1",
            "EscapeChar": "none",
            "SendEnv": "LC_ALL",
            # With the connection the script may end, so a line that is silent for some minutes is tolerated.
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "20",
        }
        pairs = (("-o", f"{name}={value}") for name, value in wishes.items())
        own = ["-tt", *(word for pair in pairs for word in pair)]
        # Its own words apart from the command's: what the command says is judged.
        apart = ["/bin/sh", "-c", 'exec "$@" 2> "$0"', str(log)]
        argv = [*apart, *child_command(program, logins, folder, command, own=own)]
        with keys_for_child(logins, folder):
            try:
                terminal = HeldSsh(argv, environ=child_environ(logins), gate=gate)
            except OSError as error:
                raise UnusableError(f"{argv[0]}: {error.strerror}") from error
            _wait_for(there, terminal, log)
        terminal.log = log.open("rb")  # readable after the folder has gone
        terminal.release()
    return terminal


def _wait_for(there: Path, terminal: HeldSsh, log: Path) -> None:
    """:raises UnusableError: the client ended, or did not come there in time."""
    end = time.monotonic() + _ENTERING
    while not there.exists():
        if terminal.screen.done or time.monotonic() > end:
            terminal.close()
            said = log.read_text("utf-8", "replace") if log.exists() else terminal.look().text
            lines = [line for line in said.splitlines() if not line.startswith(("debug1: ", "OpenSSH_"))]
            raise UnusableError(" ".join(lines)[-300:].strip() or "ssh did not get in")
        time.sleep(_TICK)
