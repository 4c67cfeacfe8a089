"""``ks_upgrade.sh``: started once, the known way, and followed to its success line.

Known (docs/appliance.md 1): on a terminal it starts its own screen session and writes ``ks_upgrade_TIME.log``; the
line ``Upgrade to X.Y.Z+BUILD succeeded`` is success, ``status: error`` is normal meanwhile, the times in
the log are wrong. Not known: exit codes, failure texts, where the log is, what happens without a
terminal. So the verdict is looked for on the terminal and in every new log, and whether it still runs in
the process list; when they do not add up, a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta

from ctmupgrade.actions.base import (
    Ctx,
    LookResult,
    LookState,
    Moment,
    Patience,
    Session,
    StepHandler,
    known,
)
from ctmupgrade.actions.deadline import Deadline, unknown_since
from ctmupgrade.actions.earlier_upgrades import refuse_earlier
from ctmupgrade.actions.script_log import (
    SEARCH_EVERY,
    SILENT_S,
    Followed,
    believed_after,
    by_its_log,
    earlier_logs,
    growth_of,
    left_running,
    longest_silence,
    new_log,
    not_started_by_sudo,
    seen_of_script,
    seen_running,
    silence,
    since_start,
    to_read,
    told_failed,
    without_words,
)
from ctmupgrade.actions.stage import refuse_changed, refuse_size
from ctmupgrade.actions.still_working import FOLLOWS, found_working
from ctmupgrade.actions.sudo import sudo_of
from ctmupgrade.actions.waits import gate_look
from ctmupgrade.collect.ask import ask, boot_against
from ctmupgrade.core.commands import upgrade_argv
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import parse_shell, shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog, failure_lines, log_verdict
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import RunUpgrade, Step, step_id
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.ticks import Noted, TaskPart, Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.core.version import Version
from ctmupgrade.errors import NodeError, UnreachableError
from ctmupgrade.ports import Shell

KEEP = 65536  # characters of a terminal's output that are kept
RUNS = Noted("ks_upgrade.sh runs: it is in the node's process list", NoteCode.SCRIPT_RUNS)
BROKE = Noted(
    "its terminal's connection broke; ks_upgrade.sh goes on where it has its screen session: its log is followed",
    NoteCode.TERMINAL_BROKE,
)
ON = Noted(
    "no ks_upgrade.sh is in the node's process list, and its log grows: it works on under another name",
    NoteCode.WORKS_ON,
)
GONE_LOOKS = 3  # so many looks in a row must show the script gone before it is believed
SURE_LOOKS = GONE_LOOKS + SEARCH_EVERY  # by then every place was searched for a log


class Upgrade(StepHandler):
    """Starts and follows the script on one node."""

    def __init__(self, action: RunUpgrade) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.upgrade``; up to a minute until a started script must be seen."""
        return Patience(ctx.cluster.timeouts.upgrade, grace=timedelta(seconds=min(60.0, 4 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Yield what is there already, to tell new from old; and last, right before the start, the gate once more."""
        proven = step_id("gate", step.node) in ctx.sessions  # not after a resume
        unchanged = False  # the archive on the node was looked at
        while True:
            ctx.looked[step.id] = Moment.of(ctx.clock)
            working = yield from found_working(ctx, step)
            ctx.looked[step.id] = Moment.of(ctx.clock)
            if working is not None:
                return working
            if not unchanged:
                unchanged = True
                if refuse_changed(ctx, step.node):
                    continue
            before = self._of_the_node(ctx, step)
            if ctx.cluster.strategy is not StrategyName.IN_PLACE or self.action.alone:
                return before
            if not (yield from _wait_for_gate(ctx, step, proven=proven)):
                return before
            proven = True

    def _of_the_node(self, ctx: Ctx, step: Step) -> Evidence:
        shell = ctx.fleet.shell(step.node)
        boot = known(ask(shell, shell_probes.BOOT), f"{step.node}: its boot id before the upgrade")
        logs = known(ask(shell, shell_probes.LOG_LIST), f"{step.node}: its earlier upgrade logs")
        running = ask(shell, shell_probes.PROCESSES)
        if isinstance(running, tuple) and running:
            raise NodeError(f"{step.node}: an upgrade that this run did not start is running: {running[0]}")
        refuse_earlier(ctx, step, shell)
        refuse_size(ctx, step.node, shell)
        taken = ctx.clock.now().timestamp()
        return {"boot": replace(boot, taken=taken).text(), **earlier_logs(shell, logs)}

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Start the script on a terminal, or follow one that was started before. Nothing is sent where looks have aged."""
        session, archive = ctx.session(step), ctx.cluster.target.archive.name
        argv = upgrade_argv(archive, force_path=self.action.force_path, sudo=sudo_of(ctx, step.node))
        session.last_at = ctx.clock.monotonic()
        if why := before.get(FOLLOWS):
            yield Noted(f"not started again, what was started before is followed: {why}")
            return
        if session.aged(ctx.clock):
            return
        try:
            session.terminal = ctx.fleet.shell(step.node).terminal(*argv)
        except NodeError as error:
            session.refused = error.brief
            return
        yield Noted(f"started on a terminal: {' '.join(argv)}", NoteCode.SCRIPT_STARTED)
        if why := session.terminal.ends_with_us:
            yield Noted(f"keep ctmupgrade running: the terminal of ks_upgrade.sh ends with it ({why})")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by terminal, log, process list and boot; see the module."""
        found, session = self._look(ctx, step, before), ctx.session(step)
        return replace(found, note=_news(ctx, session), seen=seen_of_script(session, found))

    def _look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        session = ctx.session(step)
        _drain(session)
        said = _verdict_on_terminal(ctx, session)
        if said:
            return said
        shell = ctx.fleet.shell(step.node)
        log = new_log(shell, session, before)
        if isinstance(log, UpgradeLog):
            judged = _verdict_of_log(ctx, log)
            if judged:
                return judged
        elif log.unreachable:
            return LookResult(LookState.UNKNOWN, log.why, unreachable=True)
        return _while_running(ctx, step, shell, log, before)


def _news(ctx: Ctx, session: Session) -> Noted | None:
    """Return what happened to the script's terminal or log since it was last told."""
    own, still = session.own(Followed), ctx.clock.monotonic() - session.last_at
    if session.ended and session.code is None and not own.told_lost:
        own.told_lost = True
        return BROKE
    if own.running and not own.told_running:
        own.told_running = True
        return RUNS
    if own.works_on and not own.told_on:
        own.told_on = True
        return ON
    if session.last and still >= ctx.cluster.timeouts.stuck.total_seconds() and not session.said_stuck:
        session.said_stuck = True
        return Noted(
            f"STUCK: its log has not grown for {clock_time(round(still))}; still waiting, nothing is stopped"
        )
    return None


def _wait_for_gate(ctx: Ctx, step: Step, *, proven: bool) -> Generator[Tick, None, bool]:
    """The last look before a node goes away; what the gate step saw may have aged. Whether it had to wait: then
    what was seen of the node itself has aged too. After a bad look all must stay well again for ``stable_for``.

    :param proven: this process has seen all well for as long."""
    deadline, timeout = Deadline(ctx), ctx.cluster.timeouts.service
    steady = ctx.cluster.stable_for.total_seconds()
    waited, good_since = False, -math.inf if proven else math.inf
    while True:
        deadline.look()
        seen, now = gate_look(ctx), ctx.clock.monotonic()
        well = seen.state is LookState.DONE
        good_since = min(good_since, now) if well else math.inf
        if well and now - good_since >= steady:
            return waited
        if not well and deadline.over(timeout, since=unknown_since(seen)):
            kind = UnreachableError if seen.unreachable else NodeError
            raise kind(
                f"{step.id}: not started: the cluster is not healthy: {seen.detail}",
                remedy=seen.remedy,
                go_on=seen.go_on,
            )
        waited = True
        words = seen.detail or f"healthy again; for {clock_time(round(now - good_since))} so far"
        words, gist = f"last check before the upgrade: {words}", "" if seen.detail else "healthy again"
        yield Waiting(ctx.poll, words, deadline.since, deadline.until(timeout), gist)


def _drain(session: Session) -> None:
    """Takes in what the terminal said."""
    if session.terminal is None:
        return
    screen = session.terminal.look()
    session.text = (session.text + screen.text)[-KEEP:]
    if screen.ended:
        session.terminal.close()
        session.terminal, session.ended, session.code = None, True, screen.code


def _is_target(ctx: Ctx, version: str) -> bool:
    return Version.parse(version).same_release(ctx.cluster.target.version)


def _verdict_on_terminal(ctx: Ctx, session: Session) -> LookResult | None:
    verdict, version, _ = log_verdict(session.text)
    if verdict is not LogVerdict.SUCCEEDED:
        return None
    if session.terminal is not None:
        return None  # it still shows its last lines; the end comes in a moment
    return _success(ctx, version, f"terminal; {parse_shell.log_name(session.text)}")


def _verdict_of_log(ctx: Ctx, log: UpgradeLog) -> LookResult | None:
    return _success(ctx, log.version, log.path) if log.verdict is LogVerdict.SUCCEEDED else None


def _success(ctx: Ctx, version: str, where: str) -> LookResult:
    if _is_target(ctx, version):
        return LookResult(
            LookState.DONE, evidence={"success_line": f"Upgrade to {version} succeeded", "log": where}
        )
    return LookResult(
        LookState.FAILED,
        f"ks_upgrade.sh upgraded to {version}, not to {ctx.cluster.target.version.short} ({where})",
        remedy="the archive is not that of target.version in cluster.yaml; do not reboot the node before you know why",
    )


def _while_running(
    ctx: Ctx, step: Step, shell: Shell, log: Maybe[UpgradeLog], before: Evidence
) -> LookResult:
    session = ctx.session(step)
    rebooted = _rebooted(ctx, step, shell, before)
    if rebooted:
        return rebooted
    running = ask(shell, shell_probes.PROCESSES)
    growth = growth_of(ctx, session, log)
    if isinstance(running, tuple) and running:
        session.own(Followed).gone, session.own(Followed).running = 0, True
        gist = "ks_upgrade.sh runs"
        left = f"ks_upgrade.sh was left running: do not reboot {step.node}; a resume follows it to its end"
        return LookResult(LookState.GOING_ON, f"{gist}; {growth}", remedy=left, go_on=GoOn.RESUME, gist=gist)
    if session.terminal is not None:
        gist = "ks_upgrade.sh holds its terminal"
        return LookResult(LookState.GOING_ON, f"{gist}; {growth}", gist=gist)
    silent = silence(ctx, step, shell, log)
    if isinstance(running, Unknown):
        if running.unreachable:
            return LookResult(LookState.UNKNOWN, running.why, unreachable=True)
        enough = believed_after(ctx, step, told=told_failed(log, session))
        if (
            session.ended
            and session.code is not None
            and silent >= max(enough, min(SILENT_S, longest_silence(ctx)))
        ):
            return _gone(ctx, step, log, silent)
        if isinstance(log, UpgradeLog) and log.verdict is not LogVerdict.UNREAD:
            return by_its_log(ctx, step, shell, log, growth)
        return LookResult(LookState.UNKNOWN, f"neither a log nor the process list can be read: {running.why}")
    return _gone(ctx, step, log, silent)


def _rebooted(ctx: Ctx, step: Step, shell: Shell, before: Evidence) -> LookResult | None:
    """A node that booted again before the success line was seen was hurt by somebody."""
    earlier = BootMark.of_text(before.get("boot", ""))
    boot = boot_against(shell, earlier)
    if not isinstance(boot, BootMark) or not boot.differs_from(earlier):
        return None
    own = ctx.session(step).own(Followed)
    own.rebooted += 1
    return LookResult(
        LookState.UNKNOWN,
        f"{step.node} was rebooted before ks_upgrade.sh reported success",
        remedy=f"check the version and services of {step.node}; if they are not healthy, ask vendor support. On the "
        "target version it was done, on the old version it was not",
        go_on=GoOn.DONE_OR_RETRY,
        final=own.rebooted >= SURE_LOOKS,
    )


def _ran(ctx: Ctx, step: Step) -> bool:
    """Whether this start's script was seen running, or its terminal was seen to break, by this process or by one that
    has died since: it is then no start that never happened, though it left no log."""
    return seen_running(ctx, step) or NoteCode.TERMINAL_BROKE in since_start(ctx, step)


def _gone(ctx: Ctx, step: Step, log: Maybe[UpgradeLog], silent: float) -> LookResult:
    """The process is not there and no success line was seen. While its log grows it works on under another name."""
    session = ctx.session(step)
    session.own(Followed).gone += 1
    looks = session.own(Followed).gone
    text = session.text if not isinstance(log, UpgradeLog) else f"{session.text}\n{log.last_line}"
    if not isinstance(log, UpgradeLog) and not session.ended and not _ran(ctx, step):
        return LookResult(LookState.NOT_YET, "ks_upgrade.sh is not running and left no new log")
    if refused := not_started_by_sudo(step, log, session):
        return refused
    if looks < (GONE_LOOKS if isinstance(log, UpgradeLog) or session.ended else SURE_LOOKS):
        return LookResult(LookState.GOING_ON, "ks_upgrade.sh has ended; reading the end of its log")
    if silent < believed_after(ctx, step, told=told_failed(log, session)):
        gist = "no ks_upgrade.sh is seen"
        words = f"{gist}; its log was last seen to grow {clock_time(round(silent))} ago"
        words = f"{words}; {growth_of(ctx, session, log)}"
        return LookResult(LookState.GOING_ON, words, remedy=left_running(step), go_on=GoOn.RESUME, gist=gist)
    reason = failure_lines(text)
    verdict, _, _ = log_verdict(text)
    told = {verdict, log.verdict} if isinstance(log, UpgradeLog) else {verdict}
    failed = LogVerdict.FAILED in told or (session.ended and (session.code or 0) > 0)
    if failed and LogVerdict.DOUBTED not in told:
        return LookResult(
            LookState.FAILED,
            f"ks_upgrade.sh failed: {excerpt(reason, 400) or 'its log gives no reason'}",
            remedy=f"do not reboot {step.node}. {to_read(log, step.node, said=reason)} and fix the cause",
            go_on=GoOn.RETRY,
        )
    return LookResult(
        LookState.UNKNOWN,
        f"whether ks_upgrade.sh succeeded is not known: {excerpt(reason, 400) or without_words(log)}",
        remedy=f"do not reboot {step.node}. {to_read(log, step.node, said=reason)}: find out whether the upgrade succeeded",
        go_on=GoOn.DONE_OR_RETRY,
        final=looks >= SURE_LOOKS,
    )
