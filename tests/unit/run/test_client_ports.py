"""What clients saw, as a fold over looks: how long each port was away, and whether there was ever no node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ctmupgrade.core.run.client_ports import MOST_OUTAGES, Clients, clients_after, clients_line, port_findings
from ctmupgrade.core.run.events import Event, RunEnded, RunPaused, RunResumed
from ctmupgrade.core.run.report_lines import ClientsLine
from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen, PortsWatched

START = datetime(2026, 1, 10, 21, 0, tzinfo=UTC)
PORTS = tuple(ClientPort(node, "kmip", f"10.0.0.{i}", 5696) for i, node in enumerate(("a", "b"), 11))
WATCHED = PortsWatched(PORTS, 5.0, {"c": "KMIP and NAE: its list of interfaces is not known"})
BOTH = {port.key: True for port in PORTS}
A, B = (port.key for port in PORTS)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(seconds: float, **answers: bool) -> PortsSeen:
    return PortsSeen(at(seconds), {f"{node} kmip 5696": up for node, up in answers.items()})


def fold(*events: tuple[float, Event]) -> Clients | None:
    held: Clients | None = None
    last = START
    for seconds, event in ((0.0, WATCHED), *events):
        held = clients_after(held, event, at(seconds), last)
        last = at(seconds)
    return held


def line(seconds: float, *events: tuple[float, Event]) -> ClientsLine:
    told = clients_line(fold(*events), at(seconds))
    assert told is not None
    return told


def test_how_long_each_port_was_away() -> None:
    told = line(
        900, (1, seen(1, a=True, b=True)), (61, seen(60, a=False)), (180, seen(180, a=True)), (300, seen(300, a=False)),
        (330, seen(330, a=True)),
    )  # fmt: skip
    a, b, c = told.ports
    assert (a.away_s, a.longest_s, len(a.outages), a.back) == (150, 120, 2, True)
    assert (b.away_s, b.outages, b.probed) == (0, (), True)
    assert not c.probed and "not known" in c.why
    assert told.without_any == () and told.every_s == 5


def test_a_time_without_any_node_is_told() -> None:
    told = line(
        900, (1, seen(1, a=True, b=True)), (60, seen(60, a=False)), (100, seen(100, b=False)), (130, seen(130, a=True)),
        (400, seen(400, a=False)),
    )  # fmt: skip
    first, last = told.without_any
    assert (first.service, first.seconds, first.ended) == ("kmip", 30, at(130).isoformat(timespec="seconds"))
    assert (last.seconds, last.ended) == (500, ""), "it lasts"


def test_a_port_that_did_not_answer_before_is_not_measured() -> None:
    events = (1, PortsSeen(at(1), {A: False, B: True}, {A: "Connection refused"})), (60, seen(60, b=False))
    told = line(90, *events)
    assert not told.ports[0].probed and "Connection refused" in told.ports[0].why
    assert [gap.seconds for gap in told.without_any] == [30], "a is no node that clients had"
    assert [f.node for f in port_findings(fold(*events), (), at(90))] == ["b"]


def test_a_port_that_does_not_come_back_is_a_finding() -> None:
    held = fold((1, seen(1, a=True, b=True)), (60, seen(60, a=False)))
    (finding,) = port_findings(held, (), at(3660))
    assert (finding.node, finding.verdict) == ("a", "warn")
    assert "5696 (kmip)" in finding.summary and "1 h 00 min" in finding.summary
    assert "10.0.0.11 5696" in finding.remedy
    assert not list(port_findings(held, {"a"}, at(3660))), "its upgrade goes on"


def test_nothing_is_made_up_of_a_time_in_which_nobody_looked() -> None:
    resumed = RunResumed("me@here", 1, "0")
    told = line(
        2000, (1, seen(1, a=True, b=True)), (60, seen(60, a=False)), (90, RunPaused("x", 7, "")), (900, resumed),
        (901, seen(901, a=True, b=True)), (1000, RunEnded("done")),
    )  # fmt: skip
    (outage,) = told.ports[0].outages
    assert not outage.sure and told.ports[0].away_s == 841
    assert told.not_measured == (tuple(at(s).isoformat(timespec="seconds") for s in (90, 901)),)
    killed = line(2000, (1, seen(1, a=True, b=True)), (500, resumed), (501, seen(501, a=True, b=True)))
    assert [span[0] for span in killed.not_measured] == [at(1).isoformat(timespec="seconds")]
    slept = PortsSeen(at(700), dict.fromkeys(BOTH, True), blind_from=at(20))
    assert line(800, (1, seen(1, a=True, b=True)), (700, slept)).not_measured


def test_the_end_ends_what_lasts() -> None:
    told = line(5000, (1, seen(1, a=True, b=True)), (60, seen(60, a=False)), (100, RunEnded("done")))
    assert told.ports[0].away_s == 40 and not told.ports[0].back


def test_a_port_that_comes_and_goes_for_hours_does_not_fill_the_journals_state() -> None:
    flaps = [(10.0 * i, seen(10.0 * i, a=bool(i % 2))) for i in range(1, 3 * MOST_OUTAGES)]
    held = fold((1, seen(1, a=True, b=True)), *flaps)
    assert held and len(held.histories[A].outages) == MOST_OUTAGES


def test_answers_about_no_port_of_ours_change_nothing() -> None:
    strange = PortsSeen(at(5), {"z kmip 1": False, "": True})
    told = line(9, (1, seen(1, a=True, b=True)), (5, strange))
    assert [port.away_s for port in told.ports if port.probed] == [0, 0]
    assert clients_after(None, strange, at(5), START) is None
