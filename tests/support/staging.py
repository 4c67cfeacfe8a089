"""The staging step alone: an archive onto one node, without cluster.yaml, plan and journal around it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from ctmupgrade.actions.base import Session
from ctmupgrade.actions.stage import Staged, StageHandler
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes
from ctmupgrade.adapters.tasks import RealClock
from ctmupgrade.core.ticks import Tick
from ctmupgrade.ports import Shell


def sha256(path: Path) -> str:
    """Of a local file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_of(source: Path, digest: str) -> str:
    """The name under which an unfinished archive stands on a node."""
    return f".{source.name}.{digest[:12]}.part"


def stage(
    source: Path,
    digest: str,
    shell: Shell,
    hashes: PrefixHashes | None = None,
    proven: Mapping[str, str] | None = None,
    nodes: int = 1,
) -> tuple[list[Tick], Mapping[str, str]]:
    """Performs the step. :param proven: evidence of an earlier run. :param nodes: how many the plan has.

    :returns: everything it reported, and its evidence.

    :raises AssertionError: it did not prove the file.
    """
    known, session = hashes or PrefixHashes(), Session()
    ctx = SimpleNamespace(
        fleet=SimpleNamespace(shell=lambda _node: shell),
        plan=SimpleNamespace(
            nodes=("ctm-1",) * nodes,
            target=SimpleNamespace(archive=source.name, sha256=digest, size=source.stat().st_size),
        ),
        cluster=SimpleNamespace(
            target=SimpleNamespace(archive=source),
            timeouts=SimpleNamespace(upload=SimpleNamespace(total_seconds=lambda: 600.0)),
        ),
        clock=RealClock(),
        poll=1.0,
        tools=SimpleNamespace(
            prefix_hash=lambda length: known.prefix(source, length),
            rest_hash=lambda offset: known.rest(source, offset),
        ),
        session=lambda _step: session,
        staged={"ctm-1": proven or {}},
    )
    step = SimpleNamespace(node="ctm-1", id="stage")
    ticks = list(StageHandler().start(cast(Any, ctx), cast(Any, step), {}))
    if session.own(Staged).hashed != digest:
        raise AssertionError("the file was not proven to be equal on the node")
    return ticks, StageHandler().look(cast(Any, ctx), cast(Any, step), {}).evidence
