"""A look that raises whatever it likes is "not known"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.collect.seen import look_at, rest_of_before
from ctmupgrade.core.run.topics import NODE_TOPICS
from ctmupgrade.sim.clock import SimClock
from tests.unit import values

R = TypeVar("R")


class Broken:
    """Readers that cannot even be made."""

    def shell(self, node: str) -> Any:
        raise RuntimeError(f"{node}: nobody thought of this")

    control = shell


def test_whatever_a_look_raises_it_ends_no_run() -> None:
    cluster, clock = values.cluster(2), SimClock()
    found = look_at(Broken(), cluster, ["ctm-1", "ctm-2"], clock, one_by_one, through="ctm-2")
    assert {name: set(seen.not_known) for name, seen in found.items()} == {
        "ctm-1": set(NODE_TOPICS), "ctm-2": set(NODE_TOPICS),
    }  # fmt: skip
    assert all("ctm-2: nobody" in why for why in found["ctm-2"].not_known.values()), "its own, not another's"
    before = rest_of_before(Broken(), cluster, clock, one_by_one)
    assert set(before[""].not_known) == {"counts", "cte_clients"} and not before[""].topics


def test_where_nobody_can_be_asked_nothing_is_known_of_anybody() -> None:
    def nobody(ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        raise OSError(f"no thread for {ask} of {names}")

    cluster, clock = values.cluster(2), SimClock()
    found = look_at(Broken(), cluster, ["ctm-1", "ctm-2"], clock, nobody, through="ctm-2")
    assert {name: set(seen.not_known) for name, seen in found.items()} == {
        "ctm-1": set(NODE_TOPICS), "ctm-2": set(NODE_TOPICS),
    }  # fmt: skip
