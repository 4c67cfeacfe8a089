"""``backup --verify`` and ``backup --prune``: what was downloaded, without any node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.disk.kept_backups import remove, survey
from ctmupgrade.adapters.disk.run_store import folders
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.runs import hold
from ctmupgrade.commands.wiring import state_dir
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.kept_backups import KeptBackup, KeptBackups, removable, with_needs
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.errors import JournalError, UsageError


def kept(request: CommandRequest) -> KeptBackups:
    """Return every backup of the cluster on this machine, its files hashed and compared with its manifest.

    :raises ConfigError: cluster.yaml is wrong. :raises UsageError: the folder for backups cannot be looked into.
    """
    return _kept(_cluster(request), request)


def _cluster(request: CommandRequest) -> Cluster:
    return load_cluster(request.cluster, simulated=True)  # the archive need not be here for this


def _kept(cluster: Cluster, request: CommandRequest) -> KeptBackups:
    manifests, unread, strays = survey(_store(cluster))
    runs = list(_runs(cluster, request))
    return KeptBackups(with_needs(manifests, runs, cluster.backup.max_age), tuple(unread), tuple(strays))


def _store(cluster: Cluster) -> BackupStore:
    return BackupStore(cluster.backup.directory, cluster.name)


def _runs(cluster: Cluster, request: CommandRequest) -> Iterator[RunState]:
    for folder in folders(state_dir(request) / cluster.name):
        with suppress(JournalError):  # nothing is removed then: see prunable()
            state = folder.state()
            if state.mode is Mode.LIVE:
                yield state


def prunable(request: CommandRequest, keep: int) -> tuple[KeptBackup, ...]:
    """Return what ``--prune --keep N`` would remove.

    :raises UsageError: a journal of the cluster cannot be read, so that nobody knows what its run needs.
    """
    cluster = _cluster(request)
    for folder in folders(state_dir(request) / cluster.name):
        try:
            folder.state()
        except JournalError as error:
            raise UsageError(
                f"nothing is removed: the journal of run {folder.run} cannot be read, and its run may need a backup",
                details=error.brief, remedy=f"ctmupgrade report --verify {folder.run}",
            ) from None  # fmt: skip
    return removable(_kept(cluster, request), keep)


def prune(request: CommandRequest, chosen: tuple[KeptBackup, ...], keep: int) -> tuple[KeptBackup, ...]:
    """Remove what was shown and may still go; return it. No run of the cluster can begin meanwhile.

    :raises LockedError: a run of this cluster goes on. :raises UsageError: the disk refuses it.
    """
    cluster = _cluster(request)
    shown = {(one.manifest.node, one.manifest.backup_id) for one in chosen}
    home = state_dir(request) / cluster.name
    with hold(home, "backup --prune"):
        gone = [
            one for one in prunable(request, keep) if (one.manifest.node, one.manifest.backup_id) in shown
        ]
        for one in gone:
            remove(_store(cluster), one.manifest)
    return tuple(gone)
