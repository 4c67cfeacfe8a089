"""What this machine remembers for a restore: who holds data by the journals, and each node's own settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from ctmupgrade.adapters.disk.run_store import folders
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks.holding import Journals
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.restore_actions import ProveRestore
from ctmupgrade.core.plan.steps import RecordSettings
from ctmupgrade.core.run.journal import Evidence, RunState, Status
from ctmupgrade.core.run.kept_data import journals_of
from ctmupgrade.errors import JournalError, NodeError


def past_states(setup: Setup, but: str = "") -> Iterator[RunState]:
    """Yield the runs that concern this cluster, oldest first: of a simulated one the simulated ones. A journal that does not
    hold together tells nothing.

    :param but: the run that asks, which is none of the past.
    """
    mode = Mode.SIMULATED if setup.request.simulate else Mode.LIVE
    for folder in folders(setup.home):
        with suppress(JournalError):
            state = folder.state()
            if state.mode is mode and state.run != but:
                yield state


def journals_for(setup: Setup, run: str = "") -> Journals:
    """Return what the journals tell of who holds the cluster's data."""
    return journals_of(past_states(setup, run))


def remembered(setup: Setup, run: str) -> Mapping[str, Evidence]:
    """Return of each node its own settings as the latest run recorded them."""
    found: dict[str, Evidence] = {}
    for state in past_states(setup, run):
        for step in state.plan.steps:
            before = state.steps[step.id].before
            if isinstance(step.action, RecordSettings) and before.get("settings"):
                public = before.get("public_address", "")
                found[step.node] = {
                    "settings": before["settings"], "public_address": public, "source": f"run {state.run}",
                }  # fmt: skip
    return found


def note_proofs(setup: Setup, state: RunState) -> None:
    """Write into its manifest that a backup was restored and proven, where a look has proven it. That it cannot be written
    changes nothing of the restore."""
    for step in state.plan.steps:
        held = state.steps[step.id]
        seen = held.status is Status.DONE and held.finished is not None and "services" in held.evidence
        if not (isinstance(step.action, ProveRestore) and seen and held.finished):
            continue
        for manifest in setup.tools.store.manifests():
            known = manifest.proven is not None and manifest.proven >= held.finished
            if manifest.sha256 == step.action.sha256 and not manifest.problem and not known:
                with suppress(NodeError):
                    setup.tools.store.note_proven(manifest, held.finished)
