"""Pages of the checks of quorum, errors, alarms, services, clients and versions: what concerns the cluster as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.checks.page import Page, Sure

_VENDOR = "vendor page Clusters and Nodes"
_HEALTH = "health checkers of the vendor's staff"

PAGES: Mapping[str, Page] = {
    "cluster_errors_empty": Page(
        "No member of the cluster reports an error of the last day. One of the last 15 minutes about consensus (no leader, leased "
        "session, context deadline exceeded) blocks.",
        "A control plane that already fails is taken into the upgrade: joins, removals and clients' changes may fail.",
        "ksctl cluster errors, on one member; clusterErrors in ksctl cluster summary. Errors older than a day are not counted.",
        "Find the cause (network between the nodes, a node that is down), and wait until no new errors come.",
        f"{_HEALTH}; captured field clusterErrors",
        Sure.MEDIUM,
    ),
    "quorum_kept": Page(
        "While one node is away, more than half of all listed members are ready, dead ones counted. With two nodes there is no such "
        "majority: you are told.",
        "Without a majority the control plane has no leader: nothing can join or be removed, and clients may get errors.",
        "ksctl cluster nodes list, on every node: members that are ready, against all that are listed",
        "Bring back members that are away, or remove those that are gone for good: ctmupgrade recover",
        f"{_HEALTH}; general rule of consensus; what two nodes do is concluded",
        Sure.MEDIUM,
    ),
    "control_plane_up": Page(
        "raftStatus of every node is a word that is known to be good: up, leader or follower. A release that does not tell it passes.",
        'Calls that change the membership are answered with "consensus is down".',
        "ksctl cluster info, on every node",
        "Wait, and look again. Where it stays, ctmupgrade recover, then vendor support.",
        "vendor's Terraform provider: fixtures say up, the schema's text says leader and follower",
        Sure.MEDIUM,
    ),
    "no_builtin_alarm_on": Page(
        "None of the appliance's own alarms is on. Disk Full, HSM Offline, Cluster Node Down and Cluster Node Certificate Expiration "
        "block; licence alarms and the others warn. Alarms that users made are not counted, for they stay on for months.",
        "What the appliance itself reports as wrong becomes a failed upgrade or an outage.",
        "ksctl alarms list, on every node. State unknown means that whatever reports it is down.",
        "Find the cause of the alarm and fix it; the alarm goes off by itself.",
        "vendor page Alarms; names of the built-in alarms as listed by a 2.19 appliance",
    ),
    "same_services_disabled": Page(
        "The same services are disabled on all nodes.",
        "A service that is quietly off on one node is noticed only when clients are sent to it.",
        "ksctl services status, on every node",
        "ksctl products list, on each node; enable or disable the product where it differs, or leave it where it is meant so.",
        _HEALTH,
        Sure.MEDIUM,
    ),
    "internet_for_csm": Page(
        "The secrets manager (product csm) is disabled, or you have read that it needs the internet.",
        "From 2.19 on the secrets manager needs internet access after an upgrade; without it its service stays in error for good.",
        "ksctl services status: csm or secrets-manager is disabled",
        "Give the node internet access or a proxy; if csm is not used: ksctl products disable --name csm. If it may stay in error "
        "after the upgrade, skip this check: a run then goes on though csm is in error, if all other services are started.",
        "vendor page of the 2.20 secrets manager",
    ),
    "clients_have_another_node": Page(
        "Clients can go to another node while one is away: by a load balancer (property LOAD_BALANCER_ADDRESS), or because they know "
        "several nodes. Where no load balancer is set, a person must know.",
        "Each node's upgrade is an outage of 10 minutes or more for the clients that know only it.",
        "ksctl properties list: LOAD_BALANCER_ADDRESS",
        "Ask who runs the clients, and tell them when which node is away.",
        f"{_VENDOR}; {_HEALTH} for the property",
    ),
    "kmip_iv_clients_known": Page(
        "Where KMIP is used and the target is 2.24 or later, a person knows that no client lets the server choose the IV for AES-GCM.",
        "Encryption by such clients is refused after the upgrade.",
        "ksctl interfaces list: an enabled KMIP interface; the versions of the nodes and of the target",
        "Change these clients, or set the property KMIP_DISALLOW_AES_GCM_NO_IV to false after the upgrade.",
        f"{_HEALTH}: name and default of the property; its effect from the name",
        Sure.MEDIUM,
    ),
    "behaviour_changes_read": Page(
        "You have read every change of behaviour that is known between the nodes' versions and the target.",
        "Clients or agents stop after an upgrade that was perfect in itself.",
        "The versions of the nodes and of the target, in a table of this program; the vendor's release notes could not be read, so the "
        "table is not complete. ctmupgrade path FROM TO shows it, too.",
        "Do what the finding says, before or after the upgrade, and tell those whom it concerns.",
        "vendor pages and code, named with each change",
        Sure.MEDIUM,
    ),
    "audit_store_exported": Page(
        "Where the target is 2.24 or later, audit records are not kept in the database (property ENABLE_RECORDS_DB_STORE).",
        "From 2.24 on the records in the database are out of reach.",
        "ksctl properties list: ENABLE_RECORDS_DB_STORE; the versions of the nodes and of the target",
        "Export the records that you must keep, before the upgrade.",
        _HEALTH,
        Sure.MEDIUM,
    ),
    "builds_equal": Page(
        "Nodes of one release have the same build number.",
        "A hotfix on one of them is missing on the others, or lost with the upgrade.",
        "ksctl system info get, on every node",
        "Find out which hotfix it is, and whether the target has it.",
        "captured versions; that a hotfix changes the build is concluded",
        Sure.LOW,
    ),
    "account_lasts": Page(
        "The account that ksctl logs in with is not locked and has no failed logins in a row.",
        "The account is locked in the middle of the upgrade, and on all nodes at once, for users are shared by the cluster.",
        "ksctl users list, on one member: account_lockout_at, failed_logins_count. A user of an authentication domain is not seen there.",
        "Unlock it, and find out who fails to log in with it.",
        _HEALTH,
        Sure.MEDIUM,
    ),
    "same_time_servers": Page(
        "All nodes have the same time servers.",
        "Their clocks drift apart when one of them loses its time server, and nodes whose clocks differ cannot replicate.",
        "ksctl ntp servers list, on every node; the order does not matter",
        "ksctl ntp servers add --host TIME-SERVER, the same on every node",
        _VENDOR,
    ),
    "window_fits": Page(
        "All nodes can be finished in the maintenance window, by the longest time that each is expected to take.",
        "The window ends with two versions in the cluster: the nodes that are left wait for the next one, and until then "
        "nothing of the cluster's configuration should be changed.",
        "window.start and window.finish_by in cluster.yaml, the clock of this machine, and the estimates of the plan",
        "Set a longer window, upload the archive before it (ctmupgrade stage), or take only the nodes that fit: ctmupgrade run "
        "--accept-partial. A rebuild must fit as a whole.",
        "this program's estimates; the vendor says that a cluster should have two versions for as short a time as possible",
        Sure.OURS,
    ),
    "no_job_in_window": Page(
        "No enabled job starts during the work: a backup, a key rotation, a synchronisation with a cloud. Without a window in "
        "cluster.yaml the next 8 hours count.",
        "A backup fills the disk or locks the database in the middle of the upgrade; a rotation runs on mixed versions.",
        "ksctl scheduler configs list, on one member: run_at (cron, taken as UTC), start_date, end_date, disabled",
        "Disable the job for the time of the work.",
        "vendor page Scheduling Backups; vendor's Terraform provider for the fields",
        Sure.MEDIUM,
    ),
    "backups_do_not_pile_up": Page(
        "Scheduled backups have a number after which old ones are removed.",
        "Backups stay for ever and fill the disk, perhaps in the middle of the upgrade.",
        "ksctl scheduler configs list, on one member: operation database_backup, its retention count",
        "Set a retention count, and remove old backups.",
        "vendor page Scheduling Backups",
    ),
    "no_backup_or_restore_running": Page(
        "No backup and no restore is under way on any node.",
        "Two jobs on one database; a backup of a node that is half upgraded.",
        "ksctl backup status, on every node: finished, status",
        "Wait until the backup or restore ends.",
        f"{_HEALTH}: the fields; words while one runs are not known",
        Sure.MEDIUM,
    ),
}
