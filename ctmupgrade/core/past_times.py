"""How long steps took in earlier runs of a cluster: median and p90 for each kind of step, model and hop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LONGER = 1.25  # times what is known, where too little is known to say how long it takes at worst
ENOUGH = 5  # samples from which the ninth of ten is one of them
MOST = 50  # of the latest samples that count


@dataclass(frozen=True, slots=True)
class PastStep:
    """A step that was done in one go. :ivar hop: such as ``2.20 -> 2.21``. :ivar size: bytes of the archive then; 0: not known."""

    kind: str
    node: str
    hop: str
    seconds: float
    size: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds: half of all take less than ``usual``, nine of ten less than ``worst``."""

    usual: int
    worst: int


@dataclass(frozen=True, slots=True)
class PastTimes:
    """What earlier runs took, oldest first. :ivar runs: how many runs that is."""

    steps: tuple[PastStep, ...] = ()
    runs: int = 0
    by_kind: dict[str, list[PastStep]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kind: dict[str, list[PastStep]] = {}
        for step in self.steps:
            by_kind.setdefault(step.kind, []).append(step)
        object.__setattr__(self, "by_kind", by_kind)

    def of(self, kind: str, *like: Callable[[PastStep], bool], size: int = 0) -> Estimate | None:
        """Return how long a step of this kind took; None where no run tells.

        :param like: which steps are most alike, then less; the first of these that any step fits counts.
        :param size: bytes of the archive now, where the step's time depends on it; 0: it does not.
        """
        all_of_kind = [one for one in self.by_kind.get(kind, ()) if not size or one.size > 0]
        for alike in like:
            found = [one for one in all_of_kind if alike(one)]
            if found:
                return estimate_of(
                    [one.seconds * (size / one.size if size else 1.0) for one in found[-MOST:]]
                )
        return None


NO_PAST = PastTimes()


def estimate_of(seconds: Sequence[float]) -> Estimate:
    """Return the median and the p90 of some times; of a few, the longest and a quarter more counts as p90."""
    ordered = sorted(seconds)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    ninth = ordered[math.ceil(0.9 * len(ordered)) - 1]
    worst = ninth if len(ordered) >= ENOUGH else ordered[-1] * LONGER
    usual = max(1, round(median))
    return Estimate(usual, max(usual, math.ceil(worst)))
