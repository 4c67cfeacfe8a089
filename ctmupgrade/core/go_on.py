"""How a run goes on that a step has stopped: a value, which is put into words in one place."""

from __future__ import annotations

from enum import StrEnum


class GoOn(StrEnum):
    """What a person does when the cause of a failure is fixed."""

    RESUME = "resume"
    RESUME_OR_RECOVER = "resume-or-recover"  # the cause may be one that nobody can fix
    RETRY = "retry"  # the step is to be run again: a person says so first
    RETRY_WHEN_BACK = "retry-when-back"  # likewise; before what was lost is back, it only stops again
    DONE_OR_RETRY = "done-or-retry"  # only a person can tell whether the step was done
    WAIT_OR_RETRY = "wait-or-retry"  # it may still end well; if it never can: retry
    RECOVER = "recover"  # recover makes the way back
    ABORT_AND_RECOVER = "abort-and-recover"  # this run can never go on
    NEW_RUN = "new-run"  # likewise; another run does what is left


def to_go_on(how: GoOn, run: str, node: str) -> str:
    """Return the commands to go on with, as they are typed, one a line.

    :param node: the node of the step that failed; "" where it concerns none: then no decision on a node helps.
    """
    resume = f"then: ctmupgrade resume {run}"
    if not node and how in (GoOn.RETRY, GoOn.RETRY_WHEN_BACK, GoOn.DONE_OR_RETRY, GoOn.WAIT_OR_RETRY):
        return resume
    done, retry = (f"ctmupgrade node {word} {run} {node} --reason '...'" for word in ("done", "retry"))
    match how:
        case GoOn.RESUME:
            return resume
        case GoOn.RESUME_OR_RECOVER:
            return f"{resume}\nif it cannot be made healthy: ctmupgrade abort {run}\nthen: ctmupgrade recover"
        case GoOn.RETRY | GoOn.RETRY_WHEN_BACK:
            when = "only when they are back there, " if how is GoOn.RETRY_WHEN_BACK else ""
            return f"{when}to run it again: {retry}\n{resume}"
        case GoOn.DONE_OR_RETRY:
            return f"if it was done: {done}\nif it was not: {retry}\n{resume}"
        case GoOn.WAIT_OR_RETRY:
            return f"if it can never end: {retry}\n{resume}"
        case GoOn.RECOVER:
            return "then: ctmupgrade recover"
        case GoOn.ABORT_AND_RECOVER | GoOn.NEW_RUN:
            command = "run" if how is GoOn.NEW_RUN else "recover"
            return f"then: ctmupgrade abort {run}\nthen: ctmupgrade {command}"
