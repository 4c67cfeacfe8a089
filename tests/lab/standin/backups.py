"""Backups and backup keys of one node."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from typing import Any

from .appliance import Appliance
from .store import Doc, bad_request, not_found, now

_BACKUP, _KEY = b"LAB-BACKUP ", b"LAB-BACKUPKEY "


def new_key(*, default: bool) -> Doc:
    """A fresh backup key."""
    return {"id": uuid.uuid4().hex, "state": "active", "version": 0, "default": default, "createdAt": now()}


def _sealed(password: str) -> str:
    return hashlib.sha256(f"lab:{password}".encode()).hexdigest()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split("."))


class Backups:
    """Creates, lists, hands out and restores backups."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance

    def rows(self) -> list[Doc]:
        """``backup list``."""
        return [self._row(b) for b in self.appliance.doc["backups"]]

    def _row(self, backup: Doc) -> Doc:
        done = time.time() >= backup["ready_at"]
        hidden = ("ready_at", "content")
        return {k: v for k, v in backup.items() if k not in hidden} | {
            "status": "completed" if done else "in progress"
        }

    def status(self) -> Doc:
        """``backup status``: of the newest."""
        rows = self.rows()
        if not rows:
            return {"operation": "", "status": "", "finished": None}
        state = rows[-1]["status"]
        return {"operation": "backup", "status": state, "finished": state == "completed"}

    def create(self, body: Doc) -> Doc:
        """``backup create``; encrypted with the default key where none is named."""
        keys = self.appliance.doc["backup_keys"]
        wanted = body.get("keyID") or next((k["id"] for k in keys if k["default"]), "")
        if all(k["id"] != wanted for k in keys):
            raise bad_request("no such backup key")
        doc = self.appliance.doc
        content = {"version": doc["version"], "key": wanted, "data": doc["data"], "users": doc["users"]}
        backup = {
            "id": uuid.uuid4().hex,
            "scope": body.get("scope") or "system",
            "createdAt": now(),
            "description": body.get("description") or "",
            "backupKey": wanted,
            "resourceTypes": None,
            "productVersion": doc["version"],
            "tiedToHSM": bool(body.get("tiedToHSM")),
            "ready_at": time.time() + self.appliance.knob("backup_seconds"),
            "content": content,
        }
        with self.appliance.store.change() as new:
            new["backups"].append(backup)
        return self._row(backup)

    def get(self, name: str) -> Doc:
        """``backup get``."""
        return self._row(self._find("backups", name))

    def _find(self, kind: str, name: str) -> Doc:
        found: Doc | None = next((b for b in self.appliance.doc[kind] if b["id"] == name), None)
        if found is None:
            raise not_found()
        return found

    def delete(self, kind: str, name: str) -> Doc:
        """``backup delete`` and ``backupkeys delete``."""
        self._find(kind, name)
        with self.appliance.store.change() as doc:
            doc[kind] = [b for b in doc[kind] if b["id"] != name]
        return {}

    def download(self, name: str) -> bytes:
        """``backup download``."""
        backup = self._find("backups", name)
        if self._row(backup)["status"] != "completed":
            raise bad_request("backup is not complete")
        return _BACKUP + base64.b64encode(json.dumps(backup).encode())

    def upload(self, content: bytes) -> Doc:
        """``backup upload``."""
        if not content.startswith(_BACKUP):
            raise bad_request("not a backup file")
        backup: Doc = json.loads(base64.b64decode(content.removeprefix(_BACKUP)))
        with self.appliance.store.change() as doc:
            doc["backups"] = [*(b for b in doc["backups"] if b["id"] != backup["id"]), backup]
        return self._row(backup)

    def restore(self, name: str, *, force: bool) -> Doc:
        """``backup restore``: needs its key; an older node is refused, a much newer one too."""
        content = self._find("backups", name)["content"]
        self._find("backup_keys", content["key"])
        made, here = _numbers(content["version"]), _numbers(self.appliance.doc["version"])
        if not force and not (made[:2] <= here[:2] <= (made[0], made[1] + 3)):
            raise bad_request(
                f"a backup of {content['version']} cannot be restored on {self.appliance.doc['version']}"
            )
        with self.appliance.store.change() as doc:
            doc |= {"data": content["data"], "users": content["users"]}
        self.appliance.restart_services()
        return {"id": name, "status": "restored"}

    # -- keys --------------------------------------------------------------------------------------

    def keys(self) -> list[Doc]:
        """``backupkeys list``."""
        return list(self.appliance.doc["backup_keys"])

    def create_key(self) -> Doc:
        """``backupkeys create``."""
        key = new_key(default=not self.appliance.doc["backup_keys"])
        with self.appliance.store.change() as doc:
            doc["backup_keys"].append(key)
        return key

    def make_default(self, name: str) -> Doc:
        """``backupkeys default``."""
        self._find("backup_keys", name)
        with self.appliance.store.change() as doc:
            doc["backup_keys"] = [{**k, "default": k["id"] == name} for k in doc["backup_keys"]]
        return self._find("backup_keys", name)

    def get_key(self, name: str) -> Doc:
        """``backupkeys get``."""
        return self._find("backup_keys", name)

    def download_key(self, name: str, body: Doc) -> bytes:
        """``backupkeys download``, sealed with a password."""
        if not body.get("password"):
            raise bad_request("password can't be empty")
        sealed = {"key": self._find("backup_keys", name), "seal": _sealed(str(body["password"]))}
        return _KEY + base64.b64encode(json.dumps(sealed).encode())

    def upload_key(self, body: Doc) -> Doc:
        """``backupkeys upload``: opens it with the password."""
        text = str(body.get("content", "")).encode()
        if not text.startswith(_KEY):
            raise bad_request("not a backup key file")
        sealed: dict[str, Any] = json.loads(base64.b64decode(text.removeprefix(_KEY)))
        if sealed["seal"] != _sealed(str(body.get("password", ""))):
            raise bad_request("the password does not open this backup key")
        key: Doc = {**sealed["key"], "default": False}
        with self.appliance.store.change() as doc:
            doc["backup_keys"] = [*(k for k in doc["backup_keys"] if k["id"] != key["id"]), key]
        return key
