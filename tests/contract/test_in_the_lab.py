"""The contract suite against the lab's nodes. They live in a network of their own, so it runs once more there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.contract import test_nodes
from tests.lab.cluster import Lab
from tests.lab.host import ROOT

POSSIBLE, WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab2"),
    pytest.mark.skipif(
        not POSSIBLE or bool(os.environ.get("CTMUPGRADE_CONTRACT_LAB")), reason=WHY or "inside"
    ),
]
NAMES = [name for name in vars(test_nodes) if name.startswith("test_")]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_holds_for_real_nodes(name: str, tmp_path: Path) -> None:
    folder = Path(tmp_path.anchor) / "tmp" / f"ctm-{os.getpid()}-{NAMES.index(name)}"
    with Lab.up(n=2, directory=folder, archive_size="3M") as lab:
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"tests/contract/test_nodes.py::{name}",
        ]
        done = lab.run(
            words, {"CTMUPGRADE_CONTRACT_LAB": str(folder)}, cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
