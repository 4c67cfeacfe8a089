"""A file of numbers that another program reads at any moment: always whole, and readable for it."""

from __future__ import annotations

import os
import tempfile
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
        part = ""
        try:
            # Does not end as what is collected; new, no link, whatever somebody has put there.
            descriptor, part = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask says
                file.write(payload)
            Path(part).replace(self.path)
        except OSError as error:
            if part:
                with suppress(OSError):
                    Path(part).unlink()
            raise NotDeliveredError(error.strerror or "it cannot be written") from None
