"""Whether a run that was handed over once may go on here: the nodes say who has it."""

from __future__ import annotations

import os
import secrets
from datetime import datetime

from ctmupgrade import __version__
from ctmupgrade.commands import handover_marks
from ctmupgrade.commands.handover_marks import Seen, Taker
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.errors import LockedError


def settle(setup: Setup, state: RunState) -> RunState:
    """Make sure that a run is this machine's before anything of it goes on; where the nodes still offer it, take it.

    The journal says so before the nodes do: whoever is killed in between goes on with taking it.

    :raises LockedError: another machine has it, or may have; which one. :raises UnreachableError: too few nodes answer.
    :raises BlockedError: the nodes tell nothing of it.
    """
    custody = state.custody
    if not custody.ticket:
        return state
    seen = handover_marks.look(setup.fleet, custody.nodes, state.run, custody.ticket)
    if other := seen.other(custody.holder):
        raise handover_marks.taken_by(state.run, other)
    if not custody.away and _is_ours(seen, custody.nodes):
        return state
    if _cannot_be_had(seen, custody.nodes):
        raise LockedError(
            f"run {state.run} was {custody.words}; whether another machine goes on with it is not known: "
            f"{', '.join(seen.silent) or 'no node'} cannot be asked",
            remedy=f"bring the nodes back, then: ctmupgrade resume {state.run}",
        )
    mine = Taker(
        custody.holder or secrets.token_hex(8),
        whoami(),
        datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S"),
    )
    if custody.away:
        event = journal.RunTakenOver(
            mine.who, os.getpid(), __version__, custody.ticket, mine.holder, {"cluster": str(setup.request.cluster.absolute())}
        )  # fmt: skip
        at = setup.clock.now()
        state = journal.apply(state, event, at)
        setup.runs.append(state.run, event, at)
    if not _never_offered(seen):
        handover_marks.take(setup.fleet, custody.nodes, state.run, custody.ticket, mine, setup.request.say)
    return state


def _is_ours(seen: Seen, nodes: tuple[str, ...]) -> bool:
    return len(seen.taken) * 2 > len(nodes) or _never_offered(seen)


def _never_offered(seen: Seen) -> bool:
    """Every node answers, and none knows of it: the machine that wanted to hand it over was killed before it could."""
    return not (seen.silent or seen.offers or seen.taken)


def _cannot_be_had(seen: Seen, nodes: tuple[str, ...]) -> bool:
    """So few nodes answer that another machine may have been given it by the others."""
    return len(seen.silent) * 2 >= len(nodes)
