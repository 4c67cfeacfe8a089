"""Parsers of the answers behind :mod:`node_state` and :mod:`shared_state`: pure, tolerant of form, strict of meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ctmupgrade.core.looks.answer_fields import Json, instant, object_of, whole
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.json_rows import field_text, json_object, listing, rows_of, total_of
from ctmupgrade.core.looks.node_state import (
    Alarm,
    BackupJob,
    DiskEncryption,
    HsmServer,
    Inodes,
    Interface,
    Licence,
    MountedAs,
)
from ctmupgrade.core.looks.shared_state import Account, ClusterError, QuorumPolicy, Schedule
from ctmupgrade.core.looks.x509 import Certificate, chain


def whole_rows(text: str) -> list[Json]:
    """Return the rows of a listing. :raises NotUnderstoodError: there is none, or only a part of it is shown."""
    shown, total = total_of(text)
    if shown < total:
        raise NotUnderstoodError(f"only {shown} of {total} rows were shown")
    return rows_of(listing(text))


def _number(value: object) -> int | None:
    """A whole number, also one that is written as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}", value.strip(), re.ASCII):
        return int(value)
    return whole(value)


def _is_true(value: object) -> bool:
    return value is True or field_text(value).lower() == "true"


def alarms(text: str) -> tuple[Alarm, ...]:
    """Read ``ksctl alarms list``."""
    return tuple(
        Alarm(
            field_text(row.get("name")),
            field_text(row.get("state")).lower(),
            field_text(row.get("severity")).lower(),
        )
        for row in whole_rows(text)
    )


def licences(text: str) -> tuple[Licence, ...]:
    """Read ``ksctl licensing licenses list``. A trial's ``expiration`` is "no expiration" while its seconds count down."""
    return tuple(
        Licence(
            field_text(row.get("feature") or row.get("type") or row.get("id")),
            field_text(row.get("state")).lower(),
            instant(row.get("expiration")),
            _number(row.get("trial_seconds_remaining")) or None,
        )
        for row in whole_rows(text)
    )


def interfaces(text: str) -> tuple[Interface, ...]:
    """Read ``ksctl interfaces list``."""
    return tuple(
        Interface(
            field_text(row.get("name")),
            row.get("enabled") is not False,
            whole(row.get("port")),
            kind=field_text(row.get("interface_type")).lower(),
        )
        for row in whole_rows(text)
        if row.get("name")
    )


def certificate_chain(text: str) -> tuple[Certificate, ...]:
    """Read ``ksctl interfaces certificate get``: the chain in a field, or by itself."""
    if "-----BEGIN" in text.partition("{")[0]:
        return chain(text)
    value = json_object(text)
    return chain("\n".join(str(one) for one in value.values() if isinstance(one, str)))


def hsm_servers(text: str) -> tuple[HsmServer, ...]:
    """Read ``ksctl hsm servers list``."""
    return tuple(_hsm(row, object_of(row.get("config"))) for row in whole_rows(text))


def _hsm(row: Json, config: Json) -> HsmServer:
    def told(*names: str) -> str:
        return next((field_text(place[n]) for n in names for place in (config, row) if place.get(n)), "")

    return HsmServer(told("type"), told("host", "hostname"), told("partition_name"), told("serial"))


def disk_encryption(text: str) -> DiskEncryption:
    """Read ``ksctl diskenc status``."""
    value = json_object(text)
    plain = {key.lower().replace("_", ""): state for key, state in value.items()}
    if not any("enc" in key or key in ("status", "attendedboot") for key in plain):
        raise NotUnderstoodError("not a disk encryption status", excerpt(text))
    return DiskEncryption(_is_true(plain.get("attendedboot")), field_text(plain.get("encryptionstatus")))


def backup_job(text: str) -> BackupJob:
    """Read ``ksctl backup status``."""
    value = json_object(text)
    if not {"operation", "status", "finished"} & value.keys():
        raise NotUnderstoodError("not a backup status", excerpt(text))
    finished = value.get("finished")
    return BackupJob(
        field_text(value.get("operation")),
        field_text(value.get("status")),
        finished if isinstance(finished, bool) else None,
    )


def raft_status(text: str) -> str:
    """Read ``ksctl cluster info``: how the node takes part in what its control planes agree on; "" where that is not told."""
    value = json_object(text)
    if "nodeID" not in value:
        raise NotUnderstoodError("not a cluster info", excerpt(text))
    return field_text(value.get("raftStatus"))


def time_servers(text: str) -> tuple[str, ...]:
    """Read ``ksctl ntp servers list``."""
    return tuple(sorted({field_text(row.get("host")).lower() for row in whole_rows(text)} - {""}))


def cluster_errors(text: str) -> tuple[ClusterError, ...]:
    """Read ``ksctl cluster errors``; rows may be a bare array (docs/appliance.md 4.2)."""
    return tuple(error for row in rows_of(listing(text)) for error in errors_of(row))


def errors_of(row: Json) -> tuple[ClusterError, ...]:
    """Return the ``clusterErrors`` of a row, or the row where it is one itself."""
    own = row.get("clusterErrors")
    found = own if isinstance(own, list) else [row] if "errorMessage" in row else []
    return tuple(
        ClusterError(excerpt(field_text(error["errorMessage"])), instant(error.get("errorTime")))
        for error in found
        if isinstance(error, dict) and error.get("errorMessage")
    )


def schedules(text: str) -> tuple[Schedule, ...]:
    """Read ``ksctl scheduler configs list``."""
    return tuple(_schedule(row) for row in whole_rows(text))


def _schedule(row: Json) -> Schedule:
    kept = {
        key.lower().replace("_", ""): value for key, value in {**object_of(row.get("params")), **row}.items()
    }
    return Schedule(
        field_text(row.get("name")), field_text(row.get("operation")), field_text(row.get("run_at")), _is_true(row.get("disabled")),
        instant(row.get("start_date")), instant(row.get("end_date")), _number(kept.get("retentioncount")),
    )  # fmt: skip


def quorum_policies(text: str) -> tuple[QuorumPolicy, ...]:
    """Read ``ksctl quorum-policy status``."""
    return tuple(_policy(row) for row in whole_rows(text))


def _policy(row: Json) -> QuorumPolicy:
    told = row.get("operation", row.get("operations"))
    names = told if isinstance(told, list) else [told]
    return QuorumPolicy(tuple(field_text(name) for name in names if name), _is_true(row.get("active")))


def properties(text: str) -> Mapping[str, str]:
    """Read ``ksctl properties list``: values by name."""
    return {field_text(row.get("name")): field_text(row.get("value")) for row in whole_rows(text)}


def accounts(text: str) -> tuple[Account, ...]:
    """Read ``ksctl users list``."""
    return tuple(
        Account(
            field_text(row.get("username")),
            field_text(row.get("account_lockout_at")),
            _number(row.get("failed_logins_count")) or 0,
        )
        for row in rows_of(listing(text))
    )


# -- the node's shell ----------------------------------------------------------------------------------


def inodes(text: str) -> tuple[Inodes, ...]:
    """Read ``df -P -i``: one row a file system; ``-`` where it counts none."""
    found = []
    for line in text.splitlines():
        row = re.fullmatch(
            r"\S+\s+(\d{1,18}|-)\s+(?:\d{1,18}|-)\s+(\d{1,18}|-)\s+(?:\d{1,3}%|-)\s+(/.*)",
            line.strip(),
            re.ASCII,
        )
        if row:
            total, free = (int(part) if part.isdecimal() else 0 for part in row.groups()[:2])
            found.append(Inodes(excerpt(row[3], 80), free, total))
    if not found:
        raise NotUnderstoodError("no table of inodes", excerpt(text))
    return tuple(dict.fromkeys(found))


MATTER = ("/", "/home", "/opt", "/opt/keysecure", "/var", "/home/ksadmin")  # what an upgrade writes to
ON_DISK = ("ext2", "ext3", "ext4", "xfs", "btrfs")


def mounted(text: str) -> tuple[MountedAs, ...]:
    """Read ``/proc/mounts``: the file systems that an upgrade writes to; of those over one another the last."""
    found: dict[str, MountedAs] = {}
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        words = rest.split()
        if device and len(words) >= 3 and words[0] in MATTER:
            found[words[0]] = MountedAs(words[0], excerpt(words[1], 40), "ro" in words[2].split(","))
    if "/" not in found:
        raise NotUnderstoodError("no table of mounts", excerpt(text))
    return tuple(found.values())


def addresses_by_dhcp(text: str) -> tuple[str, ...]:
    """Read ``nmcli -t -f GENERAL.DEVICE,GENERAL.TYPE,DHCP4 device show``: devices whose IPv4 address is from a DHCP server."""
    device, found, seen = "", [], False
    for line in text.splitlines():
        key, _, value = line.strip().partition(":")
        if key == "GENERAL.DEVICE":
            device, seen = excerpt(value, 40), True
        elif key.startswith("DHCP4") and device and device not in found:
            found.append(device)
    if not seen:
        raise NotUnderstoodError("no devices", excerpt(text))
    return tuple(found)
