"""Checks of jobs that run by themselves, and of those that run now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ctmupgrade.core.checks.check import Question, looked, not_looked_up, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.ksctl import COMPLETE_WORDS, backup_state
from ctmupgrade.core.looks.cron import next_run
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.node_state import BackupJob
from ctmupgrade.core.looks.shared_state import Schedule

_LIST = "ksctl scheduler configs list"
JOBS_PAGE = "vendor page Scheduling Backups"
BACKUP = "database_backup"


def no_job_in_window(q: Question) -> Iterator[Finding]:
    """Check that no enabled job starts during the work; times of jobs are taken as UTC."""
    check, found = "no_job_in_window", list[Finding]()
    for job in _enabled(q, check, found):
        try:
            at = _first(job, q)
        except ValueError:
            words = f'when the job "{job.name}" ({job.operation}) runs cannot be read: "{job.run_at}"'
            found.append(Finding(check, Verdict.WARN, "", words, f"{_LIST}   # look by hand", JOBS_PAGE))
            continue
        if at is not None:
            words = (
                f'the job "{job.name}" ({job.operation}) starts {q.period.words}, at {at:%Y-%m-%d %H:%M} UTC'
            )
            remedy = f"disable it for the time of the work: {_LIST} shows it"
            found.append(Finding(check, Verdict.WARN, "", words, remedy, JOBS_PAGE))
    yield from or_pass(check, found, f"no job starts {q.period.words}")


def _enabled(q: Question, check: str, found: list[Finding]) -> Iterator[Schedule]:
    jobs = q.facts.shared.schedules
    if isinstance(jobs, Unknown):
        found.append(not_looked_up(check, "", jobs, "the list of scheduled jobs", _LIST))
        return
    yield from (job for job in jobs if not job.disabled)


def _first(job: Schedule, q: Question) -> datetime | None:
    """When it first runs during the work. :raises ValueError: not known."""
    start = max(q.period.start, job.start or q.period.start).astimezone(UTC)
    end = min(q.period.end, job.end or q.period.end).astimezone(UTC)
    return next_run(job.run_at, start, end) if start <= end else None


def backups_do_not_pile_up(q: Question) -> Iterator[Finding]:
    """Check that scheduled backups have a number after which old ones are removed; without one they fill the disk."""
    check, found = "backups_do_not_pile_up", list[Finding]()
    for job in _enabled(q, check, found):
        if job.operation == BACKUP and not job.kept:
            words = f'the job "{job.name}" keeps all backups that it makes'
            remedy = "set a retention count for it, and remove old backups: ksctl backup list"
            found.append(Finding(check, Verdict.WARN, "", words, remedy, JOBS_PAGE))
    yield from or_pass(check, found, "no scheduled backup is kept for ever")


def no_backup_or_restore_running(q: Question) -> Iterator[Finding]:
    """Check that no backup and no restore runs on any node."""
    check, command = "no_backup_or_restore_running", "ksctl backup status"
    known, found = looked(
        q, check, lambda f: f.backup_job, "whether a backup or restore runs", command, Verdict.MANUAL
    )
    for name, job in known.items():
        if job.finished is False and not (job.operation or job.status):
            # Nothing is named as running: how a node that never made a backup answers is not known.
            words = (
                "whether a backup or restore is under way is not clear: none is named, and it is not finished"
            )
            found.append(Finding(check, Verdict.WARN, name, words, f"{command}   # look by hand"))
        elif job.finished is False and not _over(job):
            words = f'{job.operation or "a backup or restore"} is under way: "{job.status or "not finished"}"'
            found.append(Finding(check, Verdict.BLOCK, name, words, f"wait until it ends: {command}"))
        elif job.finished is None and job.status and not _over(job):
            words = (
                f'whether {job.operation or "a backup or restore"} is under way is not clear: "{job.status}"'
            )
            found.append(Finding(check, Verdict.WARN, name, words, f"{command}   # look by hand"))
    yield from or_pass(check, found, "no backup or restore runs")


def _over(job: BackupJob) -> bool:
    return job.status.strip().lower() in COMPLETE_WORDS or backup_state(job.status) is not None
