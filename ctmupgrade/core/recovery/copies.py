"""Who has more data than whom, as the nodes tell now: no node is erased for one that has far less, unless a person gives
up what it has."""

from __future__ import annotations

from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.recovery import identity
from ctmupgrade.core.recovery.nodes import collecting
from ctmupgrade.core.recovery.result import Advice, Part, Trouble
from ctmupgrade.core.recovery.scene import Scene


def kept(scene: Scene, name: str, base: str) -> tuple[Advice, ...]:
    """Return why a node is not erased to join another, and what a person can do; nothing where it may be erased: the other
    has at least half of what it has, or a person has named both."""
    short = scene.lacks(base, name)
    if not short or scene.both_named(name, base):
        return ()
    text = (
        f"{name} is not erased: {base} has {short} that {name} has, so {base} may not have the cluster's data. Find out which "
        "of them clients used"
    )
    give_up = Advice(
        f"to give up what only {name} has, name both; that erases {name} and joins it",
        (giving_up(scene, name, base),),
    )
    return (Advice(text), _as_base(scene, name, base), give_up)


def giving_up(scene: Scene, name: str, base: str) -> str:
    """Return the command that takes a node back, which erases it; where it has far more than the base it names both."""
    return scene.again(rejoin=(name,), survivor=base if scene.lacks(base, name) else "")


def _as_base(scene: Scene, name: str, base: str) -> Advice:
    """Return how the cluster gets the data of the node that has more."""
    own = scene.facts.nodes[name].membership
    apart = not isinstance(own, Unknown) and not own.clustered
    if name not in scene.members and apart and set(scene.formed) <= {base}:
        return Advice(f"to make the data of {name} the cluster's", (scene.again(survivor=name),))
    return Advice(
        f"if {name} has the cluster's data, keep it as it is, let clients use it, and ask vendor support how the others get that "
        "data. To collect what they will ask for",
        (collecting(scene),),
    )


def all_named(scene: Scene) -> Part:
    """Return that no member would stay; and which node outside has more than all that are to be taken out."""
    text = "--rejoin names every member of the cluster"
    asks = (
        "one must stay, because it has the data that the others copy when they join: leave it out of --rejoin"
    )
    more = [
        n
        for n in scene.facts.nodes
        if n not in scene.known.rejoin and all(scene.lacks(one, n) for one in scene.known.rejoin)
    ]
    others = (_as_base(scene, n, scene.formed[0]) for n in more)
    return Part((Trouble(text, sentence=text),), (Advice(asks), *others))


def unheard_survivor(scene: Scene) -> Advice | None:
    """Return why the survivor that a person named cannot be the base, with what to do about it; None where it is, or a part of
    the diagnosis tells."""
    name, via = scene.known.survivor, scene.via
    if not name or not via or name in scene.members:
        return None
    members, own = ", ".join(scene.members), scene.facts.nodes[name].membership
    look = ("ctmupgrade recover",)
    if not isinstance(own, Unknown) and own.clustered:
        return _keeping_the_other(scene, members)
    if len(scene.members) > 1:
        return Advice(
            f"{members} form a cluster, and {name} is not in it; a new one is made only where at most one node forms one",
            look,
        )
    return Advice(f"{via} forms a cluster, and it is not known that {name} has far more keys or users", look)


def _keeping_the_other(scene: Scene, members: str) -> Advice:
    """Return how a person keeps the cluster of the survivor that was named: `cluster delete` ends the other one only when one
    member is left in it."""
    name, via = scene.known.survivor, scene.via
    text = f"{members} and {name} are in different clusters; to keep that of {name}"
    again = scene.again(rejoin=tuple(n for n in scene.members if n in scene.facts.nodes))
    if len(scene.members) == 1:
        return Advice(f"{text}, name {via} in --rejoin as well", (again,))
    lines = identity.leaving_alone(scene, via, scene.members.values())
    return Advice(
        f"{text}, leave {via} alone in the other by hand, then name {members} in --rejoin as well; or ask vendor support",
        (*lines, again),
    )
