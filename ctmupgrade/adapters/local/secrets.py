"""Where ksctl's password is read from, and how secrets are kept out of what programs say."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ctmupgrade.adapters.disk.ownership import user_name
from ctmupgrade.adapters.local.process import Running, StoppedError, kill, operators_environ
from ctmupgrade.core.model import Node, Secret
from ctmupgrade.core.redact import SecretValues, learn
from ctmupgrade.errors import UsageError

_PASSWORD_COMMAND_TIMEOUT = 60.0  # seconds
_LARGEST = 65_536  # bytes of a password file, and of what a command prints


class Scrubber:
    """Replaces secrets by ``***`` in what a program said, in every spelling."""

    def __init__(self, secrets: list[Secret]) -> None:
        self._known = SecretValues(secret.reveal() for secret in secrets)
        self._held = b""

    def text(self, data: bytes | bytearray) -> str:
        """Return a whole output, decoded."""
        return self._known.hide(bytes(data).decode("utf-8", "replace"))

    def feed(self, piece: bytes) -> bytes:
        """Return a piece of a stream. An end that could be the beginning of a secret is kept back."""
        data = (self._held + piece).decode("utf-8", "surrogateescape")
        sure = max(0, len(data) - self._known.reach)
        for start, end in self._known.spans(data):
            if start < sure < end:
                sure = start
        self._held = data[sure:].encode("utf-8", "surrogateescape")
        return self._known.hide(data[:sure]).encode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        """Return what was kept back, at the end of a stream."""
        held, self._held = self._held.decode("utf-8", "surrogateescape"), b""
        return self._known.hide(held).encode("utf-8", "surrogateescape")


def read_password(node: Node, environ: Mapping[str, str], withheld: Iterable[str] = ()) -> Secret:
    """Return the password of ``node``'s ksctl user from where cluster.yaml says.

    Where it says nothing, from ksctl's own variable KSCTL_PASSWORD.

    :param withheld: variables that a ``password_command`` does not get.
    :raises UsageError: it is not there, is not text, or others can change the file that it is in.
    """
    settings = node.ksctl
    if settings.password_env:
        value = environ.get(settings.password_env, "")
    elif settings.password_file:
        value = _read_file(node, settings.password_file)
    elif settings.password_command:
        value = _ask_command(node, settings.password_command, environ, withheld)
    else:
        value = environ.get("KSCTL_PASSWORD", "")
    if not value:
        raise UsageError(
            f"{node.name}: no password for ksctl, because {settings.password_place} is empty",
            remedy="Set it, or name another place: password_env, password_file or password_command under ksctl.",
        )
    learn(value)  # before anything can be said about it
    if problem := unusable(value):
        raise UsageError(f"{node.name}: ksctl's password, from {settings.password_place}, {problem}")
    return Secret(value)


def unusable(value: str) -> str:
    """Return why a value can be nobody's password; "" where it can."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    return "has a zero byte in it" if "\0" in value else ""


def readable_by_others(path: Path) -> str:
    """Return what to say of a password file that others can read; "" where they cannot, or there is none."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        return f"others can read the password file {path} (mode {stat.S_IMODE(mode):04o}): chmod 600 {shlex.quote(str(path))}"
    return ""


def _read_file(node: Node, path: Path) -> str:
    brief = f"{node.name}: the file that ksctl.password_file names"
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            mode = about.st_mode
            if about.st_uid not in (os.geteuid(), 0):
                raise UsageError(
                    f"{brief}, {path}: it belongs to {user_name(about.st_uid)}, who can change it",
                    remedy=f"chown {user_name(os.geteuid())} {shlex.quote(str(path))}; chmod 600 {shlex.quote(str(path))}",
                )
            if mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise UsageError(
                    f"{brief}, {path}: others can write to it (mode {stat.S_IMODE(mode):04o})",
                    remedy=f"chmod 600 {shlex.quote(str(path))}",
                )
            data = file.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise UsageError(f"{brief}: it is longer than {_LARGEST} bytes")
            return data.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"{brief}: {error.strerror}", remedy="see cluster.yaml; ls -l") from None
    except UnicodeError:
        raise UsageError(f"{brief}: its content is not UTF-8 text") from None


def _ask_command(node: Node, command: str, environ: Mapping[str, str], withheld: Iterable[str]) -> str:
    """What the operator's program prints. The command itself is not shown: a password may be in it, or be it."""
    brief = f"{node.name}: ksctl.password_command"
    heard = {"out": bytearray(), "err": bytearray()}
    try:
        # Not in a session of its own: it may ask a person at this terminal.
        process = subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=operators_environ(withheld, environ),
        )
    except OSError as error:
        raise UsageError(f"{brief} cannot be started: {error.strerror}") from None
    except (ValueError, IndexError):
        raise UsageError(f"{brief} cannot be started: it is no command line") from None
    running = Running(process)
    try:
        for name, piece in running.pieces(total=_PASSWORD_COMMAND_TIMEOUT, most=_LARGEST):
            heard[name] += piece
    except StoppedError as why:
        raise UsageError(f"{brief}: {why.endless or 'it did not end'}") from None
    finally:
        if process.poll() is None:
            kill(process)
        running.leave()
    if process.returncode:
        said = heard["err"].decode("utf-8", "replace").strip()
        raise UsageError(
            f"{brief} ended with {process.returncode}", details="\n".join(said.splitlines()[-5:])
        )
    return heard["out"].decode("utf-8", "surrogateescape").rstrip("\r\n")
