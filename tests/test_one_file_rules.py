"""What the code must not do so that it also runs from one file, where there is neither a Python nor a file of ours."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ctmupgrade"
LEFT_OUT = {
    line
    for line in (ROOT / "scripts" / "onefile" / "left_out.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}
TREES = {p.relative_to(ROOT): ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _faults() -> Iterator[str]:
    for path, tree in TREES.items():
        nodes = list(ast.walk(tree))
        yield from (
            f"{path} imports {name}: scripts/onefile/left_out.txt"
            for name in _imported(tree)
            if name.split(".")[0] in LEFT_OUT
        )
        for node in nodes:
            if isinstance(node, ast.Name) and node.id == "__file__":
                yield f"{path}:{node.lineno} __file__: use importlib.resources"
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "executable"
                and path.name != "own_program.py"
            ):
                yield f"{path}:{node.lineno} sys.executable: a helper is started by adapters/own_program.py"


def test_nothing_that_the_one_file_lacks_is_used() -> None:
    assert list(_faults()) == []


def test_licences_are_told_where_there_is_no_text_of_them_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ctmupgrade", "--licenses"], capture_output=True, text=True, check=True
    )
    assert "MIT" in done.stdout and "dist-info" in done.stdout
