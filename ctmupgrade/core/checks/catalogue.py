"""The checks. Each is named as the sentence that should be true and yields at least one finding.

To add one: a function in ``checks_cluster`` or ``checks_node`` and its line in :data:`CHECKS`. What it needs
to know is a field of ``NodeFacts`` filled by a probe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ctmupgrade.core.checks.check import Check, Question
from ctmupgrade.core.checks.cluster import (
    archive_signature_good,
    clocks_agree,
    cluster_members_match,
    every_node_ready,
    no_upgrade_running,
    node_count_supported,
    port_5432_open,
    replication_caught_up,
    replication_connected,
    services_started,
    versions_equal,
)
from ctmupgrade.core.checks.control_plane import control_plane_reachable, control_plane_verified
from ctmupgrade.core.checks.findings import Finding, expire, waive
from ctmupgrade.core.checks.node import (
    backup_downloaded_with_key,
    free_space_sufficient,
    fresh_instances_ready,
    no_reboot_pending,
    node_reachable,
    ntp_synchronised,
    reboot_needs_no_person,
    sudo_allows_upgrade,
)
from ctmupgrade.core.checks.own_files import own_files_survive_reboot, own_node_is_named
from ctmupgrade.core.checks.path import upgrade_path_known
from ctmupgrade.core.checks.ports import port_2380_open
from ctmupgrade.core.checks.window import window_fits
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster, Options

CHECKS: tuple[Check, ...] = (
    Check(
        "archive_signature_good",
        "the archive is signed by the pinned signer",
        archive_signature_good,
        False,
    ),
    Check("node_count_supported", "the cluster has 1 to 20 nodes", node_count_supported, False),
    Check("node_reachable", "the SSH login works on every node", node_reachable, False),
    Check("control_plane_reachable", "the ksctl login works on every node", control_plane_reachable, False),
    Check(
        "control_plane_verified", "the certificate of every control plane is verified", control_plane_verified
    ),
    Check("cluster_members_match", "the members are the nodes of cluster.yaml", cluster_members_match, False),
    Check("every_node_ready", "every node reports every other node as ready", every_node_ready),
    Check(
        "replication_connected", "every node reports a connection to every other node", replication_connected
    ),
    Check("replication_caught_up", "no node lacks changes of the others", replication_caught_up),
    Check("services_started", "keysecure is active and its services are started", services_started),
    Check("versions_equal", "all nodes have one version", versions_equal),
    Check("upgrade_path_known", "the upgrade path is known and allowed", upgrade_path_known),
    Check("free_space_sufficient", "every node has enough free space for the upgrade", free_space_sufficient),
    Check(
        "backup_downloaded_with_key", "a fresh backup and its key are downloaded", backup_downloaded_with_key
    ),
    Check("ntp_synchronised", "every node follows a time server", ntp_synchronised),
    Check("clocks_agree", "clocks are within a second of each other", clocks_agree),
    Check("port_5432_open", "nodes reach each other on port 5432", port_5432_open),
    Check("port_2380_open", "nodes reach each other on port 2380 (needed from 2.22 on)", port_2380_open),
    Check("sudo_allows_upgrade", "sudo allows ks_upgrade.sh and reboot", sudo_allows_upgrade),
    Check("no_upgrade_running", "no upgrade is running", no_upgrade_running, False),
    Check("no_reboot_pending", "no node waits for the reboot that ends its upgrade", no_reboot_pending),
    Check(
        "own_files_survive_reboot",
        "where ctmupgrade runs on a node, what it needs after the reboot is on a disk",
        own_files_survive_reboot,
    ),
    Check(
        "own_node_is_named",
        "a node that ctmupgrade runs on is called local in cluster.yaml",
        own_node_is_named,
    ),
    Check("reboot_needs_no_person", "no reboot needs a person at the console", reboot_needs_no_person),
    Check(
        "fresh_instances_ready",
        "new instances are unclustered, on the target version, and their services are started",
        fresh_instances_ready,
        False,
    ),
    Check("window_fits", "the plan fits into the maintenance window", window_fits),
)


def examine(facts: Facts, cluster: Cluster, options: Options, *, only: Collection[str] = ()) -> list[Finding]:
    """All findings, waived ones marked.

    :param only: ids of the checks that are wanted; none: all.
    """
    question = Question(facts, cluster, options)
    found = [f for check in CHECKS if not only or check.id in only for f in check.run(question)]
    return weighed(found, facts, cluster, options)


def weighed(found: Iterable[Finding], facts: Facts, cluster: Cluster, options: Options) -> list[Finding]:
    """Return findings with those that are waived marked, and those told whose skip in cluster.yaml has ended."""
    ended = {s.check: f"{s.until:%Y-%m-%d %H:%M %Z}" for s in cluster.skips if s.until <= facts.at}
    return expire(waive(found, options.skips), ended)
