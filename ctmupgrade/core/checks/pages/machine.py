"""Pages of the checks of a machine, its disks and address, of HSMs, certificates, licences and backups."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.checks.page import Page, Sure

_HEALTH = "health checkers of the vendor's staff"
_OTHERS = "pre-upgrade checks of other vendors' clusters; a general fault of Linux systems"

PAGES: Mapping[str, Page] = {
    "address_is_static": Page(
        "No node gets its IPv4 address from a DHCP server; or the address is reserved for it.",
        "The node comes back from the reboot under another address: the cluster, its clients and its licence lose it.",
        "nmcli -t -f GENERAL.DEVICE,GENERAL.TYPE,DHCP4 device show, on the node's shell: a device with options of DHCP",
        "Reserve the address on the DHCP server, or set it on the node.",
        "captured nmcli on an appliance; the rest as with every server",
        Sure.MEDIUM,
    ),
    "hsm_port_open": Page(
        "Every node that uses a Luna HSM opens a TCP connection to its port 1792.",
        "After the reboot there is no root of trust: all services stop after 5 minutes.",
        "ksctl hsm servers list for the hosts; nc -z -v -w 3 HOST 1792, or /dev/tcp, on the node's shell",
        "Open the port in the firewall.",
        "vendor pages Security Hardening and Alarms",
    ),
    "hsm_answers": Page(
        "On every node that uses an HSM the alarm HSM Offline is off.",
        "Without its HSM a node starts no service after the reboot.",
        "ksctl hsm servers list, ksctl alarms list",
        "Fix the HSM or the way to it before the node is rebooted.",
        "vendor page Alarms: the alarm comes after 15 s, after 5 minutes all services stop",
    ),
    "hsm_same_everywhere": Page(
        "All nodes use the same HSM partitions, or a person knows why not.",
        "A node without an HSM is the weakest point of the key hierarchy; a join with a shared partition fails.",
        "ksctl hsm servers list, on every node: serial, partition, type",
        "Make sure that the difference is meant.",
        "vendor page Clusters and Nodes",
    ),
    "hsm_client_fits_target": Page(
        "Where an HSM is used, a person knows that the target supports its firmware and client.",
        "No session to the HSM after the upgrade: no service starts.",
        "ksctl hsm servers list; what the target supports is in its release notes only",
        "Read the release notes of the target.",
        "upgrade guides of other products that use HSMs",
        Sure.LOW,
    ),
    "interface_certs_last": Page(
        "The certificate of each interface that clients use (web, KMIP, NAE) is valid until 30 days after the work.",
        "After the restart clients refuse the node, and ksctl may, too.",
        "ksctl interfaces list; ksctl interfaces certificate get --name INTERFACE, on every node; the end of its validity",
        "Renew the certificate before the upgrade.",
        f"{_HEALTH}; vendor's Terraform provider for the call",
        Sure.MEDIUM,
    ),
    "ca_lasts": Page(
        "The authorities that signed the certificates of the interfaces that clients use are valid until 30 days after the work.",
        "All certificates under an authority fail at once when it ends.",
        "The chain that ksctl interfaces certificate get shows; an authority that is not in it is not seen.",
        "ksctl ca locals list; ksctl ca externals list; renew the authority and what it signed.",
        _HEALTH,
        Sure.MEDIUM,
    ),
    "cluster_cert_lasts": Page(
        "The certificates by which nodes know each other are renewed by themselves: the alarm Cluster Node Certificate Expiration is "
        "off, and CLUSTER_CERT_AUTO_RENEW_THRESHOLD is above 0.",
        "Nodes refuse each other after the restart.",
        "ksctl alarms list, on every node; ksctl properties list, on one member",
        "Ask vendor support where the alarm is on: since 2.18 it means that the renewal failed.",
        "vendor page Alarms (2.5 and 2.18 editions)",
    ),
    "licences_last": Page(
        "No active licence or trial ends in the work (that blocks) or within 30 days after it (that warns).",
        "Clustering, connectors or the appliance stop in the upgrade or soon after it.",
        "ksctl licensing licenses list, on every node: state, expiration, trial_seconds_remaining. Without a window in cluster.yaml the "
        "next 8 hours count.",
        "Renew the licence before the upgrade.",
        _HEALTH,
        Sure.MEDIUM,
    ),
    "inodes_free": Page(
        "Every node has 10 % or more of its inodes free; below 2 % blocks.",
        'Unpacking fails with "no space" while df shows free space.',
        "df -P -i / on the node's shell",
        "Remove what has many small files, such as old logs.",
        _OTHERS,
        Sure.LOW,
    ),
    "root_writable": Page(
        "No file system that an upgrade writes to is mounted read-only.",
        "The upgrade fails in the middle. Linux mounts a file system read-only after an error of its disk.",
        "/proc/mounts, on the node's shell: /, /home, /opt, /var",
        "Find out why (dmesg), and ask vendor support.",
        _OTHERS,
        Sure.LOW,
    ),
    "disk_stays_below_alarm": Page(
        "With the archive and what is unpacked of it, the root file system is less than 80 % full.",
        "The alarm Disk Full comes in the middle of the upgrade, and services act on it.",
        "df -P -k / on the node's shell; the archive's size, and the same rule as free_space_sufficient",
        "Remove old archives, backups and logs, or enlarge the disk.",
        "vendor page Alarms: Disk Full at 80 % of the root file system",
    ),
    "diskenc_at_rest": Page(
        "No node's disk is being encrypted or decrypted.",
        "A reboot in the middle of it may lose the disk.",
        'ksctl diskenc status: encryptionStatus is a final word, such as "not encrypted"',
        "Wait until the encryption or decryption ends.",
        f"{_HEALTH}; not all words are known",
        Sure.MEDIUM,
    ),
    "backup_key_can_be_had": Page(
        "No quorum policy is active for DownloadBackupKey, nor for RestoreBackup.",
        "The run stops at an approval that takes people and hours; in an emergency the restore waits for it.",
        "ksctl quorum-policy status, on one member",
        "Get the approvals before the window, or deactivate the policy for its time. Those who approve must be reachable.",
        "vendor page Quorums",
    ),
    "backup_of_this_version": Page(
        "The fresh backup of each node that needs the upgrade was made by the version that the node has.",
        "A backup of a newer version cannot be restored on it: there is no way back.",
        "The version that was written down when the backup was downloaded, against ksctl system info get",
        "Make a new backup: set backup.max_age lower than the age of this one, then: ctmupgrade backup",
        "vendor page Backups: forward only, up to three minor versions",
    ),
    "restored_once": Page(
        "A backup of this cluster was restored and proven within backup.proven_within (90 days), by a drill or in earnest.",
        "A backup that was never restored may not be one: that is found out on the day on which all else is lost.",
        "The manifests of the downloaded backups on this machine, into which drill and restore write their proof",
        "ctmupgrade drill --on NAME=HOST, with a new appliance of the same release that is no member; it is reset afterwards.",
        "this program's own rule; docs/everything-is-lost.md",
        Sure.OURS,
    ),
    "old_version_at_hand": Page(
        "A person knows that an image or an archive of the old version is at hand, unless a node is held back on it.",
        "Clusters are not downgraded: going back needs a new appliance on the old version and a backup restored on it.",
        "Nothing can be looked up; --hold-back NODE of a rebuild keeps one.",
        "Download the image of the old version now.",
        "vendor page Downgrade: only unclustered appliances",
    ),
}
