"""The checks. Each is named as the sentence that should be true and yields at least one finding.

To add one: a function in a module beside this one, its line in :data:`CHECKS`, its page in ``pages``, and its scenario in
``fixtures/checks``. What it needs to know is a field of ``NodeFacts`` filled by a probe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ctmupgrade.core.checks import (
    alarms,
    behaviour,
    certificates,
    cluster,
    control_plane,
    hsm,
    jobs,
    licences,
    machine,
    node,
    own_files,
    path,
    ports,
    quorum,
    settings,
    staying,
    way_back,
    window,
)
from ctmupgrade.core.checks.check import Check, Group, Harm, Question
from ctmupgrade.core.checks.findings import Finding, expire, waive
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster, Options

_CLUSTER, _VERSIONS = Group.CLUSTER, Group.VERSIONS
_OUTAGE, _FAILED, _LOST, _BY_HAND, _AFTER = (
    Harm.OUTAGE, Harm.FAILED_UPGRADE, Harm.LOST_DATA, Harm.BY_HAND, Harm.AFTER,
)  # fmt: skip
CHECKS: tuple[Check, ...] = (
    Check("archive_signature_good", "the archive is signed by the pinned signer", cluster.archive_signature_good, _VERSIONS, _FAILED, waivable=False),
    Check("node_count_supported", "the cluster has 1 to 20 nodes", cluster.node_count_supported, _CLUSTER, _FAILED, waivable=False),
    Check("node_reachable", "the SSH login works on every node", node.node_reachable, Group.ACCOUNTS, _FAILED, waivable=False),
    Check("control_plane_reachable", "the ksctl login works on every node", control_plane.control_plane_reachable, Group.ACCOUNTS, _FAILED, waivable=False),
    Check("control_plane_verified", "the certificate of every control plane is verified", control_plane.control_plane_verified, Group.CERTIFICATES, _LOST),
    Check("cluster_members_match", "the members are the nodes of cluster.yaml", cluster.cluster_members_match, _CLUSTER, _OUTAGE, waivable=False),
    Check("every_node_ready", "every node reports every other node as ready", cluster.every_node_ready, _CLUSTER, _OUTAGE),
    Check("replication_connected", "every node reports a connection to every other node", cluster.replication_connected, _CLUSTER, _LOST),
    Check("replication_caught_up", "no node lacks changes of the others", cluster.replication_caught_up, _CLUSTER, _LOST),
    Check("services_started", "keysecure is active and its services are started", cluster.services_started, Group.SERVICES, _OUTAGE),
    Check("stays_well_for_a_minute", "services stay started, not for one look only", staying.stays_well_for_a_minute, Group.SERVICES, _FAILED),
    Check("versions_equal", "all nodes have one version", cluster.versions_equal, _VERSIONS, _FAILED),
    Check("upgrade_path_known", "the upgrade path is known and allowed", path.upgrade_path_known, _VERSIONS, _FAILED),
    Check("free_space_sufficient", "every node has enough free space for the upgrade", node.free_space_sufficient, Group.DISK, _FAILED),
    Check("backup_downloaded_with_key", "a fresh backup and its key are downloaded", node.backup_downloaded_with_key, Group.BACKUP, _LOST),
    Check("ntp_synchronised", "every node follows a time server", node.ntp_synchronised, Group.TIME, _OUTAGE),
    Check("clocks_agree", "clocks are within a second of each other", cluster.clocks_agree, Group.TIME, _OUTAGE),
    Check("port_5432_open", "nodes reach each other on port 5432", ports.port_5432_open, Group.PORTS, _OUTAGE),
    Check("port_2380_open", "nodes reach each other on port 2380 (needed from 2.22 on)", ports.port_2380_open, Group.PORTS, _OUTAGE),
    Check("sudo_allows_upgrade", "sudo allows ks_upgrade.sh and reboot", node.sudo_allows_upgrade, Group.ACCOUNTS, _FAILED),
    Check("no_upgrade_running", "no upgrade is running", cluster.no_upgrade_running, Group.WORK, _FAILED, waivable=False),
    Check("no_reboot_pending", "no node waits for the reboot that ends its upgrade", node.no_reboot_pending, Group.WORK, _FAILED),
    Check("own_files_survive_reboot", "where ctmupgrade runs on a node, what it needs after the reboot is on a disk", own_files.own_files_survive_reboot, Group.WORK, _FAILED),
    Check("own_upgrade_outlives_logout", "where ctmupgrade runs on a node, its upgrade goes on when the operator logs out", own_files.own_upgrade_outlives_logout, Group.WORK, _FAILED),
    Check("own_node_is_named", "a node that ctmupgrade runs on is called local in cluster.yaml", own_files.own_node_is_named, Group.WORK, _FAILED),
    Check("reboot_needs_no_person", "no reboot needs a person at the console", node.reboot_needs_no_person, Group.DISK, _BY_HAND),
    Check("fresh_instances_ready", "new instances are unclustered, on the target version, and their services are started", node.fresh_instances_ready, _CLUSTER, _FAILED, waivable=False),
    Check("cluster_errors_empty", "no member reports an error among the members", quorum.cluster_errors_empty, _CLUSTER, _OUTAGE),
    Check("quorum_kept", "with one more node away there is still a majority", quorum.quorum_kept, _CLUSTER, _OUTAGE),
    Check("control_plane_up", "every control plane takes part in the cluster's decisions", quorum.control_plane_up, _CLUSTER, _OUTAGE),
    Check("no_builtin_alarm_on", "no alarm of the appliance itself is on", alarms.no_builtin_alarm_on, Group.SERVICES, _OUTAGE),
    Check("backup_key_can_be_had", "backup keys and a restore need no approvals", way_back.backup_key_can_be_had, Group.BACKUP, _LOST),
    Check("interface_certs_last", "the certificates that clients see are valid after the work", certificates.interface_certs_last, Group.CERTIFICATES, _OUTAGE),
    Check("hsm_answers", "every HSM that is used answers", hsm.hsm_answers, Group.HSM, _OUTAGE),
    Check("licences_last", "no licence ends in the work or soon after", licences.licences_last, Group.LICENCES, _OUTAGE),
    Check("no_job_in_window", "no scheduled job starts during the work", jobs.no_job_in_window, Group.WORK, _FAILED),
    Check("behaviour_changes_read", "what changes for clients on the way to the target is known", behaviour.behaviour_changes_read, _VERSIONS, _AFTER),
    Check("hsm_port_open", "every node reaches its HSMs on port 1792", hsm.hsm_port_open, Group.PORTS, _OUTAGE),
    Check("address_is_static", "no node gets its address by DHCP", machine.address_is_static, Group.PORTS, _OUTAGE),
    Check("internet_for_csm", "the secrets manager is disabled, or has the internet it needs", settings.internet_for_csm, Group.SERVICES, _AFTER),
    Check("inodes_free", "every node has inodes free", machine.inodes_free, Group.DISK, _FAILED),
    Check("root_writable", "no file system that the upgrade writes to is read-only", machine.root_writable, Group.DISK, _FAILED),
    Check("disk_stays_below_alarm", "disks stay below 80 % during the upgrade", machine.disk_stays_below_alarm, Group.DISK, _FAILED),
    Check("diskenc_at_rest", "no disk is being encrypted or decrypted", machine.diskenc_at_rest, Group.DISK, _LOST),
    Check("no_backup_or_restore_running", "no backup or restore runs", jobs.no_backup_or_restore_running, Group.WORK, _LOST),
    Check("backup_of_this_version", "the fresh backup was made by the version that the node has", way_back.backup_of_this_version, Group.BACKUP, _LOST),
    Check("restored_once", "a backup of this cluster was restored as a proof not long ago", way_back.restored_once, Group.BACKUP, _LOST),
    Check("old_version_at_hand", "an image of the old version is at hand", way_back.old_version_at_hand, Group.BACKUP, _LOST),
    Check("same_time_servers", "all nodes have the same time servers", settings.same_time_servers, Group.TIME, _OUTAGE),
    Check("cluster_cert_lasts", "cluster certificates are renewed by themselves", alarms.cluster_cert_lasts, Group.CERTIFICATES, _OUTAGE),
    Check("account_lasts", "the account of ksctl is not locked", settings.account_lasts, Group.ACCOUNTS, _FAILED),
    Check("audit_store_exported", "no audit records are kept where the target cannot read them", settings.audit_store_exported, _VERSIONS, _AFTER),
    Check("clients_have_another_node", "clients have another node while one is away", settings.clients_have_another_node, Group.CLIENTS, _OUTAGE),
    Check("same_services_disabled", "the same services are disabled on all nodes", settings.same_services_disabled, Group.SERVICES, _AFTER),
    Check("backups_do_not_pile_up", "scheduled backups are not kept for ever", jobs.backups_do_not_pile_up, Group.DISK, _FAILED),
    Check("ca_lasts", "the authorities of the certificates that clients see are valid after the work", certificates.ca_lasts, Group.CERTIFICATES, _OUTAGE),
    Check("hsm_same_everywhere", "all nodes use the same HSM partitions", hsm.hsm_same_everywhere, Group.HSM, _AFTER),
    Check("hsm_client_fits_target", "the target supports the HSMs in use", hsm.hsm_client_fits_target, Group.HSM, _OUTAGE),
    Check("kmip_iv_clients_known", "no KMIP client is refused by the target", settings.kmip_iv_clients_known, Group.CLIENTS, _AFTER),
    Check("builds_equal", "nodes of one release have one build", machine.builds_equal, _VERSIONS, _AFTER),
    Check("window_fits", "the plan fits into the maintenance window", window.window_fits, Group.WORK, _OUTAGE),
)  # fmt: skip


def check_of(identity: str) -> Check | None:
    """Return the check of this id; None where there is none."""
    return next((check for check in CHECKS if check.id == identity), None)


def harm_of(finding: Finding) -> Harm:
    """Return what is to be feared of a finding's check; of one that is not in the catalogue, the worst."""
    check = check_of(finding.check)
    return check.harm if check else Harm.OUTAGE


def by_group() -> dict[Group, list[Check]]:
    """Return the checks in their groups, in the groups' order; a group that has none is left out."""
    found = {group: [check for check in CHECKS if check.group is group] for group in Group}
    return {group: checks for group, checks in found.items() if checks}


def examine(facts: Facts, cluster: Cluster, options: Options, *, only: Collection[str] = ()) -> list[Finding]:
    """Return all findings, waived ones marked.

    :param only: ids of the checks that are wanted; none: all.
    """
    question = Question(facts, cluster, options)
    found = [f for check in CHECKS if not only or check.id in only for f in check.run(question)]
    return weighed(found, facts, cluster, options)


def weighed(found: Iterable[Finding], facts: Facts, cluster: Cluster, options: Options) -> list[Finding]:
    """Return findings with those that are waived marked, and those told whose skip in cluster.yaml has ended."""
    ended = {s.check: f"{s.until:%Y-%m-%d %H:%M %Z}" for s in cluster.skips if s.until <= facts.at}
    return expire(waive(found, options.skips), ended)
