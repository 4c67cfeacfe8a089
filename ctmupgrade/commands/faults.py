"""``--fault NAME@STEP``: what goes wrong in a rehearsal, and when."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import UsageError

LIST = "list"
_FORM = re.compile(r"([A-Za-z][\w -]*?)(?::(\d{1,6})([smh]))?@(\S+?)(?:\+(\d{1,6})([smh]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_EXAMPLE = "--fault upgrade_fails@upgrade:ctm-2"

Watch = Callable[[RunState, Event | None, str, Tick | None], None]


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault that begins with a step.

    :ivar step: its id, or its kind: then the first step of that kind that begins. :ivar lasts: seconds; 0: until it is fixed.
    :ivar after: so many seconds after the step's start.
    """

    name: str
    step: str
    lasts: float = 0.0
    after: float = 0.0

    def begins_with(self, step: Step) -> bool:
        """Return whether it begins with this step."""
        return self.step in (step.id, step.action.kind)


def fault_lines() -> Iterator[str]:
    """Yield the names of all faults and what each does."""
    from ctmupgrade.sim.fault_names import WORDS

    width = max(len(name) for name in WORDS)
    yield f"{_EXAMPLE} lets a fault begin with a step of the plan: its id, or its kind for the first of that kind."
    yield "NAME:90s@STEP lasts 90 seconds; without it what lasts does so until the run is resumed."
    yield "NAME@STEP+5m begins 5 minutes after the step."
    yield from (f"  {name:{width}}  {words}" for name, words in WORDS.items())


def fault_names() -> list[dict[str, str]]:
    """Return the same as data."""
    from ctmupgrade.sim.fault_names import WORDS

    return [{"name": name, "does": words} for name, words in WORDS.items()]


def planned_fault(text: str) -> PlannedFault:
    """Return what ``NAME@STEP`` means. :raises UsageError: of another form, or there is no such fault."""
    from ctmupgrade.sim.fault_names import WORDS
    from ctmupgrade.sim.faults import LASTING

    found = _FORM.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--fault {text}: NAME@STEP is expected", remedy=f"{_EXAMPLE}, or --fault {LIST}")
    name = re.sub(r"[ -]+", "_", found[1].strip().lower())
    if name not in WORDS:
        raise UsageError(
            f"--fault {text}: there is no fault {found[1]}{_near(name, WORDS)}",
            details=f"the faults: {', '.join(WORDS)}",
            remedy=f"--fault {LIST}   # what each of them does",
        )
    lasts = int(found[2]) * _SECONDS[found[3]] if found[2] else 0
    if lasts and name not in LASTING:
        raise UsageError(
            f"--fault {text}: {name} happens once, so it cannot last {found[2]}{found[3]}",
            remedy=f"--fault {name}@{found[4]}",
        )
    after = int(found[5]) * _SECONDS[found[6]] if found[5] else 0
    return PlannedFault(name, found[4], float(lasts), float(after))


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def refuse_unknown_steps(faults: Iterable[PlannedFault], plan: Plan) -> None:
    """Refuse a fault that would never begin. :raises UsageError: the plan has no such step."""
    for fault in faults:
        if any(fault.begins_with(step) for step in plan.steps):
            continue
        known = dict.fromkeys([*(step.id for step in plan.steps), *(step.action.kind for step in plan.steps)])
        raise UsageError(
            f"--fault {fault.name}@{fault.step}: the plan has no such step{_near(fault.step, known)}",
            details=f"its steps: {', '.join(step.id for step in plan.steps)}",
            remedy=_EXAMPLE,
        )


def struck_by(faults: Iterable[PlannedFault], setup: Setup, watch: Watch) -> Watch:
    """Return a watcher that lets each fault begin right after the start of its step was journaled, before anything is done."""
    left = list(faults)
    world = setup.world
    if not left or world is None:
        return watch

    def seen(state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        watch(state, event, key, tick)
        if not isinstance(event, journal.StepStarted):
            return
        step = state.plan.step(event.step)
        for fault in [one for one in left if one.begins_with(step)]:
            left.remove(fault)
            world.strike(fault.name, step.node, fault.lasts, fault.after)

    return seen
