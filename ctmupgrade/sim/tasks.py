"""Tasks in virtual time: one after the other, as the simulated clock goes on."""

from __future__ import annotations

from collections.abc import Callable

from ctmupgrade.core.ticks import Progress, Task, Waiting
from ctmupgrade.ports import TaskEvent


class VirtualTasks:
    """Tasks on a timeline: the one whose wait ends first goes on, and the clock jumps there."""

    def __init__(self, monotonic: Callable[[], float], advance: Callable[[float], None]) -> None:
        self._monotonic = monotonic
        self._advance = advance
        self._due: dict[str, tuple[float, int]] = {}
        self._tasks: dict[str, Task] = {}
        self._turn = 0

    def start(self, key: str, task: Task) -> None:
        """Begin a task at the present moment."""
        self._tasks[key] = task
        self._schedule(key, 0.0)

    def next(self) -> TaskEvent | None:
        """Run the task that is due first up to its next tick."""
        if not self._due:
            return None
        key = min(self._due, key=lambda k: self._due[k])
        when, _ = self._due.pop(key)
        self._advance(max(0.0, when - self._monotonic()))
        try:
            tick = next(self._tasks[key])
        except StopIteration as stop:
            return TaskEvent(key, evidence=stop.value)
        except Exception as error:  # as in real time: the loop decides
            return TaskEvent(key, error=error)
        match tick:
            case Waiting(seconds=seconds):
                self._pause = seconds
            case Progress(pause=seconds):
                self._pause = seconds
            case _:
                self._pause = 0.0
        return TaskEvent(key, tick=tick)

    def go_on(self, key: str) -> None:
        """Put a task back on the timeline, after its wait."""
        self._schedule(key, self._pause)

    def _schedule(self, key: str, pause: float) -> None:
        self._turn += 1
        self._due[key] = (self._monotonic() + pause, self._turn)
