"""``escape.md`` of a run: the exact commands to finish, or to back out, from where the run stands, without the tool."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.phases import phase_now
from ctmupgrade.core.plan.step_words import after_step, step_words
from ctmupgrade.core.plan.steps import Reboot, StageArchive, Step, is_look
from ctmupgrade.core.run.journal import STUCK, RunState, Status, StepState
from ctmupgrade.core.run.looks_again import leads_to_change
from ctmupgrade.core.run.summary import summary_of
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.back_out import look_parts, phase_parts
from ctmupgrade.render.logins import logins
from ctmupgrade.render.manual import Book
from ctmupgrade.render.page import Bullets, Heading, Lines, Mono, Page, Part, Strong, said
from ctmupgrade.render.page_markdown import page_markdown
from ctmupgrade.render.step_guide import expected, looks, otherwise

_OVER = (Status.DONE, Status.SKIPPED)
FINISH, BACK_OUT = "To finish", "To back out"


def by_hand_markdown(state: RunState, cluster: Cluster, place: str = "") -> str:
    """Return the page of a run.

    :param cluster: cluster.yaml, with the new instances of the run. :param place: the options that every command of ours
        needs, from any folder, with a blank before each.
    """
    book = Book.of_run(state, cluster)
    left = [step for step in state.plan.steps if _is_left(step, state)]
    parts = [*_head(state, place, over=not left), *_standing(state)]
    if left:
        parts += [Heading(2, "Logins"), Bullets(tuple(logins(cluster))), *_finish(state, book, left)]
    if not (state.outcome and not left):
        parts += _back_out(state, book, place)
    parts += _afterwards(state, place)
    return page_markdown(Page(state.plan.cluster, tuple(parts)))


def _is_left(step: Step, state: RunState) -> bool:
    """Whether there is something to do, or to look at once more: a look ages."""
    held = state.steps[step.id]
    return held.status not in _OVER or (
        held.status is Status.DONE and is_look(step.action) and leads_to_change(state, step)
    )


def _head(state: RunState, place: str, *, over: bool) -> Iterator[Part]:
    yield Heading(1, f"Without ctmupgrade: {state.plan.cluster} to {state.plan.target.version}")
    yield said(
        "Run ", Mono(state.run), f" ({state.mode.value}), {state.plan.strategy.value}, as it was on "
        f"{state.at.isoformat(' ', 'seconds')}. This file is written again at every step of the run, so that a person can go on "
        "where ctmupgrade cannot be used any more.",
    )  # fmt: skip
    if over:
        yield said(Strong("Nothing is left to do. "), "The parts below are for who wants to look once more.")
        return
    yield said(
        Strong("Where ctmupgrade can be used, use it: "), Mono(f"ctmupgrade resume {state.run}{place}"),
        ". Never both at the same time: first make sure that no ctmupgrade runs on this machine any more: ",
        Mono("pgrep -af 'ctmupgrade.* (run|resume|recover)'"), " shows none.", warning=True,
    )  # fmt: skip


def _standing(state: RunState) -> Iterator[Part]:
    found = summary_of(state)
    yield Heading(2, "Where it stands")
    yield Bullets(tuple((text,) for text in (*found.done, *found.doing)))
    if found.danger:
        yield said(Strong("Mind: "))
        yield Bullets(tuple((text,) for text in found.danger))


def _finish(state: RunState, book: Book, left: list[Step]) -> Iterator[Part]:
    yield Heading(2, FINISH)
    yield said("Step by step, one line after the other; what follows ", Mono("#"), " is for you.")
    numbers = {step.id: number for number, step in enumerate(state.plan.steps, 1)}
    for one in left:
        held = state.steps[one.id]
        yield Heading(3, f"{numbers[one.id]}. {one.id} (about {clock_time(one.estimate_s)})")
        yield said(f"{step_words(one)}; {one.why}.")
        if held.status in STUCK:
            yield from _begun(one, held, state, book)
        yield Lines(tuple(book.commands(one)))
        if shown := expected(one, book):
            yield said(Strong("Expected: "))
            yield Lines(shown, shown=True)
        if other := otherwise(one, book):
            yield said(Strong("If it is different: "))
            yield Bullets(other)


def _begun(one: Step, held: StepState, state: RunState, book: Book) -> Iterator[Part]:
    """A step that may have happened: looked at before anything is typed."""
    if held.status is Status.STARTED:
        yield said(
            Strong("It was begun, and may have happened. "),
            f"Look first, at the earliest two minutes after {held.started or state.at:%H:%M:%S}:",
            warning=True,
        )
    else:
        error = after_step(one.id, held.error).rstrip(".")
        word = "It failed: " if held.status is Status.FAILED else "It is not known whether it happened: "
        yield said(Strong(word), f"{error}. Find the cause first, then look:", warning=True)
    boot = BootMark.of_text(held.before.get("boot", "")).boot_id if isinstance(one.action, Reboot) else ""
    found = looks(one, book, boot)
    yield from look_parts(found)
    if found:
        yield said("Where neither is so, it did not happen. Type:")


def _back_out(state: RunState, book: Book, place: str) -> Iterator[Part]:
    yield Heading(2, BACK_OUT)

    def begun(step: Step) -> bool:
        return state.steps[step.id].status not in (Status.PENDING, Status.SKIPPED)

    phase = phase_now(state.plan, begun)
    yield said(f"Where it stands: {phase.value}.")
    yield from phase_parts(phase, book, begun, place)


def _afterwards(state: RunState, place: str) -> Iterator[Part]:
    yield Heading(2, "Afterwards")
    yield said(
        "Where ctmupgrade can be used again: it looks at every node, and the run is ended, so that nobody resumes it:"
    )
    ended = (f"ctmupgrade abort {state.run}{place}",) if state.unfinished else ()
    yield Lines((f"ctmupgrade check{place}", *ended))
    if any(isinstance(step.action, StageArchive) for step in state.plan.steps):
        yield said("The archives stay on the nodes; remove them when nobody needs them any more.")
