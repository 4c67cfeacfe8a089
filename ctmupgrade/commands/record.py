"""``record``: every look at the live cluster as a fixture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.disk.private_file import create_private, not_ours
from ctmupgrade.adapters.transcripts import TRANSCRIPT, Recorder, RecordingLooks
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.collect.settings import read_settings
from ctmupgrade.collect.state import shared_state
from ctmupgrade.commands.check import verify
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.errors import CtmUpgradeError, ExitCode, UsageError
from ctmupgrade.render.fixture import cluster_yaml


@dataclass(frozen=True)
class Recorded:
    """What was recorded.

    :ivar looks: how many. :ivar silent: nodes that are not recorded whole, and why.
    """

    looks: int
    silent: Mapping[str, str]

    @property
    def code(self) -> ExitCode:
        """Return 0 only where every node was recorded."""
        return ExitCode.UNREACHABLE if self.silent else ExitCode.DONE


def record(setup: Setup, folder: Path) -> Recorded:
    """Write ``cluster.yaml`` and the transcript into a new folder.

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


def _transcribe(setup: Setup, folder: Path) -> Recorded:
    try:
        signed = verify(setup)
        archive: dict[str, object] = {"size": signed.size, "sha256": signed.sha256, "signer": signed.signer}
    except CtmUpgradeError as error:
        archive = {"problem": error.brief}
    with os.fdopen(create_private(folder / TRANSCRIPT), "w", encoding="utf-8") as file:
        header = {"schema": 1, "at": setup.clock.now().isoformat(), "archive": archive}
        file.write(json.dumps(scrubbed(header)) + "\n")
        recorder = Recorder(file, setup.clock.monotonic)
        looks = RecordingLooks(setup.fleet, recorder)
        facts = collect_nodes(looks, setup.cluster, setup.clock, setup.tools.gather)
        shared_state(looks, setup.cluster, facts, setup.clock, setup.tools.gather)
        answering = [name for name, node in facts.items() if not isinstance(node.version, Unknown)]
        setup.tools.gather(lambda name: read_settings(looks.control(name)), answering)
    silent = {name: why for name, node in facts.items() if (why := _silence(node))}
    return Recorded(recorder.count, recorder.lost | silent)


def _silence(node: NodeFacts) -> str:
    """Why a node's shell or its control plane told nothing; "" where both did."""
    for whole in (node.shell, node.version):
        if isinstance(whole, Unknown):
            return whole.why
    return ""
