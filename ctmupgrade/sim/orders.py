"""ksctl's commands that change something."""

from __future__ import annotations

import json
from functools import lru_cache

from ctmupgrade.sim import backups, changes, joining
from ctmupgrade.sim.order import Order
from ctmupgrade.sim.state import BackupKeyState, SimNode
from ctmupgrade.sim.world import World


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
            return backups.carry_out(world, node, order, timeout)
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
    node.backups, node.hsm = [], []
    node.backup_keys = [BackupKeyState(f"key-{node.name}-{len(world.events)}")]  # a new one of its own
    node.users, node.restore = ["admin"], ""
    node.drop_due("restore_end")
    if node.cluster:
        node.cluster, node.node_id = "", ""
    node.config_left = False
    changes.restart_services(world, node, "services reset")
    return json.dumps({"delay": 5})
