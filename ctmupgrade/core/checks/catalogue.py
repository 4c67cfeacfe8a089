"""The checks. Each is named as the sentence that should be true and yields at least one finding.

To add one: a function in a module beside this one, its line in :data:`CHECKS`, its page in ``pages``, and its scenario in
``fixtures/checks``. What it needs to know is a field of ``NodeFacts`` filled by a probe.
"""

from __future__ import annotations

from collections.abc import Collection

from ctmupgrade.core.checks import cluster, control_plane, node, own_files, ports
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
    Check("versions_equal", "all nodes have one version", cluster.versions_equal, _VERSIONS, _FAILED),
    Check("upgrade_path_known", "the upgrade path is known and allowed", node.upgrade_path_known, _VERSIONS, _FAILED),
    Check("free_space_sufficient", "every node has enough free space for the upgrade", node.free_space_sufficient, Group.DISK, _FAILED),
    Check("backup_downloaded_with_key", "a fresh backup and its key are downloaded", node.backup_downloaded_with_key, Group.BACKUP, _LOST),
    Check("ntp_synchronised", "every node follows a time server", node.ntp_synchronised, Group.TIME, _OUTAGE),
    Check("clocks_agree", "clocks are within a second of each other", cluster.clocks_agree, Group.TIME, _OUTAGE),
    Check("port_5432_open", "nodes reach each other on port 5432", cluster.port_5432_open, Group.PORTS, _OUTAGE),
    Check("port_2380_open", "nodes reach each other on port 2380 (needed from 2.22 on)", ports.port_2380_open, Group.PORTS, _OUTAGE),
    Check("sudo_allows_upgrade", "sudo allows ks_upgrade.sh and reboot", node.sudo_allows_upgrade, Group.ACCOUNTS, _FAILED),
    Check("no_upgrade_running", "no upgrade is running", cluster.no_upgrade_running, Group.WORK, _FAILED, waivable=False),
    Check("no_reboot_pending", "no node waits for the reboot that ends its upgrade", node.no_reboot_pending, Group.WORK, _FAILED),
    Check("own_files_survive_reboot", "where ctmupgrade runs on a node, what it needs after the reboot is on a disk", own_files.own_files_survive_reboot, Group.WORK, _FAILED),
    Check("own_node_is_named", "a node that ctmupgrade runs on is called local in cluster.yaml", own_files.own_node_is_named, Group.WORK, _FAILED),
    Check("reboot_needs_no_person", "no reboot needs a person at the console", node.reboot_needs_no_person, Group.DISK, _BY_HAND),
    Check("fresh_instances_ready", "new instances are unclustered, on the target version, and their services are started", node.fresh_instances_ready, _CLUSTER, _FAILED, waivable=False),
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
    """All findings, waived ones marked.

    :param only: ids of the checks that are wanted; none: all.
    """
    question = Question(facts, cluster, options)
    found = [f for check in CHECKS if not only or check.id in only for f in check.run(question)]
    ended = {s.check: f"{s.until:%Y-%m-%d %H:%M %Z}" for s in cluster.skips if s.until <= facts.at}
    return expire(waive(found, options.skips), ended)
