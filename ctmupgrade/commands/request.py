"""What the command line asks for, before anything is loaded that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.near import nearest
from ctmupgrade.errors import UsageError

_NEEDS = "a fixture folder holds cluster.yaml and world.yaml, or the two files of `record DIR`"


def fixture_folder(folder: Path) -> None:
    """Make sure that a fixture is named. :raises UsageError: ``--simulate`` names what is none."""
    if not folder.is_dir():
        what = "it is no folder" if folder.exists() else f"there is no such folder{_like(folder)}"
        raise UsageError(f"--simulate {folder}: {what}", remedy=_NEEDS)
    if not (folder / "cluster.yaml").is_file():
        raise UsageError(f"--simulate {folder}: there is no cluster.yaml in it", remedy=_NEEDS)
    if not any((folder / name).is_file() for name in ("world.yaml", "transcript.jsonl")):
        raise UsageError(f"--simulate {folder}: there is no world.yaml in it", remedy=_NEEDS)


def _like(folder: Path) -> str:
    """The scenario beside it that may be meant."""
    try:
        near = nearest(folder.name, [one.name for one in folder.parent.iterdir() if one.is_dir()])
    except OSError:
        return ""
    return f"; did you mean {folder.with_name(near)}?" if near else ""


class Purpose(Enum):
    """What a command's options are for: a plan reads all of them, the others a part."""

    PLAN = "check, plan, runbook and run"
    PREPARE = "stage and backup, which may take some nodes before the others"
    RECOVER = "recover, whose plan no strategy makes"


@dataclass(frozen=True, slots=True)
class CommandRequest:
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

    purpose: Purpose = Purpose.PLAN
    needs_archive: bool = (
        True  # False: cluster.yaml's archive may be missing, as after the loss of everything
    )
    pace: float = 0.0  # so many seconds of a simulation pass in one of ours; 0: as fast as it goes

    @property
    def mode(self) -> Mode:
        """Return the mode; ``--dry-run`` wins over everything."""
        if self.dry_run:
            return Mode.DRY_RUN
        return Mode.SIMULATED if self.simulate else Mode.LIVE
