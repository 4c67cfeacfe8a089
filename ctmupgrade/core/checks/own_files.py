"""What a run needs again after the reboot of the appliance that it runs on."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import Unknown

CHECK = "own_files_survive_reboot"


def own_files_survive_reboot(q: Question) -> Iterator[Finding]:
    """Judge whether the reboot of the own node leaves what a resume needs; nothing is asked where there is none."""
    own, files = q.cluster.own_node, q.facts.own_files
    if not own:
        return
    if isinstance(files, Unknown):
        yield unknown(
            CHECK,
            own,
            files,
            "mount   # no file that the run needs may be on a tmpfs",
            "what its reboot removes",
        )
        return
    lost = [file for file in files if file.lost]
    for file in lost:
        verdict = Verdict.WARN if file.maybe else Verdict.BLOCK
        yield Finding(
            CHECK, verdict, own, f"{file.what} {'may' if file.maybe else 'will'} be gone after the reboot: {file.path}: {file.lost}",
            f"move {file.what} to the disk (df -T / ~ shows which folders are on it); the run is resumed from there",
        )  # fmt: skip
    if not lost:
        yield Finding(CHECK, Verdict.PASS, own, "what the run needs after the reboot is on a disk")
