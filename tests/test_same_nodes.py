"""A run that is resumed with other addresses in cluster.yaml: taken where the nodes are proven to be the same, else refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.commands import node_marks
from ctmupgrade.commands.node_marks import Owner
from ctmupgrade.commands.same_nodes import refuse_other_appliances
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.surroundings import Surroundings, addresses_of
from ctmupgrade.errors import BlockedError
from ctmupgrade.sim import SimFleet, World
from ctmupgrade.sim.control import SimControl
from ctmupgrade.sim.shell import SimShell
from tests.support.live import signing_key, start_live
from tests.support.world_run import Drive, make_world

RUN = "20260110T210000-000abcd"
NEW = "192.0.2.77"


class Rerouted(SimFleet):
    """A fleet in which names lead to other appliances, as wrong addresses do."""

    def __init__(self, world: World, shells: Mapping[str, str], controls: Mapping[str, str]) -> None:
        super().__init__(world)
        self.shells, self.controls = shells, controls

    def shell(self, node: str) -> SimShell:
        return super().shell(self.shells.get(node, node))

    def control(self, node: str) -> SimControl:
        return super().control(self.controls.get(node, node))


class Begun:
    """A run that has begun: its marks are on its nodes. ctm-9 is no node of it."""

    def __init__(self, folder: Path, count: int = 2, strategy: StrategyName = StrategyName.IN_PLACE) -> None:
        self.drive = Drive(make_world(count), folder, strategy)
        self.cluster, plan = self.drive.cluster, self.drive.plan()
        surroundings = Surroundings(addresses=addresses_of(self.cluster))
        event = journal.RunStarted(RUN, "test", Mode.LIVE, plan, "me@here", 1, "0", surroundings=surroundings)
        self.state: RunState = journal.start(event, datetime(2026, 1, 10, tzinfo=UTC))
        names = [node.name for node in self.cluster.nodes]
        node_marks.claim(
            SimFleet(self.world),
            names,
            Owner(RUN, "me@here", "now"),
            over=lambda _run: False,
            say=lambda _text: None,
        )
        self.world.nodes["ctm-9"] = make_world(1, nodes=[{"name": "ctm-9"}]).nodes["ctm-9"]

    @property
    def world(self) -> World:
        return self.drive.world

    def moved(self, name: str = "ctm-1", **to: str) -> Cluster:
        nodes = (replace(node, **to) if node.name == name else node for node in self.cluster.nodes)  # type: ignore[arg-type]
        return replace(self.cluster, nodes=tuple(nodes))

    def resume(
        self, cluster: Cluster, shells: Mapping[str, str] = {}, controls: Mapping[str, str] = {}
    ) -> str:
        """What a resume with this cluster.yaml is refused with; "" where it goes on."""
        try:
            refuse_other_appliances(cluster, Rerouted(self.world, shells, controls), self.state)
        except BlockedError as error:
            return f"{error.brief}\n{error.details}\n{error.remedy}"
        return ""


def test_a_new_address_of_the_same_node_is_taken(tmp_path: Path) -> None:
    run = Begun(tmp_path)
    assert run.resume(run.moved(host=NEW)) == run.resume(run.moved(url=f"https://{NEW}:8443")) == ""
    assert run.resume(run.moved(cluster_host="ctm-1.example.com")) == ""


def test_an_address_that_leads_to_another_appliance_is_refused(tmp_path: Path) -> None:
    """A reboot of ctm-1 was "proven" by another appliance at the target, and the run was done."""
    run = Begun(tmp_path, 1, StrategyName.STANDALONE)
    said = run.resume(run.moved(host=NEW), {"ctm-1": "ctm-9"})
    assert "without this run's mark" in said
    assert f"host: {run.cluster.nodes[0].host}   # of ctm-1 in cluster.yaml, instead of {NEW}" in said


def test_lines_that_changed_places_are_refused(tmp_path: Path) -> None:
    """The wrong appliance was upgraded while the script still ran on the right one."""
    run = Begun(tmp_path)
    one, two = run.cluster.nodes
    swapped = replace(run.cluster, nodes=(replace(two, name="ctm-1"), replace(one, name="ctm-2")))
    crossed = {"ctm-1": "ctm-2", "ctm-2": "ctm-1"}
    assert "cluster_host" in run.resume(swapped, crossed, crossed)
    alone = run.moved(host=NEW)
    assert f"host {NEW} leads to ctm-2" in run.resume(alone, {"ctm-1": "ctm-2"})


def test_a_node_that_was_rebooted_meanwhile_is_proven_by_its_mark(tmp_path: Path) -> None:
    """Nobody has journaled its new boot. It is a node of this run, and none of the others."""
    run = Begun(tmp_path)
    run.world.nodes["ctm-1"].boot += 1
    assert run.resume(run.moved(host=NEW)) == ""
    run.world.nodes["ctm-2"].boot += 1
    assert "may be ctm-2" in run.resume(run.moved(host=NEW), {"ctm-1": "ctm-2"})


def test_who_does_not_answer_may_be_the_one_that_was_rebooted(tmp_path: Path) -> None:
    """Its return tells which one it is: that is said, and not only the old line."""
    run = Begun(tmp_path, 3)
    run.world.nodes["ctm-1"].boot += 1
    run.world.nodes["ctm-3"].up_at = 1e9  # it boots, for years
    said = run.resume(run.moved(host=NEW))
    assert "that was rebooted, and ctm-3 does not answer, so it may be that one" in said
    assert "or, where these are right: bring ctm-3 back; then the same command again" in said
    run.world.nodes["ctm-2"].up_at = 1e9
    assert "ctm-2 and ctm-3 do not answer, so it may be one of these" in run.resume(run.moved(host=NEW))
    run.world.nodes["ctm-2"].up_at = run.world.nodes["ctm-3"].up_at = 0.0
    assert run.resume(run.moved(host=NEW)) == ""


def test_a_url_that_nothing_proves_has_another_way(tmp_path: Path) -> None:
    """A node in no cluster has no id there. It was refused for good: only the old line was taken."""
    run = Begun(tmp_path, 1, StrategyName.STANDALONE)
    run.world.nodes["ctm-1"].cluster = ""
    run.world.touch()
    tunnel = run.moved(url="https://127.0.0.1:8443")
    said = run.resume(tunnel)
    assert "nothing shows that url https://127.0.0.1:8443" in said
    way = "or reach it through its SSH connection: `ksctl: {through_ssh: true}` and `url: https://localhost` under ctm-1"
    assert way in said
    [node] = tunnel.nodes
    through = replace(node, ksctl=replace(node.ksctl, through_ssh=True))
    said = run.resume(replace(tunnel, nodes=(replace(through, url="https://10.1.1.1"),)))
    assert "SSH connection: `url: https://localhost` under ctm-1" in said
    assert run.resume(replace(tunnel, nodes=(replace(through, url="https://localhost"),))) == ""


def test_a_url_that_leads_to_another_node_has_no_other_way(tmp_path: Path) -> None:
    run = Begun(tmp_path)
    said = run.resume(run.moved(url=f"https://{NEW}"), controls={"ctm-1": "ctm-2"})
    assert "leads to ctm-2" in said and "through its SSH" not in said


@pytest.mark.parametrize(("to", "words"), [("ctm-2", "leads to ctm-2"), ("ctm-9", "")])
def test_a_url_that_leads_elsewhere_is_refused(tmp_path: Path, to: str, words: str) -> None:
    run = Begun(tmp_path)
    said = run.resume(run.moved(url=f"https://{NEW}"), controls={"ctm-1": to})
    assert f"url {NEW}" in said.replace("https://", "") and words in said


def test_a_node_that_does_not_answer_proves_nothing(tmp_path: Path) -> None:
    run = Begun(tmp_path)
    run.world.nodes["ctm-1"].up_at = 1e9  # it boots, for years
    said = run.resume(run.moved(host=NEW))
    assert "does not tell whether it is the same node" in said and "bring ctm-1 back" in said
    assert run.resume(run.cluster) == "", "no address has changed: nothing is asked"


def test_a_name_of_the_same_address_asks_nobody(tmp_path: Path) -> None:
    run = Begun(tmp_path)
    run.world.nodes["ctm-1"].up_at = 1e9  # it boots, for years
    host = run.cluster.nodes[0].host

    class Resolved:
        def addresses(self, hosts: object) -> dict[str, frozenset[str]]:
            assert isinstance(hosts, list)
            return {one: frozenset({host}) for one in hosts}

    cluster = replace(run.moved(host="ctm-1.example.com"), names=Resolved())
    assert run.resume(cluster) == ""


def test_a_journal_without_addresses_is_resumed_as_before(tmp_path: Path) -> None:
    run = Begun(tmp_path)
    run.state = replace(run.state, surroundings=Surroundings())
    assert run.resume(run.moved(host=NEW), {"ctm-1": "ctm-9"}) == ""


def test_a_resume_asks_it(tmp_path: Path) -> None:
    """The installed program: two lines of cluster.yaml have changed places, and then they are put back."""
    with signing_key() as signing:
        live = start_live(tmp_path, signing, nodes=2)
        try:
            assert live.run("run", "--yes", "--stop-after", "ctm-1").returncode == 7
            right = live.cluster.read_text(encoding="utf-8")
            wrong = right.replace("name: ctm-1,", "name: X,").replace("name: ctm-2,", "name: ctm-1,")
            live.cluster.write_text(wrong.replace("name: X,", "name: ctm-2,"), encoding="utf-8")
            said = live.run("resume", "--yes")
            assert said.returncode == 3 and "may lead to other appliances" in said.stderr, said
            assert live.kinds("upgrade_started", "ctm-2") == []
            live.cluster.write_text(right, encoding="utf-8")
            assert live.run("resume", "--yes").returncode == 0
        finally:
            live.close()
