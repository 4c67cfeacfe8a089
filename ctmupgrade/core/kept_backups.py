"""Which of the downloaded backups are still needed, by what, and which may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.run.journal import RunState


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """One backup on this machine.

    :ivar needed_by: what still needs it, in words; empty where nothing does.
    """

    manifest: Manifest
    needed_by: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether its files are there, equal to what was downloaded."""
        return not self.manifest.problem


@dataclass(frozen=True, slots=True)
class KeptBackups:
    """All backups of a cluster on this machine, newest first.

    :ivar unread: files that are called like a manifest and that cannot be read, each with the reason.
    :ivar strays: backups and keys that no manifest proves.
    """

    backups: tuple[KeptBackup, ...]
    unread: tuple[tuple[str, str], ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[KeptBackup, ...]:
        """Return those whose files are gone or changed."""
        return tuple(kept for kept in self.backups if not kept.whole)


def with_needs(
    manifests: Iterable[Manifest], runs: Iterable[RunState], max_age: timedelta
) -> tuple[KeptBackup, ...]:
    """Return backups, newest first, each with what still needs it.

    Needed are: the newest whole one of each node, for it is the node's way back; the last one that was proven; and what a run that is not over made or
    relies on, which is all that was fresh when it began.

    :param runs: the cluster's own. :param max_age: how old a fresh backup may be (cluster.yaml's ``backup.max_age``).
    """
    manifests = list(manifests)
    proven = max((m for m in manifests if m.proven and not m.problem), key=_proven_at, default=None)
    ordered = sorted(manifests, key=lambda manifest: manifest.made_at, reverse=True)
    going = [state for state in runs if state.unfinished]
    seen: set[str] = set()
    found = []
    for manifest in ordered:
        needs = []
        if not manifest.problem and manifest.node not in seen:
            seen.add(manifest.node)
            needs.append(f"the newest whole one of {manifest.node}")
        if manifest is proven:
            needs.append("the last one that was restored as a proof")
        needs += [
            f"run {state.run}, which is not over" for state in going if _relies_on(state, manifest, max_age)
        ]
        found.append(KeptBackup(manifest, tuple(needs)))
    return tuple(found)


def _proven_at(manifest: Manifest) -> datetime:
    return manifest.proven or manifest.created


def _relies_on(state: RunState, manifest: Manifest, max_age: timedelta) -> bool:
    made = {held.evidence.get("backup") for held in state.steps.values()}
    # A restore and a drill go on from the one that their plan names, however old it is.
    named = {s.action.backup_id for s in state.plan.steps if isinstance(s.action, RestoreBackup)}
    return manifest.backup_id in made | named or manifest.made_at >= state.started - max_age


def removable(kept: KeptBackups, keep: int) -> tuple[KeptBackup, ...]:
    """Return the backups that may go: whole, needed by nothing, and not among the newest ``keep`` whole ones of their node.

    A damaged one is never removed: what is left of it may be all that somebody has.
    """
    counted: dict[str, int] = {}
    found = []
    for one in kept.backups:
        if not one.whole:
            continue
        counted[one.manifest.node] = counted.get(one.manifest.node, 0) + 1
        if counted[one.manifest.node] > keep and not one.needed_by:
            found.append(one)
    return tuple(found)


def newer_ones(known: Sequence[Manifest], made: Manifest) -> Iterator[str]:
    """Yield of each newer backup why it is not the one, or that it would lose less. :param made: the one that is used."""
    for one in sorted(known, key=lambda one: one.made_at):
        if one.made_at <= made.made_at or one.backup_id == made.backup_id:
            continue
        what = f"NEWER backup {one.backup_id}, made by {one.node} at {one.made_at:%Y-%m-%d %H:%M %Z}"
        yield (
            f"{what}: not used: {one.problem}"
            if one.problem
            else f"{what}, is whole: --backup {one.file} loses less"
        )
