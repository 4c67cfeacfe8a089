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
    :ivar typed: the command, without ``--gone``.
    """

    cluster: Cluster
    nodes: Mapping[str, NodeFacts]
    held: Mapping[str, Holding]
    gone: tuple[str, ...] = ()
    force: bool = False
    typed: str = "ctmupgrade restore"

    def giving_up(self, names: Sequence[str]) -> str:
        """Return the command that was typed, with these nodes given up besides: the whole of it, for one that names a part is
        refused for the rest."""
        named = dict.fromkeys((*self.gone, *names))
        return " ".join((self.typed, *(f"--gone {name}" for name in named)))

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


def still_held(lost: Lost, giving_up: str) -> Iterator[Refusal]:
    """Yield for each node why it may not be given up unasked: it has data, it may have some, it does not answer.

    :param giving_up: the command that gives all of them up, told once; "": there is none that would not be refused.
    """
    keeping = _kept(lost)
    for name in keeping:
        held = lost.held[name]
        match held.state:
            case Holds.DATA:
                text = f"{name} has data: {held.why}. A restore is for a cluster of which nothing is left"
                hint, lost_for = "ctmupgrade recover", f"to give up what is on {name}"
            case Holds.SILENT:
                text = f"{name}: {held.why}: whether it has the cluster's data is not known"
                hint, lost_for = f"bring {name} back and look", "if it is lost for good"
            case _:
                text = f"{name}: {held.why}: whether it has data is not known"
                hint, lost_for = _how_to_know(lost, name), f"to give up whatever is on {name}"
        if len(keeping) > 1:
            lost_for = f"to give up {', '.join(keeping)} with all that is on them"
        told = giving_up and name == keeping[0]
        yield Refusal(text, f"{hint}; {lost_for}: {giving_up}" if told else hint)


def _kept(lost: Lost) -> list[str]:
    return [name for name in lost.held if not lost.may_be_lost(name)]


def _giving_up(lost: Lost, manifest: Manifest, on: str) -> str:
    """The command that gives up every node that is in the way; "" where no node could take the backup even then, as none of
    a living cluster can."""
    if all(_not_first(lost, manifest, name) for name in ([on] if on else lost.nodes)):
        return ""
    return lost.giving_up(_kept(lost))


def _how_to_know(lost: Lost, name: str) -> str:
    membership = lost.nodes[name].membership
    if isinstance(membership, Unknown) and membership.login:
        return "give the new appliance the first password that cluster.yaml names for it (ksctl section)"
    if isinstance(membership, Unknown):
        return f"make its control plane answer: systemctl status keysecure   # on {name}"
    return f"find out why: ksctl keys list --limit 1   # of {name}"


def chosen(lost: Lost, manifest: Manifest, on: str = "") -> RestoreChoice | tuple[Refusal, ...]:
    """Return what is to be done; or why nothing can be, every reason.

    :param on: the node that was asked for; "": it is chosen, and why it says the choice.
    """
    if refusals := tuple(still_held(lost, _giving_up(lost, manifest, on))):
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
    found = {name: _not_joining(lost, name, first) for name in lost.nodes if name != first}
    hindered = {name: hindrance for name, hindrance in found.items() if hindrance}
    joiners = [name for name in lost.nodes if name not in (first, *hindered)]
    left_out = {name: why for name, why in hindered.items() if name in lost.gone}
    refusals = tuple(_cannot_join(lost, first, {n: why for n, why in hindered.items() if n not in lost.gone}))
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


def _cannot_join(lost: Lost, first: str, hindered: Mapping[str, str]) -> Iterator[Refusal]:
    """Why nodes cannot join that nobody gave up; the command that leaves all of them out is told once."""
    its = lost.nodes[first].version
    release = "the same release" if isinstance(its, Unknown) else its.short
    leaving = f"; or leave {'them' if len(hindered) > 1 else 'it'} out: {lost.giving_up(tuple(hindered))}"
    for count, (name, why) in enumerate(hindered.items()):
        remedy = f"bring {name} to {release} first{'' if count else leaving}"
        yield Refusal(f"{name} cannot join {first}: {why}", remedy)
