"""The journaled loop: starts the steps that are ready, several at once where the plan allows it.

It knows nothing of strategies. Before an act it writes ``StepStarted``, after it ``StepDone`` with the
proof, each durable before anything further happens. It is the journal's only writer. A step that was
started by a process that died is looked at first (see ``actions.doing.perform``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ctmupgrade.actions import handler
from ctmupgrade.actions.base import Ctx
from ctmupgrade.actions.ending import END, EndProof
from ctmupgrade.actions.observe import Observer
from ctmupgrade.actions.perform import of_this_machine, perform
from ctmupgrade.actions.programs import OperatorPrograms
from ctmupgrade.actions.window import WINDOW, MaintenanceWindow
from ctmupgrade.core.go_on import GoOn, to_go_on
from ctmupgrade.core.plan.steps import (
    MakeBackup,
    RunUpgrade,
    StageArchive,
    Step,
    VerifyArchive,
    begins_a_turn,
    in_service,
    is_look,
)
from ctmupgrade.core.plan.windows import WindowFit
from ctmupgrade.core.run import interlocks, journal, one_at_a_time
from ctmupgrade.core.run.decisions import way_on
from ctmupgrade.core.run.expected_releases import expected_releases
from ctmupgrade.core.run.interlocks import Hold
from ctmupgrade.core.run.journal import Event, RunState, Status
from ctmupgrade.core.run.looks_again import leads_to_change
from ctmupgrade.core.run.outcome import last_versions, outcome_of
from ctmupgrade.core.run.proofs import judged_by_a_person, proven_by_look
from ctmupgrade.core.ticks import Noted, Started, Tick, Waiting
from ctmupgrade.errors import CtmUpgradeError, ExitCode, InconclusiveError, JournalError, Trouble, worst
from ctmupgrade.ports import Programs, Record, TaskEvent, Tasks


@dataclass(frozen=True, slots=True)
class Controls:
    """What may stop a run, and who is told."""

    requests: Callable[[], list[Event]] = list
    confirm: Callable[[Step], bool] = lambda _step: True
    stop_after: str = ""
    watch: Callable[[RunState, Event | None, str, Tick | None], None] = lambda _s, _e, _k, _t: None
    guard: Callable[[Step, RunState], str] = lambda _step, _state: ""
    leave: Callable[[], None] = lambda: None  # before the end is written down: after it nobody resumes
    programs: Programs | None = None  # None: no hook and no check of the operator's is run
    accept_partial: Callable[[WindowFit], bool] = lambda _fit: True  # not all nodes fit into the window
    wait_for_window: bool = False


@dataclass(slots=True)
class Executor:
    """One process's part in a run."""

    ctx: Ctx
    state: RunState
    record: Record
    tasks: Tasks
    controls: Controls = field(default_factory=Controls)
    running: set[str] = field(default_factory=set)
    trouble: list[Trouble] = field(default_factory=list)
    started_from: RunState | None = None  # the state that the ready steps were last looked for in
    failed: set[str] = field(default_factory=set)  # here, by this process: never begun twice
    resting: set[str] = field(
        default_factory=set
    )  # uploads to a node that is unreachable: they hold no place
    verified: set[str] = field(default_factory=set)  # the steps that were done by this process
    backed_up: frozenset[str] = frozenset()  # nodes whose fresh, whole backup was seen on this machine's disk
    looking: threading.Lock = field(default_factory=threading.Lock)  # at the backups: they are hashed
    programs: OperatorPrograms = field(init=False)
    window: MaintenanceWindow = field(init=False)
    observer: Observer = field(init=False)
    ending: EndProof = field(init=False)

    def __post_init__(self) -> None:
        self.ctx.interlock = self._interlock
        self.ctx.proven = lambda step: proven_by_look(self.state, step)
        self.ctx.judged = lambda step: judged_by_a_person(self.state, step)
        wanted = self.controls
        self.window = MaintenanceWindow(self.ctx, lambda: self.state, wanted.accept_partial, wanted.wait_for_window)  # fmt: skip
        self.observer = Observer(self.ctx, self.tasks, lambda: self.state, self.emit)
        self.ending = EndProof(self.ctx, self.tasks, lambda: self.state, self._stopping, self.emit, self._failed)  # fmt: skip
        self.programs = OperatorPrograms(
            self.ctx, wanted.programs, lambda: self.state, self.emit, self._take_requests
        )

    def _interlock(self, step: Step) -> Hold:
        """Why a step may not start now, by what this process has seen for itself. Called from the steps' tasks."""

        def hold() -> Hold:
            running = frozenset(
                self.running
            )  # first: what is not in it any more is in the state that is read now
            proofs = interlocks.Proofs(self.verified, self.backed_up)
            return interlocks.hold(step, self.state, self.ctx.cluster, proofs, running)

        held = hold()
        if held.wants_backup:
            with self.looking:
                self.backed_up = interlocks.backed_up(
                    self.ctx.tools.store.manifests(), self.state, self.ctx.cluster, self.ctx.clock.now()
                )
            held = hold()
        return held

    def emit(self, event: Event) -> None:
        """Write an event, then fold it in."""
        at = self.ctx.clock.now()
        state = journal.apply(self.state, event, at)  # first: what cannot be folded in is never written
        self.record.append(event, at)
        self.state = state
        self.controls.watch(self.state, event, "", None)

    def run(self) -> ExitCode:
        """Go on until all is done or something stops it. The journal then says which."""
        try:
            return self._run()
        except JournalError as error:
            # Nothing may happen that is not written down. Tasks stay where they yielded.
            self.trouble.append(Trouble(error.brief, ExitCode.FAILED))
            raise

    def _run(self) -> ExitCode:
        self._take_up()
        self._stop_for(self.window.too_late(), ExitCode.PAUSED)
        if not self._stopping() and not self._all_over():
            self._stop_for(self.programs.before("run"), ExitCode.PAUSED)
        self.observer.begin()
        while True:
            self._take_requests()
            self._between_nodes()
            self.observer.turn()
            if not self._stopping():
                self._start_ready()
            waits = self.window.waiting and not self._stopping()  # who stops does not sit out its last sleep
            idle = not (self.running or waits)
            proves = idle and self.ending.waits(all_over=self._well_over())
            looks = self._well_over() and self.ending.proven
            if idle and not proves and not self.observer.last_look(all_over=looks):
                return self._finish()
            happening = self.tasks.next()
            if happening is not None:
                self._handle(happening)

    def _take_up(self) -> None:
        """After a resume: looks that have aged are opened again."""
        for step in self.state.plan.steps:
            held = self.state.steps[step.id]
            self.ctx.baselines[step.id] = held.before
            self.ctx.earlier[step.id] = held.earlier
            self.ctx.noted[step.id], self.ctx.last_noted[step.id] = held.codes, held.last_codes
            if held.status is Status.DONE and is_look(step.action) and leads_to_change(self.state, step):
                self.emit(journal.StepReopened(step.id, "its result may be out of date"))

    def _stop_for(self, why: str, code: ExitCode) -> bool:
        """Take note of why nothing further may be started; whether there is something."""
        self.trouble += [Trouble(why, code)] if why else []
        return bool(why)

    def _between_nodes(self) -> None:
        if self.state is not self.started_from:
            for why in self.programs.between():
                self._stop_for(why, ExitCode.BLOCKED)

    def _all_over(self) -> bool:
        over = (Status.DONE, Status.SKIPPED)
        return all(state.status in over for state in self.state.steps.values())

    def _well_over(self) -> bool:
        return self._all_over() and not self.trouble

    def _take_requests(self) -> None:
        for event in self.controls.requests():
            self.emit(event)

    def _stopping(self) -> bool:
        return bool(self.state.stop or (self.trouble and not self._apart()))

    def _apart(self) -> bool:
        """``stage`` and ``backup``: what fails on one node holds no other one up, for none goes out of service."""
        harmless = VerifyArchive | StageArchive | MakeBackup
        return all(isinstance(step.action, harmless) for step in self.state.plan.steps)

    def _ready(self) -> list[Step]:
        over, held = (Status.DONE, Status.SKIPPED), self.state.steps
        return [
            step
            for step in self.state.plan.steps
            if held[step.id].status not in over
            and step.id not in self.running
            and step.id not in self.failed
            and all(held[a].status is Status.DONE or self._is_past(a) for a in step.after)
        ]

    def _is_past(self, step: str) -> bool:
        """Whether what waits for a step may go on. One that was skipped, perhaps before its turn, holds back what
        it would itself have waited for: else the node behind it would overtake the one before it."""
        if (status := self.state.steps[step].status) is Status.SKIPPED:
            return all(self._is_past(a) for a in self.state.plan.step(step).after)
        return status is Status.DONE

    def _start_ready(self) -> None:
        if self.state is self.started_from:
            return  # nothing was journaled since: no step has become ready by a mere tick
        self.started_from = self.state
        for step in self._ready():
            if self._stopping() or self._no_room(step):
                return
            if self.window.holds(step):
                self._wait_for_window()
                continue
            if self._stop_for(self._held(step), ExitCode.PAUSED):
                return
            refusal = self.controls.guard(step, self.state)
            refusal = refusal or one_at_a_time.refusal(step, self.state, self.ctx.cluster, self.running)
            if refusal and self.running:
                continue  # a copy that is upgraded beside it counts again when it is proven well
            if self._stop_for(refusal, ExitCode.BLOCKED):
                return
            if not in_service(step.action):
                self._stop_for(self.programs.before("node", step.node), ExitCode.PAUSED)
                if self._stopping():  # a pause may have been asked for while the hook ran
                    return
            self.ctx.expected = expected_releases(self.state)
            held = self.state.steps[step.id]
            fresh = held.started is None or is_look(step.action)
            self.running.add(step.id)
            self.tasks.start(
                step.id, perform(self.ctx, handler(step.action), step, None if fresh else held.before)
            )

    def _no_room(self, step: Step) -> bool:
        """``--parallel``: so many steps that change or upload at once, all others wait their turn."""
        limit = self.state.plan.options.parallel
        return limit > 0 and bool(step.node) and len(self.running - self.resting) >= limit

    def _held(self, step: Step) -> str:
        """Why a step may not start now although it is ready; "" where it may."""
        if self.state.steps[step.id].started is not None:
            return ""
        if (late := self.window.late(step)) or not begins_a_turn(step.action):
            return late
        if self.controls.stop_after and self._is_over(self.controls.stop_after) and step.node:
            return f"stopped after {self.controls.stop_after}, as asked"
        wanted = not isinstance(step.action, RunUpgrade) or self.controls.confirm(step)
        return "" if wanted else f"not confirmed: {step.id}"

    def _is_over(self, node: str) -> bool:
        mine = self.state.plan.work_on(node)
        return bool(mine) and all(
            self.state.steps[s.id].status in (Status.DONE, Status.SKIPPED) for s in mine
        )

    def _wait_for_window(self) -> None:
        if not self.window.waiting:
            self.window.waiting = True
            self.tasks.start(WINDOW, self.window.until_it_begins(self._stopping))

    def _handle(self, happening: TaskEvent) -> None:
        if self.observer.takes(happening) or self._of_no_step(happening):
            return
        step = happening.key
        self._rests(step, happening.tick)
        if happening.error is not None:
            self.running.discard(step)
            self.failed.add(step)
            self._failed(step, happening.error)
        elif happening.evidence is not None:
            self.verified.add(step)
            self.emit(journal.StepDone(step, happening.evidence))
            self.running.discard(step)  # last: a task that asks meanwhile sees it as running, or as done
        elif happening.tick is not None:
            match happening.tick:
                case Started(before):
                    self.emit(journal.StepStarted(step, before))
                case Noted(text, code):
                    self.emit(journal.StepNoted(step, text, code))
                case _:
                    self.controls.watch(self.state, None, step, happening.tick)
            self.tasks.go_on(step)

    def _of_no_step(self, happening: TaskEvent) -> bool:
        if happening.key not in (WINDOW, END):
            return False
        if happening.tick is not None:
            self.controls.watch(self.state, None, happening.key, happening.tick)
            self.tasks.go_on(happening.key)
        elif happening.key == END:
            self.ending.takes(happening)
        else:
            self.window.waiting, self.started_from = False, None
            if happening.error is not None:
                raise happening.error
        return True

    def _rests(self, step: str, tick: Tick | None) -> None:
        """A node that is unreachable and uploaded to again later lets the next one go first."""
        if isinstance(tick, Waiting) and isinstance(self.state.plan.step(step).action, StageArchive):
            self.resting.add(step)
            self.started_from = None
        else:
            self.resting.discard(step)

    def _failed(self, step: str, error: Exception) -> None:
        if isinstance(error, OSError):
            error = of_this_machine(step, error)
        if not isinstance(error, CtmUpgradeError):
            raise error
        text = ". ".join(part for part in (error.brief, error.details) if part)
        inconclusive, remedy = isinstance(error, InconclusiveError), self._remedy(step, error)
        code, seen = int(error.exit_code), self.ctx.session(self.state.plan.step(step)).seen
        self.emit(journal.StepFailed(step, text, remedy, code, inconclusive, error.refused, seen))
        self.trouble.append(Trouble(text, error.exit_code, step))

    def _remedy(self, step: str, error: CtmUpgradeError) -> str:
        """What to do about it; it always ends in how to go on."""
        node = self.state.plan.step(step).node
        remedy = error.remedy or f"fix the cause{f' on {node}' if node else ''}"
        usual = GoOn.DONE_OR_RETRY if isinstance(error, InconclusiveError) else GoOn.RESUME
        return f"{remedy}\n{to_go_on(way_on(self.state, step, error.go_on or usual), self.state.run, node)}"

    def _finish(self) -> ExitCode:
        self.observer.end()
        if self._well_over() and self.ending.proven:
            outcome = outcome_of(self.state)
            self.programs.end(outcome)
            self.controls.leave()
            self.emit(journal.RunEnded(outcome, last_versions(self.state)))
            return ExitCode.DONE if outcome == "done" else ExitCode.PARTIAL
        if self.state.stop == "abort" and not self.trouble:
            self.programs.end("aborted")
            self.controls.leave()
            self.emit(journal.RunEnded("aborted", {}, "as asked"))
            return ExitCode.PAUSED
        last = worst(self.trouble)
        words = {ExitCode.PAUSED: "paused", ExitCode.NEEDS_OPERATOR: "needs-operator"}
        self.programs.end(words.get(last.code, "failed"))
        self.emit(journal.RunPaused(last.why, last.code, last.step))
        return last.code
