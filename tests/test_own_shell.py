"""ctmupgrade on an appliance's own shell (``host: local``): last in any order, survivor of a rebuild, told of its end.

That its reboot kills and a resume ends well is in the crash matrix; on a real system, in tests/test_in_lab_own_shell.py.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.local.logout import ended_by_logout
from ctmupgrade.adapters.local.own_files import own_files
from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.commands.options import with_options
from ctmupgrade.commands.request import Purpose
from ctmupgrade.core.checks.check import Question
from ctmupgrade.core.checks.findings import Verdict
from ctmupgrade.core.checks.own_files import (
    own_files_survive_reboot,
    own_node_is_named,
    own_upgrade_outlives_logout,
)
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.looks.own_files import OwnFile
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.rebuild import survivor_of
from ctmupgrade.core.plan.steps import ResetNode, Step
from ctmupgrade.core.plan.strategies import node_order
from ctmupgrade.core.run.data_guard import guard_for
from ctmupgrade.core.version import Version
from ctmupgrade.errors import ExitCode, UsageError
from ctmupgrade.sim import SimFleet
from tests.support.desk import Desk
from tests.support.live import PROGRAM
from tests.support.world_run import Drive, make_cluster, make_world

MOUNTS = {"/": "overlay", "/tmp": "ext4", "/home": "ext4", "/home/ksadmin/ram": "tmpfs"}


def _cluster(strategy: StrategyName = StrategyName.IN_PLACE, *, known: bool = False) -> Cluster:
    """ctm-1 is the one that this runs on. :param known: its address among the nodes is in cluster.yaml."""
    made = make_cluster(make_world(3), strategy)
    own = replace(made.nodes[0], host="local", cluster_host="10.0.0.11" if known else "localhost")
    return replace(made, nodes=(own, *made.nodes[1:]))


def _accepted(cluster: Cluster, **options: Any) -> Cluster:
    return with_options(cluster, Options(**options), Purpose.PLAN, "cluster.yaml")


@pytest.mark.parametrize(
    ("order", "nodes", "expected"),
    [
        ((), (), "ctm-2 ctm-3 ctm-1"),
        (("ctm-3",), (), "ctm-3 ctm-2 ctm-1"),
        (("ctm-3", "ctm-2", "ctm-1"), (), "ctm-3 ctm-2 ctm-1"),
        ((), ("ctm-1", "ctm-3"), "ctm-3 ctm-1"),
        (("ctm-1",), ("ctm-1",), "ctm-1"),
    ],
)
def test_the_own_node_comes_last(order: tuple[str, ...], nodes: tuple[str, ...], expected: str) -> None:
    cluster = _accepted(_cluster(), order=order, nodes=nodes)
    assert node_order(cluster, Options(order=order, nodes=nodes)) == tuple(expected.split())


@pytest.mark.parametrize("order", [("ctm-1",), ("ctm-1", "ctm-2", "ctm-3"), ("ctm-2", "ctm-1")])
@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.STANDALONE])
def test_another_order_is_refused(order: tuple[str, ...], strategy: StrategyName) -> None:
    with pytest.raises(UsageError, match="ctm-1 must come last") as told:
        _accepted(_cluster(strategy), order=order)
    assert told.value.exit_code == 2
    assert f"--order {','.join(n for n in node_order(_cluster(), Options(order=order)))}" in told.value.remedy


@pytest.mark.parametrize(
    "options",
    [{"survivor": "ctm-2"}, {"hold_back": "ctm-1"}, {"fresh": (("ctm-1", "10.0.0.99"),)}],
    ids=["survivor", "hold back", "fresh"],
)
def test_a_rebuild_that_would_erase_it_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="ctm-1 must be the survivor"):
        _accepted(_cluster(StrategyName.REBUILD, known=True), **options)


def test_it_survives_a_rebuild_and_its_address_must_be_known() -> None:
    known = _accepted(_cluster(StrategyName.REBUILD, known=True))
    facts = Facts(_now(), {}, Unknown("not asked"))
    assert survivor_of(facts, known, Options())[0] == "ctm-1"
    with pytest.raises(UsageError, match="its address among them is not known") as told:
        _accepted(_cluster(StrategyName.REBUILD))
    assert "cluster_host" in told.value.remedy


def _now() -> Any:
    return make_world(1).clock.now()


def test_no_step_erases_it(tmp_path: Path) -> None:
    """A plan of recover, or one that is read, may say anything."""
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    assert drive.start(plan) == 0
    reset = Step("reset:ctm-1", "ctm-1", ResetNode(), "", (), 0)
    assert "on which ctmupgrade runs" in guard_for(_cluster(), plan)(reset, drive.state)
    assert "on which ctmupgrade runs" not in guard_for(drive.cluster, plan)(reset, drive.state)


def test_the_others_ask_for_it_by_the_address_that_they_list() -> None:
    """`localhost` is another machine on another node: its port would prove nothing."""
    world, asked = make_world(3), list[tuple[str, str]]()
    cluster = _cluster()
    cluster = replace(cluster, target=replace(cluster.target, version=Version(2, 22, 0)))

    class Listening(SimFleet):
        def shell(self, node: str) -> Any:
            inner = super().shell(node)
            read = inner.read

            def heard(*argv: str, **more: Any) -> Any:
                asked.append((node, " ".join(argv)))
                return read(*argv, **more)

            inner.read = heard  # type: ignore[method-assign]
            return inner

    facts = collect_nodes(Listening(world), cluster, world.clock, one_by_one)
    ports = [(node, words) for node, words in asked if "2380" in words]
    assert ports and not [words for _node, words in ports if "localhost" in words]
    assert any(node == "ctm-2" and world.nodes["ctm-1"].cluster_host in words for node, words in ports)
    assert not isinstance(facts["ctm-2"].consensus_ports["ctm-1"], Unknown)


@pytest.mark.parametrize(
    ("path", "lost", "maybe"),
    [
        ("/home/ksadmin/state", "", False),
        ("/home/ksadmin/ram/state/lab", "/home/ksadmin/ram is in memory (tmpfs)", False),
        ("/home/ksadmin/ramp", "", False),
        ("/tmp/state", "/tmp is emptied when a system starts", True),
    ],
)
def test_what_a_reboot_takes(path: str, lost: str, maybe: bool) -> None:
    assert own_files([("the state folder", Path(path))], MOUNTS) == (
        OwnFile("the state folder", path, lost, maybe),
    )


def test_a_root_in_memory_is_for_a_person_and_no_list_is_unknown() -> None:
    (only,) = own_files([("the archive", Path("/srv/a"))], {"/": "tmpfs"})  # type: ignore[misc]
    assert (only.lost, only.maybe) == ("/ is in memory (tmpfs)", True)
    assert isinstance(own_files([("the archive", Path("/srv/a"))], {}), Unknown)
    assert not isinstance(own_files([("the archive", Path("/srv/a"))]), Unknown), "this machine tells"


@pytest.mark.parametrize(
    ("files", "verdicts"),
    [
        ((), [Verdict.PASS]),
        ((OwnFile("a", "/a"), OwnFile("b", "/b", "in memory")), [Verdict.BLOCK]),
        ((OwnFile("b", "/b", "emptied", True),), [Verdict.WARN]),
        (Unknown("no list"), [Verdict.UNKNOWN]),
    ],
)
def test_what_is_gone_after_the_reboot_blocks(files: Any, verdicts: list[Verdict]) -> None:
    facts = Facts(_now(), {}, Unknown("not asked"), own_files=files)
    found = list(own_files_survive_reboot(Question(facts, _cluster(), Options())))
    assert [finding.verdict for finding in found] == verdicts
    elsewhere = make_cluster(make_world(1))
    assert list(own_files_survive_reboot(Question(facts, elsewhere, Options()))) == []


@pytest.mark.parametrize(
    ("files", "cgroup", "where"),
    [
        ({}, "0::/user.slice/user-0.slice/session-3.scope", ""),
        ({"usr/lib/systemd/logind.conf": "#KillUserProcesses=no"}, "0::/user.slice/session-3.scope", ""),
        ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, "0::/user.slice/session-3.scope", "compiled into"),
        ({"etc/systemd/logind.conf": "KillUserProcesses = on\n"}, "1:name=systemd:/a/session-c1.scope\n0::/", "/etc/systemd/logind.conf"),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\n"}, "0::/system.slice/ssh.service", ""),
        (
            {"etc/systemd/logind.conf": "KillUserProcesses=yes", "etc/systemd/logind.conf.d/9.conf": "KillUserProcesses=no"},
            "0::/session-3.scope", "",
        ),
        (
            {"etc/systemd/logind.conf.d/9.conf": "KillUserProcesses=no", "usr/lib/systemd/logind.conf.d/9.conf": "KillUserProcesses=yes"},
            "0::/session-3.scope", "",
        ),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\nKillExcludeUsers=4242 x\n"}, "0::/session-3.scope", ""),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\nKillOnlyUsers=y\n"}, "0::/session-3.scope", ""),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\nKillOnlyUsers=4242\n"}, "0::/session-3.scope", "/etc/systemd/logind.conf"),
    ],
)  # fmt: skip
def test_what_ends_with_a_login(tmp_path: Path, files: dict[str, str], cgroup: str, where: str) -> None:
    for name, text in {**files, "proc/self/cgroup": f"{cgroup}\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = ended_by_logout(4242, root=tmp_path)
    assert bool(found) == bool(where) and where in found
    facts = Facts(_now(), {}, Unknown("not asked"), own_logout=found)
    verdicts = [one.verdict for one in own_upgrade_outlives_logout(Question(facts, _cluster(), Options()))]
    assert verdicts == ([Verdict.BLOCK] if where else [])


def test_a_node_that_it_runs_on_and_that_is_not_called_local_is_told() -> None:
    world = make_world(3)
    cluster = make_cluster(world)
    nodes = collect_nodes(SimFleet(world), cluster, world.clock, one_by_one)
    boot = nodes["ctm-2"].boot
    assert not isinstance(boot, Unknown)
    facts = Facts(_now(), nodes, Unknown("not asked"), own_boot=boot.boot_id)
    (found,) = own_node_is_named(Question(facts, cluster, Options()))
    assert (found.verdict, found.node) == (Verdict.WARN, "ctm-2")
    assert list(own_node_is_named(Question(replace(facts, own_boot=""), cluster, Options()))) == []
    shared = {name: replace(one, boot=boot) for name, one in nodes.items()}  # containers of one machine
    assert list(own_node_is_named(Question(replace(facts, nodes=shared), cluster, Options()))) == []


def test_the_plan_says_that_this_shell_ends(tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    drive.cluster = _cluster()
    assert any("this shell ends with the reboot of ctm-1" in note for note in drive.plan().notes)
    drive.cluster = make_cluster(drive.world)
    assert not any("this shell" in note for note in drive.plan().notes)


def test_what_to_type_is_said_before_the_upgrade_and_works(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said = desk.type("run", "--yes", scenario="own-shell-three")
    assert said.returncode == 0, said.stderr
    before, _, after = said.stdout.partition("upgrade:ctm-1: started on a terminal")
    assert "this shell ends with the reboot of ctm-1" in before and "started on a terminal" in before
    lines = [line.strip() for line in before.splitlines() if "ctmupgrade resume" in line]
    (command,) = set(lines)
    assert command in after, "and once more before the reboot"
    environ = {**desk.environ, "PATH": f"{PROGRAM.parent}:{desk.environ['PATH']}"}
    words = shlex.split(command)
    again = subprocess.run(
        words, env=environ, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == ExitCode.USAGE and "has ended (done)" in again.stderr, again


def test_a_program_of_the_path_is_told_by_its_place_too(tmp_path: Path) -> None:
    """A restricted shell takes no path, and the PATH of a new login may be another."""
    desk = Desk(tmp_path)
    path = f"{PROGRAM.parent}:{desk.environ['PATH']}"
    said = desk.type("run", "--yes", scenario="own-shell-standalone", PATH=path)
    assert (
        "\n  ctmupgrade resume " in said.stdout and f"not found then, type {PROGRAM} instead" in said.stdout
    )
    said = desk.type("run", "--yes", scenario="own-shell-standalone", PATH="/nonexistent")
    assert f"\n  {PROGRAM} resume " in said.stdout and "is not found then" not in said.stdout


def test_json_stays_json(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said = desk.type("run", "--yes", "--format", "json", scenario="own-shell-standalone")
    assert [json.loads(line) for line in said.stdout.splitlines()][-1]["outcome"] == "done"
    assert "this shell ends with the reboot of ctm-1" in said.stderr
