"""The backups on this machine, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ctmupgrade.core.kept_backups import KeptBackup, KeptBackups


def document(kept: KeptBackups) -> dict[str, object]:
    """Return the document of ``backup --verify``."""
    return {
        "schema": 1,
        "good": bool(kept.backups) and not kept.damaged and not kept.unread,
        "backups": [_entry(one) for one in kept.backups],
        "unread": [{"file": name, "why": why} for name, why in kept.unread],
        "strays": list(kept.strays),
    }


def _entry(one: KeptBackup) -> dict[str, object]:
    made = one.manifest
    return {
        "node": made.node, "backup": made.backup_id, "version": made.version, "created": made.created.isoformat(),
        "file": made.file, "key_file": made.key_file, "whole": one.whole, "problem": made.problem,
        "proven": made.proven.isoformat() if made.proven else None,
        "needed_by": list(one.needed_by),
    }  # fmt: skip


def lines(kept: KeptBackups) -> Iterator[str]:
    """Yield what ``backup --verify`` found: a line a backup, and what to do about each that is not whole."""
    for one in kept.backups:
        made = one.manifest
        word = "whole  " if one.whole else "DAMAGED"
        yield f"{word}  {made.node}  {made.created:%Y-%m-%d %H:%M %Z}  {made.version or 'version not known'}  {made.file}"
        if not one.whole:
            yield f"         {made.problem}: it cannot be restored"
        if made.proven:
            yield f"         restored as a proof: {made.proven:%Y-%m-%d %H:%M %Z}"
        if one.needed_by:
            yield f"         needed: {'; '.join(one.needed_by)}"
    for name, why in kept.unread:
        yield f"DAMAGED  {name}: this manifest cannot be read ({why}), so nothing proves its backup"
    for name in kept.strays:
        yield f"         {name}: no manifest speaks of it, so nothing proves it"
    if kept.damaged or kept.unread:
        yield "  -> ctmupgrade backup   # makes a new one of each node that has no fresh whole one"
    elif not kept.backups:
        yield "there is no backup of this cluster here\n  -> ctmupgrade backup   # makes one of each node"


def prune_lines(chosen: Iterable[KeptBackup], keep: int) -> Iterator[str]:
    """Yield what ``backup --prune`` would remove."""
    chosen = list(chosen)
    if not chosen:
        yield f"nothing is to be removed: no node has more than {keep} whole backups that nothing needs"
        return
    yield "these backups would be removed from this machine, each with its key:"
    for one in chosen:
        made = one.manifest
        yield f"  {made.node}  {made.created:%Y-%m-%d %H:%M %Z}  {made.version}  {Path(made.file).name}"


def prune_document(
    chosen: Iterable[KeptBackup], gone: Iterable[KeptBackup], *, dry_run: bool
) -> dict[str, object]:
    """Return the document of ``backup --prune``."""
    return {
        "schema": 1, "dry_run": dry_run, "chosen": [_entry(one) for one in chosen], "removed": [_entry(one) for one in gone],
    }  # fmt: skip
