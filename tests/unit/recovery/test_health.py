"""What the checks find, and nobody has told yet: never called healthy because nobody could tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ctmupgrade.core.looks.cluster_views import PeerView, SummaryReport
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.plan.steps import Reboot, step
from ctmupgrade.core.recovery.health import unhealthy
from ctmupgrade.core.recovery.result import Part, Trouble, Urgency
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

ODD = Unknown("an answer that nobody understands")
FIELDS = ("shell", "unit", "processes", "logs", "system", "services", "membership", "members", "summary")


def test_a_healthy_cluster_has_nothing() -> None:
    assert unhealthy(make.scene(make.healthy()), Part()) == Part()


@pytest.mark.parametrize("field", FIELDS)
def test_whatever_is_not_known_is_wrong(field: str) -> None:
    seen = make.healthy()
    named: dict[str, Any] = {field: ODD}
    node: NodeFacts = replace(seen.nodes["ctm-2"], **named)
    found = unhealthy(make.scene(make.with_node(seen, node)), Part())
    assert found.wrong and found.advice, field
    assert not found.steps


def test_a_peer_that_is_not_connected_forbids_to_erase_any_node() -> None:
    seen = make.healthy()
    torn = {f"id-{i}": PeerView("r", "GOOD", i != 3, f"10.0.0.{10 + i}") for i in (1, 2, 3)}
    node = replace(seen.nodes["ctm-2"], summary=(SummaryReport("id-2", make.AT, torn),))
    others = [replace(seen.nodes[n], summary=()) for n in ("ctm-1", "ctm-3")]
    found = unhealthy(make.scene(make.facts(others[0], node, others[1])), Part())
    assert found.forbids and any("ctm-3" in t.text and t.urgency is Urgency.TODAY for t in found.wrong)
    assert any("ctmupgrade recover --rejoin ctm-3" in a.commands for a in found.advice)


def test_what_is_told_already_is_not_told_again() -> None:
    seen = make.with_node(make.healthy(), replace(make.healthy().nodes["ctm-2"], unit=ODD))
    assert unhealthy(make.scene(seen), Part((Trouble("x", "ctm-2", explains=True),))) == Part()
    assert unhealthy(make.scene(seen), Part(steps=(step(Reboot(), "ctm-2", "", 1),))) == Part()
    assert unhealthy(make.scene(seen), Part((Trouble("x", "ctm-2"),))).wrong


def test_a_node_that_was_given_up_is_not_missed() -> None:
    listed = (make.member(1), make.member(2))
    left = make.facts(make.node(1, listed), make.node(2, listed), make.silent(3))
    assert unhealthy(make.scene(left, OperatorInput(gone=("ctm-3",))), Part()) == Part()
    held = make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ()))
    assert unhealthy(make.scene(held, past=RunHistory(held_back="ctm-3")), Part()) == Part()
    assert unhealthy(make.scene(held), Part()).wrong
