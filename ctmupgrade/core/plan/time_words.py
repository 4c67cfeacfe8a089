"""How long a plan takes, in words."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.plan.estimates import node_seconds
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.timing import clock_time


def about(usual: int, worst: int) -> str:
    """Return both in words."""
    return f"about {clock_time(usual)}, at worst {clock_time(worst)}"


def time_lines(plan: Plan) -> Iterator[str]:
    """Yield how long all of a plan takes, and how long each node is out of service; nodes that take as long in one line."""
    yield f"{about(plan.critical_path_s(), plan.critical_path_s(worst=True))} in all"
    alike: dict[tuple[int, int], list[str]] = {}
    for node in plan.nodes:
        if (times := node_seconds(plan.steps, node))[0]:
            alike.setdefault(times, []).append(node)
    for times, nodes in alike.items():
        each = "each " if len(nodes) > 1 else ""
        yield f"{node_list(nodes, len(plan.nodes))}: {each}out of service for {about(*times)}"
