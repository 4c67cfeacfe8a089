"""What lies in a folder of backups: looked over as a whole, and removed where that is asked for."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path

from ctmupgrade.adapters.disk.backups import ARRIVING, BackupStore
from ctmupgrade.adapters.disk.manifests import SUFFIX, read_manifest
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.errors import UNFORESEEN, UsageError


def survey(store: BackupStore) -> tuple[list[Manifest], list[tuple[str, str]], list[str]]:
    """Return all of a cluster that lies there: its manifests, whose files are hashed; the manifests that cannot be read,
    each with the reason; and the names of backups and keys that no manifest speaks of.

    :raises UsageError: the folder cannot be looked into. Where there is none there is nothing in it.
    """
    found: list[Manifest] = []
    unread: list[tuple[str, str]] = []
    claimed: set[str] = set()
    for path in store.manifest_files():
        try:
            cluster, manifest = read_manifest(path)
        except (OSError, *UNFORESEEN) as error:
            unread.append((path.name, _why_unread(error)))
            continue
        claimed |= {Path(manifest.file).name, Path(manifest.key_file).name}
        if cluster == store.cluster:
            found.append(manifest)
    torn = {name.removesuffix(SUFFIX) for name, _why in unread}
    strays = [name for name in _pairs(store) if name not in claimed and name.rpartition(".")[0] not in torn]
    return found, unread, strays


def _why_unread(error: Exception) -> str:
    """Why a manifest cannot be read, in words; never in those of Python."""
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, OSError):
        return excerpt((error.strerror or "it cannot be opened"), 200)
    if isinstance(error, LookupError | TypeError | AttributeError):
        return "it does not say what a manifest says"
    return excerpt(str(error), 200) or "it does not say what a manifest says"


def _pairs(store: BackupStore) -> list[str]:
    """The names of backups and keys that could be this cluster's."""
    try:
        there = sorted(entry.name for entry in store.directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(
            f"backup.directory {store.directory}: {error.strerror}",
            remedy=f"ls -ld {shlex.quote(str(store.directory))}",
        ) from None
    return [
        name for name in there if name.startswith(f"{store.cluster}-") and name.endswith((".backup", ".key"))
    ]


def remove(store: BackupStore, manifest: Manifest) -> None:
    """Remove a backup, its key and its manifest.

    They are moved away first, the manifest before the others: at no moment does a manifest speak of files that are gone,
    and what a killed process leaves is in a folder that the next download removes.

    :raises UsageError: the disk refuses it.
    """
    stem = f"{store.cluster}-{manifest.node}-{manifest.backup_id}"
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{stem}-", suffix=ARRIVING, dir=store.directory))
        for name in (f"{stem}{SUFFIX}", Path(manifest.file).name, Path(manifest.key_file).name):
            (store.directory / name).replace(folder / name)
        shutil.rmtree(folder)
    except OSError as error:
        raise UsageError(
            f"backup {manifest.backup_id} of {manifest.node} cannot be removed: {error.strerror}",
            remedy=f"ls -la {store.directory}",
        ) from None
