"""What the answer to a changing ``ksctl`` call means."""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx
from ctmupgrade.core.ksctl import is_refusal, sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.json_rows import ERROR_BODY, json_object
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.ports import Reply


def refused(reply: Reply) -> str:
    """The error in a ksctl answer, "" where it is none. Its exit code alone proves nothing."""
    try:
        json_object(reply.out)
    except NotUnderstoodError as error:
        text = str(error)
        if ERROR_BODY in text or reply.code != 0 or sounds_away(text):
            return excerpt(f"{text} {reply.err}", 300)
    return ""


def note_refusal(ctx: Ctx, step: Step, reply: Reply, what: str) -> str:
    """Return what a changing call said, in words for the journal, and remember in the session what it means.

    A definite no is remembered as such. Another one ("consensus
    is down" for a while after each join, an internal error of a node that is being changed, a login that fails for a
    while, a time-out) is sent again where looks show that nothing came of it."""
    said, session = refused(reply), ctx.session(step)
    if said and (sounds_away(said) or sounds_later(said) or sounds_like_login(said)):
        session.unsure, session.said = True, f"{what}: {said}"
    elif said:
        session.refused, session.definite = f"{what} was refused: {said}", is_refusal(said)
    return f"{what} sent{f': {said}' if said else ''}"
