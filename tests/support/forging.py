"""A journal that was written anew by somebody who knows how: its chain holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def forge_plan(journal: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Give a run's journal another plan, and make all of its chain again."""
    forge_first(journal, lambda event: change(event["plan"]))


def forge_first(journal: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Give a run's journal another beginning, and make all of its chain again."""
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    change(lines[0]["event"])
    before, made = lines[0]["prev"], []
    for line in lines:
        text = json.dumps({**line, "prev": before})
        before = hashlib.sha256(text.encode()).hexdigest()
        made.append(text)
    journal.write_text("\n".join(made) + "\n", encoding="utf-8")
