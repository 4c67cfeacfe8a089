"""What a way to verify is: a program of the gpg family that knows the pinned key, and no other one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from ctmupgrade.adapters.gpg.verdict import PinnedKey, Status
from ctmupgrade.errors import BlockedError


class UnusableError(Exception):
    """A way that cannot be gone on this machine; its text says why, the program first."""


class Program(Protocol):
    """gpg or gpgv, ready to verify one message."""

    def verify_descriptor(self, fd: int, limit: float) -> Status:
        """Verify the signed message that ``fd`` reads, from its present offset to the end.

        :param limit: seconds. :raises UsageError: it does not end in time.
        """

    def stop(self) -> None:
        """End it, and any that is started later."""


class Way(Protocol):
    """A way to verify."""

    def ready(self, signer: str, keyring: Path | None) -> AbstractContextManager[tuple[Program, PinnedKey]]:
        """Return the program and the pinned key, for the time of the block.

        :raises UnusableError: it cannot be gone here.
        :raises UsageError: the keyring cannot be read, is damaged, or lacks the key.
        """


@contextmanager
def first_usable(
    ways: Sequence[Way], signer: str, keyring: Path | None
) -> Iterator[tuple[Program, PinnedKey]]:
    """Return the program and the key by the first way that can be gone.

    :raises BlockedError: none can. :raises UsageError: as for :meth:`Way.ready`.
    """
    reasons = []
    for way in ways:
        with ExitStack() as stack:
            try:
                found = stack.enter_context(way.ready(signer, keyring))
            except UnusableError as error:
                reasons.append(str(error))
                continue
            yield found
            return
    raise BlockedError(
        f"the archive cannot be verified on this machine: {'; '.join(reasons)}",
        remedy="apt install gnupg, or dnf install gnupg2; or verify where gpg is: ctmupgrade verify ARCHIVE",
    )
