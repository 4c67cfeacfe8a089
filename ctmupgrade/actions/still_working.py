"""Before the script is started, and above all started again: whether an earlier one still works, or has succeeded.

An operator's ``node retry`` says that the step is to be done again, not that nothing works there: the script may go
on in the background under any name, and it may have succeeded since somebody looked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from ctmupgrade.actions.base import Ctx, known
from ctmupgrade.actions.script_log import (
    SILENT_S,
    believed_after,
    longest_silence,
    mark_of,
    searched,
    told_failed,
    unwritten_for,
)
from ctmupgrade.collect.ask import ask, boot_against
from ctmupgrade.collect.upgrade_logs import read_log
from ctmupgrade.core.looks import ksctl_probes, shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.core.version import Version
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Shell

FOLLOWS = "follows"  # in what is journaled before a start: why there is none


@dataclass(slots=True)
class _Seen:
    """The newest log as the first look that saw it so found it."""

    mark: str = ""
    at: float = -1.0
    looks: int = 0


def found_working(ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence | None]:
    """Yield what to follow instead of a start; None: nothing works there, and nothing waits for its reboot.

    :raises NodeError: something that this run did not start writes to an upgrade log.
    """
    shell, seen = ctx.fleet.shell(step.node), _Seen()
    earlier = ctx.baselines.get(step.id) or ctx.earlier.get(step.id) or {}
    began = ctx.clock.now()
    while True:
        log, ours = _newest(step, shell, earlier)
        if log is None:
            return None
        if log.verdict is LogVerdict.SUCCEEDED:
            follow = ours and _still_counts(ctx, step, shell, log, earlier)
            return {**earlier, FOLLOWS: f"{log.path}: {log.last_line}"} if follow else None
        running = ask(shell, shell_probes.PROCESSES)
        if isinstance(running, tuple) and running:
            return {**earlier, FOLLOWS: f"ks_upgrade.sh runs ({log.path})"} if ours else None
        before, mark = seen.mark, f"{log.path} {log.size} {log.last_line} {mark_of(shell, log.path)}"
        if before and mark != before:
            if ours:
                return {**earlier, FOLLOWS: f"{log.path} grows: {log.last_line}"}
            raise NodeError(
                f"{step.node}: an upgrade that this run did not start is running: {log.path} grows",
                remedy="wait for its end (tail -f it there)",
            )
        enough = _enough(ctx, step, log, ours=ours)
        if _silent_for(ctx, shell, log, mark, seen, again=ours) >= enough:
            return None
        words = f"whether anything still writes to {log.path}: silent for {clock_time(round(enough))} is asked for"
        yield Waiting(ctx.poll, words, began, began + timedelta(seconds=enough))


def _newest(step: Step, shell: Shell, earlier: Mapping[str, str]) -> tuple[UpgradeLog | None, bool]:
    """The newest log, and whether it came after the last start that this run journaled."""
    names = known(ask(shell, shell_probes.LOG_LIST), f"{step.node}: its earlier upgrade logs")
    old = set(earlier.get("logs", "").split("|"))
    fresh = [name for name in names if name not in old] if earlier else []
    if earlier and not fresh:
        fresh = searched(shell, earlier)
    path = next(reversed(fresh or names), "")
    if not path:
        return None, False
    # Of one that cannot be read its size tells whether it grows.
    return known(read_log(shell, path), f"{step.node}: {path}"), bool(fresh)


def _still_counts(ctx: Ctx, step: Step, shell: Shell, log: UpgradeLog, earlier: Mapping[str, str]) -> bool:
    """Whether the success still stands: its reboot is to come, or has brought the target. A node that was rebooted
    and has its old version is to be upgraded again."""
    mark = BootMark.of_text(earlier.get("boot", ""))
    boot = boot_against(shell, mark)
    if not isinstance(boot, BootMark) or not boot.differs_from(mark):
        return True
    version = known(
        ask(ctx.fleet.control(step.node), ksctl_probes.SYSTEM), f"{step.node}: its version"
    ).version
    return version.same_release(Version.parse(log.version))


def _enough(ctx: Ctx, step: Step, log: UpgradeLog, *, ours: bool) -> float:
    if ours:
        return believed_after(ctx, step, told=told_failed(log, ctx.session(step)))
    return min(SILENT_S, longest_silence(ctx))


def _silent_for(ctx: Ctx, shell: Shell, log: UpgradeLog, mark: str, seen: _Seen, *, again: bool) -> float:
    """Seconds since the log was last written to: by the node's own clock, and by what looks have seen. Of a log of
    this run's own start at least two looks must agree."""
    now = ctx.clock.monotonic()
    if not seen.mark:
        seen.mark, seen.at = mark, now
    seen.looks += 1
    watched = now - seen.at
    if again and seen.looks < 2:
        return -1.0
    written = unwritten_for(shell, log.path)
    return watched if written is None else max(watched, written)
