"""What a run needs again after the reboot of the appliance that it runs on."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.boot import BootMark
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


def own_upgrade_outlives_logout(q: Question) -> Iterator[Finding]:
    """Judge whether the end of the operator's login would end the own node's upgrade in the middle: its screen session is
    one of that login's processes."""
    if q.facts.own_logout:
        yield Finding(
            "own_upgrade_outlives_logout", Verdict.BLOCK, q.cluster.own_node,
            f"when you log out, or your connection is lost, ks_upgrade.sh is ended in the middle: {q.facts.own_logout}",
            "run ctmupgrade on another machine, with the address of this node as host; or at the appliance's console, where you "
            "stay logged in, skip this check by its name",
        )  # fmt: skip


def own_node_is_named(q: Question) -> Iterator[Finding]:
    """Judge whether ctmupgrade runs on a node that cluster.yaml does not call ``local``: its reboot would end it in the
    middle of the run. Containers of one machine share its boot; where several nodes do, it proves nothing."""
    boot = q.facts.own_boot
    same = [
        name
        for name, f in q.facts.nodes.items()
        if boot and isinstance(f.boot, BootMark) and f.boot.boot_id == boot
    ]
    if len(same) == 1:
        yield Finding(
            "own_node_is_named", Verdict.WARN, same[0],
            f"ctmupgrade runs on {same[0]} itself, and ends with its reboot: they have the same boot id",
            f"host: local   # for {same[0]} in cluster.yaml: it comes last then, and the run is resumed after its reboot",
        )  # fmt: skip
