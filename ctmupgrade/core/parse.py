"""Parsers of what nodes and ``ksctl`` answer: pure, tolerant of form, strict of meaning.

Each raises :class:`NotUnderstood` rather than guess. Formats are those of FACTS.md and its captures;
exit codes are not trusted anywhere, the text decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from ctmupgrade.core.facts import (
    BackupEntry,
    BackupKey,
    BootMark,
    LogVerdict,
    Member,
    Membership,
    Mount,
    Ntp,
    PeerView,
    Services,
    SummaryReport,
    SystemInfo,
    Unit,
)
from ctmupgrade.core.model import Version

Json: TypeAlias = dict[str, object]


class NotUnderstood(ValueError):
    """An answer that this parser cannot read; its text says what it saw instead."""


def excerpt(text: str, limit: int = 160) -> str:
    """The first words of an answer, on one line, for a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def json_object(text: str) -> Json:
    """The first JSON object in ``text`` (a prompt or notice may stand before it).

    :raises NotUnderstood: none, cut short, or an error body (``codeDesc``, FACTS 4.1).
    """
    start = text.find("{")
    if start < 0:
        raise NotUnderstood(f"no JSON in the answer: {excerpt(text) or 'empty'}")
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        raise NotUnderstood(f"the JSON is cut short or broken: {excerpt(text)}") from None
    if not isinstance(value, dict):
        raise NotUnderstood(f"not a JSON object: {excerpt(text)}")
    if "codeDesc" in value or set(value) <= {"code", "message", "error"}:
        raise NotUnderstood(f"the answer is an error: {error_text(value)}")
    return value


def error_text(body: Mapping[str, object]) -> str:
    """``codeDesc`` and ``message`` of an error body on one line."""
    parts = [str(body[key]) for key in ("codeDesc", "message", "error") if body.get(key)]
    return excerpt("; ".join(parts) or json.dumps(body))


def _rows(value: Json) -> list[Json]:
    rows = value.get("resources")
    if rows is None and "resources" in value:
        return []  # Go's nil slice: an empty list printed as null
    if not isinstance(rows, list):
        raise NotUnderstood(f"no list of resources in {excerpt(json.dumps(value))}")
    return [row for row in rows if isinstance(row, dict)]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def instant(text: object) -> datetime | None:
    """An ISO 8601 time with zone, nanoseconds cut; None where it is not one."""
    if not isinstance(text, str):
        return None
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        value = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def total_of(text: str) -> tuple[int, int]:
    """(rows in this page, total) of a listing."""
    value = json_object(text)
    rows = _rows(value)
    total = _whole(value.get("total"))
    return len(rows), total if total is not None else len(rows)


def system_info(text: str) -> SystemInfo:
    """``ksctl system info get``."""
    value = json_object(text)
    raw = _text(value.get("version") or value.get("server_version"))
    try:
        version = Version.parse(raw)
    except ValueError:
        raise NotUnderstood(f"no version in the answer: {excerpt(text)}") from None
    return SystemInfo(
        version, _text(value.get("model")), _text(value.get("name")), instant(value.get("system_time"))
    )


def server_version(text: str) -> SystemInfo:
    """``ksctl version``: the server's, never the client's, which differs (FACTS 2)."""
    value = json_object(text)
    try:
        version = Version.parse(_text(value.get("server_version")))
    except ValueError:
        raise NotUnderstood(f"no server_version in the answer: {excerpt(text)}") from None
    return SystemInfo(version, _text(value.get("server_model")))


def membership(text: str) -> Membership:
    """``ksctl cluster info``."""
    value = json_object(text)
    status = _object(value.get("status"))
    if "nodeID" not in value or not status:
        raise NotUnderstood(f"not a cluster info: {excerpt(text)}")
    return Membership(
        _text(value["nodeID"]), _text(status.get("code")) or "?", _whole(value.get("nodeCount"))
    )


def members(text: str) -> tuple[Member, ...]:
    """``ksctl cluster nodes list``."""
    return tuple(_member(row) for row in _rows(json_object(text)))


def _member(row: Json) -> Member:
    status = _object(row.get("status"))
    return Member(
        node_id=_text(row.get("nodeID") or row.get("id")),
        host=_text(row.get("host")),
        code=_text(status.get("code")) or "?",
        description=_text(status.get("description")),
        is_this=row.get("isThisNode") is True,
        port=_whole(row.get("port")),
        public_address=_text(row.get("publicAddress")),
    )


def summary(text: str) -> tuple[SummaryReport, ...]:
    """``ksctl cluster summary``: keyed by reporting node."""
    value = json_object(text)
    resources = value.get("resources")
    if resources is None and "resources" in value:
        return ()
    if not isinstance(resources, dict):
        raise NotUnderstood(f"not a cluster summary: {excerpt(text)}")
    return tuple(_report(reporter, _object(body)) for reporter, body in resources.items())


def _report(reporter: str, body: Json) -> SummaryReport:
    peers = {key: _peer(_object(peer)) for key, peer in _object(body.get("clusterSummary")).items()}
    return SummaryReport(reporter, instant(body.get("lastUpdated")), peers)


def _peer(body: Json) -> PeerView:
    info = _object(body.get("nodeInfo"))
    connected = info.get("connected")
    return PeerView(
        code=_text(_object(info.get("status")).get("code")) or "?",
        summary=_text(body.get("summary")),
        connected=connected if isinstance(connected, bool) else None,
        host=_text(info.get("host")),
    )


def services(text: str) -> Services:
    """``ksctl services status``."""
    value = json_object(text)
    rows = value.get("services", value.get("resources"))
    overall = _text(value.get("status") or value.get("overallStatus") or value.get("overall_status"))
    by_name = (
        {_text(row.get("name")): _text(row.get("status")) for row in rows or () if isinstance(row, dict)}
        if isinstance(rows, list | None)
        else {}
    )
    if not overall and not by_name:
        raise NotUnderstood(f"not a services status: {excerpt(text)}")
    return Services(overall, by_name)


def ntp(text: str) -> Ntp:
    """``ksctl ntp status``: a ``*`` (or ``o``, a pulse source) before a peer means it is followed."""
    value = json_object(text)
    table = next((v for k, v in value.items() if k.startswith("ntpq") and isinstance(v, str)), None)
    if table is None or "timeout" in table.lower():
        raise NotUnderstood(f"no answer of ntpq in: {excerpt(text)}")
    lines = [line.strip() for line in table.splitlines()]
    return Ntp(any(re.match(r"^[*o][\w.:\[\]-]", line) for line in lines), table)


def backups(text: str) -> tuple[BackupEntry, ...]:
    """``ksctl backup list``."""
    return tuple(
        BackupEntry(
            id=_text(row.get("id")),
            scope=_text(row.get("scope")),
            status=_text(row.get("status")),
            created=instant(row.get("createdAt")),
            key_id=_text(row.get("backupKey") or row.get("backupKeyID")),
        )
        for row in _rows(json_object(text))
    )


def backup_keys(text: str) -> tuple[BackupKey, ...]:
    """``ksctl backupkeys list``."""
    return tuple(
        BackupKey(_text(row.get("id")), _text(row.get("state")), row.get("default") is True)
        for row in _rows(json_object(text))
    )


def attended_boot(text: str) -> bool:
    """``ksctl diskenc status``: whether a reboot waits for a person with a passphrase."""
    value = json_object(text)
    for key, state in value.items():
        if key.lower().replace("_", "") == "attendedboot":
            return state is True or _text(state).lower() == "true"
    if any("enc" in key.lower() or key == "status" for key in value):
        return False
    raise NotUnderstood(f"not a disk encryption status: {excerpt(text)}")


def boot_id(text: str) -> BootMark:
    """``/proc/sys/kernel/random/boot_id``."""
    found = re.search(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", text)
    if not found:
        raise NotUnderstood(f"not a boot id: {excerpt(text)}")
    return BootMark(boot_id=found.group())


def boot_time_of_stat(text: str) -> BootMark:
    """The ``btime`` line of ``/proc/stat``, epoch seconds."""
    found = re.search(r"^btime (\d+)$", text, re.MULTILINE)
    if not found:
        raise NotUnderstood("no btime in /proc/stat")
    return BootMark(since=float(found.group(1)))


def uptime_since(text: str) -> BootMark:
    """``uptime -s`` or ``who -b``: local time, used only for differences on one node."""
    found = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)", text)
    if not found:
        raise NotUnderstood(f"not a time of boot: {excerpt(text)}")
    moment = datetime.fromisoformat(f"{found.group(1)} {found.group(2)}")
    return BootMark(since=moment.replace(tzinfo=UTC).timestamp())


_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def mounts(text: str) -> tuple[Mount, ...]:
    """``df`` in any of its forms: blocks of 1K (-k, -P) or 512 bytes, or rounded units (-h).

    ``df -h`` rounds free space up; one unit of its last digit is taken off, so that it never flatters.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((i for i, line in enumerate(lines) if "Avail" in line or "Free" in line), None)
    if header is None:
        raise NotUnderstood(f"not an answer of df: {excerpt(text)}")
    block = 512 if "512" in lines[header] else 1024
    found = [_mount(row, block) for row in _joined(lines[header + 1 :])]
    if not found:
        raise NotUnderstood(f"df names no file system: {excerpt(text)}")
    return tuple(found)


def _joined(lines: list[str]) -> list[list[str]]:
    """Rows; a long device name stands on a line of its own without -P."""
    rows: list[list[str]] = []
    for line in lines:
        words = line.split()
        if rows and len(rows[-1]) == 1:
            rows[-1] += words
        else:
            rows.append(words)
    return rows


def _mount(words: list[str], block: int) -> Mount:
    if len(words) < 6:
        raise NotUnderstood(f"not a line of df: {' '.join(words)}")
    return Mount(" ".join(words[5:]), _size(words[3], block), _size(words[1], block))


def _size(word: str, block: int) -> int:
    found = re.match(r"^(\d+(?:[.,]\d+)?)([BKMGTP]?)i?B?$", word)
    if not found:
        raise NotUnderstood(f"not a size: {word}")
    digits, unit = found.group(1).replace(",", "."), found.group(2)
    if not unit:
        return int(float(digits)) * block
    step = 0.1 if "." in digits else 1.0
    return max(0, int((float(digits) - step) * _UNITS[unit]))


def unit_show(text: str) -> Unit:
    """``systemctl show -p LoadState -p ActiveState -p SubState``: exits 0 even for an unknown unit."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if "ActiveState" not in values:
        raise NotUnderstood(f"no ActiveState: {excerpt(text)}")
    if values.get("LoadState", "loaded") not in ("loaded", ""):
        return Unit(values["LoadState"], "")
    return Unit(values["ActiveState"], values.get("SubState", ""))


UNIT_STATES = ("active", "activating", "deactivating", "reloading", "failed", "inactive", "maintenance")


def unit_word(text: str) -> Unit:
    """``systemctl is-active``."""
    word = text.strip().split("\n")[0].strip()
    if word not in UNIT_STATES:
        raise NotUnderstood(f"not a unit's state: {excerpt(text)}")
    return Unit(word)


def unit_status(text: str) -> Unit:
    """The ``Active:`` line of ``systemctl status``."""
    found = re.search(r"^\s*Active:\s+([a-z]+)(?:\s+\(([^)]*)\))?", text, re.MULTILINE)
    if not found:
        raise NotUnderstood(f"no Active: line: {excerpt(text)}")
    return Unit(found.group(1), found.group(2) or "")


def epoch(text: str) -> tuple[float, float]:
    """``date +%s.%N`` or ``date +%s``: (epoch seconds, resolution in seconds)."""
    found = re.match(r"^\s*(\d{9,11})(?:[.,](\d{1,9}))?", text)
    if not found:
        raise NotUnderstood(f"not a time: {excerpt(text)}")
    if found.group(2):
        return float(f"{found.group(1)}.{found.group(2)}"), 0.0
    return float(found.group(1)), 1.0


_SUCCESS = re.compile(r"Upgrade to (\d+\.\d+\.\d+)(\+\d+)?\S* succeeded")
_FAILURE = re.compile(
    r"\bupgrade\b.{0,80}\b(failed|aborted|refused|not supported|unsuccessful)\b"
    r"|\b(fatal|abort(ed|ing)|bad signature|no space left|not permitted|cannot upgrade)\b",
    re.IGNORECASE,
)


def log_verdict(text: str) -> tuple[LogVerdict, str, str]:
    """(verdict, version of the success line, last line) of an upgrade log.

    ``status: error`` lines are what a good run prints while services come up; they mean nothing.
    A failure's words are not known (FACTS 1.3), so FAILED is only ever a hint: what decides is that
    the script ended without the success line.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    found = _SUCCESS.findall(text)
    if found:
        return LogVerdict.SUCCEEDED, "".join(found[-1]), last
    if any(_FAILURE.search(line) for line in lines):
        return LogVerdict.FAILED, "", last
    return LogVerdict.NONE, "", last


def failure_lines(text: str, limit: int = 5) -> str:
    """The lines of an upgrade's output that look like the reason of a failure, else its last ones."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _FAILURE.search(line)]
    return "\n".join((telling or lines)[-limit:])


def log_name(text: str) -> str:
    """The log's name or path as the script prints it on a terminal; "" where it does not."""
    found = re.search(r"log file \(?([^\s()]*ks_upgrade[^\s()]*)\)?", text)
    return found.group(1) if found else ""


def log_names(text: str, default_folder: str = ".") -> tuple[str, ...]:
    """Paths of the upgrade logs in the answer of ``ls -1`` over one or several folders, newest last."""
    folder, found = default_folder, []
    for line in (raw.strip() for raw in text.splitlines()):
        if line.endswith(":") and "ks_upgrade" not in line:
            folder = line[:-1]
        elif re.fullmatch(r"(?:.*/)?ks_upgrade[\w.+:-]*\.log", line):
            found.append(line if "/" in line else (line if folder == "." else f"{folder}/{line}"))
    return tuple(sorted(found, key=lambda path: path.rsplit("/", 1)[-1]))


_RUNNING = re.compile(r"ks_upgrade\.sh\s+(?:-\S+\s+)*-f\b|SCREEN\b.*ks_upgrade")
_LOOKING = re.compile(r"\b(pgrep|grep|sudo -n -l|sudo -l|ksshell)\b")


def upgrade_processes(text: str) -> tuple[str, ...]:
    """Command lines of a running ``ks_upgrade.sh`` in a process list; our own looks are left out."""
    return tuple(
        excerpt(line)
        for line in text.replace("\0", " ").splitlines()
        if _RUNNING.search(line) and not _LOOKING.search(line)
    )


def file_size(text: str) -> int:
    """The size in one line of ``ls -ln``."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and words[0][:1] in "-l" and words[4].isdigit():
            return int(words[4])
    raise NotUnderstood(f"not a line of ls -l: {excerpt(text)}")


def sha256_of(text: str) -> str:
    """A SHA-256 in the answer of sha256sum, openssl, shasum, gpg --print-md or python."""
    joined = re.search(r"\b[0-9a-fA-F]{64}\b", text)
    if joined:
        return joined.group().lower()
    spaced = re.search(r"(?:[0-9A-F]{8}\s+){7}[0-9A-F]{8}", text)
    if spaced:
        return "".join(spaced.group().split()).lower()
    raise NotUnderstood(f"no SHA-256 in: {excerpt(text)}")
