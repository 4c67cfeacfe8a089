"""The steps that every way to the target has, with what they are there for and how long they usually take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, fresh_manifest
from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    MakeBackup,
    Reboot,
    RunUpgrade,
    StageArchive,
    Step,
    VerifyArchive,
    step,
    step_id,
)
from ctmupgrade.core.timing import BACKUP_S, BOOT_S, QUICK_S, SERVICES_S, UPGRADE_S, upload_s, verify_s

VERIFIED = (step_id("verify-archive", ""),)  # what waits for the signature
ON_TARGET = "wait until it is on the target version with its services started"


def archive_size(facts: Facts) -> int:
    """Return the bytes of the archive on this machine; 0 where they are not known."""
    return facts.archive.size if isinstance(facts.archive, ArchiveFacts) else 0


def verification(facts: Facts, why: str = "no node is changed before the signature is verified") -> Step:
    """Return the step that verifies the archive's signature."""
    return step(VerifyArchive(), "", why, verify_s(archive_size(facts)))


def backups(facts: Facts, names: Iterable[str], *, holders: int = -1) -> Iterator[Step]:
    """Yield a backup of each node of which this machine has no fresh one."""
    for name in names:
        if not fresh_manifest(facts, name):
            why = "no fresh backup with its key is on this machine"
            yield step(MakeBackup(), name, why, BACKUP_S, VERIFIED, holders)


def backup_waived(options: Options) -> bool:
    """Return whether a person said by name that no backup is needed."""
    return any(check == "backup_downloaded_with_key" for check, _ in options.skips)


def uploads(facts: Facts, names: Iterable[str], *, holders: int = -1) -> Iterator[Step]:
    """Yield the upload of the archive to each node."""
    for name in names:
        why = "to all nodes at the same time, before any node is changed"
        yield step(StageArchive(), name, why, upload_s(archive_size(facts)), VERIFIED, holders)


def upgraded(
    name: str, action: RunUpgrade, why: str, after: tuple[str, ...] = (), *, holders: int = -1
) -> Iterator[Step]:
    """Yield a node's ``ks_upgrade.sh`` and its reboot."""
    yield step(action, name, why, UPGRADE_S, after, holders)
    upgrade = (step_id("upgrade", name),)
    yield step(Reboot(), name, "ks_upgrade.sh asks for it", BOOT_S, upgrade, holders)


def upgraded_alone(
    name: str, action: RunUpgrade, why: str, after: tuple[str, ...] = (), *, holders: int = -1
) -> Iterator[Step]:
    """Yield the same of a node that is in no cluster then, and the wait until it is back."""
    yield from upgraded(name, action, why, after, holders=holders)
    rebooted = (step_id("reboot", name),)
    yield step(AwaitNode(clustered=False), name, ON_TARGET, SERVICES_S, rebooted, holders)


def comparison(name: str, after: tuple[str, ...] = ()) -> Step:
    """Return the step that compares a node's own settings with those that were recorded of it."""
    why = "what the cluster does not replicate must be as before"
    return step(CompareSettings(), name, why, QUICK_S, after)
