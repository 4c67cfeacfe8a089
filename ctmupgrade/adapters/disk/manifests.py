"""Manifests of downloaded backups: what was downloaded, from where, and what its files must still be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ctmupgrade.adapters.disk.bounded_file import read_text_bounded
from ctmupgrade.adapters.disk.private_file import write_private
from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.errors import UNFORESEEN

SUFFIX = ".manifest.json"


def write_manifest(
    folder: Path, cluster: str, manifest: Manifest, files: Mapping[str, Mapping[str, object]]
) -> None:
    """Write a manifest, 0600, in place of one of the same backup. :raises OSError: the disk does not take it.

    :param files: size and sha256 of ``file`` and ``key_file``.
    """
    body = {
        "schema": 1,
        "cluster": cluster,
        "node": manifest.node,
        "version": manifest.version,
        "backup_id": manifest.backup_id,
        "key_id": manifest.key_id,
        "created": manifest.created.isoformat(),  # by the appliance's clock
        "downloaded": manifest.downloaded.isoformat() if manifest.downloaded else None,  # by ours
        "tied_to_hsm": manifest.tied_to_hsm,
        "hsm": None if manifest.hsm is None else list(manifest.hsm),
        "counts": dict(manifest.counts),
        "proven": manifest.proven.isoformat() if manifest.proven else None,
        "file": {"name": Path(manifest.file).name, **files["file"]},
        "key_file": {"name": Path(manifest.key_file).name, **files["key_file"]},
    }
    name = f"{cluster}-{manifest.node}-{manifest.backup_id}{SUFFIX}"
    write_private(folder / name, (json.dumps(body, indent=2) + "\n").encode())


def cluster_of(path: Path) -> str:
    """Return whose backup a manifest is, without a look at the backup; "" where it does not tell."""
    try:
        return str(read_json(read_text_bounded(path))["cluster"])
    except (OSError, *UNFORESEEN):
        return ""


def read_manifest(path: Path) -> tuple[str, Manifest]:
    """Return whose backup a manifest is (its cluster's name), and what it says; ``problem`` tells where its files are gone
    or changed.

    :raises OSError: it cannot be read. So may be what reading something else raises: it is none of ours, or torn.
    """
    body = read_json(read_text_bounded(path))
    files = [path.parent / _plain_name(body[kind]["name"]) for kind in ("file", "key_file")]
    problem = ""
    for file, kind in zip(files, ("file", "key_file"), strict=True):
        if not file.is_file():
            problem = f"{file.name} is gone"
        elif file.stat().st_size != body[kind]["size"] or hash_of(file) != body[kind]["sha256"]:
            problem = f"{file.name} is not what was downloaded"
    tied, hsm = body.get("tied_to_hsm"), body.get("hsm")
    return body["cluster"], Manifest(
        body["node"], body["version"], body["backup_id"], body["key_id"],
        _moment(body["created"]), str(files[0]), str(files[1]), problem,
        _moment(body["downloaded"]) if body.get("downloaded") is not None else None,
        body["file"]["sha256"], body["key_file"]["sha256"],
        tied if isinstance(tied, bool) else None,
        None if hsm is None else tuple(str(one) for one in hsm),
        _counts(body.get("counts")),
        _moment(body["proven"]) if body.get("proven") is not None else None,
    )  # fmt: skip


def _counts(given: Any) -> dict[str, int]:
    rows = given.items() if isinstance(given, dict) else ()
    return {str(name): count for name, count in rows if type(count) is int and count >= 0}


def _moment(text: str) -> datetime:
    """:raises ValueError: not a time with its zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text}: it has no time zone")
    return moment


def _plain_name(name: str) -> str:
    """:raises ValueError: not the name of a file beside the manifest."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError("no name of a file")
    return name


def hash_of(path: Path) -> str:
    """Return a file's sha256. :raises OSError: it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
