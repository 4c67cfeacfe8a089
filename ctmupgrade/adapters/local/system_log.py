"""One line in this machine's system log where a live run stops: what its journal ended in.

The journal is this user's file; the system log is root's, and often sent on. Whoever doubts the journal later compares
the two (``ctmupgrade report --verify --head HASH``). Best effort: a machine without a system log loses nothing else.
"""

from __future__ import annotations

import syslog
from contextlib import suppress

from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.report import JournalHead


def line_of(state: RunState, head: JournalHead) -> str:
    """Return the line: the run, its cluster, how it stands, and its journal's head."""
    text = (
        f"run {state.run} of {state.plan.cluster} by {state.by}: {state.outcome or state.name}; "
        f"journal: {head.lines} lines, head {head.head}"
    )
    return " ".join(foreign(text).split())


def tell(state: RunState, head: JournalHead) -> None:
    """Write the line. Never fails."""
    with suppress(OSError, ValueError):
        syslog.openlog("ctmupgrade", syslog.LOG_PID, syslog.LOG_USER)
        syslog.syslog(syslog.LOG_NOTICE, line_of(state, head))
