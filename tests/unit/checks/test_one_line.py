"""Twenty nodes with the same finding are one line; so is one node of which nineteen report the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ctmupgrade.core.checks.catalogue import examine
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.cluster_views import Member, PeerView
from ctmupgrade.core.looks.facts import ClockReading, Facts, NodeFacts, Ntp, PortState, Unknown
from ctmupgrade.core.looks.node_state import Alarm, Licence
from ctmupgrade.core.looks.shared_state import ClusterError
from ctmupgrade.core.model import Options
from ctmupgrade.render.plain import finding_lines, stop_lines
from tests.unit.values import cluster, facts, node_id

MANY = 20
NO_COMMAND = Unknown('alarms: Error: unknown command "alarms list" for "ksctl"')


def seen(change: Callable[[int, NodeFacts], NodeFacts]) -> Facts:
    """Twenty nodes, each changed."""
    healthy = facts(MANY)
    return replace(
        healthy, nodes={name: change(n, one) for n, (name, one) in enumerate(healthy.nodes.items(), 1)}
    )


def _without_ntp(_number: int, one: NodeFacts) -> NodeFacts:
    return replace(one, ntp=Ntp(synchronised=False))


def _one_down(_number: int, one: NodeFacts) -> NodeFacts:
    assert isinstance(one.members, tuple)
    down = Member(node_id(7), "10.0.0.7", "d", "down")
    return replace(one, members=tuple(down if m.node_id == node_id(7) else m for m in one.members))


def _one_not_connected(_number: int, one: NodeFacts) -> NodeFacts:
    assert isinstance(one.summary, tuple)
    lost = PeerView("r", "GOOD", False, "10.0.0.7", errors=(ClusterError("could not connect"),))
    reports = (
        report if report.reporter == node_id(7) else replace(report, peers={**report.peers, node_id(7): lost})
        for report in one.summary
    )
    return replace(one, summary=tuple(reports))


def _one_clock(number: int, one: NodeFacts) -> NodeFacts:
    return replace(one, clock=ClockReading(30.0 if number == 7 else 0.1, 0.05))


def _closed(_number: int, one: NodeFacts) -> NodeFacts:
    closed = {f"ctm-{n}": PortState(open=False, basis="no answer") for n in range(1, MANY + 1)}
    return replace(one, consensus_ports=closed)


def _closed_to_one(_number: int, one: NodeFacts) -> NodeFacts:
    states = {f"ctm-{n}": PortState(open=n != 7, basis="no answer") for n in range(1, MANY + 1)}
    return replace(one, consensus_ports=states)


def _unknown_alarms(_number: int, one: NodeFacts) -> NodeFacts:
    return replace(one, alarms=NO_COMMAND)


def _alarm(_number: int, one: NodeFacts) -> NodeFacts:
    return replace(one, alarms=(Alarm("License Expiration", "on"),))


def _licence(_number: int, one: NodeFacts) -> NodeFacts:
    return replace(one, licences=(Licence("CTE", "active", None, 86400),))


CASES = {
    "ntp_synchronised": _without_ntp, "every_node_ready": _one_down, "replication_connected": _one_not_connected,
    "cluster_errors_empty": _one_not_connected, "clocks_agree": _one_clock, "no_builtin_alarm_on": _unknown_alarms,
    "licences_last": _licence,
}  # fmt: skip
MORE = {"port_2380_open": (_closed, _closed_to_one), "no_builtin_alarm_on": (_alarm,)}


@pytest.mark.parametrize(
    ("check", "change"),
    [*CASES.items(), *((check, change) for check, changes in MORE.items() for change in changes)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_same_of_twenty_is_one_line(check: str, change: Callable[[int, NodeFacts], NodeFacts]) -> None:
    target = "2.22.0" if check == "port_2380_open" else "2.21.0"
    found = examine(seen(change), cluster(MANY, target=target), Options(), only=[check])
    lines = [line for line in finding_lines(found) if not line.startswith(" ")]
    assert len(lines) == 2, lines  # the finding, and the verdict
    assert lines[0].split()[1] == f"{check}:"


def _own_words(number: int) -> Finding:
    """A finding as each node's ksctl words it: with the node's own address, here one that begins as another's."""
    return Finding(
        "control_plane_reachable",
        Verdict.UNKNOWN,
        f"ctm-{number}",
        f'Post "https://10.0.0.{number}/api/v1/auth/tokens": dial tcp 10.0.0.{number}:443: connection refused',
        f"KSCTL_URL=https://10.0.0.{number} ksctl system info get",
    )


def test_what_differs_by_the_own_address_alone_is_one_line() -> None:
    nodes = cluster(MANY).nodes
    assert {node.host for node in nodes} == {f"10.0.0.{n}" for n in range(1, MANY + 1)}
    found = [_own_words(n) for n in range(1, MANY + 1)]
    lines = finding_lines(found, nodes=nodes)
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["UNKNOWN", "Not"]
    assert (
        "all 20 nodes:" in lines[0] and "10.0.0.1/" in lines[0] and lines[0].endswith("(the words of ctm-1)")
    )
    assert [line.count("KSCTL_URL") for line in lines[1:4]] == [1, 1, 1]
    assert "each of the other 17 nodes" in lines[4]


def test_what_one_node_says_of_another_stays_apart() -> None:
    found = [
        Finding("port_5432_open", Verdict.BLOCK, "ctm-1", "cannot reach 10.0.0.3 on port 5432", "open it"),
        Finding("port_5432_open", Verdict.BLOCK, "ctm-2", "cannot reach 10.0.0.4 on port 5432", "open it"),
        Finding("port_5432_open", Verdict.BLOCK, "ctm-1", "cannot reach 10.0.0.11 on port 5432", "open it"),
    ]
    lines = finding_lines(found, nodes=cluster(MANY).nodes)
    assert sum(line.startswith("BLOCK") for line in lines) == 3


def test_a_telephone_is_told_what_stops_a_run_in_a_few_lines() -> None:
    silent = [
        Finding("node_reachable", Verdict.BLOCK, f"ctm-{n}", f"ctm-{n}: connection refused")
        for n in range(1, MANY + 1)
    ]
    told = [f for check in ("clocks_agree", "services_started", "versions_equal")
            for f in (Finding(check, Verdict.UNKNOWN, f"ctm-{n}", "it is not known") for n in range(1, MANY + 1))]  # fmt: skip
    lines = stop_lines(
        [*silent, *told, Finding("restored_once", Verdict.WARN, "", "never")], cluster(MANY).nodes
    )
    assert len(lines) == 2 and "all 20 nodes: connection refused" in lines[0], lines
    assert lines[1] == "60 more follow from that"
