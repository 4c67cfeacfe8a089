"""Parsers of what ``ksctl`` answers: pure, tolerant of form, strict of meaning (a node's shell: ``parse_shell``).

Each raises :class:`NotUnderstoodError` rather than guess. Formats are those of docs/appliance.md and of captured answers;
exit codes are not trusted anywhere, the text decides.
"""

from __future__ import annotations

import re

from ctmupgrade.core.looks import parse_state
from ctmupgrade.core.looks.answer_fields import Json, instant, object_of, uptime, whole
from ctmupgrade.core.looks.backups import BackupEntry, BackupKey
from ctmupgrade.core.looks.cluster_views import Member, Membership, PeerView, SummaryReport
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.facts import Ntp, Services, SystemInfo
from ctmupgrade.core.looks.json_rows import (
    MOST_FIELD,
    MOST_ROWS,
    backup_id,
    field_text,
    json_object,
    listing,
    node_id,
    rows_of,
    total_of,
)
from ctmupgrade.core.version import Version


def system_info(text: str) -> SystemInfo:
    """Read ``ksctl system info get``."""
    value = json_object(text)
    raw = field_text(value.get("version") or value.get("server_version"))
    try:
        version = Version.parse(raw)
    except ValueError:
        raise _no_version(raw, text) from None
    return SystemInfo(
        version, field_text(value.get("model")), field_text(value.get("name")), instant(value.get("system_time")),
        uptime(field_text(value.get("uptime"))),
    )  # fmt: skip


def _no_version(raw: str, text: str) -> NotUnderstoodError:
    """Return why a version cannot be compared with anything: a development build may call itself one word (docs/appliance.md 2)."""
    if raw:
        return NotUnderstoodError(
            f"its version {excerpt(raw, 40)!r} is not of the form X.Y.Z: a development build? It cannot be compared"
        )
    return NotUnderstoodError("no version in the answer", excerpt(text))


def server_version(text: str) -> SystemInfo:
    """Read ``ksctl version``: the server's, never the client's, which differs (docs/appliance.md 2)."""
    value = json_object(text)
    raw = field_text(value.get("server_version"))
    try:
        version = Version.parse(raw)
    except ValueError:
        raise _no_version(raw, text) from None
    return SystemInfo(version, field_text(value.get("server_model")))


_IN_WORDS = {"r": "ready", "none": "not clustered"}


def _code(status: Json) -> str:
    """A status code; "" is one too (joined a moment ago, not published yet), "?" is that none is told. Small letters are the
    only ones known: one in capitals is the same where its own words say so."""
    code = field_text(status["code"]) if "code" in status else "?"
    small = code.lower()
    return small if _IN_WORDS.get(small) == field_text(status.get("description")).lower() else code


def membership(text: str) -> Membership:
    """Read ``ksctl cluster info``."""
    value = json_object(text)
    status = object_of(value.get("status"))
    if "nodeID" not in value or not status:
        raise NotUnderstoodError("not a cluster info", excerpt(text))
    return Membership(node_id(value["nodeID"]), _code(status), whole(value.get("nodeCount")))


def members(text: str) -> tuple[Member, ...]:
    """Read ``ksctl cluster nodes list``: all of it, for one that is not shown is a member too."""
    shown, total = total_of(text)
    if shown < total:
        raise NotUnderstoodError(f"only {shown} of {total} members were shown")
    return tuple(_member(row) for row in rows_of(listing(text)))


def _member(row: Json) -> Member:
    status = object_of(row.get("status"))
    return Member(
        node_id=node_id(row.get("nodeID") or row.get("id")),
        host=field_text(row.get("host")),
        code=_code(status),
        description=field_text(status.get("description")),
        is_this=row.get("isThisNode") is True,
        port=whole(row.get("port")),
        public_address=field_text(row.get("publicAddress")),
    )


def summary(text: str) -> tuple[SummaryReport, ...]:
    """Read ``ksctl cluster summary``: keyed by reporting node."""
    value = json_object(text)
    resources = value.get("resources")
    if resources is None and "resources" in value:
        return ()
    if not isinstance(resources, dict):
        raise NotUnderstoodError("not a cluster summary", excerpt(text))
    return tuple(_report(reporter, object_of(body)) for reporter, body in resources.items())


def _report(reporter: str, body: Json) -> SummaryReport:
    peers = {key: _peer(object_of(peer)) for key, peer in object_of(body.get("clusterSummary")).items()}
    return SummaryReport(reporter, instant(body.get("lastUpdated")), peers)


def _peer(body: Json) -> PeerView:
    info = object_of(body.get("nodeInfo"))
    connected = info.get("connected")
    return PeerView(
        code=_code(object_of(info.get("status"))),
        summary=field_text(body.get("summary")),
        connected=connected if isinstance(connected, bool) else None,
        host=field_text(info.get("host")),
        link=info,
        errors=parse_state.errors_of(body) if body.get("clusterErrors") else (),
    )


def cluster_errors(text: str) -> tuple[str, ...]:
    """Read ``ksctl cluster errors``: what each node says, in words."""
    return tuple(error.text for error in parse_state.cluster_errors(text))


def services(text: str) -> Services:
    """Read ``ksctl services status``. No service gets lost: where two have one name, or none, both are kept."""
    value = json_object(text)
    rows = value.get("services", value.get("resources"))
    overall = _state(value.get("status") or value.get("overallStatus") or value.get("overall_status"))
    by_name: dict[str, str] = {}
    for row in rows_of({"resources": rows}):
        name = field_text(row.get("name"))
        again = sum(other == name or other.startswith(f"{name} (") for other in by_name)
        by_name[f"{name} ({again + 1})" if again else name] = _state(row.get("status"))
    if not overall and not by_name:
        raise NotUnderstoodError("not a services status", excerpt(text))
    return Services(overall, by_name)


def _state(value: object) -> str:
    """A service's state: one word, which is the same in capitals (other lists of the appliance have them: `Completed`)."""
    return field_text(value).lower()


def ntp(text: str) -> Ntp:
    """Read ``ksctl ntp status``: a ``*`` (or ``o``, a pulse source) before a peer means it is followed."""
    value = json_object(text)
    table = next((v for k, v in value.items() if k.startswith("ntpq") and isinstance(v, str)), None)
    if table is None or "timeout" in table.lower():
        raise NotUnderstoodError("no answer of ntpq in", excerpt(text))
    lines = [line.strip() for line in table.splitlines()[:MOST_ROWS]]
    return Ntp(any(re.match(r"^[*o][\w.:\[\]-]", line) for line in lines), table[:MOST_FIELD])


def backups(text: str) -> tuple[BackupEntry, ...]:
    """Read ``ksctl backup list``."""
    return tuple(
        BackupEntry(
            id=backup_id(row.get("id")),
            scope=field_text(row.get("scope")),
            status=field_text(row.get("status")),
            created=instant(row.get("createdAt")),
            key_id=backup_id(row.get("backupKey") or row.get("backupKeyID")),
            tied_to_hsm=tied if isinstance(tied := row.get("tiedToHSM"), bool) else None,
            made_on=field_text(row.get("productVersion")),
        )
        for row in rows_of(listing(text))
    )


def backup_keys(text: str) -> tuple[BackupKey, ...]:
    """Read ``ksctl backupkeys list``."""
    return tuple(
        BackupKey(backup_id(row.get("id")), field_text(row.get("state")), row.get("default") is True)
        for row in rows_of(listing(text))
    )
