"""No sentence of ours reads as if a secret were in it: what is hidden of it would be missing to whoever must act."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.config.schema import MODELS, PRIVATE
from ctmupgrade.core.redact import hidden
from ctmupgrade.core.redact.names import is_secret_name

PACKAGE = Path(__file__).parents[2] / "ctmupgrade"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Commands for copying, which are printed as they are, and expressions, which are not printed.
AS_THEY_ARE = ("export KSCTL_PASSWORD=", "ctmupgrade recover")
NOT_PRINTED = "(?:"


def _texts(module: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but docstrings, with X in the place of what is filled in."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    skipped |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            yield node.lineno, "".join(str(part) for part in parts)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_of_our_own_words_is_hidden(module: Path) -> None:
    eaten = [
        f"line {line}: {text!r} is shown as {hidden(text)!r}"
        for line, text in _texts(module)
        if hidden(text) != text and NOT_PRINTED not in text and not text.startswith(AS_THEY_ARE)
    ]
    assert eaten == []


def test_a_key_that_sounds_like_a_secret_is_one_whose_value_is_not_shown() -> None:
    keys = {field.alias or name for model in MODELS.values() for name, field in model.model_fields.items()}
    assert {key for key in keys if is_secret_name(key)} <= PRIVATE
