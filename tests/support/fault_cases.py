"""The fault matrix as data: which fault, at which step, and what the run is expected to make of it.

Two families: ``EVERYWHERE``, faults that may strike at any step and are tried at each; and ``POINTED``, faults
that belong to one moment, declared by their trigger. The tests run each; ``docs/fault-matrix.md`` shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ctmupgrade.core.model import Timeouts
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.sim import Fault

NODE = "ctm-2"  # the node that is hurt: neither the first nor the last
IN_PLACE_STEPS = (
    "verify-archive", "backup", "stage", "record-settings", "gate", "upgrade", "reboot", "await", "settle",
    "compare-settings",
)  # fmt: skip
REBUILD_STEPS = (
    "record-settings", "remove", "delete-cluster", "upgrade", "reboot", "await", "restore-settings", "join",
    "compare-settings",
)  # fmt: skip


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


SETTINGS: Mapping[str, Any] = {
    "poll": timedelta(seconds=20),
    "stable_for": timedelta(seconds=60),
    "timeouts": Timeouts(
        upload=minutes(30), upgrade=minutes(40), reboot=minutes(20), service=minutes(20), join=minutes(60),
        backup=minutes(20), stuck=minutes(10),
    ),
}  # fmt: skip
TIMES = {"upgrade_s": 300.0, "reboot_s": 100.0, "start_s": 60.0, "join_s": 600.0, "upload_mb_s": 100.0}


@dataclass(frozen=True)
class What:
    """A fault as a person would name it."""

    name: str
    kind: str
    params: Mapping[str, object] = field(default_factory=dict)
    for_s: float = 0.0
    times: int = 1

    def fault(self, node: str = NODE, when: str = "") -> Fault:
        return Fault(self.kind, node, when, self.for_s, self.times, dict(self.params))


SHORT = 90.0  # seconds; such a fault ends by itself

EVERYWHERE: tuple[What, ...] = (
    What("connection refused, 90 s", "refused", for_s=SHORT),
    What("connection refused for good", "refused"),
    What("packets dropped, 90 s", "unreachable", for_s=SHORT),
    What("packets dropped for good", "unreachable"),
    What("SSH alone refused for good", "refused", {"what": "shell"}),
    What("ksctl alone refused for good", "refused", {"what": "control"}),
    What("authentication refused, 90 s", "auth_refused", for_s=SHORT),
    What("authentication refused for good", "auth_refused"),
    What("host key changed", "host_key_changed"),
    What("session limit reached", "session_limit", for_s=SHORT),
    What("SSH answers but runs no command, 90 s", "commands_refused", for_s=SHORT),
    What("SSH answers but runs no command, for good", "commands_refused"),
    What("read-only file system", "read_only"),
    What("disk full", "disk_full"),
    What("sudo refused", "sudo_refused"),
    What("services in error, 90 s", "services", {"state": "error"}, for_s=SHORT),
    What("services in error for good", "services", {"state": "error"}),
    What("services starting for good", "services", {"state": "starting"}),
    What("keysecure failed", "unit", {"state": "failed"}),
    What("seen down by the others, 90 s", "member_code", {"code": "d"}, for_s=SHORT),
    What("seen down by the others for good", "member_code", {"code": "d"}),
    What("port 5432 closed", "port_closed"),
    What("a second operator's ks_upgrade.sh in the process list", "process"),
    What("NTP lost", "ntp_lost"),
    What("one command's connection drops, not carried out", "drop", {"command": ""}),
    What("one command's connection drops, carried out", "drop", {"command": "", "ran": True}),
    What("three commands in a row drop", "drop", {"command": ""}, times=3),
    What("one command is not answered", "silence", {"command": ""}),
    What("one command is carried out and not answered", "silence", {"command": "", "ran": True}),
    What("ksctl answers an error once", "error", {"command": "ksctl"}),
    What("ksctl answers errors for good", "error", {"command": "ksctl"}, times=0),
    What("ksctl answers garbage once", "garbage", {"command": "ksctl"}),
    What("ksctl answers garbage for good", "garbage", {"command": "ksctl"}, times=0),
    What("ksctl answers half of its JSON", "half", {"command": "ksctl"}),
    What("ksctl asks for a password once", "password_prompt", {"command": "ksctl"}),
    What("ksctl asks for a password for good", "password_prompt", {"command": "ksctl"}, times=0),
    What("401 in the middle", "unauthorized", {"command": "ksctl"}),
    What("ksctl times out but it was done", "timeout_but_done", {"command": "ksctl"}),
    What("the node's clock jumps by 1 hour", "clock_jump", {"seconds": 3600}),
    What("the node's clock jumps back by 1 hour", "clock_jump", {"seconds": -3600}),
    What("every connection is cut", "cut"),
    What("power loss", "power_loss"),
    What("another operator removes the member", "remove_member"),
    What("another operator reboots it", "second_reboot"),
    What("the archive on the node is deleted", "delete_file"),
    What("the archive on the node is spoiled", "corrupt_file"),
)


@dataclass(frozen=True)
class Pointed:
    """A fault of one moment. ``when`` as in ``sim/faults.py``."""

    step: str
    what: What
    when: str = ""
    strategy: StrategyName = StrategyName.IN_PLACE
    node: str = NODE


def _before_the_upgrade() -> Iterator[Pointed]:
    yield Pointed("stage", What("dropped at byte 1,000,000,000", "upload_drop", {"at_byte": 1_000_000_000}))
    yield Pointed(
        "stage", What("disk full in the middle of the upload", "upload_full", {"at_byte": 1_000_000_000})
    )
    yield Pointed("stage", What("the upload leaves a hole", "upload_hole", {"at_byte": 1_000_000_000}))
    yield Pointed("stage", What("every way of writing refused once", "upload_refused"))
    yield Pointed("stage", What("read-only file system", "read_only"), "command sftp put")
    yield Pointed("stage", What("connection lost at the rename, not done", "drop", {}), "command mv -f")
    yield Pointed(
        "stage", What("connection lost at the rename, done", "drop", {"ran": True}), "command mv -f"
    )
    yield Pointed(
        "stage", What("unreachable for 5 minutes in the upload", "unreachable", for_s=300), "command sftp put"
    )
    yield Pointed("upgrade", What("its boot id cannot be read once", "error", {}), "command boot_id")
    create = "command backup create"
    yield Pointed("backup", What("the backup fails", "backup_fails"))
    yield Pointed("backup", What("create times out but was done", "timeout_but_done", {}), create)
    yield Pointed("backup", What("create's answer is lost, not done", "drop", {}), create)
    yield Pointed("backup", What("create answers an error", "error", {}), create)
    yield Pointed("backup", What("create answers 401", "unauthorized", {}), create)
    yield Pointed("backup", What("create asks for a password", "password_prompt", {}), create)
    yield Pointed("backup", What("create answers garbage, not done", "garbage", {}), create)
    yield Pointed("backup", What("the download is lost", "drop", {}), "command backup download")
    yield Pointed(
        "backup", What("the key's download answers an error", "error", {}), "command backupkeys download"
    )
    yield Pointed(
        "backup", What("the key's download answers garbage", "garbage", {}), "command backupkeys download"
    )
    yield Pointed("backup", What("the key's download is asked a password", "password_prompt", {}),
                  "command backupkeys download")  # fmt: skip


def _in_the_upgrade() -> Iterator[Pointed]:
    script, started = "command ks_upgrade.sh -f", f"upgrade_started:{NODE}"
    yield Pointed("upgrade", What("cut right before the script starts", "cut"), script)
    yield Pointed("upgrade", What("sudo refuses the script", "sudo_refused"), script)
    yield Pointed("upgrade", What("fails at once", "upgrade_fails", {"at": "once"}))
    yield Pointed("upgrade", What("fails in the middle", "upgrade_fails", {"at": "middle"}))
    yield Pointed("upgrade", What("fails with words that name no failure", "upgrade_fails", {"text": "Bye"}))
    yield Pointed("upgrade", What("hangs", "upgrade_hangs"))
    yield Pointed("upgrade", What("ends without a verdict", "upgrade_no_verdict"))
    yield Pointed("upgrade", What("takes 30 minutes", "upgrade_slow", {"seconds": 1800}))
    yield Pointed("upgrade", What("succeeds, but the old version comes back", "upgrade_old_version"))
    yield Pointed("upgrade", What("writes no log", "log_missing"))
    yield Pointed("upgrade", What("its log lacks the last 3 lines", "log_truncated", {"lines": 3}))
    yield Pointed("upgrade", What("log in another folder", "log_folder", {"folder": "/var/spool/keysecure"}))
    yield Pointed("upgrade", What("exit code 1 on success", "exit_code", {"code": 1}))
    yield Pointed("upgrade", What("in the foreground", "tty_mode", {"mode": "foreground"}))
    yield Pointed("upgrade", What("in the background", "tty_mode", {"mode": "background"}))
    yield Pointed("upgrade", What("every connection cut in the middle", "cut"), f"{started} + 100s")
    yield Pointed(
        "upgrade",
        What("unreachable for 5 minutes in the middle", "unreachable", for_s=300),
        f"{started} + 50s",
    )
    yield Pointed("upgrade", What("power loss in the middle", "power_loss"), f"{started} + 100s")
    yield Pointed(
        "upgrade", What("reboot by another operator in the middle", "second_reboot"), f"{started} + 100s"
    )
    yield Pointed(
        "upgrade", What("clock jumps in the middle", "clock_jump", {"seconds": 3600}), f"{started} + 100s"
    )
    yield Pointed("upgrade", What("another member goes down meanwhile, 10 minutes", "unreachable", for_s=600),
                  f"{started} + 100s", node="ctm-3")  # fmt: skip
    yield Pointed(
        "upgrade", What("another member goes down for good", "unreachable"), f"{started} + 100s", node="ctm-3"
    )
    yield Pointed("upgrade", What("a second operator starts another script before", "second_upgrade"),
                  "ready:ctm-1")  # fmt: skip


def _after_the_upgrade() -> Iterator[Pointed]:
    done, reboot = f"upgrade_succeeded:{NODE}", "command sudo -n reboot"
    yield Pointed("reboot", What("power loss before the reboot", "power_loss"), done)
    yield Pointed(
        "reboot", What("a second operator starts the script again before it", "second_upgrade"), done
    )
    yield Pointed("reboot", What("connection lost, not rebooted", "drop", {}), reboot)
    yield Pointed("reboot", What("no answer, not rebooted", "silence", {}), reboot)
    yield Pointed("reboot", What("ignored: the boot id stays", "reboot_ignored", times=0))
    yield Pointed("reboot", What("ignored once", "reboot_ignored"))
    yield Pointed("reboot", What("sudo refuses it", "sudo_refused"), done)
    yield Pointed("reboot", What("never ends", "reboot_never_ends"))
    yield Pointed("reboot", What("takes 15 minutes", "reboot_slow", {"seconds": 900}))
    yield Pointed("reboot", What("comes back with another host key", "new_host_key"))
    yield Pointed("reboot", What("another member goes down meanwhile", "unreachable", for_s=600), f"reboot:{NODE}",
                  node="ctm-3")  # fmt: skip
    yield Pointed(
        "await", What("services in error after the reboot", "services_after_reboot", {"state": "error"})
    )
    yield Pointed("await", What("services starting forever", "services_after_reboot", {"state": "starting"}))
    yield Pointed(
        "await", What("keysecure failed after the reboot", "unit_after_reboot", {"state": "failed"})
    )
    yield Pointed("await", What("does not start at all", "broken"), f"booted:{NODE}")
    yield Pointed("settle", What("keysecure fails while it settles", "unit", {"state": "failed"}, for_s=300),
                  f"ready:{NODE} + 60s")  # fmt: skip


def _rebuild() -> Iterator[Pointed]:
    kind = StrategyName.REBUILD
    for words, step in (
        ("cluster nodes delete", "remove"), ("cluster delete", "delete-cluster"), ("cluster fulljoin", "join"),
    ):  # fmt: skip
        node = "ctm-1" if step in ("remove", "join") else NODE
        for name, fault, params in (
            ("times out but was done", "timeout_but_done", {}),
            ("connection lost, not done", "drop", {}),
            ("connection lost, done", "drop", {"ran": True}),
            ("answers an error", "error", {}),
            ("answers 401", "unauthorized", {}),
            ("answers garbage, done", "garbage", {}),
            ("asks for a password", "password_prompt", {}),
        ):
            yield Pointed(step, What(name, fault, params), f"command ksctl {words}", kind, node)
    yield Pointed("new-cluster", What("times out but was done", "timeout_but_done", {}), "command ksctl cluster new",
                  kind, "ctm-1")  # fmt: skip
    yield Pointed(
        "new-cluster",
        What("connection lost, not done", "drop", {}),
        "command ksctl cluster new",
        kind,
        "ctm-1",
    )
    yield Pointed("join", What("the join is killed", "join_fails", {"at": 0.5, "code": "k"}), "", kind)
    yield Pointed("join", What("the join vanishes", "join_fails", {"at": 0.5, "code": "vanish"}), "", kind)
    yield Pointed("join", What("the join hangs", "join_hangs", {"at": 0.5}), "", kind)
    yield Pointed(
        "upgrade", What("the survivor's script fails", "upgrade_fails", {"at": "middle"}), "", kind, "ctm-1"
    )
    yield Pointed("reboot", What("the survivor never comes back", "reboot_never_ends"), "", kind, "ctm-1")
    yield Pointed("join", What("no quorum for a while", "consensus_down", for_s=SHORT),
                  f"ready:{NODE}", kind, "ctm-1")  # fmt: skip


RESTORE_STEPS = (
    "upload-key", "upload-backup", "restore", "prove-restore", "restore-settings", "new-cluster", "compare-settings",
)  # fmt: skip
FIRST = "ctm-1"  # the node that the backup is restored onto


def _restore() -> Iterator[Pointed]:
    """Of a restore; they have no strategy of their own."""
    answers: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("times out but was done", "timeout_but_done", {}),
        ("connection lost, not done", "drop", {}),
        ("connection lost, done", "drop", {"ran": True}),
        ("answers an error", "error", {}),
        ("answers 401", "unauthorized", {}),
        ("answers garbage, not done", "garbage", {}),
        ("asks for a password", "password_prompt", {}),
    )
    for step, words in (
        ("upload-key", "backupkeys upload"), ("upload-backup", "backup upload"), ("restore", "backup restore"),
    ):  # fmt: skip
        for name, fault, params in answers:
            yield Pointed(step, What(name, fault, params), f"command ksctl {words}", node=FIRST)
    yield Pointed("restore", What("the restore fails", "restore_fails"), node=FIRST)
    yield Pointed("restore", What("the restore hangs", "restore_hangs"), node=FIRST)
    begun = f"restore_started:{FIRST} + 60s"
    yield Pointed("restore", What("power loss in the middle", "power_loss"), begun, node=FIRST)
    yield Pointed("restore", What("unreachable for 5 minutes", "unreachable", for_s=300), begun, node=FIRST)
    yield Pointed("restore", What("another node is unreachable for good", "unreachable"),
                  f"backup_uploaded:{FIRST}", node="ctm-3")  # fmt: skip
    yield Pointed("prove-restore", What("services in error afterwards, for good", "services", {"state": "error"}),
                  f"restored:{FIRST}", node=FIRST)  # fmt: skip
    yield Pointed("prove-restore", What("401 afterwards, for good", "unauthorized", {"command": "ksctl"}, times=0),
                  f"restored:{FIRST}", node=FIRST)  # fmt: skip
    yield Pointed("join", What("the join is killed", "join_fails", {"at": 0.5, "code": "k"}), node=NODE)


RESTORES: tuple[Pointed, ...] = tuple(_restore())

POINTED: tuple[Pointed, ...] = (
    *_before_the_upgrade(),
    *_in_the_upgrade(),
    *_after_the_upgrade(),
    *_rebuild(),
)

OTHERS: tuple[tuple[str, str, str], ...] = (
    (
        "the journal's disk is full, at any write",
        "pauses before the next change, exit 5",
        "test_full_journal",
    ),
    ("two members away at once, at any step", "waits, then **4**", "test_two_members_away"),
    ("the tool's host is suspended for ten minutes, at any step", "unharmed or waits", "test_suspended"),
    ("a second operator's run", "exit 8, names the first", "test_second_run"),
)
LAB_ONLY = (
    "banner time-out",
    "packets dropped by a firewall",
    "resets by a broken link",
    "a suspended process",
)
