"""The operator's programs that a run has started, as a fold over its journal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import in_service
from ctmupgrade.core.run.events import Event, ProgramEnded, ProgramStarted, StepStarted


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run of a hook or of a check of the operator's. :ivar code: None: it is not known how it ended."""

    what: str
    node: str
    argv: tuple[str, ...]
    started: datetime
    outcome: str = ""
    again: bool = False
    finished: datetime | None = None
    code: int | None = None
    output: str = ""
    error: str = ""

    @property
    def words(self) -> str:
        """Return what was run, and for which node: "before_node of ctm-2"."""
        return f"{self.what} of {self.node}" if self.node else self.what


def programs_after(held: tuple[ProgramRun, ...], event: Event, at: datetime) -> tuple[ProgramRun, ...]:
    """Return the programs after one more event."""
    match event:
        case ProgramStarted(what, node, argv, outcome, again):
            return (*held, ProgramRun(what, node, argv, at, outcome, again))
        case ProgramEnded(what, node, code, output, error):
            mine = [i for i, run in enumerate(held) if (run.what, run.node, run.code) == (what, node, None)]
            if not mine:
                return held
            last = mine[-1]
            ended = replace(
                held[last], finished=max(at, held[last].started), code=code, output=output, error=error
            )
            return (*held[:last], ended, *held[last + 1 :])
        case _:
            return held


def touched_after(held: frozenset[str], event: Event, plan: Plan) -> frozenset[str]:
    """Return the nodes ("": the run itself) that were begun since their last ``after_*`` hook ended."""
    match event:
        case StepStarted(step):
            found = next((s for s in plan.steps if s.id == step), None)
            out = {found.node} if found is not None and not in_service(found.action) else set()
            return held | {"", *out}
        case ProgramEnded("after_node" | "after_run", node):
            return held - {node}
        case _:
            return held
