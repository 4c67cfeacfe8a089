"""Upgrades that were made on a node before, by somebody else or by a run whose journal has forgotten it."""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx, known
from ctmupgrade.actions.script_log import DOUBTED_IS, doubted_log
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.upgrade_logs import dated_logs, logs_of
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.unknown import Unknown
from ctmupgrade.core.looks.upgrade_log import MOVE_AWAY, LogVerdict, undecided
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.version import Version
from ctmupgrade.errors import InconclusiveError
from ctmupgrade.ports import Shell


def refuse_earlier(ctx: Ctx, step: Step, shell: Shell) -> None:
    """Refuse to do again somebody else's upgrade that ended since the checks and waits for its reboot.

    :raises InconclusiveError: there is one.
    """
    logs = known(dated_logs(shell), f"{step.node}: its earlier upgrade logs")
    version = known(
        ask(ctx.fleet.control(step.node), ksctl_probes.SYSTEM), f"{step.node}: its version"
    ).version
    _refuse_repeated(ctx, step, version)
    own = bool(ctx.baselines.get(step.id) or ctx.earlier.get(step.id))  # a person has judged what came of it
    ended = (LogVerdict.SUCCEEDED,) if own else (LogVerdict.SUCCEEDED, LogVerdict.DOUBTED)
    last = next((log for log in reversed(logs) if log.verdict in ended), None)
    if not own:
        _refuse_unread(step, undecided(logs))
    if last is None or Version.parse(last.version).release <= version.release:
        return
    how = "succeeded" if last.verdict is LogVerdict.SUCCEEDED else "may have succeeded"
    raise InconclusiveError(
        f"{step.id}: not started: an upgrade of {step.node} to {last.version} {how} and waits for its reboot "
        f"({last.path}); this run did not start it",
        remedy="if that is right, count the step as done (the reboot comes next); if the log is old, first "
        f"{MOVE_AWAY}",
        go_on=GoOn.DONE_OR_RETRY,
    )


def _refuse_unread(step: Step, unread: Unknown | None) -> None:
    """A log of this boot that cannot be read may be that of an upgrade that waits for its reboot. Those of this run's own
    starts are judged where the script is followed, and by the person who then says what is to be done.

    :raises InconclusiveError: there is one, and this run has started nothing there.
    """
    if unread is None:
        return
    raise InconclusiveError(
        f"{step.id}: not started: whether an earlier upgrade of {step.node} waits for its reboot is not known: {unread.why}",
        remedy="read it on the node's console. If it has a success line, count the step as done (the reboot comes next); if "
        f"not, and no ks_upgrade.sh runs there, first {MOVE_AWAY}",
        go_on=GoOn.DONE_OR_RETRY,
    )


def refuse_doubted(ctx: Ctx, step: Step, shell: Shell) -> None:
    """Refuse to reboot a node whose script went on after its success line, and failed. A log that cannot be read any more
    holds no reboot up: the success line was seen. Nor does one of which a person has said, after it was last seen to change,
    that the upgrade is done.

    :raises InconclusiveError: its log tells of a failure after that line.
    """
    logs = logs_of(shell, limit=1)
    if isinstance(logs, Unknown) or not logs or logs[-1].verdict is not LogVerdict.DOUBTED:
        return
    judged = ctx.judged(step_id("upgrade", step.node)).get(DOUBTED_IS, "")
    if judged and judged == doubted_log(shell, logs[-1]).get(DOUBTED_IS):
        return
    raise InconclusiveError(
        f"{step.id}: not rebooted: ks_upgrade.sh told of a failure after its success line ({logs[-1].path}): "
        f"{logs[-1].last_line}",
        remedy=f"read {logs[-1].path} on {step.node} and ask vendor support. If it may be rebooted all the same: sudo reboot"
        "   # there, by hand",
        go_on=GoOn.RETRY,
    )


def _refuse_repeated(ctx: Ctx, step: Step, version: Version) -> None:
    """A node that is at the target already is not upgraded again: this run's journal may be older than the node, as
    where this machine was set back. Only what this run has begun itself may be started again.

    :raises InconclusiveError: it is at the target, and this run did not bring it there.
    """
    begun = NoteCode.SCRIPT_STARTED in ctx.noted.get(step.id, ())
    if begun or not version.same_release(ctx.cluster.target.version):
        return
    raise InconclusiveError(
        f"{step.id}: not started: {step.node} is at {version} already, and by its journal this run did not upgrade it",
        remedy="if the journal is an older copy (of a restored machine), another run plans what is left; look first: "
        "ctmupgrade check",
        go_on=GoOn.NEW_RUN,
    )
