"""A simulated run whose second node fails, and what a person decides then: what reports are looked at for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import golden

SCENARIO = golden.SCENARIOS / "upgrade-fails-on-node-2"
REASON = "the vendor freed space; CHG-4711"


@dataclass(frozen=True)
class FailedRun:
    """A run in a state folder of its own."""

    state: Path

    @property
    def journal(self) -> Path:
        """Its journal."""
        return next(self.state.glob("*/*/journal.jsonl"))

    @property
    def run(self) -> str:
        """Its id."""
        return self.journal.parent.name

    def typed(self, *words: str) -> tuple[int, str]:
        """A command as it is typed."""
        return golden.call(*words, "--state-dir", str(self.state))

    def report(self) -> Any:
        """Its document."""
        return json.loads(self.typed("report", self.run, "--format", "json")[1])

    def written(self, name: str) -> str:
        """Its report as a file, of the kind that the name's suffix says."""
        file = self.state / name
        assert self.typed("report", self.run, "-o", str(file))[0] == 0
        return file.read_text(encoding="utf-8")

    def decided(self, decision: str) -> int:
        """Goes on after a decision. The exit code."""
        assert self.typed("node", decision, self.run, "ctm-2", "--reason", REASON)[0] == 0
        return self.typed("resume", "--simulate", str(SCENARIO))[0]


def failed_run(state: Path) -> FailedRun:
    """One that stands still after its failure."""
    code, _ = golden.call("run", "--yes", "--state-dir", str(state), "--simulate", str(SCENARIO))
    assert code == 5
    return FailedRun(state)
