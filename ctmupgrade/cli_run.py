"""How a run is attended on the command line: the question before it, and what is shown while it goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ctmupgrade.app.running import Wishes
from ctmupgrade.cli_common import Common, Format
from ctmupgrade.core.steps import Step
from ctmupgrade.errors import UsageError
from ctmupgrade.render import plain, show

if TYPE_CHECKING:
    from ctmupgrade.app.looking import CheckResult
    from ctmupgrade.app.setup import Setup
    from ctmupgrade.core.plan import Plan


@contextmanager
def wishes(
    common: Common,
    made: Setup,
    *,
    plan_file: Path | None = None,
    stop_after: str = "",
    confirm_each: bool = False,
    take_over: str = "",
) -> Iterator[Wishes]:
    """What the loop needs of the terminal, for the time of a run."""
    with show.watching(common.shown, made.cluster) as watch:

        def confirm_plan(planned: Plan, result: CheckResult) -> bool:
            notable = [f for f in result.findings if f.verdict.value not in ("pass",)]
            lines = [*plain.finding_lines(notable), *plain.question(planned, len(made.cluster.nodes))]
            for line in lines:
                typer.echo(line, err=common.shown is Format.JSON)
            return common.yes or made.mode.value == "SIMULATED" or _asked("Go on?")

        def confirm_step(step: Step) -> bool:
            return not confirm_each or _asked(f"Upgrade {step.node} now?")

        yield Wishes(confirm_plan, confirm_step, stop_after, watch, plan_file, take_over)


def _asked(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("a question must be answered and there is no terminal", remedy="--yes answers it")
    return typer.confirm(question, default=False)
