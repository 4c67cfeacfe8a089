"""``scripts/mutate`` breaks what is there: each mutation's text occurs exactly once, and each promise has one."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def mutate() -> ModuleType:
    loader = SourceFileLoader("scripts_mutate", str(ROOT / "scripts" / "mutate"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = sys.modules[loader.name] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_mutation_still_fits_the_code(mutate: ModuleType) -> None:
    lost = {
        mutation.name: count
        for mutation in mutate.MUTATIONS
        if (count := (ROOT / "ctmupgrade" / mutation.file).read_text().count(mutation.old)) != 1
    }
    assert lost == {}


def test_every_promise_is_broken_once(mutate: ModuleType) -> None:
    assert {mutation.promise for mutation in mutate.MUTATIONS} == set(range(1, 9))
