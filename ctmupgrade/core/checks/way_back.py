"""Checks of the way back: that backups can be opened, that they fit, and that the old version is at hand."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, not_looked_up, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.backups import AHEAD, Manifest
from ctmupgrade.core.looks.facts import Facts, Unknown, fresh_manifest
from ctmupgrade.core.restorable import backup_fits
from ctmupgrade.core.version import Version

QUORUMS_PAGE, BACKUPS_PAGE = "vendor page Quorums", "vendor page Backups"
_STATUS = "ksctl quorum-policy status"


def backup_key_can_be_had(q: Question) -> Iterator[Finding]:
    """Check that no approval of several people stands before the backup key, nor before a restore."""
    check, policies = "backup_key_can_be_had", q.facts.shared.quorum
    if isinstance(policies, Unknown):
        what = "whether a backup key or a restore needs approvals"
        yield not_looked_up(check, "", policies, what, _STATUS, Verdict.MANUAL)
        return
    active = {name.lower() for policy in policies if policy.active for name in policy.operations}
    found = []
    if "downloadbackupkey" in active:
        needed = any(not fresh_manifest(q.facts, facts.name) for facts in q.pending)
        words = "a quorum policy is active for DownloadBackupKey: the key of a backup needs approvals"
        remedy = f"{_STATUS}   # get the approvals before the window, or deactivate the policy for it"
        found.append(
            Finding(check, Verdict.BLOCK if needed else Verdict.WARN, "", words, remedy, QUORUMS_PAGE)
        )
    if "restorebackup" in active:
        words = "a quorum policy is active for RestoreBackup: in an emergency a restore waits for approvals"
        remedy = f"{_STATUS}   # make sure that those who approve can be reached during the work"
        found.append(Finding(check, Verdict.WARN, "", words, remedy, QUORUMS_PAGE))
    yield from or_pass(check, found, "no approvals are needed for backup keys or a restore")


def backup_of_this_version(q: Question) -> Iterator[Finding]:
    """Check that the fresh backup of each node was made by its version, so that it restores on it."""
    check, found = "backup_of_this_version", []
    for facts in q.pending:
        manifest, version = _fresh(q.facts, facts.name), facts.version
        if manifest is None or isinstance(version, Unknown):
            continue
        try:
            made = Version.parse(manifest.version)
        except ValueError:
            continue
        if not made.same_release(version):
            fits = backup_fits(made, version)
            more = "" if fits else ", and cannot be restored on it"
            words = f"its fresh backup {manifest.backup_id} was made by {made.short}, not by {version.short}{more}"
            remedy = "set backup.max_age lower than its age, then: ctmupgrade backup"
            found.append(
                Finding(
                    check, Verdict.WARN if fits else Verdict.BLOCK, facts.name, words, remedy, BACKUPS_PAGE
                )
            )
    yield from or_pass(check, found, "every fresh backup was made by the version that its node has")


def _fresh(facts: Facts, node: str) -> Manifest | None:
    fresh = fresh_manifest(facts, node)
    return (
        next((m for m in facts.manifests if m.node == node and m.backup_id == fresh), None) if fresh else None
    )


def restored_once(q: Question) -> Iterator[Finding]:
    """Check that a backup of this cluster was restored as a proof not long ago: one that never was may not be one."""
    check, within = "restored_once", q.cluster.backup.proven_within
    proofs = [m.proven for m in q.facts.manifests if m.proven and m.proven <= q.facts.at + AHEAD]
    last = max(proofs, default=None)
    if last is not None and last >= q.facts.at - within:
        yield Finding(
            check, Verdict.PASS, "", f"a backup of this cluster was restored as a proof on {last:%Y-%m-%d}"
        )
        return
    words = "no backup of this cluster that is on this machine was ever restored as a proof"
    if last is not None:
        words = f"the last backup that was restored as a proof was restored on {last:%Y-%m-%d}, more than {within.days} days ago"
    remedy = "ctmupgrade drill --on NAME=HOST   # on a spare appliance, which is reset afterwards"
    yield Finding(check, Verdict.WARN, "", words, remedy, BACKUPS_PAGE)


def old_version_at_hand(q: Question) -> Iterator[Finding]:
    """Ask a person whether an image of the old version is at hand: a cluster is not downgraded, only rebuilt from a backup."""
    check = "old_version_at_hand"
    if not q.pending:
        yield Finding(check, Verdict.PASS, "", "no node needs the upgrade")
    elif q.options.hold_back:
        yield Finding(check, Verdict.PASS, "", f"{q.options.hold_back} is held back, on the old version")
    else:
        old = sorted({f.version.short for f in q.pending if not isinstance(f.version, Unknown)})
        words = f"going back needs a new appliance on the old version ({', '.join(old) or 'not known'}) and a backup"
        remedy = "make sure that an image or an archive of it is at hand"
        yield Finding(
            check, Verdict.MANUAL, "", words, remedy, "vendor page Downgrade: only unclustered appliances"
        )
