"""Real time: the clock, tasks as threads, and asking many nodes side by side."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from ctmupgrade.core.ticks import Task, Waiting
from ctmupgrade.ports import TaskEvent

R = TypeVar("R")


class RealClock:
    """This machine's clocks. Durations and deadlines never use the one that can be set."""

    def now(self) -> datetime:
        """Return this machine's time, with its zone."""
        return datetime.now().astimezone()

    def monotonic(self) -> float:
        """Return seconds of a clock that nobody can set."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        time.sleep(seconds)


class ThreadTasks:
    """Each task on a thread of its own. A task goes on only after its tick was dealt with, so what it
    yields before an act is in the journal before the act."""

    IDLE = 0.5  # seconds between looks for requests while nothing happens

    def __init__(self) -> None:
        self._happenings: queue.SimpleQueue[TaskEvent] = queue.SimpleQueue()
        self._gates: dict[str, threading.Semaphore] = {}

    def start(self, key: str, task: Task) -> None:
        """Begin a task. Daemon threads: leaving the process never waits for an appliance."""
        self._gates[key] = threading.Semaphore(0)
        threading.Thread(target=self._drive, args=(key, task), name=key, daemon=True).start()

    def next(self) -> TaskEvent | None:
        """Return the next thing to happen, or None after half a second."""
        try:
            return self._happenings.get(timeout=self.IDLE)
        except queue.Empty:
            return None

    def go_on(self, key: str) -> None:
        """Let a task continue."""
        self._gates[key].release()

    def _drive(self, key: str, task: Task) -> None:
        try:
            while True:
                tick = next(task)
                self._happenings.put(TaskEvent(key, tick=tick))
                self._gates[key].acquire()
                if isinstance(tick, Waiting):
                    time.sleep(tick.seconds)
        except StopIteration as stop:
            self._happenings.put(TaskEvent(key, evidence=stop.value))
        except Exception as error:  # whatever it is, the loop decides, not this thread
            self._happenings.put(TaskEvent(key, error=error))
        except BaseException as error:  # else SystemExit ends this thread, and the run waits for ever
            self._happenings.put(TaskEvent(key, error=RuntimeError(repr(error))))


class SideBySide:
    """A Gather with threads: one slow node holds nobody else up."""

    def __init__(self, width: int = 20) -> None:
        self._pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="ask")

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        """Asks all, returns all; the first error is raised after all have answered."""
        futures = {name: self._pool.submit(ask, name) for name in names}
        return {name: future.result() for name, future in futures.items()}


def one_by_one(ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
    """Return the Gather of the simulator: in order, nothing side by side."""
    return {name: ask(name) for name in names}
