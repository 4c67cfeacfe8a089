"""ksctl's answers that only look, in the formats of the captures.

Those about the cluster are cached by what is in them: twenty nodes ask for the same text again and again.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from ctmupgrade.sim import active_faults, status
from ctmupgrade.sim.state import SimNode
from ctmupgrade.sim.status import DESCRIPTIONS, MemberView, View
from ctmupgrade.sim.world import World

REPORT_EVERY = 10.0  # seconds between a member's reports
NTPQ = (
    "     remote           refid      st t when poll reach   delay   offset  jitter\n"
    "==============================================================================\n"
)
ALARMS = ("License Expiration", "Cluster Node Down", "Disk Full", "HSM Offline", "NAE TLS Disabled")


def stamp(world: World, seconds: float, node: SimNode) -> str:
    """Return a time on the world's scale as the node writes it."""
    moment = world.clock.wall(seconds) + timedelta(seconds=node.clock_offset)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def cluster_info(world: World, node: SimNode) -> str:
    """Return what ``ksctl cluster info`` prints on this node."""
    code = status.own_code(world, node)
    count = len(status.members_of(world, node.cluster)) or 1
    key = ("info", node.name, node.node_id or node.removed_id, code, count, node.ksctl.format)
    if key not in world.texts:
        world.texts[key] = _cluster_info(node, code, count)
    return world.texts[key]


def _cluster_info(node: SimNode, code: str, count: int) -> str:
    if code == "none":
        body: dict[str, object] = {"nodeID": "", "status": _status("none")}
        if node.ksctl.format == "new":
            body["nodeCount"] = 0
        return json.dumps(body)
    body = {"nodeID": node.node_id or node.removed_id, "status": _status(code)}
    if node.ksctl.format == "new":
        body |= {"nodeCount": count, "raftStatus": "up"}
    return json.dumps(body)


def _status(code: str) -> dict[str, str]:
    return {"code": code, "description": DESCRIPTIONS.get(code, "unknown")}


def nodes_list(world: World, node: SimNode) -> str:
    """Answer ``cluster nodes list``: all members, through this one's eyes."""
    view = status.view(world, node)
    key = ("nodes", node.name, node.ksctl.format, view.key)
    if key not in world.texts:
        world.texts[key] = _listing([member_row(s, node) for s in view.seen], node, limit=256)
    return world.texts[key]


def member_row(seen: MemberView, viewer: SimNode) -> dict[str, object]:
    """Return one member as ``cluster nodes get`` shows it."""
    row: dict[str, object] = {
        "nodeID": seen.node.node_id,
        "status": _status(seen.code),
        "host": seen.node.cluster_host,
    }
    if viewer.ksctl.format == "new":
        row |= {"port": 5432, "state": None}
    row["isThisNode"] = seen.node is viewer
    if viewer.ksctl.format == "new":
        row["publicAddress"] = seen.node.public_address if seen.code else ""
    return row


def _listing(rows: list[dict[str, object]], node: SimNode, *, skip: int = 0, limit: int = 10) -> str:
    shown: object = rows[skip : skip + limit]
    if not shown and node.ksctl.null_lists:
        shown = None
    return json.dumps({"skip": skip, "limit": limit, "total": len(rows), "resources": shown})


def summary(world: World, node: SimNode) -> str:
    """Answer ``cluster summary``: the same whoever is asked, keyed by reporting member. A member that is unreachable
    keeps its last report, which says that all is GOOD."""
    memo = world.moment()
    if ("summary", node.cluster) not in memo:
        memo["summary", node.cluster] = _summary(world, node)
    return str(memo["summary", node.cluster])


def _summary(world: World, node: SimNode) -> str:
    members = status.members_of(world, node.cluster)
    reports = [_report(world, member, members) for member in members if member.join is None]
    key = ("summary", tuple(reports))
    if key not in world.texts:
        if len(world.texts) > 1000:
            world.texts.clear()
        bodies = ",".join(
            f'"{name}":{{"clusterSummary":{body},"lastUpdated":"{at}"}}' for name, body, at in reports
        )
        world.texts[key] = f'{{"skip":0,"limit":0,"total":{len(members)},"resources":{{{bodies}}}}}'
    return world.texts[key]


def _report(world: World, member: SimNode, members: list[SimNode]) -> tuple[str, str, str]:
    memo = world.moment()
    key = ("report", member.name)
    if key not in memo:
        silent = status.silent_since(world, member)
        if silent is None:
            at = world.now // REPORT_EVERY * REPORT_EVERY
            body = _peers(world, member, status.view(world, member))
        else:
            at = silent // REPORT_EVERY * REPORT_EVERY
            good = tuple(MemberView(n, "r", True) for n in members)
            body = _peers(world, member, View(good, tuple((s.node.node_id, "r", True, "", "") for s in good)))
        memo[key] = (member.node_id, body, stamp(world, at, member))
    found: tuple[str, str, str] = memo[key]
    return found


def _peers(world: World, member: SimNode, view: View) -> str:
    key = ("peers", member.name, view.key)
    if key not in world.texts:
        world.texts[key] = json.dumps(
            {s.node.node_id: _peer(s, member) for s in view.seen}, separators=(",", ":")
        )
    return world.texts[key]


def _peer(seen: MemberView, member: SimNode) -> dict[str, object]:
    info: dict[str, object] = {
        "host": seen.node.cluster_host,
        "isThisNode": seen.node is member,
        "nodeID": seen.node.node_id,
        "port": 5432,
        "publicAddress": seen.node.public_address,
        "status": _status(seen.unlisted or seen.code),
    }
    if seen.node is not member:  # a dead peer still says streaming, without lag
        info |= {
            "connected": seen.connected,
            "state": "streaming",
            "replayLagBytes": 0,
            "replicationBlocked": False,
        }
        info |= json.loads(seen.behind or "{}").get("fields", {})
    good = seen.code == "r" and seen.connected
    errors = (
        None if good else [{"errorMessage": "could not connect to the postgresql server: timeout expired\n"}]
    )
    return {"clusterErrors": errors, "nodeInfo": info, "summary": "GOOD" if good else "BAD:node is inactive"}


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBBTCBq6ADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAXgwHhcNMjUw
MTAxMDAwMDAwWhcNNDkxMjMxMDAwMDAwWjAMMQowCAYDVQQDDAF4MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAELLTkvbnB4w091cfkVsRayjFVox0qRVfzPv5WgOB0
yF8sknME5bXL7gAuXLh73t+Pp1yH/kt7XuRBJlM6Vqd9XjAKBggqhkjOPQQDAgNJ
ADBGAiEA2Fvwp7N+e4ZmMlKCMC3Vv+iaseZ94/KS/ZuhvlLEqsgCIQDpSE3dBs5S
6FbstxO+VDLJZWA8X1p2W/AjXzG/J8c5cA==
-----END CERTIFICATE-----
"""  # of nobody's key; valid to the end of 2049


def own_words(node: SimNode, command: str) -> str | None:
    """Return what the world says that this node answers to a command; None: nothing of its own."""
    if command not in node.says:
        return None
    said = node.says[command]
    return said if isinstance(said, str) else json.dumps(said)


# -- the node itself -------------------------------------------------------------------------------


def version(node: SimNode) -> str:
    """Return what ``ksctl version`` prints."""
    short = node.shown_version.partition("+")[0]
    body = {"version": f"{short}+99999", "build_date": "Mon Jan  6 16:21:26 UTC 2025"}
    return json.dumps({**body, "server_model": node.model, "server_version": node.shown_version})


def system_info(world: World, node: SimNode) -> str:
    """Return what ``ksctl system info get`` prints."""
    now = world.clock.now() + timedelta(seconds=node.clock_offset)
    minutes = int(max(0.0, world.now - node.up_at) // 60)
    return json.dumps(
        {
            "name": node.system_name,
            "version": node.shown_version,
            "version_suffix": "null",
            "model": node.model,
            "vendor": "Thales Group",
            "crypto_version": "1.7.0",
            "uptime": f"{minutes // 1440} days, {minutes // 60 % 24} hours, {minutes % 60} minutes",
            "system_time": _seconds(now),
        }
    )


def _seconds(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def services(world: World, node: SimNode) -> str:
    """Return what ``ksctl services status`` prints."""
    overall, states = status.services_of(world, node)
    world.told_well[node.name] = world.now if overall == "started" else -1.0
    key = ("services", overall, tuple(states.items()))
    if key not in world.texts:
        rows = [{"name": name, "status": state} for name, state in states.items()]
        world.texts[key] = json.dumps({"status": overall, "services": rows})
    return world.texts[key]


def ntp_status(world: World, node: SimNode) -> str:
    """Return what ``ksctl ntp status`` prints."""
    good = (
        node.ntp.synchronised
        and bool(node.ntp.servers)
        and not active_faults.lasting(world, "ntp_lost", node.name)
    )
    lines = [
        f"{'*' if good and i == 0 else ' '}{host} .GPS. 1 u 34 64 377 1.234 -0.123 0.045\n"
        for i, host in enumerate(node.ntp.servers)
    ]
    return json.dumps({"ntpq -p": NTPQ + "".join(lines)})


def backup_row(world: World, node: SimNode, index: int) -> dict[str, object]:
    """Return one row of ``ksctl backup list``."""
    backup = node.backups[index]
    words = dict(zip(("running", "completed", "failed"), node.ksctl.status_words, strict=True))
    return {
        "id": backup.id,
        "scope": backup.scope,
        "status": words[backup.state],
        "createdAt": stamp(world, backup.created, node),
        "description": backup.description,
        "backupKey": backup.key_id,
        "resourceTypes": None,
        "tiedToHSM": backup.tied_to_hsm,
        "productVersion": backup.version,
    }


def backup_status(node: SimNode) -> str:
    """Return what ``ksctl backup status`` prints."""
    if node.restore:
        words = dict(zip(("running", "completed", "failed"), node.ksctl.status_words, strict=True))
        return json.dumps(
            {"operation": "restore", "status": words[node.restore], "finished": node.restore != "running"}
        )
    if not node.backups:
        return json.dumps({"operation": "", "status": "", "finished": None})
    words = dict(zip(("running", "completed", "failed"), node.ksctl.status_words, strict=True))
    last = node.backups[-1]
    return json.dumps(
        {"operation": "backup", "status": words[last.state], "finished": last.state != "running"}
    )


def rows_of(world: World, node: SimNode, what: tuple[str, ...]) -> list[dict[str, object]] | None:  # noqa: C901 - one case a kind
    """Return the rows of a listing; None where it is none."""
    match what:
        case ("backup",):
            return [backup_row(world, node, i) for i in range(len(node.backups))]
        case ("backupkeys",):
            return [
                {"id": k.id, "state": k.state, "version": 0, "default": k.default} for k in node.backup_keys
            ]
        case ("ntp", "servers"):
            return [{"host": host} for host in node.ntp.servers]
        case ("alarms",):
            names = [*((name, "off") for name in ALARMS), *((name, "on") for name in node.alarms)]
            return [{"name": name, "state": state} for name, state in names]
        case ("licensing", "licenses"):
            return [{"id": f"lic-{i}", "type": name} for i, name in enumerate(node.licences)]
        case ("keys",):
            return [{"id": f"{i}"} for i in range(world.keys.get(node.data, 0))]
        case ("licensing", "features") | ("licensing", "trials") | ("rot-keys",) | ("properties",):
            return []
        case ("interfaces",):
            return [{"name": name, "enabled": True} for name in node.interfaces]
        case ("proxy",):
            return [{"host": host} for host in node.proxy]
        case ("hsm", "servers"):
            return [{"id": f"hsm-{i}", "hostname": name} for i, name in enumerate(node.hsm)]
        case ("scheduler", "configs"):
            return [{"name": name, "operation": "database_backup"} for name in node.schedules]
        case ("products",):
            return [{"name": name, "state": state} for name, state in node.products.items()]
        case ("users",):
            return [{"username": name} for name in node.users]
        case ("domains",):
            return [{"name": "root"}]
        case ("cte", "clients"):
            return [
                {"id": f"cte-{i}", "client_health_status": word} for i, word in enumerate(node.cte_clients)
            ]
        case _:
            return None


def listing(world: World, node: SimNode, what: tuple[str, ...], skip: int, limit: int) -> str | None:
    """Return one page of a listing."""
    rows = rows_of(world, node, what)
    return None if rows is None else _listing(rows, node, skip=skip, limit=limit)
