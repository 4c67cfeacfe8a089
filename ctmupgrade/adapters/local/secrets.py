"""Where ksctl's password is read from, and how secrets are kept out of what programs say."""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.parse
from collections.abc import Mapping

from ctmupgrade.core.model import Node, Secret
from ctmupgrade.errors import UsageError

_PASSWORD_COMMAND_TIMEOUT = 60.0  # seconds


class Scrubber:
    """Replaces secrets by ``***`` in what a program said, also in JSON's and in URLs' spelling."""

    def __init__(self, secrets: list[Secret]) -> None:
        spellings: set[str] = set()
        for value in (secret.reveal() for secret in secrets):
            lines = [value, *value.splitlines()]
            spellings |= {*lines, json.dumps(value)[1:-1], urllib.parse.quote(value, safe="")}
        encoded = {spelling.strip("\r\n").encode() for spelling in spellings} - {b""}
        self._spellings = sorted(encoded, key=len, reverse=True)
        self._held = b""

    def text(self, data: bytes | bytearray) -> str:
        """A whole output, decoded."""
        return self._clean(bytes(data)).decode("utf-8", "replace")

    def feed(self, piece: bytes) -> bytes:
        """A piece of a stream. An end that could be the beginning of a secret is kept back."""
        data = self._clean(self._held + piece)
        keep = 0
        for spelling in self._spellings:
            for length in range(min(len(spelling) - 1, len(data)), keep, -1):
                if data.endswith(spelling[:length]):
                    keep = length
                    break
        cut = len(data) - keep
        self._held = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """What was kept back, at the end of a stream."""
        held, self._held = self._held, b""
        return held

    def _clean(self, data: bytes) -> bytes:
        for spelling in self._spellings:
            data = data.replace(spelling, b"***")
        return data


def read_password(node: Node, environ: Mapping[str, str]) -> Secret:
    """The password of ``node``'s ksctl user from where cluster.yaml says.

    Where it says nothing, from ksctl's own variable KSCTL_PASSWORD.

    :raises UsageError: it is not there.
    """
    settings = node.ksctl
    if settings.password_env:
        value = environ.get(settings.password_env, "")
    elif settings.password_file:
        try:
            value = settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UsageError(f"{node.name}: ksctl.password_file {settings.password_file}: {why}") from error
    elif settings.password_command:
        value = _ask_command(node, settings.password_command, environ)
    else:
        value = environ.get("KSCTL_PASSWORD", "")
    if not value:
        raise UsageError(
            f"{node.name}: no ksctl password: {settings.password_place} is empty",
            remedy="Set it, or name another place: password_env, password_file or password_command under ksctl.",
        )
    return Secret(value)


def _ask_command(node: Node, command: str, environ: Mapping[str, str]) -> str:
    brief = f"{node.name}: ksctl.password_command {command!r}"
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environ),
            timeout=_PASSWORD_COMMAND_TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"{brief} cannot be started: {error}") from error
    except subprocess.TimeoutExpired:  # its exception holds the output: not chained
        raise UsageError(f"{brief} did not end within {_PASSWORD_COMMAND_TIMEOUT:g} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise UsageError(f"{brief} ended with {done.returncode}", details=said)
    return done.stdout.decode("utf-8", "replace").rstrip("\r\n")
