"""What the answer to a changing ``ksctl`` call means."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.actions.base import Ctx
from ctmupgrade.core.ksctl import is_refusal, order_wants_login, sounds_away, sounds_later
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.json_rows import json_object
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.ports import Reply


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error in an answer. :ivar words: it, for a person. :ivar said: what was said, of which meanings are read."""

    words: str
    said: str


def refused(reply: Reply) -> Refusal | None:
    """Return the error in a ksctl answer; None where it is none. Its exit code alone proves nothing."""
    try:
        json_object(reply.out)
    except NotUnderstoodError as error:
        said = f"{error.said} {reply.err}".strip()
        if error.is_error or reply.code != 0 or sounds_away(said):
            return Refusal(excerpt(f"{error} {reply.err}", 300), excerpt(said, 300))
    return None


def note_refusal(ctx: Ctx, step: Step, reply: Reply, what: str) -> str:
    """Return what a changing call said, in words for the journal, and remember in the session what it means.

    A definite no is remembered as such. Another one ("consensus
    is down" for a while after each join, an internal error of a node that is being changed, a login that fails for a
    while, a time-out) is sent again where looks show that nothing came of it."""
    refusal, session = refused(reply), ctx.session(step)
    if refusal is None:
        return f"{what} sent"
    said = refusal.said
    if sounds_away(said) or sounds_later(said) or order_wants_login(said):
        session.unsure, session.said = True, f"{what}: {refusal.words}"
    else:
        session.refused, session.definite = f"{what} was refused: {refusal.words}", is_refusal(said)
    return f"{what} sent: {refusal.words}"
