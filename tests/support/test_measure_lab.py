"""How soon a node that is back is noticed: the arithmetic, on records as the lab leaves them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.support.measure_lab import noticed


def test_it_counts_from_the_services_being_up_to_the_next_step(tmp_path: Path) -> None:
    shared = tmp_path / "ctm-1"
    shared.mkdir()
    (shared / "version").write_text("2.21.0")
    os.utime(shared / "version", (1000.0, 1000.0))  # its daemon's last start
    (shared / "knobs.json").write_text(json.dumps({"start_seconds": 1.5}))
    journal = tmp_path / "state" / "cluster" / "run" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    steps = [
        ("await", "step-started", 900.0),
        ("await", "step-done", 1002.0),
        ("settle", "step-started", 1002.25),
    ]
    journal.write_text(
        "".join(
            json.dumps({"at": datetime.fromtimestamp(at, UTC).isoformat(), "event": {"kind": kind, "step": f"{step}:ctm-1"}})
            + "\n"
            for step, kind, at in steps
        )
    )  # fmt: skip
    lab = SimpleNamespace(
        names=["ctm-1"], layout=SimpleNamespace(node=lambda name: SimpleNamespace(shared=tmp_path / name))
    )
    made = SimpleNamespace(state=tmp_path / "state", lab=lab)
    assert noticed(cast(Any, made)) == {"ctm-1": 0.75}
