"""What a person wants to know first: who is out, who serves, how soon to act, what is lost, and what happens when
nothing is done until morning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.facts import fresh_manifest
from ctmupgrade.core.plan.steps import MakeBackup, NewCluster, RemoveNode, ResetNode, Step
from ctmupgrade.core.recovery.identity import mixed_up
from ctmupgrade.core.recovery.result import Trouble, Urgency
from ctmupgrade.core.recovery.scene import JOINING, Scene


@dataclass(frozen=True, slots=True)
class Service:
    """Who serves clients.

    :ivar serving: nodes that clients may use: those of the cluster, or where none is formed each by itself.
    :ivar strays: nodes that answer clients although they are apart from the cluster: what is written there is lost
        to it. None is told where urls do not tell nodes apart.
    :ivar unsure: nodes that their urls do not tell apart: some of them serve, and which is not known.
    """

    serving: tuple[str, ...]
    strays: tuple[str, ...] = ()
    together: bool = True
    unsure: tuple[str, ...] = ()


NO_BACKUP = "NO backup of it is made"


def service_of(scene: Scene) -> Service:
    """Return who serves clients now."""
    nodes = scene.facts.nodes
    bad = {p.node for p in health.service_problems(nodes)}
    mixed = mixed_up(scene)
    unsure = tuple(n for n in nodes if n in mixed)
    good = tuple(n for n in nodes if n not in scene.silent and n not in bad and n not in mixed)
    full = tuple(n for n in good if n not in scene.emptied)
    if scene.standalone:
        return Service(good)
    if not scene.via:
        return Service(full if not scene.all_named else good, together=scene.all_named, unsure=unsure)
    members = tuple(n for n in good if n in scene.members and scene.members[n].ready)
    joining = {n for n, m in scene.members.items() if m.code in JOINING}
    strays = () if unsure else tuple(n for n in full if n not in members and n not in joining)
    return Service(members, strays, unsure=unsure)


def works(scene: Scene) -> tuple[str, ...]:
    """Return what works meanwhile, for clients."""
    return tuple(_works(scene, service_of(scene)))


def _works(scene: Scene, service: Service) -> Iterator[str]:
    serving = ", ".join(service.serving)
    if service.unsure:
        if serving:
            yield f"serving clients: {serving}"
        yield f"{_not_known(service)}: their urls do not tell them apart"
    elif not serving:
        yield "no node is known to serve clients"
    elif not service.together:
        yield f"serving clients, each separately: {serving}; what clients write to one of them does not reach the others"
    elif len(service.serving) > 1 or scene.standalone:
        yield f"serving clients: {serving}"
    else:
        yield f"serving clients: {serving} alone, without high availability"
    if service.strays:
        strays = ", ".join(service.strays)
        yield f"{strays} may answer clients but is outside the cluster: clients must not use it"


def _not_known(service: Service) -> str:
    return f"which of {', '.join(service.unsure)} serves clients is not known"


def urgency_of(wrong: Sequence[Trouble], scene: Scene) -> Urgency:
    """Return how soon somebody must act."""
    if not wrong:
        return Urgency.NONE
    most = max(trouble.urgency for trouble in wrong)
    service = service_of(scene)
    if service.unsure:
        return most
    serving = len(service.serving)
    if most is not Urgency.WAIT and serving == 0:
        return max(most, Urgency.TODAY if _may_serve(scene) else Urgency.NOW)
    if serving == 1 and len(scene.facts.nodes) > 1:
        return max(most, Urgency.TODAY)
    return most


def _may_serve(scene: Scene) -> bool:
    """Return whether some node answers, and all that speaks against its serving clients is that it does not tell."""
    bad = {p.node for p in health.service_problems(scene.facts.nodes) if not p.unknown}
    return any(n not in bad and n not in scene.silent for n in scene.facts.nodes)


def headline(wrong: Sequence[Trouble], scene: Scene) -> str:
    """Return all of it in one sentence."""
    service = service_of(scene)
    clients = _clients(service, scene)
    if not wrong:
        return f"nothing is wrong; {clients}"
    alone = len(service.serving) == 1 and len(scene.facts.nodes) > 1
    if alone and not service.unsure:
        clients += " alone, without high availability"
    what = "no node answers" if len(scene.silent) == len(scene.facts.nodes) else _what(wrong)
    return "; ".join((what, clients, urgency_of(wrong, scene).words))


def _clients(service: Service, scene: Scene) -> str:
    """Return by whom clients are served, after "...; "."""
    served = f"clients are served by {_names(service.serving, scene)}" if service.serving else ""
    if served and not service.together:
        served += ", each separately"
    if service.unsure:
        return "; ".join(part for part in (served, _not_known(service)) if part)
    return served or "no node is known to serve clients"


def _names(names: Sequence[str], scene: Scene) -> str:
    """Return names as a reader takes them in at a glance."""
    few = len(names) <= 5
    return ", ".join(names) if few else f"{len(names)} of {len(scene.facts.nodes)} nodes"


def _what(wrong: Sequence[Trouble]) -> str:
    """Return the states of the nodes, equal ones together, and no more of them than a reader takes in."""
    by_state: dict[str, list[str]] = {}
    told: set[str] = set()
    worst_first = sorted(wrong, key=lambda one: -one.urgency)
    for trouble in worst_first:
        if trouble.state and trouble.node and trouble.node not in told:
            told.add(trouble.node)
            by_state.setdefault(trouble.state, []).append(trouble.node)
    sentences = dict.fromkeys(trouble.sentence for trouble in worst_first if trouble.sentence)
    each = [f"{_some(n)} {'is' if len(n) == 1 else 'are'} {state}" for state, n in by_state.items()]
    said = [*sentences, *each] or [wrong[0].text]
    rest = len(said) - 3
    return "; ".join(said[:3]) + (f"; and {rest} more" if rest > 0 else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def if_left(wrong: Iterable[Trouble]) -> tuple[str, ...]:
    """Return what happens when nothing is done until morning; equal words once, with all the nodes they are about."""
    by_text: dict[str, list[str]] = {}
    for trouble in wrong:
        if trouble.if_left:
            about = by_text.setdefault(trouble.if_left, [])
            about += [trouble.node] if trouble.node and trouble.node not in about else []
    lines = tuple(f"{', '.join(names)}: {text}" if names else text for text, names in by_text.items())
    return lines or ("nothing gets worse by itself, as far as is known",)


def losses(scene: Scene, steps: Sequence[Step]) -> tuple[str, ...]:
    """Return what the way back loses for good."""
    if not steps:
        return ()
    lost = tuple(dict.fromkeys(_losses(scene, steps)))
    return lost or ("nothing; no node is removed or erased",)


def _losses(scene: Scene, steps: Sequence[Step]) -> Iterator[str]:
    saved = {s.node for s in steps if isinstance(s.action, MakeBackup)}
    base = next((s.node for s in steps if isinstance(s.action, NewCluster)), scene.via)
    for one in steps:
        match one.action:
            case ResetNode():
                here = fresh_manifest(scene.facts, one.node)
                none = (
                    "no new backup of it is made; the downloaded one may lack the last of it"
                    if here
                    else NO_BACKUP
                )
                said = _erased(scene, one.node, "a backup of it is made first" if one.node in saved else none)
                short = scene.lacks(base, one.node)
                if not short and scene.richer(one.node, base):
                    short = f"{scene.keys(base)} of {scene.keys(one.node)} keys"
                yield f"{said}. {base} has {short} that it has" if short else said
            case RemoveNode(force=True):
                yield f"{one.node}: what clients wrote to it that had not reached the others when it went out"
            case NewCluster() if scene.past.survivor and scene.past.survivor != one.node:
                kept = scene.past.survivor
                yield f"{kept}: what clients wrote to it after the others were removed is not in the new cluster"
            case _:
                pass


def _erased(scene: Scene, name: str, backup: str) -> str:
    member = scene.members.get(name)
    if member is not None and member.code in JOINING:
        return f"{name}: no data (it was erased when the join began); the backups on it and its HSM set-up"
    if name in scene.partial:
        return (
            f"{name}: the part of the data that a join brought it ({scene.part_of(name)}), the backups on it, its HSM set-up "
            f"({backup})"
        )
    if scene.as_new(name):
        return f"{name}: no data (it has no key, and no user but the first); the backups on it and its HSM set-up"
    if name in scene.emptied:
        return f"{name}: no data (it was erased before); the backups on it and its HSM set-up"
    return f"{name}: everything on it: what clients wrote to it alone, the backups on it, its HSM set-up ({backup})"
