"""``demo``: an upgrade that can be watched, of a cluster that comes with the program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import LOOK, opened, registry
from ctmupgrade.cli.options import Pace
from ctmupgrade.cli.place import placed
from ctmupgrade.cli.rehearsal import faults_of, pace_of
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.commands.check import CheckResult
    from ctmupgrade.commands.demo import DemoPlace
    from ctmupgrade.commands.run import RunOptions
    from ctmupgrade.core.plan.plan import Plan

_NEXT = (
    ("ctmupgrade report", "what happened, step by step"),
    ("ctmupgrade plan", "the steps with their reasons"),
    ("ctmupgrade runbook", "the same for a person without this program"),
    (
        "ctmupgrade run --pace 60x --fault upgrade_fails@upgrade:ctm-2",
        "a bad night, and what it says to do then",
    ),
    ("ctmupgrade run --fault list", "all that can go wrong"),
)
_OWN = (
    ("ctmupgrade init", "writes a cluster.yaml of your own cluster"),
    ("ctmupgrade record DIR", "looks at it, and changes nothing"),
    ("ctmupgrade run --simulate DIR --pace 60x", "rehearses its upgrade on what was recorded"),
)


@registry.command(LOOK)
def demo(common: Common, pace: Pace = "") -> int:
    """Rehearse an upgrade of three made-up nodes, to see how it looks; it needs no cluster and no network."""
    from ctmupgrade.commands.demo import FAULT, PACE, demo_place

    if common.simulate is not None:
        raise UsageError(
            "demo has a cluster of its own",
            remedy=f"ctmupgrade run --simulate {shlex.quote(str(common.simulate))}",
        )
    speed = pace_of(replace(common, simulate=Path()), pace or PACE)
    place = demo_place(common.state_dir)
    there = replace(
        common,
        cluster=Path("cluster.yaml"),
        simulate=place.fixture,
        state_dir=place.state,
        strategy=None,
        yes=True,
    )
    if there.shown is not Format.JSON:
        _say(
            f"Three made-up nodes in memory, {speed:g} times faster than in real life; every connection to ctm-2 ends in the\n"
            f"    middle of its upgrade: ctmupgrade run --pace {speed:g}x --fault {FAULT}"
        )
    code = _run(there, speed, FAULT)
    if there.shown is not Format.JSON:
        _advise(there, place)
    return code


def _say(text: str) -> None:
    typer.echo(f"\n=== {text}")


def _run(there: Common, speed: float, fault: str) -> int:
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import run as running
    from ctmupgrade.core.model import Options

    with opened(there, Options(), pace=speed) as made:
        with wishes(there, made, faults=faults_of(there, [fault])) as wish:
            outcome = running.run(made, replace(wish, confirm_plan=_answered(there, wish)))
        return finish(there, made, outcome)


def _answered(there: Common, wish: RunOptions) -> Callable[[Plan, CheckResult], bool]:
    """The question of the real run, with its answer."""

    def confirm(planned: Plan, result: CheckResult) -> bool:
        going = wish.confirm_plan(planned, result)
        out = sys.stderr if there.shown is Format.JSON else sys.stdout
        out.write("Go on? [y/N]: y   (the demo answers)\n")
        return going

    return confirm


def _advise(there: Common, place: DemoPlace) -> None:
    _say("What to try next, with the same made-up nodes:")
    for command, what in _NEXT:
        typer.echo(f"  {placed(command, there)}\n      {what}")
    if place.temporary:
        typer.echo(f"  rm -r {shlex.quote(str(place.state))}\n      when you are done with them")
    typer.echo("And with your own cluster:")
    for command, what in _OWN:
        typer.echo(f"  {command}\n      {what}")
