"""A file of numbers that another program reads at any moment: always whole, and readable for it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.notify.errors import NotDeliveredError


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """Replaces one file. The collector is another user's process: the file is 0644 and holds no secret."""

    path: Path

    def send(self, payload: bytes) -> None:
        """Put a text in the file's place. :raises NotDeliveredError: it cannot be written."""
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")  # does not end as what is collected
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(part, flags, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask says
                file.write(payload)
            part.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise NotDeliveredError(error.strerror or "it cannot be written") from None
