"""``record``: every look at the live cluster as a fixture."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ctmupgrade.adapters.disk.private_file import create_private, not_ours
from ctmupgrade.adapters.transcripts import TRANSCRIPT, Recorder, RecordingLooks
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.commands.check import verify
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.errors import CtmUpgradeError, UsageError
from ctmupgrade.render.fixture import cluster_yaml


def record(setup: Setup, folder: Path) -> int:
    """Writes ``cluster.yaml`` and the transcript into a new folder; returns the number of looks.

    :raises UsageError: the folder holds something already, or cannot be made or written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", remedy="name a new folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # before the looks: they take a while
        if why := not_ours(folder):
            raise UsageError(f"{why}; nothing is recorded there", remedy="name a new folder")
        with os.fdopen(create_private(folder / "cluster.yaml"), "w", encoding="utf-8") as file:
            file.write(cluster_yaml(setup.cluster))
        return _transcribe(setup, folder)
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}",
            remedy="name a new folder on a disk with room",
        ) from None


def _transcribe(setup: Setup, folder: Path) -> int:
    try:
        signed = verify(setup)
        archive: dict[str, object] = {"size": signed.size, "sha256": signed.sha256, "signer": signed.signer}
    except CtmUpgradeError as error:
        archive = {"problem": error.brief}
    with os.fdopen(create_private(folder / TRANSCRIPT), "w", encoding="utf-8") as file:
        header = {"schema": 1, "at": setup.clock.now().isoformat(), "archive": archive}
        file.write(json.dumps(scrubbed(header)) + "\n")
        recorder = Recorder(file)
        collect_nodes(RecordingLooks(setup.fleet, recorder), setup.cluster, setup.clock, setup.gather)
    return recorder.count
