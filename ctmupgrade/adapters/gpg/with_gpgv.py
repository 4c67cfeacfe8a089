"""Verifies with gpgv, which needs no home and writes nothing: the machine's, or the one that the one file brings.

gpgv takes every key of its keyring for trusted. Its keyring is therefore made here, of the pinned key alone.
"""

from __future__ import annotations

import os
import pkgutil
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.gpg.ended_in_time import end_session, ended_in_time
from ctmupgrade.adapters.gpg.key_packets import DamagedError, Key, read_keys
from ctmupgrade.adapters.gpg.keyring import damaged, missing_key, read_keyring
from ctmupgrade.adapters.gpg.program import SHORT
from ctmupgrade.adapters.gpg.verdict import PinnedKey, Status, hear
from ctmupgrade.adapters.gpg.way import UnusableError
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.adapters.memory_file import memory_file


class GpgvProgram:
    """gpgv as a child process, with a keyring."""

    def __init__(self, name: str, path: str, keyring: str, files: tuple[int, ...]) -> None:
        """:param name: for messages. :param path: of the program. :param files: descriptors that both are."""
        self._name, self._files, self.stopped = name, files, False
        # No home: it would look for keyrings there.
        self._argv = [path, "--homedir", "/nonexistent", "--status-fd", "2", "--keyring", keyring, "--", "-"]
        self.child: subprocess.Popen[bytes] | None = None

    def verify_descriptor(self, fd: int, limit: float) -> Status:
        """Verify the signed message that ``fd`` reads; see :class:`.way.Program`."""
        said = Status(self)
        self.child = subprocess.Popen(
            self._argv, stdin=fd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environ(),
            pass_fds=self._files, start_new_session=True,
        )  # fmt: skip
        if self.stopped:  # while it was being started, by another thread
            self.stop()
        with ended_in_time(self._name, limit, self.stop), self.child as child:
            if child.stderr is not None:
                hear(child.stderr, said)
            said.returncode = child.wait()
        return said

    def stop(self) -> None:
        """End the child, and any that is started later."""
        self.stopped = True
        end_session(self.child)


class WithGpgv:
    """A :class:`.way.Way` with the machine's gpgv."""

    def __init__(self, gpgv: str = "gpgv") -> None:
        """:param gpgv: name or path of the program."""
        self._name = gpgv

    @contextmanager
    def ready(self, signer: str, keyring: Path | None) -> Iterator[tuple[GpgvProgram, PinnedKey]]:
        """Return a gpgv that knows the pinned key only; see :class:`.way.Way`."""
        with ExitStack() as stack:
            path, files = self._program(stack)
            if not _answers(path, files):
                raise UnusableError(f"{self._name} does not work here")
            if keyring is None:
                raise UnusableError(
                    f"{self._name} reads no user's keyring: set target.keyring to the vendor's public key file"
                )
            packed, key = _one_key(read_keyring(keyring, signer), signer, keyring)
            place, more = _placed(stack, "keyring", packed)
            yield GpgvProgram(self._name, path, place, (*files, *more)), key

    def _program(self, _stack: ExitStack) -> tuple[str, tuple[int, ...]]:
        """Its path, and the descriptor that it is. :raises UnusableError: it is not there."""
        found = shutil.which(self._name)
        if not found:
            raise UnusableError(f"{self._name} is not installed")
        return found, ()


class WithOwnGpgv(WithGpgv):
    """A :class:`.way.Way` with the gpgv that is packed into the one file (scripts/build). It is run from memory."""

    def __init__(self) -> None:
        super().__init__("the gpgv of this file")

    def _program(self, stack: ExitStack) -> tuple[str, tuple[int, ...]]:
        try:
            data = pkgutil.get_data("ctmupgrade.adapters.gpg", "gpgv")
        except OSError:
            data = None
        if not data:
            raise UnusableError("no gpgv is packed in here")
        return _placed(stack, "gpgv", data, runs=True)


def _placed(stack: ExitStack, name: str, data: bytes, *, runs: bool = False) -> tuple[str, tuple[int, ...]]:
    """A path that our children can open, and the descriptor that they need for it: in memory, else in a private folder."""
    try:
        fd = memory_file(name, data, runs=runs)
    except OSError:
        path = stack.enter_context(private_folder()) / name
        path.write_bytes(data)
        path.chmod(0o700 if runs else 0o600)
        return str(path), ()
    stack.callback(os.close, fd)
    return f"/proc/self/fd/{fd}", (fd,)


def _environ() -> dict[str, str]:
    """With a home, in which nothing is: to find one it would ask the name service for the user, and a static gpgv dies of
    that where the user is not known."""
    return {**login_environ(), "HOME": "/nonexistent"}


def _answers(path: str, files: tuple[int, ...]) -> bool:
    argv = [path, "--version"]
    try:
        done = subprocess.run(
            argv, env=_environ(), pass_fds=files, capture_output=True, stdin=subprocess.DEVNULL, timeout=SHORT,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.startswith(b"gpgv (GnuPG)")


def _one_key(data: bytes, signer: str, keyring: Path) -> tuple[bytes, PinnedKey]:
    """The pinned key as gpgv reads it, and what is known of it.

    :raises UsageError: the keyring is damaged, or lacks it.
    """
    try:
        keys, revocations = read_keys(data)
        known = {name: key.strengths() for name, key in keys.items() if key.usable}
    except DamagedError:
        raise damaged(keyring, "") from None
    # Primary fingerprints last: one key's primary may be another's subkey, and then counts as itself.
    owners: dict[str, Key] = {part: keys[name] for name, parts in known.items() for part in parts}
    owners |= {name: keys[name] for name in known}
    if signer not in owners:
        raise missing_key(signer, keyring, sorted(known))
    key = owners[signer]
    others = {part: (owner.fingerprint, owner.name) for part, owner in owners.items()}
    made = datetime.fromtimestamp(key.made, UTC)
    return key.packed(revocations), PinnedKey(key.fingerprint, made, others, known[key.fingerprint])
