"""A downloaded backup onto a node: its key, the file, the restore itself, and the proof that it has ended well.

These handlers know nothing of a cluster: a drill on a spare appliance uses the same. What the appliance says of a
restore is hardly documented (docs/appliance.md 3): its operation is asked for, and where that tells nothing, only the
number of keys and users that came with the data proves anything.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.backup import key_password
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.collect.ask import ask, every_page
from ctmupgrade.collect.settings import read_settings
from ctmupgrade.core.commands import backup_upload_argv, key_upload_argv, restore_argv
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.ksctl import backup_state
from ctmupgrade.core.looks import ksctl_probes, state_probes
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.node_state import BackupJob
from ctmupgrade.core.node_settings import COUNTS, counts_of, short_of
from ctmupgrade.core.plan.restore_actions import (
    ProveRestore,
    ResetSpare,
    RestoreBackup,
    UploadBackup,
    UploadKey,
)
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import LoginRefusedError, NodeError

WHOSE_LOGIN = (
    "the users and passwords are those of the backup now: ksctl.password must be the one of that time "
    "(cluster.yaml, ksctl section)"
)
SETTLED = timedelta(
    minutes=5
)  # a node that serves for so long and tells of no restore will not tell any more


def whole_backup(ctx: Ctx, sha256: str, file: str) -> Manifest:
    """Return the downloaded backup with this hash, as its manifest has it now.

    :param file: where it was when the plan was made; it may be in another folder than the cluster's backups.
    :raises NodeError: it is gone, or no longer what was downloaded.
    """
    found = [one for one in ctx.tools.store.manifests() if one.sha256 == sha256]
    found = found or [one for one in (ctx.tools.store.manifest_of(file),) if one and one.sha256 == sha256]
    if not found:
        raise NodeError(f"the backup {file} is no longer on this machine", remedy="put it back where it was")
    if found[0].problem:
        raise NodeError(
            f"the backup cannot be used: {found[0].problem}", remedy=f"put it back: {found[0].file}"
        )
    return found[0]


def counted(ctx: Ctx, node: str) -> dict[str, int]:
    """Return how many keys and users a node has, as far as it tells."""
    return counts_of(read_settings(ctx.fleet.control(node), tuple(COUNTS)))


class UploadKeyHandler(StepHandler):
    """``backupkeys upload``; the key's password is typed at ksctl's prompt. A wrong one is known here, before anything is lost."""

    def __init__(self, action: UploadKey) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``."""
        return Patience(ctx.cluster.timeouts.service, grace=timedelta(seconds=max(15.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure of the file and of the password, and keep which keys are there already."""
        whole_backup(ctx, self.action.sha256, self.action.file)
        key_password(ctx.cluster)
        keys = known(
            every_page(ctx.fleet.control(step.node), ksctl_probes.backup_keys),
            f"{step.node}: its backup keys",
        )
        return {"known": "|".join(key.id for key in keys)}
        yield  # pragma: no cover

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Upload the key, unless it is there."""
        if self.action.key_id and self.action.key_id in before["known"].split("|"):
            yield Noted(f"{step.node} has this key already")
            return
        manifest, session = whole_backup(ctx, self.action.sha256, self.action.file), ctx.session(step)
        try:
            reply = ctx.fleet.control(step.node).change(
                *key_upload_argv(manifest.key_file), answer=key_password(ctx.cluster)
            )
            words = note_refusal(ctx, step, reply, "backupkeys upload")
        except LoginRefusedError as error:  # it asks again and again
            words = session.refused = f"backupkeys upload was refused: {error.brief}"
            session.definite = True
        if session.refused:
            session.refused = f"the backup key could not be opened: is {_password_name(ctx)} the password that it was downloaded with? {session.refused}"
        yield Noted(words)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Find the key in the node's list: by its id, or as the only one that is new and active."""
        keys = known(
            every_page(ctx.fleet.control(step.node), ksctl_probes.backup_keys),
            f"{step.node}: its backup keys",
        )
        active = [key.id for key in keys if key.state.lower() in ("active", "")]
        new = [key for key in active if key not in before.get("known", "").split("|")]
        if self.action.key_id in active:
            return LookResult(LookState.DONE, evidence={"key": self.action.key_id})
        if len(new) == 1:
            return LookResult(LookState.DONE, evidence={"key": new[0]})
        remedy = "ksctl backupkeys list"
        if ctx.session(step).refused:
            remedy = f"export {_password_name(ctx)}=...   # the password of the day on which the backup was downloaded"
        return LookResult(LookState.NOT_YET, "the backup key is not listed", remedy=remedy)


def _password_name(ctx: Ctx) -> str:
    return ctx.cluster.backup.key_password_env or "CTM_BACKUP_KEY_PASSWORD"


class UploadBackupHandler(StepHandler):
    """``backup upload``."""

    def __init__(self, action: UploadBackup) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.upload``."""
        return Patience(ctx.cluster.timeouts.upload, grace=timedelta(seconds=max(15.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure of the file, and keep which backups are there already."""
        whole_backup(ctx, self.action.sha256, self.action.file)
        entries = known(
            every_page(ctx.fleet.control(step.node), ksctl_probes.backups), f"{step.node}: its backups"
        )
        return {"known": "|".join(entry.id for entry in entries)}
        yield  # pragma: no cover

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Upload the file, unless the node has this backup."""
        if self.action.backup_id in before["known"].split("|"):
            yield Noted(f"{step.node} has this backup already")
            return
        manifest = whole_backup(ctx, self.action.sha256, self.action.file)
        reply = ctx.fleet.control(step.node).change(
            *backup_upload_argv(manifest.file), timeout=ctx.cluster.timeouts.upload.total_seconds()
        )
        yield Noted(note_refusal(ctx, step, reply, "backup upload"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Find it in the node's list."""
        found = uploaded(ctx, step.node, self.action.backup_id, before)
        if not found:
            return LookResult(LookState.NOT_YET, "the backup is not listed", remedy="ksctl backup list")
        return LookResult(LookState.DONE, evidence={"backup": found})


def uploaded(ctx: Ctx, node: str, backup_id: str, before: Evidence) -> str:
    """Return what a node calls the uploaded backup: the same as its maker, or the only one that is new; "" where it is not there."""
    entries = known(every_page(ctx.fleet.control(node), ksctl_probes.backups), f"{node}: its backups")
    usable = [entry.id for entry in entries if backup_state(entry.status) is not False]
    new = [one for one in usable if one not in before.get("known", "").split("|")]
    if backup_id in usable:
        return backup_id
    return new[0] if len(new) == 1 else ""


@dataclass(slots=True)
class Restoring:
    """What looks at a restore remember, by the monotonic clock.

    :ivar sent: the order was given by this process. :ivar seen: it was seen to run. :ivar quiet_since: since when the
        node serves and tells of no restore; -1: it does not."""

    sent: bool = False
    seen: bool = False
    quiet_since: float = -1.0


class RestoreBackupHandler(StepHandler):
    """``backup restore``, until the node says that this operation has ended."""

    def __init__(self, action: RestoreBackup) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait as long as a join may take, for a database of the same size is copied."""
        limit = max(ctx.cluster.timeouts.join, ctx.cluster.timeouts.service)
        return Patience(limit, grace=timedelta(seconds=max(30.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Find the uploaded backup, and keep what the node had and told before: a look can tell only by what changes."""
        whole_backup(ctx, self.action.sha256, self.action.file)
        earlier = ctx.baselines.get(step_id("upload-backup", step.node), {})
        found = uploaded(ctx, step.node, self.action.backup_id, earlier)
        if not found:
            raise NodeError(
                f"{step.id}: backup {self.action.backup_id} is not on {step.node}", remedy="ksctl backup list"
            )
        job = ask(ctx.fleet.control(step.node), state_probes.BACKUP_JOB)
        counts = counted(ctx, step.node)
        return {"backup": found, "job": _words(job), "counts": json.dumps(counts)}
        yield  # pragma: no cover

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Give the order. It does not wait; the services restart in the course of it."""
        ctx.session(step).own(Restoring).sent = True
        argv = restore_argv(before["backup"], force=self.action.force)
        reply = ctx.fleet.control(step.node).change(*argv)
        yield Noted(note_refusal(ctx, step, reply, "backup restore"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask for the operation; where the node tells none, judge by what it has.

        :raises UnreachableError: it does not answer, as while its services restart. :raises NotYetError: not now.
        """
        own = ctx.session(step).own(Restoring)
        job = ask(ctx.fleet.control(step.node), state_probes.BACKUP_JOB)
        if isinstance(job, Unknown) and job.login and not job.unreachable:
            words = f"the login is refused, as for a while when its services restart: {job.words}"
            return LookResult(LookState.UNKNOWN, words, remedy=WHOSE_LOGIN, untold=True)
        if isinstance(job, Unknown) and (job.unreachable or job.later):
            known(job, f"{step.node}: its restore")
        ended = None if isinstance(job, Unknown) or not is_restore(job) else restore_ended(job)
        if not isinstance(job, Unknown) and is_restore(job) and ended is None:
            own.seen = True
            return LookResult(
                LookState.GOING_ON, f"the restore is {job.status or 'under way'}",
                remedy=f"wait for the restore; it can never end if {step.node} was rebooted meanwhile",
                go_on=GoOn.WAIT_OR_RETRY,
            )  # fmt: skip
        fresh = own.seen or _words(job) != before.get("job")
        if ended is not None and fresh:
            return self._ended(ctx, step, job, ended=ended)
        return self._by_counts(ctx, step, before, told=not isinstance(job, Unknown))

    def _ended(self, ctx: Ctx, step: Step, job: BackupJob | Unknown, *, ended: bool) -> LookResult:
        if ended:
            return LookResult(LookState.DONE, evidence={"operation": _shown(job)})
        return LookResult(
            LookState.FAILED, f"the restore on {step.node} ended as {_shown(job)}",
            remedy=f"ksctl backup status   # on that node, may show why\n{another_backup(ctx, step)}",
            go_on=GoOn.RETRY,
        )  # fmt: skip

    def _by_counts(self, ctx: Ctx, step: Step, before: Evidence, *, told: bool) -> LookResult:
        """The node tells of no restore. More keys or users than it had, as many as the backup had, come from nowhere else."""
        own, now = ctx.session(step).own(Restoring), counted(ctx, step.node)
        wanted, had = wanted_counts(ctx), json.loads(before.get("counts") or "{}")
        if (
            wanted
            and set(wanted) <= set(now)
            and not list(short_of(wanted, now))
            and list(short_of(wanted, had))
        ):
            proof = ", ".join(f"{count} {name}" for name, count in sorted(now.items()))
            return LookResult(LookState.DONE, evidence={"operation": "not told", "proven_by": proof})
        session = ctx.session(step)
        if not own.sent or (told and (session.unsure or session.refused)):
            # Restored again it would be the same: nothing has joined, and no cluster is made of it yet.
            state = LookState.NOT_YET if told else LookState.UNKNOWN
            return LookResult(state, f"{step.node} tells of no restore")
        own.quiet_since = ctx.clock.monotonic() if own.quiet_since < 0 else own.quiet_since
        quiet = ctx.clock.monotonic() - own.quiet_since
        return LookResult(
            LookState.UNKNOWN, f"{step.node} does not tell what became of the restore",
            remedy=f"ksctl backup status; ksctl keys list; ksctl users list   # on {step.node}: is the backup's data there?",
            final=quiet >= SETTLED.total_seconds() and not session.refused and not session.unsure,
            go_on=GoOn.DONE_OR_RETRY,
        )  # fmt: skip


def another_backup(ctx: Ctx, step: Step) -> str:
    """Return how a person begins anew with another backup: what is on the node now is in the way, and must be given up."""
    first = f"for another backup: ctmupgrade abort {ctx.run}\nthen: "
    for one in ctx.plan.steps:
        if isinstance(one.action, ResetSpare):
            again = f"ctmupgrade drill --on {step.node}={one.action.host} --backup FILE"
            return f"{first}ksctl services reset --yes   # on {step.node}: it has the cluster's keys\nthen: {again}"
    return f"{first}ctmupgrade restore --on {step.node} --gone {step.node} --backup FILE"


def is_restore(job: BackupJob) -> bool:
    """Return whether the node's last operation of this kind was a restore."""
    return "restor" in job.operation.lower()


def restore_ended(job: BackupJob) -> bool | None:
    """Return whether an operation has ended well; None: it has not ended, or its word is not known."""
    state = backup_state(job.status)
    return True if state is None and job.finished is True else state


def _words(job: BackupJob | Unknown) -> str:
    return "not told" if isinstance(job, Unknown) else f"{job.operation} {job.status} {job.finished}"


def _shown(job: BackupJob | Unknown) -> str:
    """The same for a reader. The words above are compared with those of old journals."""
    return _words(job).removesuffix(" None")


def wanted_counts(ctx: Ctx) -> dict[str, int]:
    """Return what the manifest of the run's backup says was there; empty where it does not say."""
    found = (step.action.counts for step in ctx.plan.steps if isinstance(step.action, ProveRestore))
    return dict(next(found, ()))
