"""Tasks in virtual time: one after the other, as the simulated clock goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ctmupgrade.core.ticks import Progress, Task, Waiting
from ctmupgrade.ports import TaskEvent
from ctmupgrade.sim.clock import SimClock

_NAP_S = 0.25  # real seconds until a pause is noticed


@dataclass(slots=True)
class _Due:
    """When a task goes on, or what it did is told."""

    at: float
    turn: int
    event: TaskEvent | None = None


class VirtualTasks:
    """Tasks on a timeline: the one whose wait ends first goes on, and the clock jumps there.

    :param pace: so many virtual seconds pass in a real one; 0: as fast as it goes.
    :param apart: what one task's commands take holds no other task up, as on threads.
    """

    def __init__(
        self,
        clock: SimClock,
        pace: float = 0.0,
        *,
        apart: bool = False,
        nap: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._apart = apart
        self._nap = nap
        self._due: dict[str, _Due] = {}
        self._tasks: dict[str, Task] = {}
        self._pauses: dict[str, float] = {}
        self._turn = 0

    def start(self, key: str, task: Task) -> None:
        """Begin a task at the present moment."""
        self._tasks[key] = task
        self._schedule(key, self._clock.elapsed)

    def next(self) -> TaskEvent | None:
        """Run the task that is due first up to its next tick; None while its time has not come."""
        while self._due:
            key = min(self._due, key=lambda k: (self._due[k].at, self._due[k].turn))
            if not self._reached(self._due[key].at):
                return None
            told = self._due.pop(key).event
            if told is not None:
                return told
            began = self._clock.elapsed
            event = self._event(key)
            ended = self._clock.elapsed
            if not self._apart or ended <= began:
                return event
            self._clock.rewind(began)
            self._schedule(key, ended, event)
        return None

    def _reached(self, moment: float) -> bool:
        left = max(0.0, moment - self._clock.elapsed)
        if not self._pace or not left:
            self._clock.advance(left)
            return True
        nap = min(left / self._pace, _NAP_S)
        self._nap(nap)
        self._clock.advance(min(left, nap * self._pace))
        return self._clock.elapsed >= moment or nap < _NAP_S

    def _event(self, key: str) -> TaskEvent:
        try:
            tick = next(self._tasks[key])
        except StopIteration as stop:
            return TaskEvent(key, evidence=stop.value)
        except Exception as error:  # as in real time: the loop decides
            return TaskEvent(key, error=error)
        match tick:
            case Waiting(seconds=seconds):
                self._pauses[key] = seconds
            case Progress(pause=seconds):
                self._pauses[key] = seconds
            case _:
                self._pauses[key] = 0.0
        return TaskEvent(key, tick=tick)

    def go_on(self, key: str) -> None:
        """Put a task back on the timeline, after its wait."""
        self._schedule(key, self._clock.elapsed + self._pauses[key])

    def _schedule(self, key: str, at: float, event: TaskEvent | None = None) -> None:
        self._turn += 1
        self._due[key] = _Due(at, self._turn, event)
