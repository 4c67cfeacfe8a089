"""What all members of a cluster share, so that one of them is asked: jobs, policies, properties, accounts, its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ctmupgrade.core.looks.unknown import Maybe, not_asked


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that runs by itself. :ivar run_at: when, as cron writes it. :ivar kept: how many backups stay; None: not told."""

    name: str
    operation: str
    run_at: str = ""
    disabled: bool = False
    start: datetime | None = None
    end: datetime | None = None
    kept: int | None = None


@dataclass(frozen=True, slots=True)
class QuorumPolicy:
    """Operations for which several people must approve."""

    operations: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class ClusterError:
    """Something that failed among the members. :ivar at: None: not told."""

    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A user. :ivar locked: since when the login is refused; "" where it is not. :ivar failed: logins that failed in a row."""

    username: str
    locked: str = ""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class SharedState:
    """The answers, each of one member."""

    errors: Maybe[tuple[ClusterError, ...]] = field(default_factory=not_asked)
    schedules: Maybe[tuple[Schedule, ...]] = field(default_factory=not_asked)
    quorum: Maybe[tuple[QuorumPolicy, ...]] = field(default_factory=not_asked)
    properties: Maybe[Mapping[str, str]] = field(default_factory=not_asked)
    accounts: Maybe[tuple[Account, ...]] = field(default_factory=not_asked)
    cte_clients: Maybe[int] = field(default_factory=not_asked)  # how many
