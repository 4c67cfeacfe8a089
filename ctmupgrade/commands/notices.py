"""Tells people far away what a run does: makes news of its events, and gives them to the receivers of cluster.yaml.

Only of runs that work on appliances: what is rehearsed or simulated would be a false alarm. Whatever happens to a message,
the run does not know it: it is sent by a thread of its own, and trouble is a line on the terminal.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ctmupgrade.adapters.notify.metrics_file import MetricsFile
from ctmupgrade.adapters.notify.outbox import FLUSH, Outbox, Sender
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.receivers import Mail, Receiver, Syslog, Webhook, variables_of
from ctmupgrade.core.run.events import Event
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.news import News, left_of, news_of, not_begun, question_of
from ctmupgrade.errors import ExitCode, Interrupted
from ctmupgrade.ports import Clock
from ctmupgrade.render import metrics, notices

AT_ONCE = 2.0  # seconds for what is under way, where the process was told to leave


class Notices:
    """What is told of the runs of one command.

    :param placed: makes commands in a text work as they are printed.
    """

    def __init__(self, cluster: Cluster, mode: Mode, clock: Clock, placed: Callable[[str], str]) -> None:
        self._cluster, self._clock, self._placed = cluster.name, clock, placed
        self._outbox, self._receivers = Outbox(), dict[int, Receiver]()
        self._state: RunState | None = None
        self._previous: Event | None = None
        self._metrics: int | None = None
        if mode is Mode.LIVE:
            self._receivers = {
                self._outbox.add(one.name, sender_to(one)): one for one in cluster.notify if _usable(one)
            }
            if cluster.metrics is not None:
                self._metrics = self._file(cluster.metrics)

    def _file(self, path: Path) -> int:
        return self._outbox.add(f"metrics {path}", MetricsFile(path), newest_only=True)

    def see(self, state: RunState, event: Event) -> None:
        """Take in an event of the run. Returns at once."""
        before, self._state = self._state, state
        if not self._receivers and self._metrics is None:
            return
        self._send(news_of(event, before, state, self._previous))
        self._previous = event
        if self._metrics is not None:
            self._outbox.put(self._metrics, metrics.metrics_text(state).encode())

    def question(self, text: str) -> None:
        """Tell that a question waits at the terminal. Returns at once."""
        self._send(question_of(text, self._cluster, self._clock.now(), self._state))

    def refused(self, code: int, problems: Iterable[str]) -> None:
        """Tell that the checks did not let a run begin. Returns at once."""
        self._send(not_begun(self._cluster, self._clock.now(), code, problems))

    def left(self, error: BaseException) -> None:
        """Tell that this process leaves its run without an end in the journal. Returns at once."""
        if self._state is None or not self._state.unfinished or self._state.paused:
            return
        asked = isinstance(error, Interrupted | KeyboardInterrupt)
        why = "it was told to end" if asked else f"an error of its own: {type(error).__name__}"
        code = ExitCode.INTERRUPTED if asked else ExitCode(getattr(error, "exit_code", ExitCode.BUG))
        self._send(left_of(why, self._state, self._clock.now(), int(code), failed=not asked))

    def trouble(self) -> list[str]:
        """Return what is wrong with receivers, of each once."""
        return self._outbox.trouble()

    def close(self, *, leaving: bool = False) -> list[str]:
        """Wait a few seconds for what is under way; return what is left to say.

        :param leaving: the process was told to end.
        """
        return self._outbox.close(AT_ONCE if leaving else FLUSH)

    def _send(self, news: News | None) -> None:
        if news is None:
            return
        news = replace(news, lines=tuple(map(self._placed, news.lines)))
        for number, receiver in self._receivers.items():
            self._outbox.put(number, payload(news, receiver))


def _usable(receiver: Receiver) -> bool:
    """Whether its secrets are there; where not, that was said when the command began."""
    return all(os.environ.get(name) for name in variables_of(receiver))


def payload(news: News, receiver: Receiver) -> bytes:
    """Return what a receiver is sent."""
    match receiver:
        case Webhook(format=form):
            return notices.body(news, form)
        case Mail(to=to, sender=sender):
            return notices.mail(news, sender, to)
        case Syslog():
            return notices.syslog(news, socket.gethostname(), os.getpid())


def sender_to(receiver: Receiver) -> Sender:
    """Return what brings a message to a receiver."""
    match receiver:
        case Webhook():
            from ctmupgrade.adapters.notify.webhook import WebhookSender

            return WebhookSender(receiver)
        case Mail():
            from ctmupgrade.adapters.notify.mail import MailSender

            return MailSender(receiver)
        case Syslog():
            from ctmupgrade.adapters.notify.system_log import SyslogSender

            return SyslogSender(receiver)
