"""Ids of steps are made in one place, from the kind of the action and the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import ctmupgrade
from ctmupgrade.core.plan import steps
from ctmupgrade.core.plan.steps import step_id

PACKAGE = Path(ctmupgrade.__file__).parent
KINDS = get_args(steps.Kind)


def test_the_kinds_are_those_of_the_actions() -> None:
    assert sorted(KINDS) == sorted(
        action.__dataclass_fields__["kind"].default for action in get_args(steps.Action)
    )


def test_an_id_names_the_kind_and_the_node() -> None:
    assert step_id("upgrade", "ctm-1") == "upgrade:ctm-1"
    assert step_id("verify-archive", "") == "verify-archive"


def test_nobody_else_makes_ids_of_steps() -> None:
    made = re.compile(rf'f"(?:{"|".join(KINDS)}):\{{')
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "core" / "plan") and not path.is_relative_to(PACKAGE / "sim")
        for line in path.read_text(encoding="utf-8").splitlines()
        if made.search(line)
    ]
    assert not found
