"""``notify``: a test message to every receiver of cluster.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime

from ctmupgrade.adapters.notify.outbox import Outbox
from ctmupgrade.commands.known_secrets import known_secrets
from ctmupgrade.commands.notices import payload, sender_to
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import read_cluster, whoami
from ctmupgrade.core import redact
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run.news import trial_news
from ctmupgrade.errors import ExitCode, UsageError

PATIENCE = 30.0  # seconds; each answer alone is waited for less long


@dataclass(frozen=True, slots=True)
class Tried:
    """How a receiver took the message. :ivar why: why it did not; "": it did. :ivar sent: False: nothing was sent."""

    name: str
    why: str = ""
    sent: bool = True


@dataclass(frozen=True, slots=True)
class TriedAll:
    """All receivers, in the order of cluster.yaml."""

    cluster: str
    mode: Mode
    tried: tuple[Tried, ...]

    @property
    def code(self) -> ExitCode:
        """Return 0 where all took it, else 4."""
        return ExitCode.UNREACHABLE if any(one.why for one in self.tried) else ExitCode.DONE


def try_receivers(request: CommandRequest) -> TriedAll:
    """Send a test message to each receiver, all at once, and wait for their answers; in a dry run or simulation nothing is
    sent. Asks no node.

    :raises UsageError: cluster.yaml is wrong, or names no receiver.
    """
    cluster = read_cluster(replace(request, needs_archive=False))  # it may be tried weeks before
    if not cluster.notify:
        raise UsageError(
            f"cluster.yaml of {cluster.name} names no receiver",
            remedy="add notify to it: docs/notifications.md",
        )
    if request.mode is not Mode.LIVE:
        tried = tuple(Tried(one.name, sent=False) for one in cluster.notify)
        return TriedAll(cluster.name, request.mode, tried)
    with redact.knowing(known_secrets(cluster, os.environ)):
        news, outbox = trial_news(cluster.name, datetime.now().astimezone(), whoami()), Outbox()
        for receiver in cluster.notify:
            outbox.put(outbox.add(receiver.name, sender_to(receiver)), payload(news, receiver))
        outbox.close(PATIENCE)
        tried = tuple(Tried(name, redact.foreign(why)) for name, why in outbox.results())
    return TriedAll(cluster.name, request.mode, tried)
