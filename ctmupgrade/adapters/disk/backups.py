"""Where downloaded backups lie on this machine: the file, its key, and a manifest that proves them."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shlex
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ctmupgrade.adapters.disk.bounded_file import MIB, read_text_bounded
from ctmupgrade.adapters.disk.durable import sync_dir
from ctmupgrade.adapters.disk.manifests import SUFFIX, cluster_of, hash_of, read_manifest, write_manifest
from ctmupgrade.adapters.disk.ownership import exposed
from ctmupgrade.adapters.disk.private_file import not_ours, write_private
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.errors import UNFORESEEN, NodeError

ARRIVING = ".arriving"  # how folders end in which a download is under way

_OLD_S = 86_400.0  # seconds after which nothing is still downloaded into such a folder


class BackupStore:
    """Backups of one cluster in ``directory``, each file 0600. They arrive in a folder that only the caller can enter,
    so that nobody reads a backup key, or plants a link in its place, while it is written."""

    def __init__(self, directory: Path, cluster: str) -> None:
        self.directory = directory
        self.cluster = cluster

    def paths(self, node: str, backup_id: str) -> tuple[Path, Path]:
        """Return paths to download a backup and its key to, in a new folder of their own (0700). Remains of an interrupted
        download are removed.

        :raises NodeError: the folder for backups cannot be used, or others can write to it.
        """
        self._ready()
        stem = f"{self.cluster}-{node}-{backup_id}"
        try:
            self._remove_remains(stem)
            folder = Path(tempfile.mkdtemp(prefix=f".{stem}-", suffix=ARRIVING, dir=self.directory))
        except OSError as error:
            raise NodeError(f"backup.directory {self.directory}: {error.strerror}") from error
        return folder / f"{stem}.backup", folder / f"{stem}.key"

    def _remove_remains(self, stem: str) -> None:
        """Removes what killed downloads left: this download's own, and any of this cluster's that is old. Others may
        be under way in another process."""
        oldest = time.time() - _OLD_S
        for remains in self.directory.glob(f".{glob.escape(self.cluster)}-*{ARRIVING}"):
            with suppress(FileNotFoundError):  # another node's download has just ended
                about = remains.lstat()
                ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
                again = remains.name.startswith(f".{stem}-")
                if ours and (again or _last_change(remains, about.st_mtime) < oldest):
                    shutil.rmtree(remains, ignore_errors=True)

    def keep(self, manifest: Manifest) -> Manifest:
        """Move the downloaded pair into place and write the manifest last, so that it proves both.

        :raises NodeError: a file is missing or empty, or cannot be moved.
        """
        hashes: dict[str, dict[str, object]] = {}
        final: dict[str, str] = {}
        for kind, name in (("file", manifest.file), ("key_file", manifest.key_file)):
            what = f"{manifest.node}: the {'backup' if kind == 'file' else 'backup key'}"
            part, target = Path(name), self.directory / Path(name).name
            try:
                hashes[kind] = _settle(part, what)
                part.replace(target)
            except OSError as error:
                raise NodeError(
                    f"{what} cannot be kept: {target}: {error.strerror}",
                    remedy=f"make space, or fix {self.directory} (df, ls -ld)",
                ) from error
            final[kind] = str(target)
        for folder in {Path(manifest.file).parent, Path(manifest.key_file).parent} - {self.directory}:
            shutil.rmtree(folder, ignore_errors=True)
        kept = replace(
            manifest, file=final["file"], key_file=final["key_file"],
            sha256=str(hashes["file"]["sha256"]), key_sha256=str(hashes["key_file"]["sha256"]),
        )  # fmt: skip
        write_manifest(self.directory, self.cluster, kept, hashes)
        return kept

    def note_proven(self, manifest: Manifest, at: datetime) -> Manifest:
        """Write into its manifest that a backup was restored and proven; return it with that.

        :raises NodeError: the files are no longer what the manifest says, or the disk does not take it.
        """
        proven, hashes = replace(manifest, proven=at), dict[str, dict[str, object]]()
        wanted = {"file": manifest.sha256, "key_file": manifest.key_sha256}
        try:
            for kind, name in (("file", manifest.file), ("key_file", manifest.key_file)):
                hashes[kind] = {"size": Path(name).stat().st_size, "sha256": hash_of(Path(name))}
                if hashes[kind]["sha256"] != wanted[kind]:
                    raise NodeError(f"{name} is not what was downloaded")
            write_manifest(self.directory, self.cluster, proven, hashes)
        except OSError as error:
            raise NodeError(f"{error.filename or self.directory}: {error.strerror}") from error
        return proven

    def manifests(self) -> tuple[Manifest, ...]:
        """Return every manifest of this cluster; ``problem`` says where its files are gone or changed."""
        found = []
        for path in self.manifest_files():
            # One that is torn, or another cluster's whose name begins with ours (prod, prod-eu), proves nothing.
            with suppress(OSError, *UNFORESEEN):
                cluster, manifest = read_manifest(path)
                if cluster == self.cluster:
                    found.append(manifest)
        return tuple(found)

    def manifest_files(self) -> list[Path]:
        """Return the files that are called like this cluster's manifests. None where the folder cannot be looked into:
        it proves nothing, and :meth:`unusable` says so."""
        try:
            names = f"{glob.escape(self.cluster)}-*{SUFFIX}"
            return sorted(self.directory.glob(names)) if self.directory.is_dir() else []
        except OSError:
            return []

    def manifest_of(self, file: str) -> Manifest | None:
        """Return the manifest beside a backup, wherever that is; None where there is none, or it is of another cluster.

        :param file: the backup, its key, or the manifest itself.
        """
        path = Path(file)
        named = path.name if path.name.endswith(SUFFIX) else f"{path.name.removesuffix(path.suffix)}{SUFFIX}"
        try:
            cluster, manifest = read_manifest(path.with_name(named))
        except (OSError, *UNFORESEEN):
            return None
        return manifest if cluster == self.cluster else None

    def save(self, name: str, text: str) -> str:
        """Keep a text, 0600, and return its path."""
        self._ready()
        path = self.directory / f"{self.cluster}-{name}"
        write_private(path, text.encode())
        return str(path)

    def settings_of(self, node: str) -> str:
        """Return the newest of a node's own settings that a run has kept; "" where none did, or where they may be of another
        cluster's node: prod-eu and ctm-1 make the same name as prod and eu-ctm-1."""
        stem = f"{self.cluster}-{node}"
        manifests = self.directory.glob(f"{glob.escape(stem)}-*{SUFFIX}")
        if any(cluster_of(path) not in ("", self.cluster) for path in manifests):
            return ""
        named = re.compile(rf"{re.escape(stem)}-\d{{8}}T\d{{6}}-[0-9a-z]+-settings\.json")
        with suppress(OSError):
            # A run's id begins with its time, so that the last name is the newest.
            for path in sorted(
                self.directory.glob(f"{glob.escape(self.cluster)}-*-settings.json"), reverse=True
            ):
                if named.fullmatch(path.name):
                    return read_text_bounded(path)
        return ""

    def unusable(self) -> str:
        """Return why nothing could be kept here; "" where it could.

        Found out by doing what will be done (file systems of other machines refuse some of it), in a folder that is
        gone afterwards.
        """
        place = self.directory
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        try:
            if not place.is_dir():
                return f"backup.directory {self.directory} is not writable: {place} is no folder"
            if place == self.directory and (why := not_ours(place)):
                return f"backup.directory: {why}"
            _try_out(place)
        except OSError as error:
            return f"backup.directory {self.directory} is not writable: {error.strerror}"
        except _NotDoneError as error:
            return f"backup.directory {self.directory} cannot be used: {error}"
        return ""

    def warning(self) -> str:
        """Return what to say of a folder that others can look into or move away; "" where they cannot."""
        try:
            mode = stat.S_IMODE(self.directory.stat().st_mode)
        except OSError:  # it is not there yet
            return exposed(self.directory)
        if mode & (stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH):
            return f"others can look into backup.directory (mode {mode:04o}): chmod 700 {shlex.quote(str(self.directory))}"
        return exposed(self.directory)

    def _ready(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            why = not_ours(self.directory)
        except OSError as error:
            raise NodeError(f"backup.directory {self.directory}: {error.strerror}") from error
        if why:
            raise NodeError(
                f"backup.directory: {why}",
                remedy=f"make it yours, or name another: ls -ld {shlex.quote(str(self.directory))}",
            )


def _last_change(folder: Path, own: float) -> float:
    """When a folder or a file in it was last written to, epoch seconds."""
    return max([own, *(file.lstat().st_mtime for file in folder.iterdir())])


class _NotDoneError(Exception):
    """What was tried out that did not work."""


def _settle(part: Path, what: str, *, copied: bool = False) -> dict[str, object]:
    """What was downloaded, 0600 and on disk; its size and hash.

    :param copied: it is the copy that was made because chmod is refused: another one would be no better.

    :raises NodeError: it is missing, empty or no file.
    """
    missing = NodeError(f"{what} was not downloaded: {part} is missing or empty")
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
            raise missing
        try:
            _close_off(descriptor, about.st_mode)
        except OSError:
            if copied:
                raise
            _copy_closed(file, part)
            return _settle(part, what, copied=True)
        os.fsync(descriptor)
        return {"size": about.st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _close_off(descriptor: int, mode: int) -> None:
    """0600. A file system whose modes are its own (CIFS) may refuse it where others cannot read the file anyway."""
    try:
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        if mode & 0o077:
            raise OSError(error.errno, f"chmod 600: {error.strerror}") from error


def _created(path: Path) -> int:
    """A new file, opened for writing. Only we can read it from its first byte on, where the file system keeps modes at all."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _copy_closed(file: BinaryIO, part: Path) -> None:
    """Put a copy that others cannot read in the place of what ksctl wrote. Some file systems (CIFS, FUSE) refuse chmod, and keep
    the mode that a file is made with.

    :raises OSError: it cannot be written.
    """
    closed = part.with_name(f"{part.name}.closed")
    with os.fdopen(_created(closed), "wb") as copy:
        shutil.copyfileobj(file, copy, MIB)
    closed.replace(part)


def _try_out(place: Path) -> None:
    """Does in ``place`` what a download does. :raises OSError: no folder can be made. :raises _NotDoneError: the rest."""
    folder = Path(tempfile.mkdtemp(prefix=".ctmupgrade-try-", dir=place))
    doing = "looking at a folder in it"
    try:
        if folder.stat().st_mode & 0o077:
            doing = "chmod 700 of a folder in it"
            folder.chmod(0o700)
            if folder.stat().st_mode & 0o077:
                raise _NotDoneError(
                    "others can look into every folder that is made in it, and chmod changes nothing"
                )
        doing = "writing a file"
        one, other = folder / "one", folder / "other"
        descriptor = _created(one)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"x")
            file.flush()
            doing = "chmod"
            _close_off(descriptor, os.fstat(descriptor).st_mode)
            doing = "writing a file to the disk (fsync)"
            os.fsync(descriptor)
        doing = "renaming a file"
        one.replace(other)
        doing = "syncing a folder"
        sync_dir(folder)
    except OSError as error:
        raise _NotDoneError(f"{doing}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
