"""The last way back: nothing is left to go on with, and only a downloaded backup has the cluster's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.plan.restore_choice import newest_whole
from ctmupgrade.core.plan.steps import RestartServices, Step
from ctmupgrade.core.recovery.result import Advice
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.restorable import FORWARD_MINORS
from ctmupgrade.core.timing import clock_time
from ctmupgrade.core.version import Version

COMMANDS = ("ctmupgrade restore --dry-run", "ctmupgrade restore")


def last_way(scene: Scene, steps: Sequence[Step]) -> tuple[Advice, ...]:
    """Return how the cluster comes back from a backup, where that is the only way left; else nothing."""
    tries = all(isinstance(one.action, RestartServices) for one in steps)
    return (
        tuple(_last_way(scene, "a restart does not help, " if steps else ""))
        if tries and nothing_left(scene)
        else ()
    )


def nothing_left(scene: Scene) -> bool:
    """Return whether no node can be gone on with: each is silent, was erased, or reports that it does not work. One that does
    not tell may be whole."""
    return all(_is_lost(scene, name) for name in scene.facts.nodes)


def _is_lost(scene: Scene, name: str) -> bool:
    if name in scene.silent or name in scene.emptied:
        return True
    return any(not one.unknown for one in health.service_problems({name: scene.facts.nodes[name]}))


def _last_way(scene: Scene, tried: str) -> Iterator[Advice]:
    made = newest_whole(scene.facts.manifests)
    if made is None:
        yield Advice(
            "no backup that could be restored is in backup.directory: if nothing else brings a node back, find one with its key "
            "and its manifest, and put them there",
            ("ctmupgrade restore --dry-run",),
        )
        return
    since = clock_time(max(0, round((scene.facts.at - made.made_at).total_seconds())))
    yield Advice(
        f"if {tried}no node can be brought back and vendor support cannot repair one, the only way left is a restore: the newest whole "
        f"backup is of {made.node}, made {made.made_at:%Y-%m-%d %H:%M %Z}; what clients wrote in the {since} since then is "
        f"lost. {_release_first(made)} A node that still has data is erased only when it is given up by name (--gone NODE)",
        COMMANDS,
    )


def _release_first(made: Manifest) -> str:
    """What must be installed before, on every node."""
    try:
        release = Version.parse(made.version).short
    except ValueError:
        return "Which release made it is not known: every node needs that one, or one of the next three minor releases, first."
    return (
        f"First every node needs {release}, or one of the next {FORWARD_MINORS} minor releases: a new instance of it, or on a "
        "node that is in no cluster a downgrade by its archive (--strategy standalone --allow-downgrade)."
    )


def if_none_has_data(scene: Scene) -> tuple[Advice, ...]:
    """Return what to do where the nodes that are healthy are new or were reset: they look like those with data."""
    if newest_whole(scene.facts.manifests) is None:
        return ()
    return (
        Advice(
            "if none of them has the cluster's data (new appliances, or reset ones), restore a backup",
            COMMANDS,
        ),
    )
