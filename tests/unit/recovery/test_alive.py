"""Whether the cluster sees a node alive that does not answer this machine: only a fresh word of a living member counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from ctmupgrade.core.checks.alive import seen_alive_by
from ctmupgrade.core.looks.cluster_views import Membership, PeerView, SummaryReport
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from tests.support import recovery_facts as make

ALL = (make.member(1), make.member(2), make.member(3))


def _seen(witness: NodeFacts) -> tuple[str, ...]:
    """What ctm-1 proves of ctm-3, where ctm-2 tells nothing."""
    nodes: Mapping[str, NodeFacts] = {n.name: n for n in (witness, make.silent(2), make.silent(3))}
    return seen_alive_by("ctm-3", nodes, make.cluster(), make.AT)


def _summary(view: PeerView, age: timedelta = timedelta(0)) -> tuple[SummaryReport, ...]:
    return (SummaryReport("id-1", make.AT - age, {"id-3": view}),)


LIVING = PeerView("r", "GOOD", True, "10.0.0.13")
WITNESS = make.node(1, ALL)


def test_a_member_that_is_connected_to_it_sees_it_alive() -> None:
    assert _seen(WITNESS) == _seen(replace(WITNESS, summary=_summary(LIVING))) == ("ctm-1",)


@pytest.mark.parametrize(
    "witness",
    [
        make.node(1, (*ALL[:2], make.member(3, "d", "down"))),
        make.node(1, ALL[:2]),
        replace(WITNESS, summary=_summary(replace(LIVING, connected=False))),
        replace(WITNESS, summary=_summary(replace(LIVING, connected=None))),
        replace(WITNESS, summary=_summary(replace(LIVING, code="d"))),
        replace(WITNESS, summary=_summary(LIVING, timedelta(minutes=30))),
        replace(WITNESS, summary=(SummaryReport("id-1", None, {"id-3": LIVING}),)),
        replace(WITNESS, summary=Unknown("not told")),
        replace(WITNESS, members=Unknown("not told")),
        replace(WITNESS, membership=Unknown("not told")),
        replace(WITNESS, membership=Membership("id-1", "d")),
    ],
    ids=["down", "unlisted", "cut", "untold link", "down there", "old", "no time", "no report", "no list", "no state",
         "out itself"],
)  # fmt: skip
def test_what_is_old_or_not_told_proves_nothing(witness: NodeFacts) -> None:
    assert _seen(witness) == ()
