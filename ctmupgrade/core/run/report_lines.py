"""Parts of a report: incidents and programs, what is worse than before, what clients saw, how long it was to take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.run.incidents import Incident
from ctmupgrade.core.run.program_runs import ProgramRun


def iso_time(moment: datetime | None) -> str:
    """Return a time as a report has it; "" where there is none."""
    return moment.isoformat(timespec="seconds") if moment else ""


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """A failure, pause, decision, resume... in a report; ``time`` as ISO 8601. "" where it has none of a field."""

    time: str
    kind: str
    text: str
    node: str = ""
    step: str = ""
    remedy: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class ProgramLine:
    """A hook or a check of the operator's in a report. ``exit_code`` None: how it ended is not known; -1: see ``error``."""

    what: str
    node: str
    argv: tuple[str, ...]
    started: str
    finished: str
    exit_code: int | None
    output: str = ""
    error: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class FindingLine:
    """Something that is worse than before the run, or that its end left open.

    :ivar check: what was compared: ``alarms``, ``services``, ... or ``client_port``. :ivar verdict: ``warn``.
    :ivar node: the one that shows it. :ivar when: ``after_node`` or ``end``: the look that showed it last.
    :ivar time: of that look, as ISO 8601.
    """

    check: str
    verdict: str
    node: str
    summary: str
    remedy: str
    when: str
    time: str


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """One topic of one node, before and after; what all members share as this one tells it.

    :ivar topic: ``alarms``, ``cluster_errors``, ``services``, ``licences``, ``interfaces``,
        ``certificates``, ``products``, ``time_servers``, ``counts`` or ``cte_clients``.
    :ivar before: in words, as ``after``. :ivar verdict: ``same``, ``changed``, ``worse`` or ``not known``.
    :ivar text: what differs, or why it is not known; "" where nothing does.
    :ivar unknown_now: it was known before, and could not, or not wholly, be looked at since: that it is not worse was not seen.
    """

    node: str
    topic: str
    before: str
    after: str
    verdict: str
    text: str
    when: str
    time: str
    unknown_now: bool = False


@dataclass(frozen=True, slots=True)
class OutageLine:
    """For how long a port did not answer. :ivar ended: "": it has not answered since. :ivar seconds: until now in that case.
    :ivar sure: False: nobody looked for a part of it (the run was paused, or its process was gone)."""

    began: str
    ended: str
    seconds: int
    sure: bool = True


@dataclass(frozen=True, slots=True)
class ClientPortLine:
    """A port that clients use, as seen from the machine that ran ctmupgrade.

    :ivar service: ``web``, ``kmip`` or ``nae``. :ivar probed: it answered before the run, and was asked throughout.
    :ivar why: why it was not probed. :ivar away_s: seconds without an answer, all in all. :ivar longest_s: of one outage.
    :ivar back: it answered at the last look.
    """

    node: str
    service: str
    host: str
    port: int
    probed: bool
    why: str = ""
    away_s: int = 0
    longest_s: int = 0
    back: bool = True
    outages: tuple[OutageLine, ...] = ()


@dataclass(frozen=True, slots=True)
class NoNodeLine:
    """A time in which no node answered on a service's port. The rest as of :class:`OutageLine`."""

    service: str
    began: str
    ended: str
    seconds: int
    sure: bool = True


@dataclass(frozen=True, slots=True)
class ClientsLine:
    """What clients saw. :ivar every_s: seconds between two looks at a port: no outage is known better than that.
    :ivar without_any: the moments in which a service had no node at all. :ivar not_measured: (from, until), as ISO 8601, when
    nobody looked. :ivar measured: it began at all."""

    every_s: int
    ports: tuple[ClientPortLine, ...]
    without_any: tuple[NoNodeLine, ...] = ()
    not_measured: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TimesLine:
    """How long something was to take, and took. Seconds. :ivar worst_s: nine of ten take less. :ivar took_s: None: it is not
    over, or was not done."""

    estimate_s: int = 0
    worst_s: int = 0
    took_s: int | None = None


NO_TIMES = TimesLine()  # of what a plan says nothing about


def program_line(one: ProgramRun) -> ProgramLine:
    """Return a program of the operator's as a report has it."""
    return ProgramLine(
        one.what,
        one.node,
        one.argv,
        iso_time(one.started),
        iso_time(one.finished),
        one.code,
        one.output,
        one.error,
        one.again,
    )


def incident_line(one: Incident) -> IncidentLine:
    """Return an incident as a report has it."""
    return IncidentLine(iso_time(one.at), one.kind, one.text, one.node, one.step, one.remedy, one.who)
