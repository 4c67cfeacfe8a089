"""Backups and backup keys of a simulated node: made, downloaded, uploaded, restored.

A downloaded file says in one line of JSON what is in it; a key's file, which password opens it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ctmupgrade.core.restorable import backup_fits
from ctmupgrade.core.version import Version
from ctmupgrade.sim.active_faults import take_next
from ctmupgrade.sim.order import Order
from ctmupgrade.sim.state import Backup, BackupKeyState, SimNode
from ctmupgrade.sim.world import World

NOT_FOUND = json.dumps({"code": 16, "codeDesc": "NCERRResourceNotFound: Resource not found"})
BACKUP, KEY = "simulated backup ", "simulated backup key "  # what the files begin with


def carry_out(world: World, node: SimNode, order: Order, timeout: float) -> str | None:
    """Do what a command about backups says; None where it is not known."""
    flags = order.flags
    identity = flags.get("id", "")
    match order.words:
        case ("backup", "create"):
            return _create(world, node, flags)
        case ("backup", "download"):
            return _download(world, node, identity, flags)
        case ("backup", "restore"):
            return _restore(world, node, identity, forced="force" in flags)
        case ("backup", "upload"):
            return _upload(world, node, flags.get("file", ""))
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
            return _upload_key(world, node, order, timeout)
        case _:
            return None


def _bad(text: str) -> str:
    return json.dumps({"code": 15, "codeDesc": f"NCERRBadRequest: {text}"})


def _create(world: World, node: SimNode, given: Mapping[str, str]) -> str:
    default = next((k.id for k in node.backup_keys if k.default), "")
    key = given.get("keyid", default)
    backup = Backup(
        world.fresh_id("backup"), given.get("scope", "system"), "running", world.now, key,
        given.get("description", ""), "tied-to-hsm" in given, node.data, node.version, list(node.users), list(node.hsm),
    )  # fmt: skip
    node.backups, node.restore = [*node.backups, backup], ""
    end = "failed" if take_next(world, node, "backup_fails") else "completed"
    node.plan_due(world.now + node.times.backup_s, "backup_end", f"{backup.id} {end}")
    world.record(node.name, "backup_created", backup.id)
    return json.dumps({"id": backup.id, "status": "in progress"})


def _download(world: World, node: SimNode, identity: str, given: Mapping[str, str]) -> str:
    backup = next((b for b in node.backups if b.id == identity), None)
    if backup is None:
        return NOT_FOUND
    if backup.state != "completed":
        return _bad("the backup is not complete")
    Path(given["file"]).write_text(f"{BACKUP}{json.dumps(asdict(backup))}\n", encoding="utf-8")
    world.record(node.name, "backup_downloaded", identity)
    return json.dumps({"id": identity})


def _download_key(world: World, node: SimNode, identity: str, order: Order, timeout: float) -> str:
    key = next((k for k in node.backup_keys if k.id == identity), None)
    if key is None:
        return NOT_FOUND
    if asked := _asks(world, node, order, timeout):
        return asked
    text = json.dumps({"id": identity, "seal": _seal(order) if key.sealed else ""})
    Path(order.flags["file"]).write_text(f"{KEY}{text}\n", encoding="utf-8")
    world.record(node.name, "key_downloaded", identity)
    return json.dumps({"id": identity})


def _asks(world: World, node: SimNode, order: Order, timeout: float) -> str:
    """The prompt at which nobody types anything; "" where the password was typed."""
    if "bkpassword" in order.flags:
        world.record(node.name, "secret_on_command_line", "--bkpassword")
    if order.answer is not None and order.answer.reveal():
        return ""
    world.clock.advance(timeout)
    return "Backup key password: "


def _seal(order: Order) -> str:
    password = order.answer.reveal() if order.answer else ""
    return hashlib.sha256(f"simulated seal {password}".encode()).hexdigest()


def _content(file: str, begin: str) -> dict[str, Any] | None:
    """What a file says; None where it is not such a file, or damaged."""
    try:
        text = Path(file).read_text(encoding="utf-8")
        found: object = json.loads(text.removeprefix(begin)) if text.startswith(begin) else None
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _upload(world: World, node: SimNode, file: str) -> str:
    content = _content(file, BACKUP)
    if content is None:
        return _bad("not a backup file")
    backup = Backup(**{field.name: content[field.name] for field in fields(Backup) if field.name in content})
    node.backups = [*(b for b in node.backups if b.id != backup.id), backup]
    world.record(node.name, "backup_uploaded", backup.id)
    return json.dumps({"id": backup.id})


def _upload_key(world: World, node: SimNode, order: Order, timeout: float) -> str:
    content = _content(order.flags.get("file", ""), KEY)
    if content is None:
        return _bad("not a backup key file")
    if asked := _asks(world, node, order, timeout):
        return asked
    if content["seal"] not in ("", _seal(order)):
        return _bad("the password does not open this backup key")
    key = BackupKeyState(content["id"], default=False)
    node.backup_keys = [*(k for k in node.backup_keys if k.id != key.id), key]
    world.record(node.name, "key_uploaded", key.id)
    return json.dumps({"id": key.id, "state": key.state})


def _restore(world: World, node: SimNode, identity: str, *, forced: bool) -> str:
    backup = next((b for b in node.backups if b.id == identity), None)
    if backup is None:
        return NOT_FOUND
    if refusal := _refusal(node, backup, forced=forced):
        return _bad(refusal)
    if world.keys.get(node.data, 0):
        world.record(node.name, "data_erased", f"{node.data}: restore")
    world.record(node.name, "restore_started", identity)
    node.restore = "running"
    if not take_next(world, node, "restore_hangs"):
        end = "failed" if take_next(world, node, "restore_fails") else "completed"
        node.plan_due(world.now + node.times.restore_s, "restore_end", f"{identity} {end}")
    return json.dumps({"id": identity, "status": "in progress"})


def _refusal(node: SimNode, backup: Backup, *, forced: bool) -> str:
    if node.cluster:
        return "not while clustered"
    if node.restore == "running":
        return "a restore is in progress"
    if all(key.id != backup.key_id for key in node.backup_keys):
        return f"backup key {backup.key_id} not found"
    if backup.tied_to_hsm and node.hsm != backup.hsm:
        return "the backup is tied to another HSM"
    fits = not backup.version or backup_fits(Version.parse(backup.version), Version.parse(node.version))
    return "" if fits or forced else f"a backup of {backup.version} cannot be restored on {node.version}"
