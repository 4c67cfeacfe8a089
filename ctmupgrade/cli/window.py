"""The maintenance window at the terminal: how a plan lies in it, and the question where not all nodes fit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctmupgrade.cli.given import Common
from ctmupgrade.cli.output import fold
from ctmupgrade.cli.questions import ask, at_terminal
from ctmupgrade.commands.signals import leaving
from ctmupgrade.core.plan.windows import WindowFit, fit_lines, fit_summary, window_fit
from ctmupgrade.errors import BlockedError
from ctmupgrade.render import plain

if TYPE_CHECKING:
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.plan.plan import Plan


def lines_of(plan: Plan, made: Setup) -> list[str]:
    """Return how a plan lies in the window from now on; nothing where the window has no end."""
    return plain.window_lines(window_fit(made.cluster.window, plan.steps, plan.strategy, made.clock.now()))


@dataclass(slots=True)
class PartialConsent:
    """Whether the cluster may be left with two versions: asked once, for the time of a command.

    :ivar aside: takes the board away for the time of a question. :ivar given: nobody needs to be asked: an option says
        so, or the run shall stop after a node anyway.
    """

    common: Common
    aside: Callable[[], AbstractContextManager[None]]
    given: bool

    def __call__(self, fit: WindowFit) -> bool:
        """Ask where it was not given yet. :raises BlockedError: nobody can be asked."""
        if not self.given:
            with self.aside(), leaving():
                self.given = _partial_accepted(self.common, fit)
        return self.given


def _partial_accepted(common: Common, fit: WindowFit) -> bool:
    """Ask whether the cluster may be left with two versions.

    :raises BlockedError: nobody can be asked.
    """
    lines = [
        *plain.window_lines(fit),
        "the cluster would be left with two versions until the others are upgraded in the next window (ctmupgrade resume)",
    ]
    if not at_terminal(common):
        raise BlockedError(
            f"{fit_summary(fit)}: the cluster would be left with two versions",
            details="\n".join(fit_lines(fit)),
            remedy="set a longer window in cluster.yaml, or add --accept-partial",
        )
    return ask(
        f"Upgrade {fit.fitting} of {len(fit.nodes)} nodes now?",
        fold(common, lines),
        no="nothing more is started",
    )
