"""What cluster.yaml says of the jump hosts on the way to a node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JumpSettings:
    """The settings of all jump hosts of a node; None: what the SSH configuration says."""

    user: str | None = None
    port: int | None = None
    identity_file: Path | None = None
    passphrase_env: str | None = None
    known_hosts: Path | None = None


NO_JUMP = JumpSettings()
