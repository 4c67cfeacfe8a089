"""Before a node is rebooted: whether the script has ended. A reboot in the middle of it hurts the node.

A success line that a look has seen proves it. An operator's ``node done`` does not: the script may work on where the
process list cannot be read, or under another name (docs/appliance.md 1.2). What tells then is its log, as before a start
(:mod:`ctmupgrade.actions.still_working`): while that grows, something works.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ctmupgrade.actions.base import Ctx
from ctmupgrade.actions.script_log import SILENT_S, found_elsewhere, longest_silence, mark_of, unwritten_for
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.upgrade_logs import read_log
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Shell


@dataclass(slots=True)
class _Log:
    """A log as looks have seen it.

    :ivar since: since when it is as it is, by the monotonic clock.
    :ivar grew: looks have seen it change.
    :ivar unknown: so many looks in a row did not tell whether there is one, the first of them at ``unknown_since``.
    """

    path: str = ""
    mark: str = ""
    since: float = 0.0
    looks: int = 0
    grew: bool = False
    unknown: int = 0
    unknown_since: float = 0.0


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
    if isinstance(log, Unknown):
        return _not_known(ctx, seen, log)
    seen.unknown = 0
    if log is None or log.verdict is LogVerdict.SUCCEEDED:
        return ""
    now, mark = ctx.clock.monotonic(), f"{log.path} {log.size} {log.last_line} {mark_of(shell, log.path)}"
    grew = bool(seen.mark) and mark != seen.mark
    if mark != seen.mark:
        seen.path, seen.mark, seen.since = log.path, mark, now
    seen.looks, seen.grew = seen.looks + 1, seen.grew or grew
    if grew:
        return f"{log.path} grows: ks_upgrade.sh works on"
    # As the upgrade step asks of a worker that no process list shows. It is a part of the patience: the silence that only
    # looks tell of ends in time, else each resume would begin anew.
    by_node, enough = unwritten_for(shell, log.path), longest_silence(ctx)
    silent = now - seen.since
    if by_node is not None and not seen.grew:  # looks that saw it change know better than its time
        silent = max(silent, by_node)
    if silent >= enough and (seen.looks > 1 or by_node is not None):
        return ""
    return f"{log.path} was written to less than {round(enough)} s ago: ks_upgrade.sh may work on"


def _not_known(ctx: Ctx, seen: _Log, why: Unknown) -> str:
    """Return that it is not known whether the log grows; "" where that has lasted: a node that never tells its logs is
    rebooted on a person's word. A lost connection tells nothing of the node, however long it lasts."""
    now, longest = ctx.clock.monotonic(), longest_silence(ctx)
    if not seen.unknown:
        seen.unknown_since = now
    seen.unknown = 0 if why.unreachable else seen.unknown + 1
    enough = longest if seen.mark else min(SILENT_S, longest)  # a log that was seen is there
    if seen.unknown > 1 and now - seen.unknown_since >= enough:
        return ""
    return f"whether its log grows is not known: {why.words}"


def _newest(ctx: Ctx, step: Step, shell: Shell) -> Maybe[UpgradeLog | None]:
    """The newest log that came after the script's start, or of all where this run started none; None: there is none."""
    before = ctx.baselines.get(step_id("upgrade", step.node), {})
    listed = ask(shell, shell_probes.LOG_LIST)
    old = set(before.get("logs", "").split("|"))
    fresh = [] if isinstance(listed, Unknown) else [name for name in listed if name not in old]
    if not fresh and before:
        found = found_elsewhere(shell, before)
        if isinstance(found, Unknown):
            return found
        fresh = found
    if not fresh:
        return listed if isinstance(listed, Unknown) else None
    return read_log(shell, fresh[-1])
