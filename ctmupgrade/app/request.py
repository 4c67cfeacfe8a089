"""What the command line asks for, before anything is loaded that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.steps import Options


@dataclass(frozen=True, slots=True)
class Request:
    """The common part of a command line."""

    cluster: Path = Path("cluster.yaml")
    state_dir: Path | None = None
    strategy: StrategyName | None = None
    dry_run: bool = False
    simulate: Path | None = None
    options: Options = field(default_factory=Options)
    say: Callable[[str], None] = lambda _line: None  # prose about what goes on, for -v
    rate: int = 0  # bytes per second of all uploads together; 0: unlimited
    node_rate: int = 0  # and of each node's

    @property
    def mode(self) -> Mode:
        """``--dry-run`` wins over everything."""
        if self.dry_run:
            return Mode.DRY_RUN
        return Mode.SIMULATED if self.simulate else Mode.LIVE
