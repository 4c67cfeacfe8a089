"""One node: its boot, its services and how far they are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from . import knobs
from .store import Doc, Store, boot_id, now

SERVICES = (
    "UI", "adp-management", "alarms", "api-gateway", "api-playground", "audit-log", "authorization",
    "backup", "cluster", "keys", "licensing", "nae-kmip", "ntp", "web",
)  # fmt: skip
JOINING = ("creating", "b", "i", "c", "o")


class Appliance:
    """What the API, the cluster and the listener share."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.ready_at = 0.0
        self.up_since = time.monotonic()

    @property
    def doc(self) -> Doc:
        """The state, to be read."""
        return self.store.doc

    def knob(self, name: str) -> Any:
        """A behaviour as it is chosen now."""
        return knobs.load(self.store.folder)[name]

    def boot(self) -> None:
        """What a start of the daemon does with what the last one left."""
        marker = self.store.marker()
        with self.store.change() as doc:
            if marker:
                self._finish(doc, marker)
            cluster = doc["cluster"]
            if cluster and self.own_row(cluster).get("code") in JOINING:
                self.store.audit("BROKEN-JOIN", "restarted while joining")
                doc["cluster"] = None  # a restart in a join makes the node disappear
            doc["removed"] = doc.get("removed", False)
            warm = doc.pop("warm", False)
            (self.store.folder / "version").write_text(doc["version"])  # for the shell scripts
        self.restart_services(0.0 if warm else None)

    def _finish(self, doc: Doc, marker: Doc) -> None:
        same_boot = marker["boot"] == boot_id()
        if same_boot:
            if marker["phase"] == "running":
                self.store.audit("PREMATURE-RESTART", "keysecure was restarted during the upgrade")
            return
        if marker["phase"] == "running":
            doc["broken"] = True
            if not marker.get("reported"):
                self.store.audit("PREMATURE-REBOOT", "the node went down during the upgrade")
        elif marker["phase"] == "succeeded" and marker.get("effective", True):
            doc["version"] = marker["target"]
        self.store.forget_marker()

    def restart_services(self, seconds: float | None = None) -> None:
        """They are `starting` for some seconds; None: as the knob says."""
        wait = self.knob("start_seconds") if seconds is None else seconds
        self.ready_at = time.monotonic() + wait

    def overall(self) -> str:
        """The overall status of the services."""
        if self.doc["broken"] or self.knob("services_error"):
            return "error"
        if time.monotonic() < self.ready_at:
            return "starting"
        marker = self.store.marker()
        if marker and marker["phase"] == "running":
            return str(marker.get("services", "started"))
        return "started"

    def serving(self) -> bool:
        """Whether the API answers more than its status, and port 5432 is open."""
        return not self.doc["broken"] and time.monotonic() >= self.ready_at

    def services(self) -> Doc:
        """``services status``."""
        overall = self.overall()
        rows = [{"name": name, "status": overall} for name in SERVICES]
        rows.append({"name": "secrets-manager", "status": "disabled"})
        return {"status": overall, "services": rows}

    def system_info(self) -> Doc:
        """``system info get``."""
        minutes = int(time.monotonic() - self.up_since) // 60
        return {
            "name": self.doc["name"],
            "version": self.doc["version"],
            "version_suffix": "null",
            "model": "CipherTrust Manager k170v",
            "vendor": "Thales Group",
            "crypto_version": "1.7.0",
            "uptime": f"{minutes // 1440} days, {minutes // 60 % 24} hours, {minutes % 60} minutes",
            "system_time": now(),
        }

    def own_row(self, cluster: Doc) -> Doc:
        """Its own line in a list of members; {} where it is not there."""
        return next((m for m in cluster["members"] if m["nodeID"] == self.doc["node_id"]), {})
