"""What ``recover`` prints: the headline first, then what is wrong, what works, the way back and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ctmupgrade.core.plan.clients import WHOLE
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Action, RemoveNode, ResetNode, Step
from ctmupgrade.core.recovery.result import Advice, Diagnosis
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import ours
from ctmupgrade.render.folding import COMMAND


def placed(command: str, place: str) -> str:
    """Return a command as it works when it is copied: ours with the options that say where the cluster's files are."""
    return f"{command}{place}" if command.startswith("ctmupgrade ") else command


def mark_of(action: Action) -> str:
    """Return the word that marks a step which destroys something; "" for any other."""
    match action:
        case ResetNode():
            return "ERASES"
        case RemoveNode():
            return "REMOVES"
        case _:
            return ""


def diagnosis_lines(found: Diagnosis, plan: Plan, *, take: str = "", place: str = "") -> list[str]:
    """Return what is wrong, what works meanwhile, and the way back.

    :param take: the command that takes the way back. :param place: options that every command of ours needs.
    """
    lines = [found.headline]
    if found.wrong:
        lines += _block("what is wrong:", found.wrong)
    lines += _block("what works meanwhile:", found.works) if found.wrong else []
    if plan.steps:
        count = "1 step" if len(plan.steps) == 1 else f"{len(plan.steps)} steps"
        lines += [f"the way back, {count}, about {clock_time(found.seconds)}:"]
        lines += _step_lines(plan.steps)
        lines += _block("what is lost for good:", found.losses)
        lines += ["to take it:", f"{COMMAND}{placed(take, place)}"] if take else []
    if found.if_left:
        lines += _block("if nothing is done until morning:", found.if_left)
    if found.advice:
        lines += ["for you to decide or do:", *_advice_lines(found.advice, place)]
    return ours(lines)


def _block(title: str, texts: Iterable[str]) -> list[str]:
    return [title, *(f"  - {text}" for text in texts)]


def _step_lines(steps: Sequence[Step]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        mark = mark_of(step.action)
        # The member that is deleted is told by its id: what a name in cluster.yaml stands for may have changed.
        member = f" (id {step.action.node_id})" if isinstance(step.action, RemoveNode) else ""
        marked = f"{mark} {step.node}{member}: " if mark else ""
        yield f"  {number}. {step.id}: {marked}{step.why} (about {clock_time(step.estimate_s)})"


def _advice_lines(advice: Iterable[Advice], place: str) -> Iterator[str]:
    for one in advice:
        yield f"  - {one.sentence}{':' if one.commands else ''}"
        yield from (f"{COMMAND}{placed(command, place)}" for command in one.commands)


def question_lines(found: Diagnosis, plan: Plan) -> list[str]:
    """Return what is said right before the question whether to take the way back: what clients notice, what is erased."""
    lines = [plan.clients[WHOLE]] if plan.clients.get(WHOLE) else []
    if found.erased:
        lines.append(f"This ERASES {', '.join(found.erased)}. It cannot be undone.")
    return ours(lines)
