"""What the journals on this machine tell of who holds a cluster's data: for a restore, which overwrites it."""

from __future__ import annotations

from collections.abc import Iterable

from ctmupgrade.core.looks.holding import Journals
from ctmupgrade.core.plan.steps import changes_node
from ctmupgrade.core.run.data_guard import holders
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.past_runs import past_of


def journals_of(states: Iterable[RunState]) -> Journals:
    """Return what all runs tell, oldest first. By one that is unfinished, each node holds the data that no step of it has
    erased: it may be whole although the node looks like a new one."""
    known = tuple(states)
    kept: dict[str, str] = {}
    for state in known:
        if state.unfinished and any(changes_node(step.action) for step in state.plan.steps):
            for name in holders(state.plan, state):
                kept[name] = f"run {state.run} is unfinished, and by its journal the data is there"
    return Journals(kept, past_of(known).emptied)
