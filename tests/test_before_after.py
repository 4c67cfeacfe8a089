"""A run compares the cluster with how it was before, and measures what clients see; neither stops nor fails it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.adapters.local.port_watch import TcpPortWatch
from ctmupgrade.commands import wiring
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import Outcome, RunOptions, run
from ctmupgrade.core.looks.facts import NodeFacts
from ctmupgrade.core.looks.node_state import Interface, Interfaces
from ctmupgrade.core.model import Options
from ctmupgrade.core.run.before_after import WORSE
from ctmupgrade.core.run.client_targets import watched_ports
from ctmupgrade.core.run.journal import Event, NodesSeen, RunState, StepDone
from ctmupgrade.core.run.report import Report, make_report
from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen
from ctmupgrade.core.ticks import Tick
from ctmupgrade.render.documents import report_document
from ctmupgrade.render.markdown import report_markdown
from ctmupgrade.sim import World
from tests.hostile.test_answers import KSCTL_ANSWERS
from tests.support.golden import SCENARIOS
from tests.support.world_run import world_of
from tests.unit import values

Change = Callable[[World], None]


def rehearsed(
    state_dir: Path,
    changes: Mapping[str, Change] | None = None,
    *,
    scenario: str = "healthy-three",
    stop_after: str = "",
    before: Change = lambda _world: None,
    go: Callable[[wiring.Setup, RunOptions], Outcome] = run,
) -> tuple[Outcome, Report]:
    """A simulated run in which the world changes at the end of steps, as by somebody else."""

    def watch(_state: RunState, event: Event | None, _key: str, _tick: Tick | None) -> None:
        if isinstance(event, StepDone) and changes and event.step in changes:
            changes[event.step](world)
            world.touch()

    request = CommandRequest(simulate=SCENARIOS / scenario, state_dir=state_dir, options=Options())
    with wiring.setup(request) as made:
        world = world_of(made)
        before(world)
        outcome = go(made, RunOptions(watch=watch, stop_after=stop_after))
    assert outcome.state is not None
    return outcome, make_report(outcome.state)


def in_use(world: World) -> None:
    for node in world.nodes.values():
        node.products, node.cte_clients = {"cte": "enabled"}, ["HEALTHY", "HEALTHY"]


def worse(world: World) -> None:
    node = world.nodes["ctm-2"]
    node.alarms, node.licences, node.users = ["Disk Full"], [], []
    node.products, node.cte_clients = {"cte": "disabled"}, ["HEALTHY", "ERROR"]
    node.interfaces = ["web", "nae", "ssh"]
    node.ntp.servers = ["time9.example.com"]
    node.services = {**node.services, "secrets-manager": "started", "gone": "disabled"}
    node.says = {"ksctl cluster errors": [{"clusterErrors": [{"errorMessage": "no leader"}]}]}


def test_what_is_worse_after_a_node_is_a_finding_with_who_and_what(tmp_path: Path) -> None:
    outcome, report = rehearsed(tmp_path, {"settle:ctm-2": worse}, before=in_use)
    assert outcome.code == 0, "it fails nothing"
    assert {f.node for f in report.findings} == {"ctm-2"}
    assert {f.check for f in report.findings} == set(WORSE) - {"services", "certificates"}
    text = report_markdown(report)
    for words in ("new: Disk Full", "kmip is gone", "users 1 -&gt; 0", "error 0 -&gt; 1", "no leader"):
        assert words in text or words.replace("&gt;", ">") in text, words
    document = json.loads(json.dumps(report_document(report)))
    assert {f["check"] for f in document["findings"]} == {f.check for f in report.findings}
    assert all(f["remedy"] and f["verdict"] == "warn" and f["time"] for f in document["findings"])
    assert {one["verdict"] for one in document["before_after"] if one["node"] != "ctm-2"} <= {"changed"}


def test_a_healthy_run_says_so_and_nothing_is_left_out(tmp_path: Path) -> None:
    outcome, report = rehearsed(tmp_path)
    assert outcome.code == 0 and not report.findings
    assert {one.verdict for one in report.before_after} == {"same"}
    topics = {(one.node, one.topic) for one in report.before_after}
    assert topics == {(f"ctm-{i}", topic) for i in (1, 2, 3) for topic in WORSE}
    assert {one.when for one in report.before_after} == {"end"}
    assert report.clients is not None and not report.clients.without_any
    away = {(p.node, p.service): p.away_s for p in report.clients.ports}
    assert set(away) == {(f"ctm-{i}", s) for i in (1, 2, 3) for s in ("web", "kmip", "nae")}
    assert all(500 <= seconds <= 700 for seconds in away.values()), away


@pytest.mark.parametrize("when", ["before", pytest.param("settle:ctm-1", marks=pytest.mark.slow)])
def test_looks_that_fail_are_not_known_and_fail_nothing(when: str, tmp_path: Path) -> None:
    """Answers of every kind that nobody foresaw, to the questions that are asked for the comparison alone."""
    asked = ["products list", "keys list", "users list", "domains list", "cte clients list"]
    asked += [] if when == "before" else ["alarms list"]  # the check asks for it too

    def strange(world: World) -> None:
        kinds = list(KSCTL_ANSWERS.values())
        for i, node in enumerate(world.nodes.values()):
            node.says = {f"ksctl {words}": kinds[(6 * i + j) % len(kinds)] for j, words in enumerate(asked)}

    before, changes = (strange, {}) if when == "before" else (in_use, {when: strange})
    outcome, report = rehearsed(tmp_path, changes, before=before)
    assert outcome.code == 0
    assert any(one.verdict == "not known" and one.text for one in report.before_after)
    assert len(json.dumps(report_document(report))) < 200_000
    assert (outcome.folder / "journal.jsonl").stat().st_size < 400_000 if outcome.folder else False


def test_what_was_seen_survives_a_stop_and_is_not_asked_again(tmp_path: Path) -> None:
    stopped, report = rehearsed(tmp_path, {"settle:ctm-1": lambda w: setattr(w.nodes["ctm-1"], "alarms", ["HSM Offline"])},
                                stop_after="ctm-1")  # fmt: skip
    assert stopped.code == 7 and [(f.node, f.when) for f in report.findings] == [("ctm-1", "after_node")]
    looks: list[NodesSeen] = []

    def again(made: wiring.Setup, wishes: RunOptions) -> Outcome:
        seen = wishes.watch

        def watch(state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
            looks.extend([event] if isinstance(event, NodesSeen) else [])
            seen(state, event, key, tick)

        return resume(made, RunOptions(watch=watch), None)

    outcome, report = rehearsed(tmp_path, go=again)
    assert outcome.code == 0
    assert [(look.when, sorted(look.nodes)) for look in looks] == [
        ("after_node", ["ctm-2"]), ("after_node", ["ctm-3"]), ("end", ["ctm-1", "ctm-2", "ctm-3"]),
    ]  # fmt: skip
    assert [(f.node, f.check, f.when) for f in report.findings] == [("ctm-1", "alarms", "end")]


def test_a_port_that_does_not_come_back_is_a_finding(tmp_path: Path) -> None:
    outcome, report = rehearsed(tmp_path, scenario="node-never-comes-back")
    assert outcome.code != 0
    (finding,) = (f for f in report.findings if f.check == "client_port")
    assert finding.node == "ctm-2" and all(port in finding.summary for port in ("443", "5696", "9000"))


def test_one_node_alone_leaves_its_clients_without_any(tmp_path: Path) -> None:
    _, report = rehearsed(tmp_path, scenario="standalone")
    assert report.clients is not None
    assert {gap.service for gap in report.clients.without_any} == {"web", "kmip", "nae"}


# -- the real ports --------------------------------------------------------------------------------


def listener(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(64)
    return made


def until(watch: TcpPortWatch, wanted: Mapping[str, bool]) -> list[PortsSeen]:
    """The news until each of these ports was seen so."""
    news: list[PortsSeen] = []
    state: dict[str, bool] = {}
    deadline = time.monotonic() + 30
    while not wanted.items() <= state.items():
        assert time.monotonic() < deadline, state
        for one in watch.news():
            news.append(one)
            state.update(one.answers)
        time.sleep(0.005)
    return news


def test_real_ports_are_asked_until_the_end() -> None:
    open_one, other = listener(), listener()
    number = open_one.getsockname()[1]
    closed = other.getsockname()[1]
    other.close()
    ports = (
        ClientPort("a", "web", "127.0.0.1", number), ClientPort("b", "web", "127.0.0.1", closed),
        ClientPort("c", "web", "no-such-host.invalid", 443), ClientPort("d", "kmip", "127.0.0.1", 0),
    )  # fmt: skip
    a, b, c, d = (port.key for port in ports)
    watch = TcpPortWatch(lambda: datetime.now(UTC))
    watch.begin(ports, 0.01)
    try:
        (first,) = until(watch, {a: True, b: False})
        assert dict(first.answers) == {a: True, b: False, c: False, d: False}
        assert set(first.why) == {b, c, d} and all(first.why.values())
        open_one.close()
        until(watch, {a: False})
        with listener(number):
            (back,) = until(watch, {a: True})
            assert dict(back.answers) == {a: True}, "only what has changed is news"
    finally:
        watch.end()


def ports_of(
    url: str, interfaces: Sequence[object] = (), *, through: bool = False
) -> list[tuple[str, str, int]]:
    one = values.cluster(1)
    node = replace(one.nodes[0], url=url, ksctl=replace(one.nodes[0].ksctl, through_ssh=through))
    facts = values.facts(1)
    seen: NodeFacts = replace(facts.nodes["ctm-1"], interfaces=Interfaces(tuple(interfaces)))  # type: ignore[arg-type]
    found = watched_ports(replace(one, nodes=(node,)), replace(facts, nodes={"ctm-1": seen}))
    return [(port.service, port.host, port.port) for port in found.ports]


def test_which_ports_clients_use_the_interfaces_say() -> None:
    rows = (
        Interface("nae_all_9001", port=9001), Interface("kmip"), Interface("x", port=5697, kind="kmip"), Interface("ssh", port=22),
        Interface("kmip2", enabled=False, port=5698), Interface("kmip3", port=99999), Interface("web"),
    )  # fmt: skip
    host = "10.0.0.9"
    assert ports_of(f"https://{host}", rows) == [
        ("web", host, 443), ("nae", host, 9001), ("kmip", host, 5696), ("kmip", host, 5697),
    ]  # fmt: skip
    assert ports_of(f"https://{host}:8443") == [("web", host, 8443)]
    assert ports_of("https://[fe80::1]") == [("web", "fe80::1", 443)]
    assert ports_of("https://127.0.0.1:8443", through=True) == [("web", "10.0.0.1", 443)]
    assert ports_of("https://x:99999") == [], "no port that there is"
