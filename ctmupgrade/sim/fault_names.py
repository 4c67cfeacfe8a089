"""What can go wrong in a rehearsal, by the names of :mod:`ctmupgrade.sim.faults`, in words."""

from __future__ import annotations

from collections.abc import Mapping

_LASTING: Mapping[str, str] = {
    "refused": "the node refuses connections, those of ksctl too",
    "unreachable": "packets to the node are dropped",
    "auth_refused": "the node refuses the SSH login",
    "host_key_changed": "another host key answers",
    "commands_refused": "SSH answers but runs no command",
    "session_limit": "no more sessions on the open connection",
    "read_only": "its file system is read-only",
    "disk_full": "its disk is full",
    "sudo_refused": "sudo is refused",
    "services": "its services are in error",
    "unit": "keysecure has failed",
    "member_code": "the other members report it as down",
    "port_closed": "port 5432 between it and the others is closed",
    "process": "somebody else's ks_upgrade.sh runs on it",
    "ntp_lost": "it follows no time server any more",
    "replication_behind": "its peers lack its changes",
    "consensus_down": "the cluster has no quorum for a join",
}
_STRIKING: Mapping[str, str] = {
    "drop": "the connection drops in the next command, which is not carried out",
    "silence": "the next command is not answered",
    "reply": "the next command is answered with nothing",
    "error": "the next command is answered with an internal error",
    "half": "half of the next answer is missing",
    "garbage": "the next answer is garbage",
    "password_prompt": "the next command is asked for a password",
    "unauthorized": "the next command is answered with 401",
    "timeout_but_done": "the next command times out, but was carried out",
}
_UPGRADE: Mapping[str, str] = {
    "upgrade_fails": "ks_upgrade.sh fails",
    "upgrade_hangs": "ks_upgrade.sh hangs",
    "upgrade_no_verdict": "ks_upgrade.sh ends without its success line",
    "upgrade_old_version": "ks_upgrade.sh succeeds, and the node comes back with the old version",
    "upgrade_slow": "ks_upgrade.sh takes an hour",
    "log_missing": "ks_upgrade.sh writes no log",
    "log_truncated": "its log lacks the last lines",
    "log_folder": "its log is in another folder",
    "exit_code": "it succeeds, and exits with 1",
    "tty_mode": "it runs in the foreground, and dies with the connection",
}
_NEXT: Mapping[str, str] = {
    "reboot_never_ends": "the node does not come back from its reboot",
    "reboot_ignored": "the reboot does not happen",
    "reboot_slow": "the reboot takes 20 minutes",
    "new_host_key": "the node comes back with a new host key",
    "services_after_reboot": "its services are in error after the reboot",
    "unit_after_reboot": "keysecure has failed after the reboot",
    "upload_full": "the disk is full in the middle of the upload",
    "upload_drop": "the connection drops in the middle of the upload",
    "upload_hole": "the upload leaves a hole in the file",
    "upload_refused": "no way of writing a file is allowed",
    "backup_fails": "the backup fails",
    "join_fails": "the join is killed",
    "join_hangs": "the join hangs",
    "restore_fails": "the restore fails",
    "restore_hangs": "the restore hangs",
}
_ACTIONS: Mapping[str, str] = {
    "power_loss": "the node loses its power for a moment",
    "clock_jump": "its clock jumps by an hour",
    "second_upgrade": "somebody else starts ks_upgrade.sh",
    "second_reboot": "somebody else reboots it",
    "delete_file": "the archive on it is deleted",
    "corrupt_file": "the archive on it is spoiled",
    "remove_member": "somebody else removes it from the cluster",
    "broken": "it breaks",
    "cut": "every open connection to it ends",
}
WORDS: Mapping[str, str] = {**_LASTING, **_STRIKING, **_UPGRADE, **_NEXT, **_ACTIONS}
