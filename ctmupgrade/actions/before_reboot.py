"""Before a node is rebooted: whether the script has ended. A reboot in the middle of it hurts the node.

A success line that a look has seen proves it. An operator's ``node done`` does not: the script may work on where the
process list cannot be read, or under another name (docs/appliance.md 1.2). What tells then is its log, as before a start
(:mod:`ctmupgrade.actions.still_working`): while that grows, something works.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ctmupgrade.actions.base import Ctx
from ctmupgrade.actions.script_log import SILENT_S, mark_of, searched, unwritten_for
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.upgrade_logs import read_log
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Shell


@dataclass(slots=True)
class _Log:
    """A log as looks have seen it. :ivar since: since when it is as it is, by the monotonic clock."""

    path: str = ""
    mark: str = ""
    since: float = 0.0
    looks: int = 0


def wait_for_script(ctx: Ctx, step: Step) -> Generator[Tick, None, BootMark]:
    """Yield until no script works on the node any more, and return the node's boot then.

    :raises NodeError: one still does after ``timeouts.upgrade``, or whether one does is not known.
    """
    shell, seen = ctx.fleet.shell(step.node), _Log()
    began, since = ctx.clock.monotonic(), ctx.clock.now()
    timeout = ctx.cluster.timeouts.upgrade
    while True:
        running, boot = ask(shell, shell_probes.PROCESSES), ask(shell, shell_probes.BOOT)
        idle = running == () or (isinstance(running, Unknown) and not running.unreachable)
        grows = _works_on(ctx, step, shell, seen) if idle and _may_work(ctx, step, boot) else ""
        if idle and not grows and isinstance(boot, BootMark):
            return boot
        if ctx.clock.monotonic() - began >= timeout.total_seconds():
            raise _still_works(step, grows)
        words = grows or "waiting for the end of ks_upgrade.sh before the reboot"
        yield Waiting(ctx.poll, words, since, since + timeout, grows and "its log may still grow")


def _still_works(step: Step, grows: str) -> NodeError:
    if grows:
        return NodeError(
            f"{step.node}: not rebooted: {grows}",
            remedy=f"do not reboot {step.node}: wait until its upgrade log grows no more (tail -f it there)",
        )
    return NodeError(
        f"{step.node}: not rebooted: ks_upgrade.sh still runs, or whether it runs is not known",
        remedy=f"ps -ef   # on {step.node}; do not reboot it: wait until ks_upgrade.sh is no longer listed",
    )


def _may_work(ctx: Ctx, step: Step, boot: BootMark | Unknown) -> bool:
    """Whether nothing has proven the script's end: no look has seen its success, and the node has not booted since."""
    upgrade = step_id("upgrade", step.node)
    if ctx.proven(upgrade):
        return False
    earlier = BootMark.of_text(ctx.baselines.get(upgrade, {}).get("boot", ""))
    return not (isinstance(boot, BootMark) and boot.differs_from(earlier))


def _works_on(ctx: Ctx, step: Step, shell: Shell, seen: _Log) -> str:
    """Return why something may still write to the newest log; "" where it has ended, or there is none."""
    log = _newest(ctx, step, shell)
    if log is None or log.verdict is LogVerdict.SUCCEEDED:
        return ""
    now, mark = ctx.clock.monotonic(), f"{log.path} {log.size} {log.last_line} {mark_of(shell, log.path)}"
    grew = bool(seen.mark) and mark != seen.mark
    if mark != seen.mark:
        seen.path, seen.mark, seen.since = log.path, mark, now
    seen.looks += 1
    if grew:
        return f"{log.path} grows: ks_upgrade.sh works on"
    by_node = unwritten_for(shell, log.path)
    if by_node is not None:
        silent, enough = max(now - seen.since, by_node), SILENT_S
    else:  # only looks tell, and they must end in time: else each resume would begin anew
        silent, enough = now - seen.since, min(SILENT_S, ctx.cluster.timeouts.upgrade.total_seconds() / 2)
    if silent >= enough and (seen.looks > 1 or by_node is not None):
        return ""
    return f"{log.path} was written to less than {round(enough)} s ago: ks_upgrade.sh may work on"


def _newest(ctx: Ctx, step: Step, shell: Shell) -> UpgradeLog | None:
    """The newest log that came after the script's start, or of all where this run started none; None: there is none."""
    before = ctx.baselines.get(step_id("upgrade", step.node), {})
    listed = ask(shell, shell_probes.LOG_LIST)
    names = () if isinstance(listed, Unknown) else listed
    old = set(before.get("logs", "").split("|"))
    fresh = [name for name in names if name not in old] or (searched(shell, before) if before else [])
    if not fresh:
        return None
    log = read_log(shell, fresh[-1])
    return None if isinstance(log, Unknown) else log
