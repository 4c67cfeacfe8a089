"""What changes for clients and operators with a release, by the line in which it comes.

An upgrade can be technically perfect and still stop clients. Sources are named with each change; the vendor's release
notes could not be read, so this list is never complete.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.version import Version

Line = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of behaviour.

    :ivar line: the release line from which it holds. :ivar last: the last line that it concerns; None: all later ones.
    :ivar text: what changes, and for whom. :ivar remedy: what to do before or after; "": nothing.
    :ivar sure: H, M or L, as in docs/appliance.md.
    """

    line: Line
    text: str
    remedy: str
    source: str
    sure: str = "H"
    last: Line | None = None


CHANGES: tuple[Change, ...] = (
    Change(
        (2, 14),
        "the internal database gets a new major version: the upgrade takes longer and needs more free space; its log "
        "repeats a harmless NOTICE about skipped replication",
        "check the free space of every node before the window",
        "vendor page System Upgrade, edition 2.14",
    ),
    Change(
        (2, 14),
        "CTE UserSpace clients 10.1.0 are shown as unhealthy afterwards",
        "upgrade them to 10.2.0, or run on the client: secfs-fuse restart",
        "vendor page System Upgrade, edition 2.14",
    ),
    Change(
        (2, 15),
        "CTE agents 7.5.0 and later fetch new capabilities on request; earlier ones must be restarted for that",
        "",
        "vendor page of the CTE agents",
    ),
    Change(
        (2, 16),
        "the internal database gets a new major version: the upgrade takes longer and needs more free space",
        "check the free space of every node before the window",
        "vendor page System Upgrade, edition 2.16",
    ),
    Change(
        (2, 17),
        "the secrets manager (csm) is off on new appliances; an upgraded one keeps its old setting",
        "if it is not used: ksctl products disable --name csm",
        "vendor page on the secrets manager, edition 2.20",
    ),
    Change(
        (2, 18),
        "audit records are kept in Loki by default; keeping them in the database is deprecated",
        "",
        "vendor page Monitoring, edition 2.18",
    ),
    Change(
        (2, 19),
        "the secrets manager (csm) needs internet access to start after an upgrade; without it, it may stay in error",
        "if it is not used, before the upgrade: ksctl products disable --name csm",
        "vendor page on the secrets manager, edition 2.20",
        last=(2, 21),
    ),
    Change(
        (2, 22),
        "the nodes need TCP 2380 between each other, in both directions, as well as 5432",
        "open it in every firewall between them before the upgrade",
        "a deployment kit of the vendor's group",
    ),
    Change(
        (2, 22),
        "a join takes longer: more than 10, up to about 30 minutes",
        "plan a longer window for a rebuild",
        "a deployment kit of the vendor's group",
    ),
    Change(
        (2, 24),
        "audit records are no longer kept in the database (the property ENABLE_RECORDS_DB_STORE is gone)",
        "export old audit records before the upgrade",
        "a health checker of the vendor's staff",
        "M",
    ),
    Change(
        (2, 24),
        "KMIP clients that let the server choose the IV for AES-GCM are refused (property KMIP_DISALLOW_AES_GCM_NO_IV)",
        "find such clients before the upgrade, or set the property to false after it",
        "a health checker of the vendor's staff",
        "M",
    ),
)


def changes_between(current: Version, target: Version) -> tuple[Change, ...]:
    """Return what changes on the way from ``current`` to ``target``, oldest first; what only concerns lines that are
    passed over is left out, and what holds already is not repeated."""
    return tuple(
        change
        for change in CHANGES
        if current.line < change.line <= target.line and (change.last is None or target.line <= change.last)
    )
