"""A run as one line of a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import kind_of


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in few words. Of one whose journal cannot be read only its id and cluster are known.

    :ivar kind: a RunKind. :ivar started: when it began. :ivar finished: its last event.
    :ivar outcome: how it ended, or its state where it has not. :ivar alive: a process works on it, as far as is known.
    """

    run: str
    cluster: str
    kind: str = "unknown"
    mode: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    outcome: str = "unreadable"
    alive: bool = True

    @property
    def when(self) -> str:
        """Return when it began, ISO 8601; "" where it is not known."""
        return self.started.isoformat(timespec="seconds") if self.started else ""

    @property
    def how(self) -> str:
        """Return how it ended or is, for a person: what no process works on is not running."""
        return "interrupted" if self.outcome in ("running", "pausing") and not self.alive else self.outcome

    @property
    def words(self) -> str:
        """Return it for the details of a message."""
        simulated = ", simulated" if self.mode == "SIMULATED" else ""
        when = f"{self.when}, " if self.when else ""
        return f"{self.run}  ({self.cluster}, {self.kind}{simulated}, {when}{self.how})"


def listed(state: RunState) -> ListedRun:
    """Return a run as one line of a list."""
    return ListedRun(
        state.run, state.plan.cluster, kind_of(state).value, state.mode.value, state.started, state.at,
        state.outcome or state.name,
    )  # fmt: skip


def table(runs: list[ListedRun]) -> list[str]:
    """Return runs as lines in columns."""
    rows = [("RUN", "CLUSTER", "WHAT", "BEGAN", "OUTCOME")]
    rows += [
        (
            one.run, one.cluster, one.kind + (" (simulated)" if one.mode == "SIMULATED" else ""),
            f"{one.started:%Y-%m-%d %H:%M %Z}".strip() if one.started else "-", one.how,
        )
        for one in runs
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [
        "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]))
        for row in rows
    ]
