"""``watch`` on the command line: the same board as where the run was started, or plain lines, or JSON."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from ctmupgrade.cli.given import Common

if TYPE_CHECKING:
    from ctmupgrade.commands.request import CommandRequest
    from ctmupgrade.core.run.journal import RunState


def followed(common: Common, request: CommandRequest, cluster: str | None, run_id: str | None) -> RunState:
    """Show a run of another process until it ends, pauses or has no process any more; return its last state.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    from ctmupgrade.commands.watch import follow
    from ctmupgrade.render import show

    def now() -> datetime:
        return datetime.now().astimezone()

    with show.watching(common.shown, now, looks_only=True) as watch:
        return follow(request, cluster, run_id, watch, time.sleep, watch.looked)
