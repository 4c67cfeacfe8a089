"""Virtual time: it passes only when somebody says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 10, 21, 0, tzinfo=UTC)


class SimClock:
    """A :class:`~ctmupgrade.ports.Clock` whose time is advanced by hand.

    :param start: what ``now`` says when no time has passed; with time zone.
    :ivar elapsed: virtual seconds since ``start``; every time of the simulator is on this scale. Plain, for it is
        read some hundred thousand times in a run.
    :ivar stopped: no time passes: a recording is looked at.
    """

    def __init__(self, start: datetime = START, elapsed: float = 0.0) -> None:
        self.start = start
        self.elapsed = elapsed
        self.stopped = False

    def now(self) -> datetime:
        """Return virtual now, with time zone."""
        return self.wall(self.elapsed)

    def wall(self, elapsed: float) -> datetime:
        """Return what clocks on the wall say at a virtual time."""
        return self.start + timedelta(seconds=elapsed)

    def monotonic(self) -> float:
        """Return the same as :attr:`elapsed`."""
        return self.elapsed

    def advance(self, seconds: float) -> None:
        """Let virtual time pass.

        :raises ValueError: negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        if not self.stopped:
            self.elapsed += seconds

    def rewind(self, elapsed: float) -> None:
        """Go back to a moment: what is done at the same time begins there too."""
        self.elapsed = elapsed

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.advance(seconds)

    def become(self, other: SimClock) -> None:
        """Go on from another clock's time."""
        self.start, self.elapsed = other.start, other.elapsed
