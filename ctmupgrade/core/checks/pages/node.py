"""Pages of the checks of services, disks, backups, time, certificates, work in flight, accounts and versions."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.checks.page import Page, Sure

_VENDOR = "vendor page Clusters and Nodes"

PAGES: Mapping[str, Page] = {
    "services_started": Page(
        "keysecure is active on every node, and all services that are not disabled are started.",
        "The node does not serve clients now; an upgrade may make it worse, and nobody knows afterwards what was broken before.",
        "systemctl show keysecure on the node's shell, and ksctl services status. A disabled service is a choice.",
        "systemctl status keysecure; ksctl services status. The secrets manager (csm) needs internet access; if it is not used: "
        "ksctl products disable --name csm",
        f"{_VENDOR}; vendor page of the 2.20 secrets manager",
    ),
    "stays_well_for_a_minute": Page(
        "All nodes stay healthy after the first look: keysecure and its services started, every node ready and connected as seen "
        "by every other.",
        'For minutes after the first `started` services go back to error and starting. A join in that time fails with "joining node is '
        'not ready".',
        "Where nothing else stops, `check` asks all nodes again, six times: for 15 s, or stable_for where that is shorter; for the whole "
        "of stable_for (60 s) where a node has been up for less than 15 minutes, or ksctl system info get does not tell (uptime). "
        "--for 60s, or any other time, sets it; --for 0s looks once. A run does not rely on it: before its first node, and before each "
        "join, it looks again and again until all have been healthy for stable_for without a break, and says for how long they have been.",
        "Wait some minutes and check again. Where it comes back on a node that has been up for long, find the cause first: "
        "systemctl status keysecure; ksctl services status",
        "deployment kit of a Thales group: 6 looks of started in a row, 10 s apart, for up to 15 minutes",
    ),
    "free_space_sufficient": Page(
        "Every node has the free space that the strictest published rule asks for, counted without the archive.",
        "The upgrade stops in the middle, with a database that is half migrated.",
        "df -P -k / on the node's shell; the archive's size on this machine.",
        "Remove old archives, backups and logs, or enlarge the disk.",
        f"{_VENDOR} (12 GB), vendor pages of 2.14, 2.16 and 2.17 (25 to 35 GB for a database step, 5 times the archive)",
    ),
    "reboot_needs_no_person": Page(
        "No node waits for a passphrase when it boots.",
        "The node stays away after its reboot until somebody types the passphrase at its console.",
        "ksctl diskenc status: attendedBoot",
        "Have a person at the console at each reboot, and add --accept-attended-boot.",
        "vendor's health checker for the field; vendor pages for attended boot",
        Sure.MEDIUM,
    ),
    "backup_downloaded_with_key": Page(
        "A system backup of each node that is younger than max_age, and the backup key that opens it, are on this machine, whole.",
        "If the upgrade fails, nothing can be restored: backups and their keys are on the node that made them, and nowhere else.",
        "The files of backup.directory are compared with the hashes that were written down when they were downloaded.",
        "ctmupgrade backup; `run` makes one first where there is none.",
        f"{_VENDOR}; vendor page Backups",
    ),
    "ntp_synchronised": Page(
        "Every node follows a time server.",
        "Clocks drift apart, and nodes whose clocks differ cannot replicate.",
        "ksctl ntp status: the mark * or o before a server. timedatectl says no on a normal node, so it is not asked.",
        "ksctl ntp servers add --host TIME-SERVER, the same on every node",
        _VENDOR,
    ),
    "clocks_agree": Page(
        "The clocks of all nodes are within a second of each other, as far as that can be measured; this machine's is near them.",
        "Nodes whose clocks differ cannot replicate; ages of backups and reports are misread.",
        "date +%s.%N on each node's shell, or the time in ksctl system info get; half the way there and back is the uncertainty.",
        "Set the same time server on all nodes.",
        _VENDOR,
    ),
    "control_plane_verified": Page(
        "The certificate of every control plane is verified when ksctl talks to it.",
        "Whoever answers at that address is taken for the appliance, and gets the password.",
        "nosslverify and the urls of cluster.yaml",
        "Make this machine trust the CA of the appliance, and remove nosslverify from cluster.yaml.",
        "vendor page Certificate Authority",
    ),
    "no_upgrade_running": Page(
        "ks_upgrade.sh runs on no node.",
        "Two upgrades at once, or a reboot in the middle of one: some services may never start again.",
        "The process list of each node; where it cannot be read, the newest upgrade log.",
        "Wait until the upgrade ends. If a run of ctmupgrade started it: ctmupgrade resume",
        "captured output of ks_upgrade.sh",
    ),
    "own_files_survive_reboot": Page(
        "Where ctmupgrade runs on a node that it upgrades, its state folder and the files of the run are on a disk.",
        "The node's reboot ends this shell. What is in memory, or is emptied at boot, is gone then, and the run cannot be resumed.",
        "The file systems of this machine (/proc/mounts), for the state folder, cluster.yaml, the archive and the backups",
        "Move what is named to the disk; df -T shows which folders are on it.",
        "this program; where ctmupgrade runs on no node, nothing is asked",
        Sure.OURS,
    ),
    "own_upgrade_outlives_logout": Page(
        "Where ctmupgrade runs on a node that it upgrades, that node's upgrade outlives the operator's login.",
        "ks_upgrade.sh is ended in the middle when the connection is lost; the node may not start again.",
        "/proc/self/cgroup: whether this is a login that systemd-logind knows; KillUserProcesses in logind.conf and logind.conf.d",
        "Run ctmupgrade on another machine, or stay logged in at the console and skip this check.",
        "logind.conf(5), KillUserProcesses: it ends screen sessions too",
        Sure.OURS,
    ),
    "own_node_is_named": Page(
        "A node that ctmupgrade runs on is called local in cluster.yaml, so that it comes last.",
        "That node's reboot ends the run in the middle, without a warning.",
        "This machine's boot id against that of each node",
        "Set host: local for the node in cluster.yaml.",
        "this program; containers of one machine share a boot id, so that it proves nothing where several nodes do",
        Sure.OURS,
    ),
    "no_reboot_pending": Page(
        "No node has finished an upgrade and waits for the reboot that ends it.",
        "The node runs services of one version on the system of another; an upgrade on top of it is not supported.",
        "The newest ks_upgrade log of each node, the node's version and boot id, and the journals on this machine.",
        "ctmupgrade recover shows what is left to do.",
        "captured output of ks_upgrade.sh: Reboot the instance to finish the upgrade",
    ),
    "node_reachable": Page(
        "The SSH login works on every node, without a question, and the host key is the known one.",
        "Nothing can be done on the node.",
        "ls, by SSH",
        "The finding has the command that must log in without a prompt. A changed host key: find out why before you accept it.",
        "vendor pages: ksadmin logs in by public key only",
    ),
    "control_plane_reachable": Page(
        "ksctl can log in to every node's control plane, and trusts its certificate.",
        "Backups cannot be made, and whether a node is well cannot be known.",
        "ksctl system info get",
        "Check url, ksctl.username and the password. Every further wrong attempt may lock the account.",
        "vendor pages: ksctl",
    ),
    "sudo_allows_upgrade": Page(
        "sudo lets ksadmin run ks_upgrade.sh and reboot without a password.",
        "The upgrade cannot be started, or the node cannot be rebooted to finish it.",
        "sudo -n -l on the node's shell",
        "Ask the vendor's support: what ksadmin may do is set by the appliance.",
        f"{_VENDOR}; vendor page Groups",
    ),
    "archive_signature_good": Page(
        "The archive is whole and is signed by the signer that cluster.yaml pins.",
        "Somebody else's software would be installed on a key manager.",
        "gpg on this machine, with the key ring of cluster.yaml",
        "Download the archive again; compare the signer's fingerprint with the vendor's.",
        _VENDOR,
    ),
    "versions_equal": Page(
        "All nodes that are below the target have one version.",
        "Which path is allowed differs from node to node, and mixed versions are for a short time only.",
        "ksctl system info get, on every node",
        "Upgrade the nodes with the older version first.",
        _VENDOR,
    ),
    "upgrade_path_known": Page(
        "The vendor allows the way from each node's version to the target.",
        "ks_upgrade.sh refuses, or a database is migrated in a way that nobody tested.",
        "ksctl system info get; a table of the vendor's published lists. Where none is published, a person must confirm.",
        "Go through a version between (ctmupgrade path FROM TO), or read the release notes of the target.",
        "vendor pages System Upgrade of 2.11 to 2.18; none is known for later targets",
    ),
}
