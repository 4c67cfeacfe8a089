"""The last way back: a restore is proposed where nothing else is left, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.facts import NodeFacts, Services, Unknown
from ctmupgrade.core.plan.steps import AwaitNode, RestartServices, Step, step
from ctmupgrade.core.recovery.last_way import last_way, nothing_left
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

RESTART = step(RestartServices(), "ctm-1", "", 1)
MADE = (make.manifest("ctm-1"), replace(make.manifest("ctm-2"), problem="gone"))


def _scene(*nodes: NodeFacts) -> Scene:
    return make.scene(make.facts(*nodes, manifests=MADE))


def _broken(number: int) -> NodeFacts:
    return make.node(number, (), services=Services("error", {"web": "error"}))


def _text(scene: Scene, *steps: Step) -> str:
    return "".join(f"{one.text} {one.commands}" for one in last_way(scene, steps))


def test_it_names_the_backup_what_is_lost_and_the_release_to_install_first() -> None:
    said = _text(_scene(make.silent(1), _broken(2)))
    assert "the newest whole backup is of ctm-1" in said and "in the 1 h 00 min since then is lost" in said
    assert "First every node needs 2.20.0" in said and "--allow-downgrade" in said
    assert "'ctmupgrade restore'" in said and "--gone NODE" in said


def test_what_may_help_comes_first() -> None:
    scene = _scene(_broken(1), _broken(2))
    assert "if a restart does not help" in _text(scene, RESTART)
    assert _text(scene, RESTART, step(AwaitNode(), "ctm-1", "", 1)) == ""


def test_a_node_that_is_healthy_or_does_not_tell_is_something_left() -> None:
    assert not nothing_left(_scene(make.silent(1), make.node(2, ())))
    mute = make.node(2, (), services=Unknown("no answer"), unit=Unknown("no answer"))
    assert not nothing_left(_scene(make.silent(1), mute))


def test_nodes_that_were_erased_leave_nothing() -> None:
    empty = make.scene(
        make.facts(make.node(1, ()), manifests=()), past=RunHistory(emptied=frozenset({"ctm-1"}))
    )
    assert nothing_left(empty) and "no backup that could be restored" in _text(empty)
