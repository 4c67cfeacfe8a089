"""What a run sees beside its steps: how the nodes are after it, and the ports of their clients. It fails nothing, stops
nothing, and the end of a run waits for it for a minute at most."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect.seen import look_at, rest_of_before
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.steps import changes_node, in_service
from ctmupgrade.core.run.before_after import WORSE
from ctmupgrade.core.run.journal import Event, RunState, Status, StepState
from ctmupgrade.core.run.programs import OVER
from ctmupgrade.core.run.seen_events import NodesSeen, Seen
from ctmupgrade.core.ticks import Task
from ctmupgrade.ports import Clock, Gather, Looks, PortWatch, TaskEvent, Tasks

LOOK = "look "  # what the tasks are called, beside the steps
_END = f"{LOOK}at the end"
_BEFORE = f"{LOOK}before"
MOST_WAIT = 60.0  # seconds that the end of a run waits for its last look


@dataclass(slots=True)
class Observer:
    """The looks of one process's part in a run.

    :ivar state: the run's state of now. :ivar emit: writes an event durably and folds it in.
    """

    ctx: Ctx
    tasks: Tasks
    state: Callable[[], RunState]
    emit: Callable[[Event], None]
    watch: PortWatch | None = None
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    left: dict[str, list[str]] = field(default_factory=dict)  # by node, the steps that keep it from serving
    seen_at: Mapping[str, StepState] | None = (
        None  # the steps in which the looks that are due were last searched for
    )
    until: float = 0.0  # how long the end of the run waits; 0: it does not yet
    found: queue.SimpleQueue[NodesSeen] = field(default_factory=queue.SimpleQueue)

    @property
    def wanted(self) -> bool:
        """Return whether there is something to compare with: only a run that began with a look has it."""
        return bool(self.state().observed.looks.before)

    def begin(self) -> None:
        """Begin to ask the ports that the journal names, and for what no check has asked."""
        for step in self.state().plan.steps:
            if step.node and not in_service(step.action):
                self.left.setdefault(step.node, []).append(step.id)
        clients, made = self.state().observed.clients, self.ctx.tools.port_watch
        if clients is not None and made is not None and clients.watched.ports:
            self.watch = made()
            self.watch.begin(clients.watched.ports, clients.watched.every_s)
        if self.wanted and not self._changed() and not self._rest_is_known():
            self._start(_BEFORE, "before", partial(rest_of_before, *self._tools()))

    def turn(self) -> None:
        """Write down what was seen meanwhile, and look at the nodes that are over."""
        for event in self._news():
            self.emit(event)
        steps = self.state().steps
        if steps is not self.seen_at and self.wanted:
            self.seen_at = steps
            for node in list(self._due()):
                self._start(f"{LOOK}{node}", "after_node", partial(self._look, (node,), node))

    def takes(self, event: TaskEvent) -> bool:
        """Return whether a task's event is of a look; whatever became of it."""
        if not event.key.startswith(LOOK):
            return False
        self.ended.add(event.key)
        return True

    def last_look(self, *, all_over: bool) -> bool:
        """Look at all nodes when all is done; return whether the run's end waits for it still."""
        if not (all_over and self.wanted):
            return False
        now = self.ctx.clock.monotonic()
        if _END not in self.begun:
            names = tuple(node.name for node in self.ctx.cluster.nodes)
            self.until = now + MOST_WAIT
            self._start(_END, "end", partial(self._look, names, names[-1]))
        return _END not in self.ended and now < self.until

    def end(self) -> None:
        """Write down what is left, and look no more. What comes later is not known."""
        for event in self._news():
            self.emit(event)
        if _END in self.begun and _END not in self.ended:
            why = dict.fromkeys(WORSE, f"the last look was not over after {MOST_WAIT:.0f} s")
            self.emit(NodesSeen("end", {node.name: Seen(not_known=why) for node in self.ctx.cluster.nodes}))
        if self.watch is not None:
            self.watch.end()

    def _tools(self) -> tuple[Looks, Cluster, Clock, Gather]:
        return self.ctx.fleet, self.ctx.cluster, self.ctx.clock, self.ctx.tools.gather

    def _changed(self) -> bool:
        """Whether a step that changes a node was begun."""
        state = self.state()
        return any(
            changes_node(s.action) and state.steps[s.id].status is not Status.PENDING
            for s in state.plan.steps
        )

    def _rest_is_known(self) -> bool:
        seen = self.state().observed.looks.before.get("", Seen())
        return "counts" in seen.topics or "counts" in seen.not_known

    def _due(self) -> Iterator[str]:
        """The nodes that this run has brought through, and that nobody has looked at since."""
        state = self.state()
        looks, steps = state.observed.looks, state.steps
        for node, mine in self.left.items():
            if node in looks.after or node not in looks.before or f"{LOOK}{node}" in self.begun:
                continue
            if all(steps[step].status in OVER for step in mine):
                yield node

    def _news(self) -> Iterator[Event]:
        with suppress(queue.Empty):
            while True:
                yield self.found.get_nowait()
        if self.watch is not None:
            yield from self.watch.news()

    def _start(
        self, key: str, when: Literal["before", "after_node", "end"], look: Callable[[], Mapping[str, Seen]]
    ) -> None:
        self.begun.add(key)
        self.tasks.start(key, self._task(when, look))

    def _task(
        self, when: Literal["before", "after_node", "end"], look: Callable[[], Mapping[str, Seen]]
    ) -> Task:
        self.found.put(NodesSeen(when, look()))
        return {}
        yield  # pragma: no cover - makes it a generator

    def _look(self, names: tuple[str, ...], through: str) -> Mapping[str, Seen]:
        looks, cluster, clock, gather = self._tools()
        return look_at(looks, cluster, names, clock, gather, through=through)
