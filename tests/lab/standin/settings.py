"""A node's own settings: time servers, products, alarms and the many lists."""

from __future__ import annotations

from .appliance import Appliance
from .backups import new_key
from .store import Doc, bad_request, not_found

ALARMS = (
    ("License Expiration", "warning"), ("License Violation", "critical"),
    ("Cluster Node Certificate Expiration", "critical"), ("Cluster Node Down", "critical"),
    ("Disk Full", "critical"), ("Server Certificate Autogen Scheduled", "info"),
    ("Deprecated TLS version Enabled", "critical"), ("KMIP Debug Logs Unmask Enabled", "critical"),
    ("HSM Offline", "critical"), ("NAE TLS Disabled", "critical"),
)  # fmt: skip
_NTPQ = (
    "     remote           refid      st t when poll reach   delay   offset  jitter\n"
    "==============================================================================\n"
)
DEFAULTS: Doc = {
    "ntp": ["time1.example.com"],
    "products": {"csm": "disabled", "ddc": "disabled"},
    "proxy": [],
}


class Settings:
    """Reads and changes them."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance

    def listing(self, name: str) -> list[Doc] | None:
        """The rows of a list by the path it has in the API; None: no such list."""
        doc = self.appliance.doc
        rows: dict[str, list[Doc]] = {
            "system/ntp/servers": [{"host": host} for host in doc["ntp"]],
            "licensing/licenses": [{"id": "lic-1", "type": "virtual", "state": "active"}],
            "licensing/features": [{"name": "keys", "state": "active"}],
            "licensing/trials": [],
            "configs/interfaces": [
                {"name": n, "port": p, "enabled": True} for n, p in (("web", 443), ("kmip", 5696))
            ],
            "configs/properties": [{"name": "CLUSTER_CERT_AUTO_RENEW_THRESHOLD", "value": "30"}],
            "system/rot-keys": [],
            "hsm/servers": [],
            "scheduler/job-configs": [],
            "system/products": [{"name": n, "state": s} for n, s in doc["products"].items()],
            "proxy": [{"host": host} for host in doc["proxy"]],
            "vault/keys2": [{"name": name} for name in sorted(doc["data"])],
            "usermgmt/users": [{"username": name} for name in sorted(doc["users"])],
        }
        return self._alarms() if name == "system/alarms" else rows.get(name)

    def _alarms(self) -> list[Doc]:
        on = self.appliance.knob("alarms_on")
        at = "2024-10-24T20:09:00Z"
        known = [
            {"name": n, "severity": s, "state": "on" if n in on else "off", "triggeredAt": at}
            for n, s in ALARMS
        ]
        named = {name for name, _ in ALARMS}
        extra = [
            {"name": n, "severity": "warning", "state": "on", "triggeredAt": at} for n in on if n not in named
        ]
        return known + extra

    def plain(self, name: str) -> Doc | None:
        """An answer that is no list; None: no such thing."""
        answers: dict[str, Doc] = {
            "system/ntp/status": {"ntpq -p": self._ntpq()},
            "licensing/lockdata": {"code": "*1LAB LABL ABLA BLAB", "cluster_code": "*1LAB CLUS TERL OCKC"},
            "locker/diskenc/status": {
                "encrypted": False,
                "attendedBoot": self.appliance.knob("attended_boot"),
            },
            "system/banners": {"preAuth": "", "postAuth": ""},
        }
        return answers.get(name)

    def _ntpq(self) -> str:
        good = self.appliance.knob("ntp_synced")
        lines = [
            f"{'*' if good and i == 0 else ' '}{host} .GPS. 1 u 34 64 377 1.234 -0.123 0.045\n"
            for i, host in enumerate(self.appliance.doc["ntp"])
        ]
        return _NTPQ + "".join(lines)

    def add_ntp(self, host: str) -> Doc:
        """``ntp servers add``."""
        if not host or host in self.appliance.doc["ntp"]:
            raise bad_request("host is empty or there already")
        with self.appliance.store.change() as doc:
            doc["ntp"].append(host)
        return {"host": host}

    def delete_ntp(self, host: str) -> Doc:
        """``ntp servers delete``."""
        if host not in self.appliance.doc["ntp"]:
            raise not_found()
        with self.appliance.store.change() as doc:
            doc["ntp"].remove(host)
        return {}

    def product(self, name: str, state: str) -> Doc:
        """``products enable`` and ``disable``."""
        if name not in self.appliance.doc["products"]:
            raise bad_request("product name can't be empty" if not name else f"no product {name}")
        with self.appliance.store.change() as doc:
            doc["products"][name] = state
        return {"state": state}

    def rename(self, name: str) -> Doc:
        """``system info set --name``."""
        with self.appliance.store.change() as doc:
            doc["name"] = name
        return self.appliance.system_info()

    def reset(self) -> Doc:
        """``services reset``: all data is gone; the version and the system stay."""
        with self.appliance.store.change() as doc:
            doc |= {"data": {}, "backups": [], "backup_keys": [new_key(default=True)], "name": ""}
            doc |= {"cluster": None, "node_id": "", "removed": False, "broken": False}
            doc |= {"ntp": [], "products": dict(DEFAULTS["products"]), "proxy": []}
            doc["users"] = dict(doc["first_users"])
        self.appliance.restart_services()
        return {}
