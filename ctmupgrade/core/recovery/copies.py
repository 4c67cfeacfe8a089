"""Who has more data than whom, as the nodes tell now: no node is erased for one that has far less, unless a person gives
up what it has."""

from __future__ import annotations

from collections.abc import Sequence

from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.recovery import identity
from ctmupgrade.core.recovery.nodes import collecting
from ctmupgrade.core.recovery.result import Advice, Part, Trouble
from ctmupgrade.core.recovery.scene import Scene


def kept(scene: Scene, names: Sequence[str], base: str) -> tuple[tuple[Advice, ...], list[str]]:
    """Return why some of these nodes are not erased to join another, and what a person can do; and those that may be erased: the
    other has at least half of what they have, or a person has named both. What is equal for several is told once."""
    poor = [n for n in names if scene.lacks(base, n) and not scene.both_named(n, base)]
    if not poor:
        return (), list(names)
    alike: dict[str, list[str]] = {}
    for name in poor:
        alike.setdefault(scene.lacks(base, name), []).append(name)
    said = tuple(Advice(_not_erased(found, base, short)) for short, found in alike.items())
    give_up = Advice(_give_up(poor), (scene.again(rejoin=tuple(poor), survivor=base),))
    return (*said, *_as_base(scene, poor, base), give_up), [n for n in names if n not in poor]


def _not_erased(names: Sequence[str], base: str, short: str) -> str:
    one = len(names) == 1
    who, whose = ", ".join(names), names[0] if one else "each of them"
    return (
        f"{who} {'is' if one else 'are'} not erased: {base} has {short} that {whose} has, so {base} may not have the cluster's "
        "data. Find out which of them clients used"
    )


def _give_up(names: Sequence[str]) -> str:
    who = ", ".join(names)
    if len(names) == 1:
        return f"to give up what only {who} has, name both; that erases {who} and joins it"
    return f"to give up what only {who} have, name all; that erases them and joins them, one after another"


def giving_up(scene: Scene, name: str, base: str) -> str:
    """Return the command that takes a node back, which erases it; where it has far more than the base it names both."""
    return scene.again(rejoin=(name,), survivor=base if scene.lacks(base, name) else "")


def _as_base(scene: Scene, names: Sequence[str], base: str) -> tuple[Advice, ...]:
    """Return how the cluster gets the data of one of the nodes that have more."""
    whole = [n for n in names if _may_be_base(scene, n, base)]
    told: tuple[Advice, ...] = ()
    if whole:
        whose = whole[0] if len(whole) == 1 else "one of them"
        told = (
            Advice(
                f"to make the data of {whose} the cluster's", tuple(scene.again(survivor=n) for n in whole)
            ),
        )
    return (*told, *(_by_support(scene, n) for n in names if n not in whole))


def _may_be_base(scene: Scene, name: str, base: str) -> bool:
    own = scene.facts.nodes[name].membership
    apart = not isinstance(own, Unknown) and not own.clustered
    return name not in scene.members and apart and set(scene.formed) <= {base}


def _by_support(scene: Scene, name: str) -> Advice:
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
    others = _as_base(scene, more, scene.formed[0]) if more else ()
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
