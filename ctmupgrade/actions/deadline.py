"""When a wait has lasted long enough, where a login that is refused may be all that it lacks.

A refused login is tried again only after minutes (:mod:`ctmupgrade.collect.login_guard`), which may be after the end of a step's
time-out. The step would then fail without having looked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ctmupgrade.actions.base import Ctx, LookResult, LookState


class Deadline:
    """The end of one wait. It is put off once, until the next try of a login that was refused.

    :ivar since: when the wait began."""

    def __init__(self, ctx: Ctx) -> None:
        self._ctx = ctx
        self._renewed = False
        self._begin()

    def _begin(self) -> None:
        self._began, self.since = self._ctx.clock.monotonic(), self._ctx.clock.now()
        self._looked = self._began
        self._last = 0.0  # by the monotonic clock: the first look after it is the last one; 0.0: not put off

    def look(self) -> None:
        """Take note that a look begins now."""
        self._looked = self._ctx.clock.monotonic()

    def renew(self) -> None:
        """Begin the wait again, once: what is waited for was sent only now."""
        if not self._renewed:
            self._renewed = True
            self._begin()

    def over(self, limit: timedelta, *, since: float = 0.0) -> bool:
        """Return whether the look that was just made was the last one.

        :param since: since when a login may have been refused that is all that is in the way, by the monotonic clock; 0: since that
            look began; -1: none is.
        """
        if self._ctx.clock.monotonic() - self._began < limit.total_seconds():
            return False
        if self._last:
            return self._looked >= self._last or since < 0
        self._last = self._ctx.tools.held_back(since or self._looked) if since >= 0 else 0.0
        return not self._last

    def until(self, limit: timedelta) -> datetime:
        """Return when the wait is given up, for a reader."""
        if not self._last:
            return self.since + limit
        return self.since + timedelta(seconds=self._last - self._began)


def unknown_since(seen: LookResult) -> float:
    """Return :meth:`Deadline.over`'s ``since`` for a look at several nodes: what is known of one is known without a login at others."""
    return 0.0 if seen.state is LookState.UNKNOWN and not seen.unreachable else -1.0
