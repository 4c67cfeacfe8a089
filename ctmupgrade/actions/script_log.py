"""The log of a started ``ks_upgrade.sh``: where it lies, whether it still grows, and when its silence is believed.

A script may return at once and work on in the background under any name (docs/appliance.md 1.2), so that the process list does
not tell its end. What tells then is its log: while that grows, something works.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Session
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.upgrade_logs import read_log
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import file_probes, parse_shell, shell_probes
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.upgrade_log import MOST_LINE, LogVerdict, UpgradeLog, failure_lines, log_verdict
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.run.step_state import SCRIPT_ENDED
from ctmupgrade.core.timing import clock_time
from ctmupgrade.ports import Shell

SILENT_S = 60.0  # a running script writes every 10 s (docs/appliance.md 1.2); one that was seen to go and is silent for so long
# has ended
TOLD_S = 15.0  # and one that says that it failed, and writes no further line when the next one is due
PART = 8  # of the patience with the whole upgrade, silence takes at most such a part
# What a question on a terminal ends with.
_ASKS = re.compile(
    r"\?$|\b(?:password|passphrase)\b[^\n]{0,100}:$|[\[(]y(?:es)?/n(?:o)?[\])][:?]?$", re.IGNORECASE
)
_ELSEWHERE, _NOT_KNOWN = "logs_elsewhere", "not known"  # in the evidence of a start
DOUBTED_IS = "doubted_log_is"  # in what a look saw of it
NO_LOG = Unknown("no log yet")
SEARCH_EVERY = 5  # a search of the whole file system is not for every look


@dataclass(slots=True)
class Followed:
    """What looks at a started script remember."""

    log: str = ""  # its path
    running: bool = False  # it was seen in the process list
    gone: int = 0  # so many looks in a row did not see it there
    rebooted: int = 0  # so many looks saw another boot
    searches: int = 0  # so often a log was looked for everywhere
    told_lost: bool = False  # that the terminal broke is noted
    told_running: bool = False  # that it runs is noted
    mark: str = ""  # the log's size and times, as last seen while no script was in the process list
    marked_at: float = -1.0  # when that changed last, by the monotonic clock
    works_on: bool = False  # it was seen to change then
    grew: bool = False  # looks have seen it change, whatever the process list tells
    told_on: bool = False  # that it did is noted
    doubted: Evidence = field(default_factory=dict)  # see doubted_log


def seen_running(ctx: Ctx, step: Step) -> bool:
    """Return whether this start's script was seen in the process list, by this process or by one that has died."""
    return ctx.session(step).own(Followed).running or NoteCode.SCRIPT_RUNS in since_start(ctx, step)


def since_start(ctx: Ctx, step: Step) -> tuple[NoteCode, ...]:
    """Return what dead processes noted of the script since its last start."""
    notes = ctx.noted.get(step.id, ())
    starts = [number for number, code in enumerate(notes) if code is NoteCode.SCRIPT_STARTED]
    return notes[starts[-1] if starts else 0 :]


def told_failed(log: Maybe[UpgradeLog], session: Session) -> bool:
    """Return whether the last words are those of a failure. Words before them may be of a part that was fixed."""
    last = log.last_line if isinstance(log, UpgradeLog) else failure_lines(session.text, 1)
    return log_verdict(last)[0] is LogVerdict.FAILED


def longest_silence(ctx: Ctx) -> float:
    """Return for how many seconds a log may be silent while something works on it, unseen."""
    timeouts = ctx.cluster.timeouts
    return min(timeouts.stuck.total_seconds(), timeouts.upgrade.total_seconds() / PART)


def believed_after(ctx: Ctx, step: Step, *, told: bool) -> float:
    """Return after how many seconds of silence a script that is in no process list has ended.

    :param told: its last words are those of a failure.
    """
    on = ctx.session(step).own(Followed).works_on or NoteCode.WORKS_ON in since_start(ctx, step)
    longest = longest_silence(ctx)
    if told:
        return min(longest, SILENT_S if on else TOLD_S)
    return min(longest, SILENT_S) if seen_running(ctx, step) and not on else longest


def mark_of(shell: Shell, path: str) -> str:
    """Return what changes when a file is written to; "" where nothing tells. Its last lines alone may look the same."""
    mark = ask(shell, file_probes.file_mark(path))
    if not isinstance(mark, Unknown):
        return mark
    size = ask(shell, file_probes.staged(path))
    return "" if isinstance(size, Unknown) else str(size)


def seen_of_script(session: Session, found: LookResult) -> Evidence:
    """Return what a look knows of a script that has not succeeded: the log that doubts it, and that it has ended."""
    ended = {SCRIPT_ENDED: "yes"} if found.state is LookState.FAILED else {}
    return {**session.own(Followed).doubted, **ended}


def doubted_log(shell: Shell, log: UpgradeLog) -> Evidence:
    """Return what tells a log that doubts its success from each that is, or will be, another: who says of this one that the
    upgrade is done has judged these words, and no later ones. Empty where it does not doubt, or grows, or nothing tells."""
    if log.verdict is not LogVerdict.DOUBTED:
        return {}
    mark = mark_of(shell, log.path)
    if not mark or read_log(shell, log.path) != log:
        return {}
    whole = f"{log.path.rsplit('/', 1)[-1]} {mark} {log.last_line}"
    return {"doubted_log": log.path, DOUBTED_IS: hashlib.sha256(whole.encode()).hexdigest()}


def unwritten_for(shell: Shell, path: str) -> float | None:
    """Return for how many seconds a file was not written to, by the node's own clock; None where it does not tell."""
    written, clock = ask(shell, file_probes.file_mark(path)), ask(shell, shell_probes.CLOCK)
    if isinstance(written, Unknown) or isinstance(clock, Unknown):
        return None
    return clock[0] - float(written.split()[2])


def silence(ctx: Ctx, step: Step, shell: Shell, log: Maybe[UpgradeLog]) -> float:
    """Return for how many seconds looks have seen the log as it is, while no script was in the process list."""
    session, now = ctx.session(step), ctx.clock.monotonic()
    own = session.own(Followed)
    mark = f"{len(session.text)}"
    if isinstance(log, UpgradeLog):
        mark = f"{log.path} {log.size} {log.last_line} {mark_of(shell, log.path)} {mark}"
    if mark != own.mark or own.marked_at < 0:
        own.works_on = own.works_on or (own.marked_at >= 0 and own.gone > 1)
        own.grew = own.grew or own.marked_at >= 0
        own.mark, own.marked_at = mark, now
    return now - own.marked_at


def by_its_log(ctx: Ctx, step: Step, shell: Shell, log: UpgradeLog, growth: str) -> LookResult:
    """Return what the log alone tells, where no process list can be read: while it grows something works."""
    gist, own = "the process list cannot be read", ctx.session(step).own(Followed)
    silent = ctx.clock.monotonic() - own.marked_at
    if own.grew and silent < longest_silence(ctx):
        words = f"{gist}; its log was last seen to grow {clock_time(round(silent))} ago; {growth}"
        return LookResult(LookState.GOING_ON, words, remedy=left_running(step), go_on=GoOn.RESUME, gist=gist)
    written = unwritten_for(shell, log.path)
    lately = own.grew or (written is not None and written < SILENT_S)
    remedy = f"{log.path} was written to lately: do not reboot {step.node}, and wait" if lately else (
        f"do not reboot {step.node} while {log.path} grows"
    )  # fmt: skip
    return LookResult(
        LookState.UNKNOWN, f"{gist}; {growth}", gist=gist, go_on=GoOn.DONE_OR_RETRY,
        remedy=f"{remedy}: tail -f {log.path}   # on {step.node}",
    )  # fmt: skip


def left_running(step: Step) -> str:
    """Return what to do about a script that was left while its log grew."""
    return f"its log grows: do not reboot {step.node}, wait until ks_upgrade.sh has ended; a resume follows it to its end"


def new_log(shell: Shell, session: Session, before: Evidence) -> Maybe[UpgradeLog]:
    """Return the newest log that was not there before the start, wherever it lies."""
    known = set(before.get("logs", "").split("|"))
    path, told = session.own(Followed).log, ""
    if not path:
        names = ask(shell, shell_probes.LOG_LIST)
        if isinstance(names, Unknown):
            return names
        fresh = [name for name in names if name not in known]
        told = parse_shell.log_name(session.text)
        if not fresh and (told or session.ended or session.terminal is None):
            fresh = [told] if "/" in told else _searched(shell, session, before)
        if not fresh:
            return NO_LOG
        path = fresh[-1]
    log = read_log(shell, path)
    session.own(Followed).doubted = doubted_log(shell, log) if isinstance(log, UpgradeLog) else {}
    if isinstance(log, UpgradeLog) and (log.verdict is not LogVerdict.UNREAD or path != told):
        session.own(Followed).log = path
    return log


def _searched(shell: Shell, session: Session, before: Evidence) -> list[str]:
    own = session.own(Followed)
    own.searches += 1
    return [] if (own.searches - 1) % SEARCH_EVERY else searched(shell, before)


def earlier_logs(shell: Shell, listed: Sequence[str]) -> Evidence:
    """Return what tells new logs from old ones after a start: those in the likely folders, and those that lie elsewhere. An
    old one that is first found afterwards would be taken for this start's, with its success."""
    found = ask(shell, shell_probes.log_search(), timeout=120.0)
    if isinstance(found, Unknown):
        return {"logs": "|".join(listed), _ELSEWHERE: _NOT_KNOWN}
    names = {name.rsplit("/", 1)[-1] for name in listed}
    return {"logs": "|".join((*listed, *(one for one in found if one.rsplit("/", 1)[-1] not in names)))}


def searched(shell: Shell, before: Mapping[str, str]) -> list[str]:
    """Return :func:`found_elsewhere`; none where the search told nothing."""
    found = found_elsewhere(shell, before)
    return [] if isinstance(found, Unknown) else found


def found_elsewhere(shell: Shell, before: Mapping[str, str]) -> Maybe[list[str]]:
    """Return logs that lie anywhere and are not among the known ones, newest last; none where it is not known which ones lay
    there before the start."""
    if before.get(_ELSEWHERE) == _NOT_KNOWN:
        return []
    found = ask(shell, shell_probes.log_search(), timeout=120.0)
    if isinstance(found, Unknown):
        return found
    old = {name.rsplit("/", 1)[-1] for name in before.get("logs", "").split("|")}
    return [name for name in found if name.rsplit("/", 1)[-1] not in old]


def to_read(log: Maybe[UpgradeLog], node: str, *, said: str) -> str:
    """Return what a person is told to read, as the start of a sentence.

    :param said: what the script said on its terminal, as the error tells it; "": nothing.
    """
    if not isinstance(log, UpgradeLog):
        found = "Take its words above (it left no log that is found on the node)"
        return found if said else (
            f"Look on {node} by hand (find / -xdev -name 'ks_upgrade_*.log'; ps -ef) and at its version (ksctl system info get)"
        )  # fmt: skip
    where = "the node's console (ksadmin may not)" if log.verdict is LogVerdict.UNREAD else "the node"
    return f"Read {log.path} on {where}"


def without_words(log: Maybe[UpgradeLog]) -> str:
    """Return why no line of a script tells how it ended."""
    if isinstance(log, UpgradeLog) and log.verdict is LogVerdict.UNREAD:
        return f"its log cannot be read: {log.why}"
    if isinstance(log, UpgradeLog):
        return "its log is empty"
    return "it said nothing, and " + (
        "no log of it was found" if log == NO_LOG else f"whether it left a log is not known: {log.words}"
    )


def last_words(line: str) -> str:
    """Return what the log says last. ``status: error`` is what it says of services that start (docs/appliance.md 1.2), and
    would alarm whoever reads it alone."""
    usual = " (usual for some minutes)" if line.endswith("status: error") else ""
    return f"last line: {line}{usual}"


def growth_of(ctx: Ctx, session: Session, log: Maybe[UpgradeLog]) -> str:
    """Return words about the log's growth; it being stuck is said, and waited on all the same. Without a line of the log, what its
    terminal asks: in the one run that is known nothing is (docs/appliance.md 1.1)."""
    now = ctx.clock.monotonic()
    line = log.last_line if isinstance(log, UpgradeLog) else ""
    mark = f"{log.size if isinstance(log, UpgradeLog) else 0} {line} {len(session.text)}"
    if mark != session.last:
        session.last, session.last_at = mark, now
    still = now - session.last_at
    if still >= ctx.cluster.timeouts.stuck.total_seconds():
        words = line or _asked(session) or "it has said nothing"
        return f"STUCK: its log has not grown for {clock_time(round(still))} (still waiting): {words}"
    if line:
        return last_words(line)
    asks = _asked(session)
    return f"no log line yet; {asks}" if asks else "no log line yet"


def _asked(session: Session) -> str:
    asks = question_on(session.text)
    return f"its terminal may wait for an answer, which is not given: {asks}" if asks else ""


def question_on(text: str) -> str:
    """Return the last line of a terminal where it reads as a question; "" where it does not."""
    line = excerpt(text.rstrip().rpartition("\n")[2][-MOST_LINE:], 200)
    return line if _ASKS.search(line) else ""


def not_started_by_sudo(step: Step, log: Maybe[UpgradeLog], session: Session) -> LookResult | None:
    """Return that sudo did not start the script, where its last words on the terminal are sudo's: there is no log to read."""
    lines = [line.strip() for line in session.text.splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    if isinstance(log, UpgradeLog) or not session.ended or not said.startswith(("sudo: ", "Sorry, ")):
        return None
    return LookResult(
        LookState.FAILED,
        f"sudo did not start ks_upgrade.sh: {excerpt(said, 200)}",
        remedy=f"nothing was started. sudo -n -l   # on {step.node}, must list ks_upgrade.sh, and need no password",
        go_on=GoOn.RETRY,
    )
