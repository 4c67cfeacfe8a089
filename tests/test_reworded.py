"""No decision is taken on the program's own prose.

Every message, note, reason and remedy is replaced by random words as it is made; a run that is killed at any moment
and resumed must end as it does with the real ones. What nodes say (replies, logs, terminals) is left as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ctmupgrade.actions.base import LookResult
from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.ticks import Noted, Waiting
from ctmupgrade.errors import CtmUpgradeError
from tests.support import crashes, driver

SEED = 20261129
WORDS = [
    "amber",
    "basalt",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "granite",
    "harbour",
    "inlet",
    "juniper",
    "kelp",
    "lichen",
]
PROSE: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Noted, ("text",)), (Waiting, ("what",)), (LookResult, ("detail", "remedy")), (Unknown, ("why",)),
    (Problem, ("text",)), (Finding, ("summary", "remedy")), (CtmUpgradeError, ("brief", "details", "remedy")),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _reworded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every value of these types gets other words."""
    chance = random.Random(SEED)

    def other(text: str) -> str:
        return " ".join(chance.choices(WORDS, k=max(1, len(text.split())))) if text else text

    def wrapped(init: Callable[..., None], names: tuple[str, ...]) -> Callable[..., None]:
        def made(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            for name in names:
                object.__setattr__(self, name, other(getattr(self, name)))

        return made

    for kind, names in PROSE:
        monkeypatch.setattr(kind, "__init__", wrapped(kind.__init__, names))  # type: ignore[misc]
    crashes.calm.cache_clear()
    yield
    crashes.calm.cache_clear()


def test_the_words_are_others() -> None:
    assert Noted("ks_upgrade.sh runs").text.split()[0] in WORDS
    assert CtmUpgradeError("no answer", remedy="look").remedy in WORDS


@pytest.mark.parametrize("scenario", driver.names())
def test_a_kill_changes_nothing_whatever_the_words(scenario: str) -> None:
    quiet = crashes.calm(scenario)
    if quiet is None:
        return
    assert quiet.code == int((driver.SCENARIOS / scenario / "exit_code").read_text())
    moments = crashes.chosen(scenario, quiet.moments, full=False)
    few = random.Random(SEED).sample(moments, min(len(moments), 6))
    wrong = [text for moment in few for text in crashes.killed_at(scenario, moment)]
    assert not wrong, "\n".join(wrong[:10])
