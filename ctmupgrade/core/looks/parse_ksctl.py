"""Parsers of what ``ksctl`` answers: pure, tolerant of form, strict of meaning (a node's shell: ``parse_shell``).

Each raises :class:`NotUnderstoodError` rather than guess. Formats are those of FACTS.md and its captures;
exit codes are not trusted anywhere, the text decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ctmupgrade.core.json_text import BadJsonError, read_first_array, read_first_object
from ctmupgrade.core.looks.answer_fields import BACKUP_ID, NODE_ID, Json, instant, object_of, uptime, whole
from ctmupgrade.core.looks.facts import (
    BackupEntry,
    BackupKey,
    Member,
    Membership,
    Ntp,
    PeerView,
    Services,
    SummaryReport,
    SystemInfo,
)
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.version import Version


class NotUnderstoodError(ValueError):
    """An answer that this parser cannot read; its text says what it saw instead."""


_READ = 8192  # characters of an answer from which its first words are taken


def excerpt(text: str, limit: int = 160) -> str:
    """The first words of an answer, on one line, for a message."""
    # Without secrets before it is cut: half of one would not be known any more.
    flat = foreign(" ".join(text[:_READ].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


MOST_ROWS = 10_000  # of one answer; the longest page that is asked for has 256
MOST_FIELD = 1_000  # characters of one field's text
ERROR_BODY = "the answer is an error: "  # before what an error body says


def json_object(text: str) -> Json:
    """The one JSON object in ``text`` (a prompt or notice may stand before it).

    :raises NotUnderstoodError: none, cut short, with two readings (:mod:`ctmupgrade.core.json_text`), or an error body
        (``codeDesc``, FACTS 4.1).
    """
    if "{" not in text:
        raise NotUnderstoodError(f"no JSON in the answer: {excerpt(text) or 'empty'}")
    try:
        value: Json = read_first_object(text)
    except BadJsonError as error:
        raise NotUnderstoodError(f"{error}: {excerpt(text)}") from None
    if "codeDesc" in value or (value and set(value) <= {"code", "message", "error"}):
        raise NotUnderstoodError(f"{ERROR_BODY}{error_text(value)}")
    return value


def error_text(body: Mapping[str, object]) -> str:
    """``codeDesc`` and ``message`` of an error body on one line."""
    parts = [str(body[key]) for key in ("codeDesc", "message", "error") if body.get(key)]
    return excerpt("; ".join(parts) or json.dumps(body))


def listing(text: str) -> Json:
    """A listing as an object with ``resources``; some calls answer a bare array instead (`cluster errors`, FACTS 9.2).

    :raises NotUnderstoodError: as :func:`json_object`.
    """
    array, brace = text.find("["), text.find("{")
    if array < 0 or 0 <= brace < array:
        return json_object(text)
    try:
        rows = read_first_array(text)
    except BadJsonError:
        return json_object(text)  # a bracket in a notice before it
    return {"resources": rows, "total": len(rows)}


def _rows(value: Json) -> list[Json]:
    rows = value.get("resources")
    if rows is None and "resources" in value:
        return []  # Go's nil slice: an empty list printed as null
    if not isinstance(rows, list):
        raise NotUnderstoodError(f"no list of resources in {excerpt(json.dumps(value))}")
    if len(rows) > MOST_ROWS:
        raise NotUnderstoodError(f"a list of {len(rows)} rows")
    return [row for row in rows if isinstance(row, dict)]


def _text(value: object) -> str:
    """A field's text, on one line: none of those that are read here has several."""
    if type(value) is str and len(value) <= MOST_FIELD and "\n" not in value:
        return value  # as nearly all are
    return "" if value is None else excerpt(str(value), MOST_FIELD)


def _node_id(value: object) -> str:
    """An id of a node. It goes into command lines, also those that a person copies."""
    text = "" if value is None else str(value)
    if not NODE_ID.fullmatch(text):
        raise NotUnderstoodError(f"not an id of a node: {excerpt(repr(text))}")
    return text


def _backup_id(value: object) -> str:
    """An id of a backup or of a backup key. It goes into names of files and into command lines."""
    text = "" if value is None else str(value)
    if not BACKUP_ID.fullmatch(text):
        raise NotUnderstoodError(f"not an id of a backup or of its key: {excerpt(repr(text))}")
    return text


def total_of(text: str) -> tuple[int, int]:
    """(rows in this page, total) of a listing."""
    value = listing(text)
    rows = _rows(value)
    total = whole(value.get("total"))
    return len(rows), total if total is not None else len(rows)


def system_info(text: str) -> SystemInfo:
    """``ksctl system info get``."""
    value = json_object(text)
    raw = _text(value.get("version") or value.get("server_version"))
    try:
        version = Version.parse(raw)
    except ValueError:
        raise NotUnderstoodError(_no_version(raw, text)) from None
    return SystemInfo(
        version, _text(value.get("model")), _text(value.get("name")), instant(value.get("system_time")),
        uptime(_text(value.get("uptime"))),
    )  # fmt: skip


def _no_version(raw: str, text: str) -> str:
    """Why a version cannot be compared with anything: a development build may call itself one word (FACTS 9.1)."""
    if raw:
        return f"its version {excerpt(raw, 40)!r} is not of the form X.Y.Z: a development build? It cannot be compared"
    return f"no version in the answer: {excerpt(text)}"


def server_version(text: str) -> SystemInfo:
    """``ksctl version``: the server's, never the client's, which differs (FACTS 2)."""
    value = json_object(text)
    raw = _text(value.get("server_version"))
    try:
        version = Version.parse(raw)
    except ValueError:
        raise NotUnderstoodError(_no_version(raw, text)) from None
    return SystemInfo(version, _text(value.get("server_model")))


def _code(status: Json) -> str:
    """A status code; "" is one too (joined a moment ago, not published yet), "?" is that none is told."""
    return _text(status["code"]) if "code" in status else "?"


def membership(text: str) -> Membership:
    """``ksctl cluster info``."""
    value = json_object(text)
    status = object_of(value.get("status"))
    if "nodeID" not in value or not status:
        raise NotUnderstoodError(f"not a cluster info: {excerpt(text)}")
    return Membership(_node_id(value["nodeID"]), _code(status), whole(value.get("nodeCount")))


def members(text: str) -> tuple[Member, ...]:
    """``ksctl cluster nodes list``."""
    return tuple(_member(row) for row in _rows(listing(text)))


def _member(row: Json) -> Member:
    status = object_of(row.get("status"))
    return Member(
        node_id=_node_id(row.get("nodeID") or row.get("id")),
        host=_text(row.get("host")),
        code=_code(status),
        description=_text(status.get("description")),
        is_this=row.get("isThisNode") is True,
        port=whole(row.get("port")),
        public_address=_text(row.get("publicAddress")),
    )


def summary(text: str) -> tuple[SummaryReport, ...]:
    """``ksctl cluster summary``: keyed by reporting node."""
    value = json_object(text)
    resources = value.get("resources")
    if resources is None and "resources" in value:
        return ()
    if not isinstance(resources, dict):
        raise NotUnderstoodError(f"not a cluster summary: {excerpt(text)}")
    return tuple(_report(reporter, object_of(body)) for reporter, body in resources.items())


def _report(reporter: str, body: Json) -> SummaryReport:
    peers = {key: _peer(object_of(peer)) for key, peer in object_of(body.get("clusterSummary")).items()}
    return SummaryReport(reporter, instant(body.get("lastUpdated")), peers)


def _peer(body: Json) -> PeerView:
    info = object_of(body.get("nodeInfo"))
    connected = info.get("connected")
    return PeerView(
        code=_code(object_of(info.get("status"))),
        summary=_text(body.get("summary")),
        connected=connected if isinstance(connected, bool) else None,
        host=_text(info.get("host")),
        link=info,
    )


def cluster_errors(text: str) -> tuple[str, ...]:
    """``ksctl cluster errors``: what each node says, in words; rows may be a bare array (FACTS 9.2)."""
    found = []
    for row in _rows(listing(text)):
        own = row.get("clusterErrors")
        for error in own if isinstance(own, list) else [row] if "errorMessage" in row else []:
            if isinstance(error, dict) and error.get("errorMessage"):
                found.append(excerpt(_text(error["errorMessage"])))
    return tuple(found)


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
        raise NotUnderstoodError(f"not a services status: {excerpt(text)}")
    return Services(overall, by_name)


def ntp(text: str) -> Ntp:
    """``ksctl ntp status``: a ``*`` (or ``o``, a pulse source) before a peer means it is followed."""
    value = json_object(text)
    table = next((v for k, v in value.items() if k.startswith("ntpq") and isinstance(v, str)), None)
    if table is None or "timeout" in table.lower():
        raise NotUnderstoodError(f"no answer of ntpq in: {excerpt(text)}")
    lines = [line.strip() for line in table.splitlines()[:MOST_ROWS]]
    return Ntp(any(re.match(r"^[*o][\w.:\[\]-]", line) for line in lines), table[:MOST_FIELD])


def backups(text: str) -> tuple[BackupEntry, ...]:
    """``ksctl backup list``."""
    return tuple(
        BackupEntry(
            id=_backup_id(row.get("id")),
            scope=_text(row.get("scope")),
            status=_text(row.get("status")),
            created=instant(row.get("createdAt")),
            key_id=_backup_id(row.get("backupKey") or row.get("backupKeyID")),
        )
        for row in _rows(listing(text))
    )


def backup_keys(text: str) -> tuple[BackupKey, ...]:
    """``ksctl backupkeys list``."""
    return tuple(
        BackupKey(_backup_id(row.get("id")), _text(row.get("state")), row.get("default") is True)
        for row in _rows(listing(text))
    )


def row_count(text: str) -> int:
    """How many rows a listing has, of which one page may be shown."""
    return max(total_of(text)[1], len(_rows(listing(text))))


def attended_boot(text: str) -> bool:
    """``ksctl diskenc status``: whether a reboot waits for a person with a passphrase."""
    value = json_object(text)
    for key, state in value.items():
        if key.lower().replace("_", "") == "attendedboot":
            return state is True or _text(state).lower() == "true"
    if any("enc" in key.lower() or key == "status" for key in value):
        return False
    raise NotUnderstoodError(f"not a disk encryption status: {excerpt(text)}")
