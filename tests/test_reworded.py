"""No decision is taken on the program's own prose.

Every message, note, reason and remedy is replaced by random words as it is made; a run that is killed at any moment
and resumed must end as it does with the real ones. What nodes say (replies, logs, terminals) is left as it is.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.base import LookResult
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.go_on import GoOn, to_go_on
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.events import RunEnded, RunPaused, StepFailed, StepReopened
from ctmupgrade.core.run.interlocks import Hold
from ctmupgrade.core.ticks import Noted, Waiting
from ctmupgrade.errors import CtmUpgradeError
from tests.support import crashes, driver

PACKAGE = Path(__file__).parents[1] / "ctmupgrade"
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
    (Noted, ("text",)), (Waiting, ("what", "gist")), (LookResult, ("detail", "gist", "remedy")),
    (Unknown, ("why", "remedy")), (Problem, ("text", "remedy")), (Finding, ("summary", "remedy")), (Hold, ("why", "remedy")),
    (CtmUpgradeError, ("brief", "details", "remedy")), (NotUnderstoodError, ("what",)), (Step, ("why",)),
    (StepFailed, ("error",)), (StepReopened, ("why",)), (RunPaused, ("why",)), (RunEnded, ("why",)),
)  # fmt: skip
TEXTS = {name for _, names in PROSE for name in names} | {"words", "note"}
OF_NODES = {"peer.summary"}  # what the appliance says
TAKING_APART = {
    "startswith", "endswith", "partition", "rpartition", "split", "rsplit", "find", "rfind", "index", "count",
    "removeprefix", "removesuffix", "lower", "upper", "casefold",
}  # fmt: skip


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
    assert Finding("check", Verdict.BLOCK, "n", "no answer", "look").summary.split()[0] in WORDS


@pytest.mark.parametrize(
    ("scenario", "asks"), [("node-never-comes-back", []), ("upgrade-fails-on-node-2", ["node retry"])]
)
def test_what_stops_a_run_says_once_how_to_go_on(scenario: str, asks: list[str]) -> None:
    with crashes.drive(scenario) as run:
        run.through()
        ((_, held),) = run.stuck
        remedy, *lines = held.remedy.splitlines()
        assert set(remedy.split()) <= set(WORDS)
        assert [line.count("ctmupgrade") for line in lines] == [1] * (len(asks) + 1)
        assert lines[-1] == f"then: ctmupgrade resume {run.state.run}"
        assert all(f"ctmupgrade {word} {run.state.run} ctm-2 --reason" in lines[0] for word in asks)


@pytest.mark.parametrize("how", GoOn)
def test_each_way_to_go_on_has_commands_of_its_own(how: GoOn) -> None:
    said = {one: to_go_on(one, "RUN", "ctm-2") for one in GoOn}
    assert list(said.values()).count(said[how]) == 1
    ends = how in (GoOn.RECOVER, GoOn.ABORT_AND_RECOVER, GoOn.NEW_RUN)
    assert said[how].count("ctmupgrade resume RUN") == (0 if ends else 1)
    aborts = how in (GoOn.RESUME_OR_RECOVER, GoOn.ABORT_AND_RECOVER, GoOn.NEW_RUN)
    assert ("ctmupgrade abort RUN" in said[how]) is aborts
    assert "ctmupgrade node" not in to_go_on(how, "RUN", ""), "a step of no node is not decided on"


def _text_named(node: ast.expr) -> str:
    """Return the name of one of our own texts that an expression is; "" where it is none."""
    match node:
        case ast.Attribute(attr=name) if name in TEXTS and ast.unparse(node) not in OF_NODES:
            return name
        case _:
            return ""


def _taken_apart(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in TAKING_APART and _text_named(
                value
            ):
                yield f"{node.lineno}: .{_text_named(value)}.{attr}()"
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[right]) if _text_named(right):
                yield f"{node.lineno}: in .{_text_named(right)}"
            case ast.Compare(
                left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=str(text))]
            ) if text:
                if _text_named(left):
                    yield f"{node.lineno}: .{_text_named(left)} == {text!r}"


def test_no_code_takes_our_own_texts_apart() -> None:
    found = {
        str(file.relative_to(PACKAGE)): lines
        for file in PACKAGE.rglob("*.py")
        if file.parent.name != "sim"  # what happens in a simulated world is told to nobody
        if (lines := list(_taken_apart(ast.parse(file.read_text()))))
    }
    assert found == {}


LONG = ("healthy-twenty",)  # twenty nodes have no words that three have not


@pytest.mark.parametrize(
    "scenario", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in driver.names()]
)
def test_a_kill_changes_nothing_whatever_the_words(scenario: str) -> None:
    quiet = crashes.calm(scenario)
    if quiet is None:
        return
    assert quiet.code == int((driver.SCENARIOS / scenario / "exit_code").read_text())
    moments = crashes.chosen(scenario, quiet.moments, full=False)
    few = random.Random(SEED).sample(moments, min(len(moments), 6))
    wrong = [text for moment in few for text in crashes.killed_at(scenario, moment)]
    assert not wrong, "\n".join(wrong[:10])
