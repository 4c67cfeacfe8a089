"""The upgrade logs of a node: what they prove, which boot they are of, and whether one tells of a script that runs."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import file_probes, shell_probes
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog, began_at
from ctmupgrade.ports import Reader

LAST_LOGS = 3  # how many upgrade logs, newest first by name, are read


def read_log(reader: Reader, path: str) -> Maybe[UpgradeLog]:
    """Return one log and what it proves. One that is there and cannot be read, as a log of root's, is UNREAD: it may
    hold a success line as well as not. Unknown is only what nobody could ask."""
    log = ask(reader, shell_probes.log_tail(path))
    if isinstance(log, UpgradeLog) or log.unreachable:
        return log
    return UpgradeLog(path, 0, LogVerdict.UNREAD, why=log.why)


def logs_of(reader: Reader, limit: int = LAST_LOGS) -> Maybe[tuple[UpgradeLog, ...]]:
    """Return the newest upgrade logs, newest last, and what they prove."""
    names = ask(reader, shell_probes.LOG_LIST)
    if isinstance(names, Unknown):
        return names
    found = []
    for name in names[-limit:]:
        log = read_log(reader, name)
        if isinstance(log, Unknown):
            return log
        found.append(log)
    return tuple(found)


def dated_logs(reader: Reader, limit: int = LAST_LOGS) -> Maybe[tuple[UpgradeLog, ...]]:
    """Return :func:`logs_of`, of which the newest success, and each that cannot be read, tells whether it was written to in
    the boot that the node still has. One that somebody rebooted since is older than the boot."""
    logs = logs_of(reader, limit)
    if isinstance(logs, Unknown):
        return logs
    last = len(logs) - 1
    return tuple(
        replace(log, in_this_boot=_in_this_boot(reader, log))
        if log.verdict is LogVerdict.UNREAD or (at == last and log.version)
        else log
        for at, log in enumerate(logs)
    )


def _in_this_boot(reader: Reader, log: UpgradeLog) -> bool | None:
    """Both times are of the node's own clock: of the file and of the boot; of a log that cannot be read, where these are
    not told, the one in its name, which is right, and the boot's in local time."""
    mark, boot = ask(reader, file_probes.file_mark(log.path)), ask(reader, shell_probes.BOOTED_AT)
    if not isinstance(mark, Unknown) and not isinstance(boot, Unknown):
        return float(mark.split()[2]) > boot.since
    began = began_at(log.path)
    if log.verdict is not LogVerdict.UNREAD or began is None:
        return None
    local = ask(reader, shell_probes.BOOTED_AT_LOCAL)
    return None if isinstance(local, Unknown) else began > local.since


def running_upgrades(reader: Reader) -> Maybe[tuple[str, ...]]:
    """Running ``ks_upgrade.sh``: by the process list; where that cannot be read, by the newest log, which a running script
    writes to from its start and which holds a success line only at its end. One that is older than the boot tells that
    nothing runs, whatever it says: no script outlives a boot. A log in no likely folder is searched for."""
    found = ask(reader, shell_probes.PROCESSES)
    if isinstance(found, tuple) or found.unreachable:
        return found
    logs = logs_of(reader, limit=1) or _elsewhere(reader)
    ended = isinstance(logs, tuple) and all(
        log.verdict is LogVerdict.SUCCEEDED or _in_this_boot(reader, log) is False for log in logs
    )
    return () if ended else found


def _elsewhere(reader: Reader) -> Maybe[tuple[UpgradeLog, ...]]:
    names = ask(reader, shell_probes.log_search())
    if isinstance(names, Unknown):
        return names if names.unreachable else ()
    if not names:
        return ()
    newest = read_log(reader, names[-1])
    return newest if isinstance(newest, Unknown) else (newest,)
