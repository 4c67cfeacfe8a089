"""The common options as values: what every command is told of its surroundings."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ctmupgrade.core.modes import StrategyName


class Format(StrEnum):
    """How results are shown; auto is rich on a terminal and plain elsewhere."""

    AUTO = "auto"
    RICH = "rich"
    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Common:
    """The common options as given; None and False are "not given"."""

    cluster: Path | None = None
    state_dir: Path | None = None
    format: Format | None = None
    strategy: StrategyName | None = None
    yes: bool = False
    dry_run: bool = False
    simulate: Path | None = None
    verbose: bool = False

    def over(self, outer: Common) -> Common:
        """Return these options, with what was given before the command's name where they are silent."""
        return Common(
            self.cluster or outer.cluster,
            self.state_dir or outer.state_dir,
            self.format or outer.format,
            self.strategy or outer.strategy,
            self.yes or outer.yes,
            self.dry_run or outer.dry_run,
            self.simulate or outer.simulate,
            self.verbose or outer.verbose,
        )

    @property
    def shown(self) -> Format:
        """Return the format to use."""
        if self.format not in (None, Format.AUTO):
            return self.format or Format.PLAIN
        return Format.RICH if sys.stdout.isatty() else Format.PLAIN
