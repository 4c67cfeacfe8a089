"""What clients saw of a run: for how long each port was away, by the looks that the journal has.

Nothing is made up: while nobody looked (the run was paused, or its process was gone) a port is neither away nor there.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from ctmupgrade.core.run.events import (
    Event,
    RunEnded,
    RunHandedOver,
    RunPaused,
    RunResumed,
    RunTakenOver,
)
from ctmupgrade.core.run.report_lines import (
    ClientPortLine,
    ClientsLine,
    FindingLine,
    NoNodeLine,
    OutageLine,
    iso_time,
)
from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen, PortsWatched
from ctmupgrade.core.timing import clock_time

MOST_OUTAGES = 200  # of one port that are kept; one that comes and goes for hours says no more after that
Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without an answer. :ivar ended: None: it lasts. :ivar sure: somebody looked all the time."""

    began: datetime
    ended: datetime | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class PortHistory:
    """One port. :ivar before: it answered at the first look of the run."""

    before: bool
    why: str = ""
    outages: tuple[Outage, ...] = ()

    @property
    def away(self) -> bool:
        """Return whether it did not answer at the last look."""
        return bool(self.outages) and self.outages[-1].ended is None


@dataclass(frozen=True, slots=True)
class Clients:
    """All ports, as a fold over the journal. :ivar blind_since: nobody looks since then; None: somebody does."""

    watched: PortsWatched
    ports: Mapping[str, ClientPort]  # by key
    histories: Mapping[str, PortHistory] = field(default_factory=dict)
    blind_since: datetime | None = None
    blind: tuple[Span, ...] = ()

    @property
    def here(self) -> Collection[str]:
        """Return the keys of the ports that are measured: those that answered before."""
        return [key for key, one in self.histories.items() if one.before]


def clients_after(held: Clients | None, event: Event, at: datetime, last: datetime) -> Clients | None:
    """Return what clients saw after one more event.

    :param at: when it was written. :param last: when the event before it was.
    """
    match event:
        case PortsWatched():
            return held or Clients(event, {port.key: port for port in event.ports}, blind_since=at)
        case PortsSeen():
            return None if held is None else _seen(held, event, at)
        case _ if held is None or held.blind_since is not None:
            return held
        case RunPaused() | RunEnded() | RunHandedOver():
            return replace(held, blind_since=at)
        case (
            RunResumed() | RunTakenOver()
        ):  # a process that died wrote nothing: it may have looked until its last event
            return replace(held, blind_since=last)
        case _:
            return held


def _seen(held: Clients, event: PortsSeen, at: datetime) -> Clients:
    moment = min(event.seen, at)
    if not held.histories:
        first = {key: PortHistory(up, event.why.get(key, "")) for key, up in event.answers.items()}
        return replace(held, histories=first, blind_since=None)
    since, blind = held.blind_since or event.blind_from, held.blind
    if since is not None and moment > since:
        blind = (*blind, (since, moment))
    histories = dict(held.histories)
    for key, up in event.answers.items():
        if key in histories and histories[key].before:
            histories[key] = _port(histories[key], moment, up=up, unseen=since)
    return replace(held, histories=histories, blind_since=None, blind=blind)


def _port(one: PortHistory, moment: datetime, *, up: bool, unseen: datetime | None) -> PortHistory:
    """One port after a look. :param unseen: since when nobody had looked; None: somebody had."""
    if up and one.away:
        last = one.outages[-1]
        ended = replace(last, ended=max(moment, last.began), sure=last.sure and unseen is None)
        return replace(one, outages=(*one.outages[:-1], ended))
    if up or one.away or len(one.outages) >= MOST_OUTAGES:
        return one
    return replace(one, outages=(*one.outages, Outage(moment)))


def clients_line(held: Clients | None, now: datetime) -> ClientsLine | None:
    """Return what clients saw, for a report. :param now: the time of the journal's last event."""
    if held is None:
        return None
    until = held.blind_since or now
    ports = tuple(_line(key, port, held, until) for key, port in held.ports.items())
    left_out = tuple(
        ClientPortLine(node, "", "", 0, probed=False, why=why) for node, why in held.watched.left_out.items()
    )
    blind = ((iso_time(a), iso_time(b)) for a, b in held.blind)
    return ClientsLine(
        max(1, round(held.watched.every_s)),
        (*ports, *left_out),
        tuple(_without_any(held, until)),
        tuple(blind),
    )


def _seconds(began: datetime, ended: datetime) -> int:
    return max(0, round((ended - began).total_seconds()))


def _line(key: str, port: ClientPort, held: Clients, until: datetime) -> ClientPortLine:
    one = held.histories.get(key)
    named = port.node, port.service, port.host, port.port
    if one is None:
        return ClientPortLine(*named, probed=False, why="nobody has looked yet")
    if not one.before:
        why = f"it was not reached from here before the run{f' ({one.why})' if one.why else ''}"
        return ClientPortLine(*named, probed=False, why=why)
    outages = tuple(
        OutageLine(iso_time(o.began), iso_time(o.ended), _seconds(o.began, o.ended or until), o.sure)
        for o in one.outages
    )
    spans = [o.seconds for o in outages]
    return ClientPortLine(
        *named,
        probed=True,
        away_s=sum(spans),
        longest_s=max(spans, default=0),
        back=not one.away,
        outages=outages,
    )


def _without_any(held: Clients, until: datetime) -> Iterator[NoNodeLine]:
    """The times in which all ports of a service were away at once."""
    by_service: dict[str, dict[str, list[PortHistory]]] = {}
    for key, port in held.ports.items():
        one = held.histories.get(key)
        if one is not None and one.before:
            by_service.setdefault(port.service, {}).setdefault(port.node, []).append(one)
    for service, nodes in by_service.items():
        spans: list[tuple[datetime, datetime]] | None = None
        for histories in nodes.values():
            mine = _common([[(o.began, o.ended or until) for o in one.outages] for one in histories])
            spans = mine if spans is None else _both(spans, mine)
        last = until if any(one.away for each in nodes.values() for one in each) else None
        for began, ended in spans or ():
            open_end = ended == last
            yield NoNodeLine(
                service, iso_time(began), "" if open_end else iso_time(ended), _seconds(began, ended)
            )


def _common(spans: list[list[Span]]) -> list[Span]:
    found = spans[0]
    for other in spans[1:]:
        found = _both(found, other)
    return found


def _both(some: list[Span], others: list[Span]) -> list[Span]:
    """The times that are in both; each list is in order."""
    found, i, j = [], 0, 0
    while i < len(some) and j < len(others):
        began, ended = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if began < ended:
            found.append((began, ended))
        if some[i][1] <= others[j][1]:
            i += 1
        else:
            j += 1
    return found


def port_findings(held: Clients | None, busy: Collection[str], at: datetime) -> Iterator[FindingLine]:
    """Yield a finding for each node with a port that answered before the run, and did not at the last look.

    :param busy: nodes that the run keeps from serving at this moment. :param at: the journal's last event.
    """
    lost: dict[str, list[ClientPort]] = {}
    for key, port in held.ports.items() if held else ():
        one = held.histories.get(key) if held else None
        if one is not None and one.before and one.away and port.node not in busy:
            lost.setdefault(port.node, []).append(port)
    for node, ports in lost.items():
        since = min(held.histories[port.key].outages[-1].began for port in ports) if held else at
        lasted = clock_time(_seconds(since, (held and held.blind_since) or at))
        named = ", ".join(f"{port.port} ({port.service})" for port in ports)
        yield FindingLine(
            "client_port", "warn", node,
            f"no answer on port {named} since {iso_time(since)} (for {lasted}); before the run it answered",
            f"nc -vz {shlex.quote(ports[0].host)} {ports[0].port}   # then on the node: ksctl services status, ksctl interfaces list",
            "end", iso_time(at),
        )  # fmt: skip
