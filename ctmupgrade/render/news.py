"""The events of a run, one line each. What a machine proves with (hashes, inode numbers, files' paths) is in the report."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import tzinfo

from ctmupgrade.core.overview.phases import phase_of
from ctmupgrade.core.plan.step_words import after_step
from ctmupgrade.core.plan.steps import CompareSettings, Gate, MakeBackup, RecordSettings, in_service, is_look
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.before_after import worse_findings
from ctmupgrade.core.run.incidents import program_failure
from ctmupgrade.core.run.journal import Event, Evidence, RunState, Status
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.run.observed import observed_words
from ctmupgrade.core.run.seen_events import NodesSeen, PortsSeen
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import ours

_NAMED = 3  # nodes that one line names
_SAID_ALREADY = (NoteCode.SCRIPT_RUNS,)  # by what follows: it is waited for


def is_news(event: Event, state: RunState) -> bool:
    """Return whether an event is worth a line: not the begin of what only looks or is noted right after, nor what the next
    line says, nor what went as it always goes."""
    match event:
        case journal.StepStarted(step=step):
            action = state.plan.step(step).action
            return not (is_look(action) or isinstance(action, RecordSettings | CompareSettings | MakeBackup))
        case journal.StepDone(step=step, evidence=evidence):
            action = state.plan.step(step).action
            at_once = isinstance(action, Gate) and not _took(state, step)
            nothing = isinstance(action, CompareSettings) and evidence.get("differences") == "none"
            return not (at_once or nothing or isinstance(action, RecordSettings))
        case journal.StepNoted(code=code):
            return code not in _SAID_ALREADY
        case NodesSeen(when="after_node", nodes=nodes):
            return any(True for _ in worse_findings(state.observed.looks, nodes))
        case PortsSeen():
            return _is_unexpected(event, state)
        case _:
            return True


def _is_unexpected(event: PortsSeen, state: RunState) -> bool:
    """Whether clients' ports have changed on a node that nothing is done to; that a node in work goes and comes is told
    by its steps, and that all answer at first is no news."""
    ports = state.observed.clients.ports if state.observed.clients else {}
    at_first = len(event.answers) == len(ports)
    begun = {s.node for s in state.plan.steps if not in_service(s.action) and state.steps[s.id].started}
    over = (Status.DONE, Status.SKIPPED)
    in_work = begun & {s.node for s in state.plan.steps if state.steps[s.id].status not in over}
    changed = [up for key, up in event.answers.items() if key in ports and ports[key].node not in in_work]
    return bool(changed) and not (at_first and all(changed))


def event_line(event: Event, state: RunState) -> str:
    """Return an event with its time and the time since the run's begin."""
    begin = f"{state.at.isoformat(timespec='seconds')} {since_begin(state)}"
    return ours([f"{begin} {_words(event, state)}"])[0]


def since_begin(state: RunState, seconds: float | None = None) -> str:
    """Return the time since a run began as ``+1:05:09``. :param seconds: None: until its last event."""
    passed = (state.at - state.started).total_seconds() if seconds is None else seconds
    hours, rest = divmod(max(0, int(passed)), 3600)
    return f"+{hours}:{rest // 60:02}:{rest % 60:02}"


@dataclass(frozen=True, slots=True)
class News:
    """An event for the board. :ivar hour: when. :ivar nodes: whose it is; none: the run's. :ivar text: what happened."""

    hour: str
    nodes: tuple[str, ...]
    text: str

    @property
    def line(self) -> str:
        """Return it as one line."""
        more = f" and {len(self.nodes) - _NAMED} more" if len(self.nodes) > _NAMED else ""
        who = f"{', '.join(self.nodes[:_NAMED])}{more}: " if self.nodes else ""
        return f"{self.hour} {who}{self.text}"

    def joined(self, other: News) -> News | None:
        """Return this and what comes right after it as one; None where they do not say the same of two nodes."""
        if not self.nodes or not other.nodes or (self.hour, self.text) != (other.hour, other.text):
            return None
        return News(self.hour, tuple(dict.fromkeys((*self.nodes, *other.nodes))), self.text)


def news_of(event: Event, state: RunState, zone: tzinfo | None = None) -> News | None:
    """Return an event for the board, with a node's phase in place of a step's id; None: it is no news.

    :param zone: of the reader's clock; None: that of the journal.
    """
    if not is_news(event, state):
        return None
    hour = f"{state.at if zone is None else state.at.astimezone(zone):%H:%M}"
    match event:
        case journal.StepStarted(step=step):
            return _of_step(state, hour, step, "")
        case journal.StepDone(step=step, evidence=evidence):
            return _of_step(state, hour, step, f": done{_took(state, step)}{_proof(evidence)}")
        case journal.StepNoted(step=step, text=text):
            return _of_step(state, hour, step, f": {text}")
        case journal.StepFailed(step=step, error=error, inconclusive=inconclusive):
            word = "NOT KNOWN whether it was done" if inconclusive else "FAILED"
            return _of_step(state, hour, step, f": {word}: {after_step(step, error)}")
        case _:
            return News(hour, (), _words(event, state))


def _of_step(state: RunState, hour: str, step_id: str, text: str) -> News:
    step = state.plan.step(step_id)
    return News(hour, (step.node,) if step.node else (), f"{phase_of(step)}{text}")


def _words(event: Event, state: RunState) -> str:
    if isinstance(event, journal.RunPaused) and state.paused_by:
        return f"paused for that (exit {event.code})"
    return _event_words(event, state)


def _took(state: RunState, step: str) -> str:
    held = state.steps[step]
    if held.started is None or held.finished is None:
        return ""
    seconds = int((held.finished - held.started).total_seconds())
    return f" after {clock_time(seconds)}" if seconds else ""


def _proof(evidence: Evidence) -> str:
    """What of a step's evidence a person reads."""
    said = [evidence[key] for key in ("success_line", "operator") if evidence.get(key)]
    if evidence.get("version"):
        said.append(f"on {evidence['version']}")
    if evidence.get("differences"):
        said.append(f"differences: {evidence['differences']}")
    return f": {'; '.join(said)}" if said else ""


def _event_words(event: Event, state: RunState) -> str:  # noqa: C901 - one case a kind
    match event:
        case journal.NodesSeen() | journal.PortsWatched() | journal.PortsSeen():
            return observed_words(event, state.observed)
        case journal.RunStarted(run=run, mode=mode):
            return f"run {run} started ({mode.value})"
        case journal.RunResumed(by=by):
            return f"resumed by {by}"
        case journal.RunHandedOver(by=by, file=file):
            return f"handed over by {by} into {file}"
        case journal.RunTakenOver(by=by):
            return f"taken over by {by}"
        case journal.StepStarted(step=step):
            return f"{step} started"
        case journal.StepNoted(step=step, text=text):
            return f"{step}: {text}"
        case journal.StepDone(step=step, evidence=evidence):
            return f"{step} done{_took(state, step)}{_proof(evidence)}"
        case journal.StepFailed(step=step, error=error, inconclusive=inconclusive):
            word = "INCONCLUSIVE" if inconclusive else "FAILED"
            return f"{step} {word}: {after_step(step, error)}"  # the remedy is told at the end, where it is needed
        case journal.StepReopened(step=step, why=why):
            return f"{step} is looked at again: {why}"
        case journal.NodeDecided(node=node, decision=decision, reason=reason, by=by):
            return f"{node}: {decision} by {by}: {reason}"
        case journal.StopAsked(what=what, by=by, here=here):
            again = "; Ctrl-C again leaves at once, the appliance's work goes on" if here else ""
            return f"{what} asked by {by}; the step in hand is finished first{again}"
        case journal.RequestRefused(file=file, why=why):
            return f"a request was set aside: {why} ({file})"
        case journal.ProgramStarted(what=what, node=node, argv=argv, again=again):
            more = " (run again: how it ended before is not known)" if again else ""
            return f"{what}{f' of {node}' if node else ''} runs: {shlex.join(argv)}{more}"
        case journal.ProgramEnded(what=what, node=node, code=0):
            return f"{what}{f' of {node}' if node else ''} ended with 0"
        case journal.ProgramEnded(what=what, node=node, code=code, output=output, error=error):
            return program_failure(what, node, code, output, error)
        case journal.RunPaused(why=why, code=code):
            return f"paused (exit {code}): {why}"
        case journal.RunEnded(outcome=outcome):
            return f"ended: {outcome}"
