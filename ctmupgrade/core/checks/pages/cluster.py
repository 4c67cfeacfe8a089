"""Pages of the checks of the cluster and of the ports between its nodes."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.checks.page import Page, Sure

_VENDOR = "vendor page Clusters and Nodes"

PAGES: Mapping[str, Page] = {
    "port_5432_open": Page(
        "Each node can open a TCP connection to port 5432 of each other node, by the address that the nodes use among themselves.",
        "Database changes no longer reach the other nodes; a node that was rebooted or that joins stays outside.",
        "A fresh report of a living database connection (ksctl cluster summary) proves it. Where there is none, the node's shell "
        "tries it: nc -z -w 3 HOST 5432, or /dev/tcp.",
        "Open the port in the firewall, in both directions. Check cluster_host in cluster.yaml.",
        _VENDOR,
    ),
    "port_2380_open": Page(
        "Each node can reach port 2380 of each other node, where the version that runs or the target is 2.22 or later.",
        "After the upgrade the control plane of the cluster finds no leader: joins and removals hang.",
        'The node\'s shell tries it: nc -z -v -w 3 HOST 2380, or /dev/tcp. "Refused" proves an open path, for nothing may listen '
        "there before the upgrade; a time-out does not prove a closed one.",
        "Open the port in the firewall, in both directions, before the upgrade.",
        "Deployment kit of a Thales group for 2.22, which opens the port and worked without it on 2.19",
    ),
    "node_count_supported": Page(
        "cluster.yaml names 1 to 20 nodes; exactly one for the standalone strategy.",
        "A cluster of more nodes is not supported by the vendor.",
        "The nodes in cluster.yaml are counted.",
        "Correct the nodes or the strategy in cluster.yaml.",
        _VENDOR,
    ),
    "cluster_members_match": Page(
        "Every node lists exactly the nodes of cluster.yaml as members of its cluster, each by another id.",
        "A node that is not in cluster.yaml stays on the old version, and nobody looks whether it is well. A member that is gone "
        "keeps the others from being safe.",
        "ksctl cluster nodes list, on every node; ids are compared with the node's own, then addresses.",
        "ctmupgrade recover shows which node it may be. Add the node to cluster.yaml, or remove the dead member.",
        _VENDOR,
    ),
    "every_node_ready": Page(
        "Every node reports every member as ready (status code r).",
        "The upgrade would take one more node out of service while another is away already: an outage, or a broken cluster.",
        "ksctl cluster nodes list, on every node. What a node says of itself proves little, so all are asked about all.",
        "Wait where a node joins, starts or catches up. Bring back a node that is down; remove one that is gone for good.",
        _VENDOR,
    ),
    "replication_connected": Page(
        "Every node has a report that is younger than 5 minutes and shows every other node as GOOD and connected.",
        "Changes that clients make on one node do not reach the others; they are lost when that node is reset or removed.",
        "ksctl cluster summary, on every node. A node that is down keeps its last report, which says GOOD: only a fresh one counts.",
        "ksctl cluster errors tells the reason. Check the network between the two nodes, and their clocks.",
        f"{_VENDOR}: its own sample shows a dead node whose last report is 37 minutes old and says GOOD",
    ),
    "replication_caught_up": Page(
        "No node lacks changes that others hold: replication is not blocked, and the delay is below 10 s (before a removal: 1 s).",
        "Changes that were not copied yet are lost, or conflict, when their node is stopped, reset or removed.",
        "ksctl cluster summary: replicationBlocked, writeLag, flushLag, replayLag, catchupInterval of each pair.",
        "Wait until replication has caught up. Where it stays blocked, find the reason in ksctl cluster errors before anything is stopped.",
        f"{_VENDOR} (captured fields); what they mean: PostgreSQL BDR",
        Sure.MEDIUM,
    ),
    "fresh_instances_ready": Page(
        "A new instance that is to take a node's place has the target version, is in no cluster, and its services are started.",
        "Only equal versions join, and a join to a node that still starts fails.",
        "ksctl system info get, cluster info and services status, on the new instance.",
        "Install the target version on it, and wait until its services are started.",
        _VENDOR,
    ),
}
