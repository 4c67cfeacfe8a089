"""Where commands are typed: a folder, a state folder of its own, and the installed program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.live import PROGRAM, clean_environ

SCENARIOS = Path(__file__).parents[2] / "fixtures" / "scenarios"
Done = subprocess.CompletedProcess[str]


class Desk:
    """A folder with a state folder of its own, in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.environ = clean_environ(folder)

    def type(self, *words: str, scenario: str = "", **environ: str) -> Done:
        place = ["--simulate", str(SCENARIOS / scenario)] if scenario else []
        argv = [str(PROGRAM), *words, *place]
        env = {**self.environ, "CTMUPGRADE_STATE_DIR": str(self.state), **environ}
        return subprocess.run(
            argv, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def ok(self, *words: str, scenario: str = "", code: int = 0) -> Any:
        """Types it with ``--format json``; its one document."""
        said = self.type(*words, "--format", "json", scenario=scenario)
        assert said.returncode == code, said.stdout + said.stderr
        document = json.loads(said.stdout)  # fails where there is more than one
        assert document["schema"] == 1
        return document

    @property
    def journal(self) -> Path:
        return max(self.state.glob("*/*/journal.jsonl"), key=lambda p: p.parent.name)


def has(document: Any, *keys: str) -> None:
    assert [key for key in keys if key not in document] == []


REPORT = ("schema", "run", "cluster", "mode", "state", "outcome", "nodes", "steps")


def is_report(document: Any) -> None:
    has(document, *REPORT)
    for node in document["nodes"]:
        has(node, "name", "version_before", "version_after", "state")
    for step in document["steps"]:
        has(step, "id", "status", "started", "finished", "evidence")
