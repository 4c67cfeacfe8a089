"""The runbook's timeline and its steps: when, what, what clients notice, what to type, what to expect, what to do otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.clients import WHOLE
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.option_words import option_words
from ctmupgrade.core.plan.phases import no_return
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.step_words import step_words
from ctmupgrade.core.plan.steps import (
    CompareSettings,
    MakeBackup,
    RecordSettings,
    Settle,
    StageArchive,
    Step,
    VerifyArchive,
    in_service,
)
from ctmupgrade.core.plan.time_words import about
from ctmupgrade.core.plan.windows import clock, usual_times, waits_for_window
from ctmupgrade.render.manual import Book
from ctmupgrade.render.page import (
    BLANK,
    Bullets,
    Heading,
    Lines,
    Mono,
    Part,
    Strong,
    Table,
    Ticks,
    Words,
    rows,
    said,
)
from ctmupgrade.render.step_guide import expected, otherwise, tool_words

# What has a command of its own, or is done by the run of a later step.
_BEFORE_IT = (VerifyArchive, MakeBackup, StageArchive, RecordSettings)


def turning_point(plan: Plan, cluster: Cluster, facts: Facts) -> Iterator[Part]:
    """Yield from which step on only a backup has the old state."""
    yield Heading(2, "Point of no return")
    found = no_return(plan)
    if found is None:
        yield said("There is none: nothing is changed that could not be undone.")
        return
    number = plan.steps.index(found) + 1
    at = _Times(plan, cluster, facts).begins(found)
    yield said(
        Strong(f"Step {number}, {found.id}, at {at}. "),
        f"Before it the old state can be had back as the part \"The way back\" says; after it only {_who_has(plan, 'it')}. "
        "Decide right before it whether to go on.",
        warning=True,
    )  # fmt: skip


def _who_has(plan: Plan, what: str) -> str:
    """What still has the old state behind the point of no return."""
    held = plan.options.hold_back
    return f"{held}, which is held back, and the backups have {what}" if held else f"a backup has {what}"


class _Times:
    """When each step begins and ends: by the clock of the window, or from the beginning on where no window begins."""

    def __init__(self, plan: Plan, cluster: Cluster, facts: Facts) -> None:
        self.window, self.first = cluster.window, facts.at
        self.known = usual_times(cluster.window, plan.steps, facts.at)

    def begins(self, step: Step) -> str:
        """Return when a step begins, in words."""
        return self._shown(step, self.known[step.id][0])

    def ends(self, step: Step) -> str:
        """Return when a step usually ends."""
        return self._shown(step, self.known[step.id][1])

    def _shown(self, step: Step, moment: datetime) -> str:
        if self.window.start is None:
            return f"T+{_hours(moment - self.first)}"
        if not waits_for_window(step) and moment < self.window.start:
            return "before the window"
        return clock(self.window, moment)


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def timeline(plan: Plan, cluster: Cluster, facts: Facts) -> Iterator[Part]:
    """Yield when each step begins and ends."""
    if not plan.steps:
        return
    times = _Times(plan, cluster, facts)
    yield Heading(2, "Timeline")
    if cluster.window.start is None:
        yield said(
            "The window has no beginning: T is the time at which the first step begins. Write it here: ",
            BLANK,
        )
    yield Table(
        "When each step begins and usually ends",
        ("step", "begins", "ends", "what", "clients"),
        rows(*(
            (f"{number}", times.begins(one), times.ends(one), step_words(one), _noticed(one))
            for number, one in enumerate(plan.steps, 1)
        )),
    )  # fmt: skip


def _quiet(step: Step) -> bool:
    return in_service(step.action) or isinstance(step.action, Settle | CompareSettings)


def _noticed(step: Step) -> str:
    return "nothing" if _quiet(step) else f"{step.node} is away"


def step_parts(plan: Plan, book: Book, facts: Facts, place: str) -> Iterator[Part]:
    """Yield every step.

    :param place: the options that every command of ours needs here, with a blank before each.
    """
    yield Heading(2, "Steps")
    if not plan.steps:
        yield said("There is nothing to do.")
        return
    yield said(
        "Each step has the tool's command and the manual ones: use one or the other. Type the manual ones line by line; what follows ",
        Mono("#"), " is for you: what to wait for, and what words in capitals stand for. What follows ", Mono("|"),
        " makes an answer short; where it shows nothing, type the line without it.",
    )  # fmt: skip
    yield said(
        "ksctl asks before it removes, resets or joins. Read its line once more, answer ", Mono("y"),
        ", and type the next line only when the prompt is back: what is typed before is taken for the answer.", warning=True,
    )  # fmt: skip
    times, turning = _Times(plan, book.cluster, facts), no_return(plan)
    runs = _runs(plan, place)
    for number, one in enumerate(plan.steps, 1):
        yield Heading(3, f"{number}. {one.id} ({about(one.estimate_s, worst_of(one))})")
        if one is turning:
            yield said(
                Strong("Point of no return: "),
                f"from here on only {_who_has(plan, 'the old state')}.",
                warning=True,
            )
        yield said(f"From {times.begins(one)} to {times.ends(one)}: {step_words(one)}; {one.why}.")
        yield said(Strong("Clients: "), _clients_at(one, plan))
        own = tool_words(one, book)
        yield said(Strong("With the tool: "), *((Mono(f"{own}{place}"),) if own else runs[one.id]))
        yield said(Strong("By hand: "))
        yield Lines(tuple(book.commands(one)))
        if shown := expected(one, book):
            yield said(Strong("Expected: "))
            yield Lines(shown, shown=True)
        if other := otherwise(one, book):
            yield said(Strong("If it is different: "))
            yield Bullets(other)
        yield Ticks((("done at ", BLANK, " by ", BLANK),))


def _clients_at(step: Step, plan: Plan) -> str:
    if _quiet(step):
        return "they notice nothing."
    return plan.clients.get(step.node) or plan.clients.get(WHOLE) or "what they notice is not known."


def _runs(plan: Plan, place: str) -> Mapping[str, Words]:
    """What to type for the run that each step is a part of: in place a node at a time.

    A run's command stands once, where it is typed: at the earlier steps that write down settings it would change a node
    before its time, and at the later ones it was typed already.
    """
    nodes = list(dict.fromkeys(s.node for s in plan.steps if not in_service(s.action)))
    chosen = option_words(plan)
    groups: dict[str, list[Step]] = {}
    for one in plan.steps:
        if plan.strategy is not StrategyName.IN_PLACE or one.node not in nodes or len(nodes) == 1:
            command = f"ctmupgrade run{chosen}{place}"
        else:
            first = one.node == nodes[0] or isinstance(one.action, RecordSettings)
            node = nodes[0] if first else one.node
            command = f"ctmupgrade {f'run{chosen}' if first else 'resume'} --stop-after {node}{place}"
        groups.setdefault(command, []).append(one)
    found: dict[str, Words] = {}
    for command, parts in groups.items():
        typed = next((one for one in parts if not isinstance(one.action, _BEFORE_IT)), parts[0])
        number = plan.steps.index(typed) + 1
        for one in parts:
            again = (f"nothing to type: the command of step {number} does it.",)
            found[one.id] = (Mono(command),) if one is typed else again
    return found
