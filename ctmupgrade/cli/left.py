"""What is said to whoever leaves a run with Ctrl-C when its loop has ended, or before it has begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctmupgrade.errors import Interrupted

if TYPE_CHECKING:
    from ctmupgrade.core.run.journal import RunState


@contextmanager
def told_where_it_stands(last: Sequence[RunState]) -> Iterator[None]:
    """Give an interruption that has no words of its own those of the run: "nothing was being changed" would be the last
    line below a run that stands still with a node half done.

    :param last: ends in the state that was seen last; empty: no run has begun.
    :raises Interrupted: with where the run stands, and how to go on.
    """
    try:
        yield
    except KeyboardInterrupt as leave:
        if not last or (isinstance(leave, Interrupted) and leave.brief):
            raise
        raise _left(last[-1]) from None


def _left(state: RunState) -> Interrupted:
    run = state.run
    if not state.unfinished:
        return Interrupted(f"interrupted; run {run} has ended: {state.outcome}", f"ctmupgrade report {run}")
    stands = (
        state.name
        if state.name not in ("running", "pausing")
        else "left, and what the appliances are doing goes on"
    )
    return Interrupted(
        f"interrupted; run {run} is {stands}",
        f"ctmupgrade status {run}   # where it stands\nctmupgrade resume {run}",
    )
