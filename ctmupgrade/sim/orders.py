"""ksctl's commands that change something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ctmupgrade.sim import changes, joining
from ctmupgrade.sim.active_faults import take_next
from ctmupgrade.sim.order import Order
from ctmupgrade.sim.state import Backup, BackupKeyState, SimNode
from ctmupgrade.sim.world import World

NOT_FOUND = json.dumps({"code": 16, "codeDesc": "NCERRResourceNotFound: Resource not found"})


@lru_cache(maxsize=1024)
def is_change(words: tuple[str, ...]) -> bool:
    """Return whether a ksctl command changes something on the node."""
    match words:
        case ("cluster", "new" | "delete" | "join" | "fulljoin" | "csr"):
            return True
        case ("cluster", "nodes", "delete" | "create"):
            return True
        case (
            ("services", "restart" | "reset") | ("system", "info", "set") | ("products", "enable" | "disable")
        ):
            return True
        case ("backup" | "backupkeys", "create" | "restore" | "upload" | "delete" | "default" | "scp"):
            return True
        case (*_, "add" | "rotate" | "setup" | "delete" | "modify"):
            return True
        case _:
            return False


def carry_out(world: World, node: SimNode, order: Order, timeout: float) -> str | None:
    """Do it and give the answer; None where the command is not known."""
    flags = order.flags
    match order.words:
        case ("cluster", "new"):
            return joining.new_cluster(world, node, flags)
        case ("cluster", "delete"):
            return joining.delete_cluster(world, node, timeout) if order.sure else _asks(world, timeout)
        case ("cluster", "nodes", "delete"):
            return joining.remove(world, node, flags) if order.sure else _asks(world, timeout)
        case ("cluster", "fulljoin"):
            return joining.fulljoin(world, node, flags) if order.sure else _asks(world, timeout)
        case ("services", "restart"):
            changes.restart_services(world, node, "ksctl services restart")
            return json.dumps({"delay": order.number("delay", 5)})
        case ("services", "reset"):
            return _reset(world, node) if order.sure else _asks(world, timeout)
        case ("backup" | "backupkeys", *_):
            return _backup_order(world, node, order, timeout)
        case _:
            return _setting(node, order)


def _asks(world: World, timeout: float) -> str:
    """It waits for a y that does not come."""
    world.clock.advance(timeout)
    return "Are you sure? [y/N] "


def _setting(node: SimNode, order: Order) -> str | None:
    flags = order.flags
    match order.words:
        case ("system", "info", "set"):
            node.system_name = flags.get("name", node.system_name)
            return json.dumps({"name": node.system_name})
        case ("ntp", "servers", "add"):
            node.ntp.servers = [*node.ntp.servers, flags.get("host", "")]
            node.ntp.synchronised = True
            return json.dumps({"host": flags.get("host", "")})
        case ("proxy", "add"):
            node.proxy = [*node.proxy, flags.get("host", flags.get("http-proxy", ""))]
            return json.dumps({"host": node.proxy[-1]})
        case ("licensing", "licenses", "add"):
            node.licences = [*node.licences, flags.get("license", "licence")]
            return json.dumps({"id": f"lic-{len(node.licences)}"})
        case ("products", "enable" | "disable" as word):
            return _product(node, flags.get("name", ""), f"{word}d")
        case ("rot-keys", "rotate"):
            return json.dumps({"id": flags.get("id", "")})
        case _:
            return None


def _product(node: SimNode, name: str, state: str) -> str:
    if not name:
        body = {
            "code": 15,
            "codeDesc": "NCERRBadRequest: Bad HTTP request",
            "message": "product name can't be empty",
        }
        return json.dumps(body)
    node.products = {**node.products, name: state}
    if name == "csm":
        node.services = {**node.services, "secrets-manager": "disabled" if state == "disabled" else "started"}
    return json.dumps({"state": state})


def _reset(world: World, node: SimNode) -> str:
    """Wipes its data, backups and their keys, and its HSM configuration; system, network and version stay."""
    if node.data:
        world.record(node.name, "data_erased", f"{node.data}: services reset")
    world.record(node.name, "reset")
    node.data = f"data-{node.name}-{len(world.events)}"  # an empty one of its own
    node.backups, node.backup_keys, node.hsm = [], [BackupKeyState("key-default")], []
    if node.cluster:
        node.cluster, node.node_id = "", ""
    node.config_left = False
    changes.restart_services(world, node, "services reset")
    return json.dumps({"delay": 5})


# -- backups ---------------------------------------------------------------------------------------


def _backup_order(world: World, node: SimNode, order: Order, timeout: float) -> str | None:
    flags = order.flags
    identity = flags.get("id", "")
    match order.words:
        case ("backup", "create"):
            return _create(world, node, flags)
        case ("backup", "download"):
            return _download(world, node, "backup", identity, flags)
        case ("backup", "restore"):
            return _restore(world, node, identity)
        case ("backup", "upload"):
            node.backups = [*node.backups, Backup(world.fresh_id("backup"), created=world.now)]
            return json.dumps({"id": node.backups[-1].id})
        case ("backup", "delete"):
            node.backups = [b for b in node.backups if b.id != identity]
            return "{}"
        case ("backupkeys", "create"):
            key = BackupKeyState(world.fresh_id("key"), default=False)
            node.backup_keys = [*node.backup_keys, key]
            return json.dumps({"id": key.id, "state": key.state})
        case ("backupkeys", "download"):
            return _download_key(world, node, identity, order, timeout)
        case ("backupkeys", "upload"):
            return json.dumps({"id": world.fresh_id("key"), "state": "active"})
        case _:
            return None


def _create(world: World, node: SimNode, given: Mapping[str, str]) -> str:
    default = next((k.id for k in node.backup_keys if k.default), "")
    key = given.get("keyid", default)
    backup = Backup(
        world.fresh_id("backup"), given.get("scope", "system"), "running", world.now, key,
        given.get("description", ""), "tied-to-hsm" in given, node.data, node.version,
    )  # fmt: skip
    node.backups = [*node.backups, backup]
    end = "failed" if take_next(world, node, "backup_fails") else "completed"
    node.plan_due(world.now + node.times.backup_s, "backup_end", f"{backup.id} {end}")
    world.record(node.name, "backup_created", backup.id)
    return json.dumps({"id": backup.id, "status": "in progress"})


def _download(world: World, node: SimNode, what: str, identity: str, given: Mapping[str, str]) -> str:
    backup = next((b for b in node.backups if b.id == identity), None)
    if backup is None:
        return NOT_FOUND
    if backup.state != "completed":
        return json.dumps({"code": 15, "codeDesc": "NCERRBadRequest: the backup is not complete"})
    text = f"simulated {what} {identity} of {node.name}: {backup.content}\n" * 64
    Path(given["file"]).write_text(text, encoding="utf-8")
    world.record(node.name, "backup_downloaded", identity)
    return json.dumps({"id": identity})


def _download_key(world: World, node: SimNode, identity: str, order: Order, timeout: float) -> str:
    if "bkpassword" in order.flags:
        world.record(node.name, "secret_on_command_line", "--bkpassword")
    key = next((k for k in node.backup_keys if k.id == identity), None)
    if key is None:
        return NOT_FOUND
    if order.answer is None or not order.answer.reveal():
        world.clock.advance(timeout)
        return "Backup key password: "
    text = f"simulated backup key {identity} of {node.name}\n" * 8
    Path(order.flags["file"]).write_text(text, encoding="utf-8")
    world.record(node.name, "key_downloaded", identity)
    return json.dumps({"id": identity})


def _restore(world: World, node: SimNode, identity: str) -> str:
    backup = next((b for b in node.backups if b.id == identity), None)
    if backup is None:
        return NOT_FOUND
    if node.cluster:
        return json.dumps({"code": 15, "codeDesc": "NCERRBadRequest: not while clustered"})
    node.data = backup.content
    world.record(node.name, "restored", f"{identity}: {backup.content}")
    changes.restart_services(world, node, "backup restore")
    return json.dumps({"id": identity, "status": "in progress"})
