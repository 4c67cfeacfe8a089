"""What is wrong with a cluster, what works meanwhile, and the way back as steps like any other.

It proposes nothing that loses the last copy of the data: nodes are reset or joined only into a cluster that
another healthy node forms, and a node that does not answer is removed only when an operator says that it is
gone. Where the only honest answer is vendor support, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ctmupgrade.core import health
from ctmupgrade.core.facts import Facts, LogVerdict, Manifest, Member, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster, StrategyName, Version
from ctmupgrade.core.releases import backup_fits
from ctmupgrade.core.steps import (
    Action,
    AwaitNode,
    DeleteClusterConfig,
    JoinNode,
    NewCluster,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    Settle,
    Step,
)
from ctmupgrade.core.timing import BOOT_S, JOIN_S, QUICK_S, SERVICES_S

JOINING = frozenset(("creating", "b", "i", "c", "o"))


@dataclass(frozen=True, slots=True)
class Known:
    """What only the operator knows: nodes that are gone for good, nodes to take out and join anew, and the
    node whose data counts when no cluster is left."""

    gone: tuple[str, ...] = ()
    rejoin: tuple[str, ...] = ()
    survivor: str = ""


@dataclass(slots=True)
class Diagnosis:
    """:ivar support: only vendor support can help with what ``wrong`` says."""

    wrong: list[str] = field(default_factory=list)
    works: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    support: bool = False

    def add(self, kind: str, node: str, action: Action, why: str, seconds: int) -> None:
        """One more step, after all others: recovery does one thing at a time."""
        after = (self.steps[-1].id,) if self.steps else ()
        self.steps.append(Step(f"{kind}:{node}", node, action, why, after, seconds))


def diagnose(facts: Facts, cluster: Cluster, known: Known) -> Diagnosis:
    """The diagnosis of what was seen."""
    found = Diagnosis()
    nodes = facts.nodes
    busy = [n for n, f in nodes.items() if isinstance(f.processes, tuple) and f.processes]
    if busy:
        found.wrong.append(f"ks_upgrade.sh runs on {', '.join(busy)}")
        found.advice.append(
            "leave it alone: never reboot a node meanwhile; ctmupgrade resume follows its own run"
        )
        return found
    silent = [n for n, f in nodes.items() if _silent(f)]
    _pending_reboots(found, facts, cluster)
    _services(found, nodes, [step.node for step in found.steps])
    if cluster.strategy is not StrategyName.STANDALONE:
        _membership(found, facts, cluster, known, silent)
    elif silent:
        found.wrong += [f"{n} does not answer" for n in silent]
        found.advice.append("bring it back at its console; a backup is no use before it answers")
    _versions(found, nodes, cluster)
    _works(found, nodes, silent)
    if found.support or len(silent) == len(nodes):
        found.support = True
        found.advice += list(_restores(facts.manifests, cluster))
        found.advice.append("vendor support; ctmupgrade report --bundle FILE packs what they will ask for")
    return found


def _silent(facts: NodeFacts) -> bool:
    return isinstance(facts.system, Unknown) and isinstance(facts.shell, Unknown)


def _works(found: Diagnosis, nodes: Mapping[str, NodeFacts], silent: Sequence[str]) -> None:
    bad = {p.node for p in health.service_problems(nodes)}
    good = [n for n in nodes if n not in silent and n not in bad]
    found.works.append(f"serving: {', '.join(good)}" if good else "no node serves")


def _pending_reboots(found: Diagnosis, facts: Facts, cluster: Cluster) -> None:
    """An upgrade that ended well before its reboot: nothing but the reboot is missing."""
    for name, node in facts.nodes.items():
        if isinstance(node.logs, Unknown) or isinstance(node.version, Unknown):
            continue
        last = next((log for log in reversed(node.logs) if log.verdict is LogVerdict.SUCCEEDED), None)
        if last is None or Version.parse(last.version).release <= node.version.release:
            _failed_upgrade(found, name, node)
            continue
        found.wrong.append(f"{name}: the upgrade to {last.version} succeeded and waits for its reboot")
        if Version.parse(last.version).release != cluster.target.version.release:
            found.advice.append(f"{name}: that is not cluster.yaml's target; correct target.version first")
            continue
        clustered = cluster.strategy is not StrategyName.STANDALONE
        found.add("reboot", name, Reboot(), "its upgrade waits for it", BOOT_S)
        found.add("await", name, AwaitNode(clustered), "it must come back on the target", SERVICES_S)
        seconds = int(cluster.stable_for.total_seconds())
        found.add("settle", name, Settle(clustered), "and stay well", seconds)


def _failed_upgrade(found: Diagnosis, name: str, node: NodeFacts) -> None:
    """An upgrade whose log ends without the success line, newer than any that has it."""
    if isinstance(node.logs, Unknown) or not node.logs:
        return
    last = node.logs[-1]
    if last.verdict is LogVerdict.SUCCEEDED:
        return
    found.wrong.append(
        f"{name}: its last upgrade has no success line ({last.path}: {last.last_line or 'empty'})"
    )
    found.advice.append(
        f"{name}: do not reboot it; read the log; when the cause is mended: ctmupgrade node retry RUN {name}, resume"
    )


def _services(found: Diagnosis, nodes: Mapping[str, NodeFacts], handled: Sequence[str]) -> None:
    for name, node in nodes.items():
        problems = [p for p in health.service_problems({name: node}) if not p.unknown]
        if name in handled or not problems:
            continue
        found.wrong.append(str(problems[0]))
        if isinstance(node.services, Unknown):
            found.advice.append(
                f"{name}: sudo systemctl restart keysecure   # its control plane does not answer"
            )
        else:
            found.add("restart-services", name, RestartServices(), "its services are not started", SERVICES_S)


def _versions(found: Diagnosis, nodes: Mapping[str, NodeFacts], cluster: Cluster) -> None:
    known = {n: f.version for n, f in nodes.items() if not isinstance(f.version, Unknown)}
    if len({v.release for v in known.values()}) > 1:
        listing = ", ".join(f"{n} {v}" for n, v in known.items())
        found.wrong.append(f"mixed versions: {listing}")
        found.advice.append("finish the upgrade as soon as possible: ctmupgrade resume, or run")
    del cluster


def _cluster_members(nodes: Mapping[str, NodeFacts], cluster: Cluster) -> tuple[str, dict[str, Member]]:
    """(a healthy member to act through, its view by name); "" where there is none."""
    ids = health.names_by_id(nodes)
    best: tuple[str, dict[str, Member]] = ("", {})
    for name, node in nodes.items():
        if isinstance(node.members, Unknown) or isinstance(node.membership, Unknown):
            continue
        if not node.membership.clustered or node.membership.code not in ("r",):
            continue
        view = {health.name_of(m, ids, cluster) or m.host: m for m in node.members}
        ready = sum(m.ready for m in view.values())
        if ready > sum(m.ready for m in best[1].values()):
            best = (name, view)
    return best


def _membership(
    found: Diagnosis, facts: Facts, cluster: Cluster, known: Known, silent: Sequence[str]
) -> None:
    via, view = _cluster_members(facts.nodes, cluster)
    if not via:
        _no_cluster(found, facts, cluster, known, silent)
        return
    for name in facts.nodes:
        member = view.get(name)
        if name in silent or name in known.gone:
            _gone(found, name, via, member, known)
        elif name != via:
            _one(found, facts.nodes[name], name, via, member, known)


def _gone(found: Diagnosis, name: str, via: str, member: Member | None, known: Known) -> None:
    found.wrong.append(
        f"{name} does not answer" + (f" and is {member.description or member.code}" if member else "")
    )
    if member is None:
        return
    if name in known.gone:
        action = RemoveNode(via, member.node_id, force=True)
        found.add("remove", name, action, "gone for good: the others stop storing changes for it", QUICK_S)
    else:
        found.advice.append(
            f"{name}: bring it back; or, where it is gone for good: ctmupgrade recover --gone {name} (until then the "
            "others keep its catch-up data, which fills their disks in the end)"
        )


def _one(found: Diagnosis, node: NodeFacts, name: str, via: str, member: Member | None, known: Known) -> None:
    """A node that answers, in the eyes of a healthy member."""
    if any(step.node == name for step in found.steps):
        return  # what is being done for it comes first
    if member is not None and member.ready and name not in known.rejoin:
        return
    state = "not listed" if member is None else member.description or member.code
    found.wrong.append(f"{name} is {state} in the eyes of {via}")
    if member is None or member.code == "k" or name in known.rejoin:
        _take_back(found, node, name, via, member)
    elif member.code in JOINING:
        found.advice.append(
            f"{name}: a join may take 30 minutes and more; never restart it meanwhile. Where it is stuck: "
            f"ctmupgrade recover --rejoin {name}"
        )
    else:
        found.advice.append(
            f"{name}: it answers, but {via} has no connection to it: port 5432 and the clocks of both; where that is "
            f"in order: ctmupgrade recover --rejoin {name}"
        )


def _take_back(found: Diagnosis, node: NodeFacts, name: str, via: str, member: Member | None) -> None:
    if isinstance(node.membership, Unknown):
        found.advice.append(f"{name}: its control plane must answer before it can join again")
        return
    if member is not None:
        found.add("remove", name, RemoveNode(via, member.node_id), "its membership is broken", QUICK_S)
    if node.membership.clustered or member is not None:
        found.add("delete-cluster", name, DeleteClusterConfig(), "so that it can join again", QUICK_S)
    found.add("reset", name, ResetNode(), f"its data is erased; {via} holds the cluster's", SERVICES_S)
    found.add("join", name, JoinNode(via), f"back into the cluster through {via}", JOIN_S)


def _no_cluster(
    found: Diagnosis, facts: Facts, cluster: Cluster, known: Known, silent: Sequence[str]
) -> None:
    """Nobody forms a cluster: a rebuild that stopped between its deletion and the new one."""
    able = [n for n in facts.nodes if n not in silent and _well(facts.nodes[n])]
    if not able:
        found.wrong.append("no node forms a cluster, and none is well")
        found.support = True
        return
    found.wrong.append("no node forms a cluster")
    base = known.survivor
    if not base:
        candidates = ", ".join(f"{n} ({facts.nodes[n].version})" for n in able)
        found.advice.append(
            f"name the node whose data counts: ctmupgrade recover --survivor NODE; well are: {candidates}"
        )
        return
    if base not in able:
        found.advice.append(f"{base} is not well; well are: {', '.join(able)}")
        return
    found.add("new-cluster", base, NewCluster(), "its data becomes the cluster's", QUICK_S)
    same = facts.nodes[base].version
    for name in able:
        if name == base:
            continue
        if facts.nodes[name].version == same:
            found.add("join", name, JoinNode(base), f"its data is erased; {base} holds the cluster's", JOIN_S)
        else:
            found.advice.append(
                f"{name} has version {facts.nodes[name].version}, not {same}: upgrade it alone, then recover again"
            )


def _well(node: NodeFacts) -> bool:
    return not list(health.service_problems({node.name: node})) and not isinstance(node.version, Unknown)


def _restores(manifests: Sequence[Manifest], cluster: Cluster) -> Iterator[str]:
    """Which downloaded backups an appliance of the old or the target's version could take."""
    usable = [m for m in manifests if not m.problem]
    for manifest in sorted(usable, key=lambda m: m.created, reverse=True)[:3]:
        made = Version.parse(manifest.version)
        fits = backup_fits(made, cluster.target.version)
        also = f" or {cluster.target.version.short}" if fits else ""
        yield (
            f"a backup of {manifest.node} from {manifest.created:%Y-%m-%d %H:%M} ({manifest.file}) restores on a fresh "
            f"appliance of {made.short}{also}, never on an older one: ksctl backupkeys upload, backup upload, backup "
            "restore; wait until all services are up before any join"
        )


def renumbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps with ids that occur once."""
    seen: dict[str, int] = {}
    made = []
    for step in steps:
        seen[step.id] = seen.get(step.id, 0) + 1
        made.append(step if seen[step.id] == 1 else replace(step, id=f"{step.id}:{seen[step.id]}"))
    return tuple(made)
