"""Where downloaded backups lie on this machine: the file, its key, and a manifest that proves them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ctmupgrade.core.looks.facts import Manifest
from ctmupgrade.errors import NodeError

SUFFIX = ".manifest.json"


class BackupStore:
    """Backups of one cluster in ``directory``, each file 0600 and written under a temporary name first."""

    def __init__(self, directory: Path, cluster: str) -> None:
        self.directory = directory
        self.cluster = cluster

    def paths(self, node: str, backup_id: str) -> tuple[Path, Path]:
        """Temporary paths for a backup and its key; remains of an interrupted download are removed."""
        self._ready()
        stem = f"{self.cluster}-{node}-{backup_id}"
        paths = self.directory / f".{stem}.backup.part", self.directory / f".{stem}.key.part"
        for path in paths:
            path.unlink(missing_ok=True)
        return paths

    def keep(self, manifest: Manifest) -> Manifest:
        """Moves the downloaded pair into place and writes the manifest last, so that it proves both.

        :raises NodeError: a file is missing or empty, or cannot be moved.
        """
        hashes = {}
        final: dict[str, str] = {}
        for kind, name in (("file", manifest.file), ("key_file", manifest.key_file)):
            part = Path(name)
            if not part.is_file() or part.stat().st_size == 0:
                what = "backup" if kind == "file" else "backup key"
                raise NodeError(f"{manifest.node}: the {what} was not downloaded: {part} is missing or empty")
            part.chmod(0o600)
            _sync(part)
            target = part.with_name(part.name.removeprefix(".").removesuffix(".part"))
            part.replace(target)
            final[kind] = str(target)
            hashes[kind] = {"size": target.stat().st_size, "sha256": _hash(target)}
        kept = replace(manifest, file=final["file"], key_file=final["key_file"])
        self._write_manifest(kept, hashes)
        return kept

    def manifests(self) -> tuple[Manifest, ...]:
        """Every manifest of this cluster; ``problem`` says where its files are gone or changed."""
        try:
            paths = (
                sorted(self.directory.glob(f"{self.cluster}-*{SUFFIX}")) if self.directory.is_dir() else []
            )
        except OSError:  # a folder that cannot be looked into proves nothing; unusable() says so
            paths = []
        found = []
        for path in paths:
            try:
                found.append(_read(path))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not one of ours, or torn: it proves nothing
        return tuple(found)

    def save(self, name: str, text: str) -> str:
        """Keeps a text, 0600, and returns its path."""
        self._ready()
        return str(_write(self.directory / f"{self.cluster}-{name}", text))

    def unusable(self) -> str:
        """Why nothing could be kept here; "" where it could. Changes nothing."""
        place = self.directory
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        usable = os.access(place, os.W_OK | os.X_OK)  # asked first: a closed folder cannot even be looked at
        if not usable or not place.is_dir():
            return f"backup.directory {self.directory} is not writable"
        return ""

    def _ready(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NodeError(f"backup.directory {self.directory}: {error.strerror}") from error

    def _write_manifest(self, manifest: Manifest, hashes: dict[str, dict[str, object]]) -> None:
        body = {
            "schema": 1,
            "cluster": self.cluster,
            "node": manifest.node,
            "version": manifest.version,
            "backup_id": manifest.backup_id,
            "key_id": manifest.key_id,
            "created": manifest.created.isoformat(),  # by the appliance's clock
            "downloaded": manifest.downloaded.isoformat() if manifest.downloaded else None,  # by ours
            "file": {"name": Path(manifest.file).name, **hashes["file"]},
            "key_file": {"name": Path(manifest.key_file).name, **hashes["key_file"]},
        }
        name = f"{self.cluster}-{manifest.node}-{manifest.backup_id}{SUFFIX}"
        _write(self.directory / name, json.dumps(body, indent=2) + "\n")


def _read(path: Path) -> Manifest:
    body = json.loads(path.read_text(encoding="utf-8"))
    files = [path.parent / body[kind]["name"] for kind in ("file", "key_file")]
    problem = ""
    for file, kind in zip(files, ("file", "key_file"), strict=True):
        if not file.is_file():
            problem = f"{file.name} is gone"
        elif file.stat().st_size != body[kind]["size"] or _hash(file) != body[kind]["sha256"]:
            problem = f"{file.name} is not what was downloaded"
    downloaded = body.get("downloaded")
    return Manifest(
        body["node"], body["version"], body["backup_id"], body["key_id"],
        _moment(body["created"]), str(files[0]), str(files[1]), problem,
        _moment(downloaded) if downloaded is not None else None,
    )  # fmt: skip


def _moment(text: str) -> datetime:
    """:raises ValueError: not a time with its zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text}: its time zone is missing")
    return moment


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path
