"""Broken clusters (``fixtures/broken``), what ``recover`` says of them, and where its way back ends.

``case.yaml`` beside each world tells what is done: ``run`` (options of a run that is made first and stops),
``way`` (what an operator adds to ``recover``), and where it ends: ``members``, ``version``, ``left`` (nodes that
stay apart), or ``none`` where there is no way by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctmupgrade.commands import recover
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.config.load import load_world
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.sim import World
from tests.support import golden
from tests.support.world_run import world_of

PIN = re.compile(r"--pin [0-9a-f]{12}\b")
BROKEN = Path(__file__).parents[2] / "fixtures" / "broken"


@dataclass(frozen=True)
class Case:
    """One broken cluster."""

    folder: Path
    way: list[str]
    run: list[str] | None = None
    stops: int = 5  # that run's exit code
    later: float = 0.0  # so many seconds after that run somebody looks
    members: list[str] = field(default_factory=list)
    version: str = ""
    left: list[str] = field(default_factory=list)
    none: bool = False
    in_place: bool = False

    @property
    def known(self) -> OperatorInput:
        """The operator's words as a value."""
        words: dict[str, Any] = dict(zip(self.way[::2], self.way[1::2], strict=True))
        names = {key.lstrip("-"): tuple(value.split(",")) for key, value in words.items()}
        return OperatorInput(names.get("gone", ()), names.get("rejoin", ()), words.get("--survivor", ""))


def cases() -> list[str]:
    """All folders, by name."""
    return sorted(path.parent.name for path in BROKEN.glob("*/case.yaml"))


def case(name: str) -> Case:
    """A folder's case; YAML's plain scalars are text here."""
    raw: dict[str, Any] = dict(load_world(BROKEN / name / "case.yaml"))
    words: dict[str, Any] = {k: str(v) if k == "version" else v for k, v in raw.items()}
    return Case(BROKEN / name, **words)


def prepare(found: Case, state_dir: Path) -> None:
    """Makes the run that stops, where the case has one."""
    if found.run is not None:
        common = ["--state-dir", str(state_dir), "--simulate", str(found.folder)]
        code, _ = golden.call("run", "--yes", *common, *found.run)
        assert code == found.stops, (
            f"{found.folder.name}: the run before must stop at what breaks it, not exit {code}"
        )
        (kept,) = state_dir.glob("*/*/world.json")
        world = json.loads(kept.read_text(encoding="utf-8"))
        kept.write_text(json.dumps({**world, "elapsed": world["elapsed"] + found.later}), encoding="utf-8")


def ask(found: Case, state_dir: Path, *more: str) -> tuple[int, str]:
    """``ctmupgrade recover``: (exit code, standard output)."""
    return golden.call("recover", "--state-dir", str(state_dir), "--simulate", str(found.folder), *more)


def produce(found: Case, state_dir: Path) -> dict[str, str]:
    """What is kept as golden: the words, first without and then with what the operator knows."""
    prepare(found, state_dir)
    code, said = ask(found, state_dir)
    lines = [f"$ ctmupgrade recover   # exit {code}", said]
    if found.way:
        code, said = ask(found, state_dir, *found.way)
        lines += [f"$ ctmupgrade recover {' '.join(found.way)}   # exit {code}", said]
    code, said = ask(found, state_dir, "--format", "json", *found.way)
    steps = [step["id"] for step in json.loads(said)["steps"]]
    kept = {"exit_code": code, "steps": steps}
    return {
        "expected.txt": golden.normal(
            PIN.sub("--pin PIN", "\n".join(lines).replace(str(state_dir), "STATE"))
        ),
        "expected.json": json.dumps(kept, indent=2) + "\n",
    }


@contextmanager
def recovery(found: Case, state_dir: Path) -> Iterator[tuple[Setup, World, recover.Recovery]]:
    """The diagnosis with the world that it was made of, in this process."""
    with setup(CommandRequest(state_dir=state_dir, simulate=found.folder)) as made:
        seen = recover.look(made, found.known)
        yield made, world_of(made), seen


def take(made: Setup, seen: recover.Recovery) -> tuple[Outcome, recover.Recovery | None]:
    """The way back."""
    return recover.perform(made, RunOptions(), seen)
