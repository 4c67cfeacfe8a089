"""Members that do not answer, and nodes that answer but are not ready members.

Removed nodes hold the whole old data until their own reset or join (vendor page "Clusters and Nodes").
"""

from __future__ import annotations

from datetime import datetime

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.recovery import copies, identity, joins
from ctmupgrade.core.recovery.nodes import failed_log
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, advise, together
from ctmupgrade.core.recovery.scene import JOINING, LEAVING, OperatorInput, Scene

_QUEUES = "the other nodes queue changes for it; their disks will eventually fill"


# -- members that do not answer -----------------------------------------------------------------------------


def silent_appliance(scene: Scene) -> Part:
    """Return that the one appliance of a standalone set-up does not answer."""
    return together(
        Part((Trouble(f"{name} does not answer", name, True, "out", "", Urgency.NOW),))
        + advise("bring it back at its console; a backup cannot be restored before it answers")
        for name in scene.silent
    )


def silent(scene: Scene) -> Part:
    """Return the nodes that do not answer. Those that are gone for good are removed now, where no other member is
    joining."""
    if len(scene.silent) == len(scene.facts.nodes):
        return _all_silent(scene)
    found = together(_silent(scene, name, scene.members.get(name)) for name in scene.silent)
    if not scene.joining:
        found += joins.remove_gone(scene)
    answer = [name for name in scene.known.gone if name not in scene.silent]
    return found + together(
        advise(
            f"{name} answers, so it is not removed as gone. To take it out and join it again",
            scene.again(rejoin=(name,)),
        )
        for name in answer
    )


def _all_silent(scene: Scene) -> Part:
    """Return that no node answers: where all are out at once, the way to them may be what is broken."""
    troubles = tuple(
        Trouble(
            f"{name} does not answer",
            name,
            True,
            "out",
            "as far as this machine can see, they serve no clients",
        )
        for name in scene.silent
    )
    text = (
        "no node answers: check first whether this machine can still reach them (its network, a VPN, a jump host); "
        "then bring all of them back at their consoles, before anything is restored. Their data is not touched"
    )
    return Part(troubles) + advise(text)


def _silent(scene: Scene, name: str, member: Member | None) -> Part:
    if alive := scene.seen_alive_by(name):
        return _cut_off(scene, name, alive)
    given_up = name in scene.known.gone
    if member is None and scene.via and given_up and not scene.foreign:
        return advise(f"{name} is no longer a member; remove it from cluster.yaml")
    seen = f"; {scene.via} reports it as {_quoted(member)}" if member else ""
    left = _QUEUES if member is not None else "it serves no clients until it is back"
    trouble = Trouble(f"{name} does not answer{seen}", name, explains=True, state="out", if_left=left)
    return Part((trouble,), (_bring_back(scene, name, member, given_up=given_up),))


def _cut_off(scene: Scene, name: str, seen: tuple[str, ...]) -> Part:
    """Return that only the way from this machine to a node is broken: the cluster works with it, so it is not removed."""
    words = f"{' and '.join(seen)} list{'s' if len(seen) == 1 else ''} it as ready and connected"
    trouble = Trouble(
        f"{name} does not answer this machine; {words}", name, explains=True, state="out of this machine's reach",
        if_left="as its cluster sees it, it serves clients",
    )  # fmt: skip
    asks = OperatorInput(
        tuple(n for n in scene.known.gone if n != name), scene.known.rejoin, scene.known.survivor
    )
    kept = "it is not removed; " if name in scene.known.gone else ""
    text = (
        f"{name}: {kept}fix the way from this machine to it (its network, a VPN, a jump host), or use another machine. If it went "
        "out a moment ago, wait until no other node lists it as ready; if it shall go, power it off first. Then check again"
    )
    return Part((trouble,)) + advise(text, f"ctmupgrade recover{asks.words}")


def _bring_back(scene: Scene, name: str, member: Member | None, *, given_up: bool) -> Advice:
    if member is None:
        return Advice(f"{name}: bring it back at its console; its data is not touched")
    if given_up:
        return Advice(
            f"{name}: afterwards remove it from cluster.yaml; reset the node before it is ever used again"
        )
    lacks = " (one of two nodes: the cluster may then have no quorum)" if len(scene.members) == 2 else ""
    text = f"{name}: bring it back at its console. If it is gone for good, remove it{lacks}"
    return Advice(text, (scene.again(gone=name),))


def _quoted(member: Member) -> str:
    return f'"{member.description or member.code}"' if member.code else "without a state yet"


# -- nodes that answer but are not ready members ------------------------------------------------------------


def apart(scene: Scene, before: Part) -> Part:
    """Return the nodes that answer but are not ready members, as the node ``scene.via`` reports them, and their way
    back into the cluster. What is done for a node already, in ``before``, comes first."""
    others = [
        n for n in scene.facts.nodes if n != scene.via and n not in scene.silent and not before.concerns(n)
    ]
    found, back = Part(), []
    for name in others:
        seen = _apart(scene, name, scene.members.get(name))
        found += seen or Part()
        back += [name] if seen is not None and not seen.advice else []
    kept, free = copies.kept(scene, back, scene.via)
    return found + Part(advice=kept) + joins.take_all_back(scene, free)


def _apart(scene: Scene, name: str, member: Member | None) -> Part | None:
    """Return what is wrong with a node, with advice where it is not to be taken back; None where it is fine."""
    named = name in scene.known.rejoin
    if member is not None and member.ready and not named:
        return None
    if scene.held_back(name) and member is None:
        text = f"{name} is held back with the old data; when nobody needs it any longer, take it back, which erases it"
        return advise(text, scene.again(rejoin=(name,)))
    doubt = _doubt(scene, name, member)
    more = () if doubt is None else (doubt, *copies.kept(scene, [name], scene.via)[0])
    return Part((_trouble_apart(scene, name, member),), more)


def _trouble_apart(scene: Scene, name: str, member: Member | None) -> Trouble:
    alone = f"what clients write to {name} does not reach the others, and is lost when it joins again"
    if member is None:
        return Trouble(f"{scene.via} does not list {name}", name, True, "outside the cluster", alone)
    if member.ready:
        return Trouble(f"{name} is taken out and joined again, as asked", name, True, "to be joined again")
    says = f"{scene.via} reports {name} as {_quoted(member)}"
    if member.code in JOINING:
        return Trouble(
            f"{says}, {_since(scene, name)}", name, True, "joining", "the join may end by itself",
            Urgency.NO_HURRY,
        )  # fmt: skip
    if member.code == "k":
        return Trouble(
            f"{says}: its join failed, or it was taken out", name, True, "out of the cluster", alone
        )
    return Trouble(says, name, True, "out", f"{_QUEUES}; {alone}")


def _since(scene: Scene, name: str) -> str:
    """Return since when a node is joining, as far as this machine's journals know."""
    began: datetime | None = scene.past.joins.get(name)
    if began is None:
        return "since when is not known: no run on this machine started this join"
    minutes = int((scene.facts.at - began).total_seconds() // 60)
    return f"since {began.astimezone(scene.facts.at.tzinfo):%Y-%m-%d %H:%M} ({minutes} min)"


def _doubt(scene: Scene, name: str, member: Member | None) -> Advice | None:
    """Return why an operator must name a node before it is taken back, or take its cluster apart; None where nothing speaks against
    it."""
    bound = identity.bound(scene, name) if member is None else None
    if name in scene.known.rejoin:
        return bound
    again = (copies.giving_up(scene, name, scene.via),)
    if member is not None and member.code in JOINING:
        return Advice(
            f"{name}: {_how_stuck(scene, name)}; its own data was erased when the join began", again
        )
    if member is not None and member.code in LEAVING:
        return Advice(f"{name}: it is being removed; wait a few minutes, then check again", (scene.again(),))
    if member is not None and member.code != "k":
        return Advice(
            f"{name}: it answers, but {scene.via} has no connection to it: check port 5432 and the clocks of both. "
            f"If both are in order, join it again, which erases it{_and_has_more(scene, name)}",
            again,
        )
    if others := identity.other_cluster(scene, name):
        return bound or Advice(
            f"{name} is in another cluster, with {', '.join(others)}: {identity.WHICH} join {name} again, which erases it",
            again,
        )
    if failed_log(scene.facts.nodes[name], scene.cluster.target.version):
        return Advice(
            f"{name}: it stays outside the cluster with its data until you know that nobody needs that data; then join it "
            "again, which erases it",
            again,
        )
    return _doubt_of_data(scene, name, again)


def _and_has_more(scene: Scene, name: str) -> str:
    """Return that a node has more than the member that it would join, in words to be added."""
    if not scene.richer(name, scene.via):
        return ""
    return f". It has {scene.keys(name)} keys and {scene.via} has {scene.keys(scene.via)}: find out first why, for the others would be lost"


def _how_stuck(scene: Scene, name: str) -> str:
    """Return whether a join is to be waited for, or ended."""
    began, longest = scene.past.joins.get(name), scene.cluster.timeouts.join
    if began is not None and scene.facts.at - began > longest:
        return f"it has been joining for longer than timeouts.join ({longest}), so it hangs: end the join and start it again"
    return (
        "a join takes 30 minutes or more; never restart anything on it during that time, and check again later. If it "
        "is still joining after 30 more minutes, it hangs: end the join and start it again"
    )


def _doubt_of_data(scene: Scene, name: str, again: tuple[str, ...]) -> Advice | None:
    if name in scene.past.alone:
        return Advice(
            f"{name} stays outside the cluster with its data: it kept the cluster's data when the others were removed, and what "
            "clients wrote to it then is on it alone. If nobody needs that data, join it again, which erases it",
            again,
        )
    if scene.lacks(scene.via, name):
        return None  # said by who compares them
    if scene.richer(name, scene.via):
        has = f"it has more keys than {scene.via} ({scene.keys(name)}, not {scene.keys(scene.via)})"
        return Advice(
            f"{name} stays outside the cluster with its data: {has}, so {scene.via} may not have the cluster's data. Find out "
            "which of them clients used. If nobody needs what is on it, join it again, which erases it",
            again,
        )
    lone = sum(m.ready for m in scene.members.values()) == 1
    # A rebuild that was aborted proves it as well: its survivor kept the data when the others were removed.
    proven = {scene.past.survivor, scene.known.survivor, *scene.past.alone}
    vouched = scene.via in proven or name in scene.emptied
    if lone and not vouched:
        return Advice(
            f"{name}: {scene.via} is alone in its cluster, and no journal here proves that its data is the cluster's. "
            f"If it is, name it; that erases {name} and joins it",
            (scene.again(survivor=scene.via),),
        )
    return None
