"""A system backup and the key that opens it, made on a node and downloaded.

``backup create`` does not wait and its status words are not documented (docs/appliance.md 3), so the new entry is told
from the old ones by its id and polled. The key that opens it is found by id, must be active, and is
downloaded with it: a backup without its key is worth nothing. The key's password is typed at ksctl's
prompt, never put on its command line.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.collect.ask import ask, every_page
from ctmupgrade.collect.settings import read_settings
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.ksctl import backup_state, sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks import ksctl_probes, state_probes
from ctmupgrade.core.looks.backups import AHEAD, BackupEntry, BackupKey, Manifest
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.json_rows import json_object
from ctmupgrade.core.looks.unknown import Unknown
from ctmupgrade.core.model import Cluster, Secret
from ctmupgrade.core.node_settings import counts_of
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import NodeError, NotYetError, UnreachableError
from ctmupgrade.ports import Control, Reply

# How errors look whose exit code is 0: JSON of the appliance, or a line of ksctl's own.
_COMPLAINT = re.compile(r"NCERR|codeDesc|^[ \t]{0,8}(?:error|fatal|panic)\b", re.IGNORECASE | re.MULTILINE)


def password_problem(cluster: Cluster) -> str:
    """Return why the password for downloaded backup keys is not there; "" where it is."""
    name = cluster.backup.key_password_env
    if not name:
        return "backup.key_password_env names no variable with the password for the downloaded key"
    value = os.environ.get(name, "")
    if not value:
        return f"the variable {name} (backup.key_password_env) is not set"
    # What is not UTF-8 comes as lone surrogates (os.environ): it cannot be typed at a prompt.
    broken = any("\ud800" <= char <= "\udfff" for char in value)
    return f"the variable {name} (backup.key_password_env) is not UTF-8 text" if broken else ""


def key_password(cluster: Cluster) -> Secret:
    """Return the password that protects downloaded backup keys, from the environment.

    :raises NodeError: not set, with the variable's name.
    """
    problem = password_problem(cluster)
    if problem:
        name = cluster.backup.key_password_env or "CTM_BACKUP_KEY_PASSWORD"
        raise NodeError(problem, remedy=f"export {name}=...   # and name it in backup.key_password_env")
    return Secret(os.environ[cluster.backup.key_password_env or ""])


class BackupHandler(StepHandler):
    """One node's backup."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.backup``; a new backup is listed some seconds after it was ordered."""
        return Patience(ctx.cluster.timeouts.backup, grace=timedelta(seconds=max(15.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Yield the backups that are there already, to tell the new one."""
        key_password(ctx.cluster)
        control = ctx.fleet.control(step.node)
        entries = known(every_page(control, ksctl_probes.backups), f"{step.node}: its backups")
        version = known(ask(control, ksctl_probes.SYSTEM), f"{step.node}: its version").version
        asked = ctx.clock.now().isoformat()
        return {"known": "|".join(e.id for e in entries), "version": str(version), "asked": asked}
        yield  # pragma: no cover

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Order a backup of the whole system. What its answer means is remembered; looks tell what came of it."""
        control = ctx.fleet.control(step.node)
        reply = control.change(
            "backup", "create", "--scope", "system", "--description", f"ctmupgrade {ctx.run}"
        )
        yield Noted(note_refusal(ctx, step, reply, "backup create"))
        with suppress(NotUnderstoodError):
            ctx.session(step).own(Held).ordered = str(json_object(reply.out).get("id") or "")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Find the new backup; once it is complete, download it and the key that opens it.

        :raises UnreachableError: a download failed for want of an answer. :raises NodeError: it was refused.
        """
        control = ctx.fleet.control(step.node)
        entries = known(every_page(control, ksctl_probes.backups), f"{step.node}: its backups")
        earlier = set(before.get("known", "").split("|"))
        found = [e for e in entries if e.id not in earlier and e.scope in ("system", "")]
        ordered = [e for e in found if e.id == ctx.session(step).own(Held).ordered]
        fresh = ordered or [e for e in found if not _is_older(e, ctx.cluster, before)]
        if not fresh:
            older = f"; {len(found)} that were not listed before are old" if found else ""
            return LookResult(LookState.NOT_YET, f"the new backup is not listed{older}")
        entry = max(fresh, key=lambda e: e.created.timestamp() if e.created else 0.0)
        complete = _completeness(control, entry)
        if complete is False:
            return LookResult(
                LookState.FAILED,
                f"backup {entry.id} of {step.node} ended as {entry.status}",
                remedy=f"ksctl backup status   # on {step.node}, shows why; another backup is made when the step is run again",
                go_on=GoOn.RETRY,
            )
        if complete is None:
            return LookResult(
                LookState.GOING_ON,
                f"backup {entry.id} is {entry.status or 'being made'}",
                remedy=f"wait for the backup; it can never end if {step.node} was rebooted meanwhile",
                go_on=GoOn.WAIT_OR_RETRY,
            )
        return self._download(ctx, step, control, entry, before)

    def _download(
        self, ctx: Ctx, step: Step, control: Control, entry: BackupEntry, before: Evidence
    ) -> LookResult:
        keys = known(every_page(control, ksctl_probes.backup_keys), f"{step.node}: its backup keys")
        key = key_for(entry, keys)
        if key is None:
            listing = ", ".join(f"{k.id} ({k.state})" for k in keys) or "none"
            return LookResult(
                LookState.FAILED,
                f"no active backup key opens backup {entry.id} (its key: {entry.key_id or '?'}; the node has: {listing})",
                remedy="ksctl backupkeys list   # on that node",
            )
        # Before the download: a node that is asked much must not hold up what proves the backup.
        held = _what_it_holds(ctx, step)
        file, key_file = ctx.tools.store.paths(step.node, entry.id)
        _fetch(
            control.change("backup", "download", "--id", entry.id, "--file", str(file)),
            f"backup of {step.node}",
        )
        _fetch(
            control.change(
                "backupkeys",
                "download",
                "--id",
                key.id,
                "--file",
                str(key_file),
                answer=key_password(ctx.cluster),
            ),
            f"backup key of {step.node}",
        )
        made = entry.created or ctx.clock.now()
        kept = ctx.tools.store.keep(
            Manifest(
                step.node,
                before.get("version", ""),
                entry.id,
                key.id,
                made,
                str(file),
                str(key_file),
                downloaded=ctx.clock.now(),
                tied_to_hsm=entry.tied_to_hsm,
                hsm=held.hsm,
                counts=held.counts,
            )
        )
        return LookResult(
            LookState.DONE,
            evidence={"backup": entry.id, "key": key.id, "file": kept.file, "key_file": kept.key_file},
        )


def _is_older(entry: BackupEntry, cluster: Cluster, before: Evidence) -> bool:
    """Whether a backup is, by its own time, older than one that could be fresh when this one was ordered: a listing may have
    lacked it then. Without a time of either nothing says so."""
    if entry.created is None or "asked" not in before:
        return False
    return entry.created < datetime.fromisoformat(before["asked"]) - cluster.backup.max_age - AHEAD


@dataclass(slots=True)
class Held:
    """What one backup's looks remember: the id that ``backup create`` answered, where it did; what the node holds, and the
    HSM partitions that it uses, which is asked once, however often a download is tried."""

    ordered: str = ""
    asked: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    hsm: tuple[str, ...] | None = None


def _what_it_holds(ctx: Ctx, step: Step) -> Held:
    """As the node tells it; its own settings are kept beside the backup, for a restore onto a new appliance must put
    them back. What it does not tell holds no backup up."""
    held, control = ctx.session(step).own(Held), ctx.fleet.control(step.node)
    if not held.asked:
        settings = read_settings(control)
        ctx.tools.store.save(f"{step.node}-{ctx.run}-settings.json", json.dumps(settings, indent=2))
        hsm = ask(control, state_probes.HSM)
        held.counts, held.asked = counts_of(settings), True
        held.hsm = None if isinstance(hsm, Unknown) else tuple(foreign(one.words) for one in hsm)
    return held


def _fetch(reply: Reply, what: str) -> None:
    """Make sure that a download came to its end: half a file lies there just as a whole one does.

    Here the exit code counts, for the file proves nothing; and where it is 0, what is said.

    :raises UnreachableError: for want of an answer. :raises NotYetError: not now. :raises NodeError: it failed.
    """
    said = excerpt(f"{reply.out} {reply.err}", 300)
    if sounds_away(said):
        raise UnreachableError(f"the {what} could not be downloaded: {said}")
    if sounds_later(said) or sounds_like_login(said):
        raise NotYetError(f"the {what} cannot be downloaded now: {said}")
    if reply.code or _COMPLAINT.search(f"{reply.out}\n{reply.err}"):
        raise NodeError(
            f"the {what} could not be downloaded: {said or f'ksctl ended with {reply.code} and said nothing'}",
            remedy="ksctl backup list   # on that node; and is there room here? df -h",
        )


def key_for(entry: BackupEntry, keys: tuple[BackupKey, ...]) -> BackupKey | None:
    """Return the active key that opens a backup: the one it names; where it names none, the default one, or
    the only one there is."""
    active = [key for key in keys if key.state.lower() in ("active", "")]
    if entry.key_id:
        return next((key for key in active if key.id == entry.key_id), None)
    marked = [key for key in active if key.is_default]
    if len(marked) == 1:
        return marked[0]
    return active[0] if len(active) == 1 else None


def _completeness(control: Control, entry: BackupEntry) -> bool | None:
    state = backup_state(entry.status)
    if state is not None:
        return state
    try:
        reply = control.read("backup", "status")
        body = json_object(reply.out)
    except NotUnderstoodError:
        return None
    if entry.status and str(body.get("status", "")).lower() != entry.status.lower():
        word = str(body.get("status", ""))
        return backup_state(word) if backup_state(word) is not False else None
    return backup_state(str(body.get("status", "")))
