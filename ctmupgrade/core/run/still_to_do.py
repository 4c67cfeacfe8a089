"""What is still to be done about a step that failed, once its node is skipped or its run is over."""

from __future__ import annotations

import re

from ctmupgrade.core.run.again import again_command
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.step_state import StepState

_DECIDES = re.compile(r"\bctmupgrade (?:node|resume|pause|abort)\b")


def still_to_do(state: RunState, held: StepState) -> str:
    """Return a step's remedy; of a skipped step, and where the run is over, without the commands that decide on it: they are
    refused then. What begins the next run stands in their place."""
    if not held.remedy or (state.unfinished and held.status is not Status.SKIPPED):
        return held.remedy
    then = f"ctmupgrade resume {state.run}" if state.unfinished else again_command(state)
    kept = [line for line in held.remedy.splitlines() if not _DECIDES.search(line)]
    return "\n".join((*kept, f"then: {then}"))
