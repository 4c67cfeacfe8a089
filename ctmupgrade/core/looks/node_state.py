"""What a node says of its alarms, licences, interfaces, HSMs, disks and jobs, as values. Field names and shapes are those of the
captures and of the vendor's health checkers (docs/appliance.md); where one is missing it is "" or None."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.looks.x509 import Certificate

# Alarms of the appliance itself (2.19); all others were made by users and stay on for months.
BLOCKING_ALARMS = ("Disk Full", "HSM Offline", "Cluster Node Down", "Cluster Node Certificate Expiration")
TOLD_ALARMS = ("License Expiration", "License Violation")
BUILT_IN_ALARMS = (
    *BLOCKING_ALARMS, *TOLD_ALARMS, "NAE TLS Disabled", "Server Certificate Autogen Scheduled", "Deprecated TLS version Enabled",
    "KMIP Debug Logs Unmask Enabled",
)  # fmt: skip


# Interfaces of administrators: no client loses them.
OF_NO_CLIENTS = ("ssh", "snmp", "preboot")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. :ivar state: on, off, or unknown: whoever reports it is down."""

    name: str
    state: str
    severity: str = ""


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence. :ivar expires: None: never, or not told. :ivar trial_s: seconds left of a trial; None: it is none."""

    name: str
    state: str = ""
    expires: datetime | None = None
    trial_s: int | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """Where clients connect. :ivar chain: its certificate and those that signed it; empty: not asked for. :ivar kind: its
    ``interface_type``, such as web, kmip or nae; "" where it is not told."""

    name: str
    enabled: bool = True
    port: int | None = None
    chain: tuple[Certificate, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Interfaces:
    """All interfaces of a node. :ivar not_read: why the certificate of one is not known, by the interface's name."""

    rows: tuple[Interface, ...]
    not_read: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HsmServer:
    """An HSM that a node uses as its root of trust."""

    kind: str = ""
    host: str = ""
    partition: str = ""
    serial: str = ""

    @property
    def words(self) -> str:
        """Return which partition it is, the same wherever it is used from: its serial where that is told."""
        return self.serial or "/".join(part for part in (self.host, self.partition) if part) or self.kind


@dataclass(frozen=True, slots=True)
class DiskEncryption:
    """``ksctl diskenc status``. :ivar attended: a boot waits for a passphrase. :ivar status: its word; "" where none is told."""

    attended: bool
    status: str = ""


@dataclass(frozen=True, slots=True)
class BackupJob:
    """``ksctl backup status``: the last backup or restore. :ivar finished: None: not told."""

    operation: str
    status: str
    finished: bool | None


@dataclass(frozen=True, slots=True)
class Inodes:
    """How many inodes of a file system are free; total 0: it has no limit."""

    mount: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class MountedAs:
    """A file system of the node and how it is mounted."""

    mount: str
    kind: str
    read_only: bool
