"""What a restore would do, and why it may not: which backup, onto which node, which others join it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.looks.holding import Holding, Holds
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.problem_of_release import release_problem


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is restored. :ivar remedy: what to do about it, a command where there is one."""

    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost cluster as it was found.

    :ivar nodes: the facts of each. :ivar held: what each holds.
    :ivar gone: the nodes that were given up by name. :ivar force: a backup for other releases was asked for.
    """

    cluster: Cluster
    nodes: Mapping[str, NodeFacts]
    held: Mapping[str, Holding]
    gone: tuple[str, ...] = ()
    force: bool = False

    def may_be_lost(self, name: str) -> bool:
        """Return whether what is on a node may be overwritten: it is nothing, or a person gave it up."""
        return name in self.gone or self.held[name].state is Holds.NOTHING

    def answers(self, name: str) -> bool:
        """Return whether its control plane answers, so that something can be done with it."""
        node = self.nodes[name]
        return not isinstance(node.membership, Unknown) and not isinstance(node.version, Unknown)


@dataclass(frozen=True, slots=True)
class RestoreChoice:
    """What is to be done.

    :ivar first: the node that the backup is restored onto. :ivar why: why this one.
    :ivar joiners: those that join it, in their order. :ivar erased: what is on those of all these whose data was given up.
    :ivar left_out: why a node takes no part, by its name.
    """

    manifest: Manifest
    first: str
    why: str = ""
    joiners: tuple[str, ...] = ()
    erased: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    force: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)


def newest_whole(manifests: Sequence[Manifest]) -> Manifest | None:
    """Return the newest backup whose files are what was downloaded; None where there is none."""
    whole = [one for one in manifests if not one.problem]
    return max(whole, key=lambda one: (one.made_at, one.downloaded or one.made_at), default=None)


def still_held(lost: Lost) -> Iterator[Refusal]:
    """Yield for each node why it may not be given up unasked: it has data, it may have some, it does not answer."""
    for name, held in lost.held.items():
        if lost.may_be_lost(name):
            continue
        by_name = f"ctmupgrade restore --gone {name}"
        match held.state:
            case Holds.DATA:
                text = f"{name} has data: {held.why}. A restore is for a cluster of which nothing is left"
                yield Refusal(text, f"ctmupgrade recover; to give up what is on {name}: {by_name}")
            case Holds.SILENT:
                text = f"{name}: {held.why}: whether it has the cluster's data is not known"
                yield Refusal(text, f"bring {name} back and look; if it is lost for good: {by_name}")
            case _:
                text = f"{name}: {held.why}: whether it has data is not known"
                yield Refusal(
                    text, f"{_how_to_know(lost, name)}; to give up whatever is on {name}: {by_name}"
                )


def _how_to_know(lost: Lost, name: str) -> str:
    membership = lost.nodes[name].membership
    if isinstance(membership, Unknown) and membership.login:
        return "give the new appliance the first password that cluster.yaml names for it (ksctl section)"
    return "find that out"


def chosen(lost: Lost, manifest: Manifest, on: str = "") -> RestoreChoice | tuple[Refusal, ...]:
    """Return what is to be done; or why nothing can be, every reason.

    :param on: the node that was asked for; "": it is chosen, and why it says the choice.
    """
    if refusals := tuple(still_held(lost)):
        return refusals
    able, unable = [], list[Refusal]()
    for name in [on] if on else lost.nodes:
        problem = _not_first(lost, manifest, name)
        able += [] if problem else [name]
        unable += [problem] if problem else []
    if not able:
        return tuple(unable)
    first = _best(lost, manifest, able)
    why = "named by --on" if on else _why(lost, manifest, first, able)
    joiners, left_out = list[str](), dict[str, str]()
    refusals = ()
    for name in (n for n in lost.nodes if n != first):
        hindrance = _not_joining(lost, name, first)
        if not hindrance:
            joiners.append(name)
        elif name in lost.gone:
            left_out[name] = hindrance
        else:
            refusals += (
                Refusal(f"{name} cannot join {first}: {hindrance}", _same_release(lost, name, first)),
            )
    erased = {n: lost.held[n].why for n in (first, *joiners) if lost.held[n].state is not Holds.NOTHING}
    choice = RestoreChoice(
        manifest, first, why, tuple(joiners), erased, lost.gone, lost.force, left_out,
    )  # fmt: skip
    return refusals or choice


def _best(lost: Lost, manifest: Manifest, able: Sequence[str]) -> str:
    own = lost.cluster.own_node

    def rank(name: str) -> tuple[bool, bool, bool]:
        return (name == own, lost.held[name].state is Holds.NOTHING, name == manifest.node)

    return max(able, key=lambda name: (rank(name), -able.index(name)))


def _why(lost: Lost, manifest: Manifest, first: str, able: Sequence[str]) -> str:
    if first == lost.cluster.own_node:
        return "ctmupgrade runs on it, and every other node is erased when it joins"
    if first == manifest.node:
        return "the backup was made on it; --on chooses another"
    if len(able) == 1:
        return "it is the only one that can take this backup"
    return "it is the first in cluster.yaml that can take this backup; --on chooses another"


def _not_first(lost: Lost, manifest: Manifest, name: str) -> Refusal | None:
    """Why the backup cannot be restored onto a node."""
    held, own = lost.held[name], lost.cluster.own_node
    if not lost.answers(name):
        return Refusal(
            f"{name}: nothing can be restored onto it: its control plane does not answer",
            f"bring {name} back",
        )
    if own and name != own:
        return Refusal(
            f"{name}: not first: {own}, on which ctmupgrade runs, would be erased when it joins",
            f"--on {own}",
        )
    if name == own and name in lost.gone and held.state is not Holds.NOTHING:
        return Refusal(
            f"{name}: ctmupgrade runs on it, so that it cannot be erased from here: run it on another machine"
        )
    if held.others:
        return Refusal(
            f"{name}: a backup cannot be restored onto a member of a cluster: {held.why}",
            f"name one that is in none (--on), or take {name} out first: ksctl services reset   # on {name}; ERASES it",
        )
    return _hsm_problem(lost, manifest, name) or _release(lost, manifest, name)


def _release(lost: Lost, manifest: Manifest, name: str) -> Refusal | None:
    problem = release_problem(manifest.version, lost.nodes[name].version, forced=lost.force)
    return Refusal(f"{name}: {problem.why}", problem.remedy) if problem else None


def _hsm_problem(lost: Lost, manifest: Manifest, name: str) -> Refusal | None:
    """A tied backup opens only with the HSM partition that it was made with (docs/appliance.md 3)."""
    if not manifest.tied_to_hsm:
        return None
    here = lost.nodes[name].hsm
    if isinstance(here, Unknown):
        return Refusal(
            f"{name}: the backup is tied to an HSM, and which HSM {name} uses cannot be read: {here.why}"
        )
    remedy = f"ksctl hsm setup ...   # on {name}: the same partition and root of trust as before; it RESETS the appliance"
    mine = {one.words for one in here}
    if not mine:
        return Refusal(f"{name}: the backup is tied to an HSM, and {name} uses none", remedy)
    if manifest.hsm is not None and not mine & set(manifest.hsm):
        was = ", ".join(manifest.hsm) or "none"
        return Refusal(
            f"{name}: the backup is tied to HSM partition {was}, and {name} uses {', '.join(sorted(mine))}",
            remedy,
        )
    return None


def _not_joining(lost: Lost, name: str, first: str) -> str:
    """Why a node cannot join the restored one; "" where it can."""
    if not lost.answers(name):
        return "its control plane does not answer"
    mine, its = lost.nodes[name].version, lost.nodes[first].version
    if isinstance(mine, Unknown) or isinstance(its, Unknown):
        return "its release is not known"
    if mine.identity != its.identity:
        return f"it has {mine} and {first} has {its}, and a join needs the same release"
    return ""


def _same_release(lost: Lost, name: str, first: str) -> str:
    its = lost.nodes[first].version
    release = "the same release" if isinstance(its, Unknown) else its.short
    return f"bring {name} to {release} first; or leave it out: ctmupgrade restore --gone {name}"
