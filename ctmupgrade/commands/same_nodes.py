"""Whether the addresses of a run that is resumed still lead to its nodes: cluster.yaml may have changed since it began.

A node that has another address by now is proven to be the same by its boot id, or by the run's mark on it where every
other node is another appliance; its control plane by the node's id in the cluster. A corrected address is thus taken, and
one that leads elsewhere is refused: the run would go on on an appliance that it never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ctmupgrade.collect.ask import ask
from ctmupgrade.commands import node_marks
from ctmupgrade.commands.same_cluster import boots_of
from ctmupgrade.core.looks import ksctl_probes, shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.model import LOCAL, Cluster, Node
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.names import Names
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.surroundings import Address
from ctmupgrade.errors import BlockedError
from ctmupgrade.ports import Fleet

_SSH, _HTTPS = 22, 443


def refuse_other_appliances(cluster: Cluster, fleet: Fleet, state: RunState) -> None:
    """Make sure that each node whose address has changed since the run began is the same appliance. Nothing is asked where
    no address has changed, or the journal keeps none, as those of earlier versions.

    :raises BlockedError: one is another appliance, or nothing shows that it is the same; its lines are named.
    """
    looks = _Looks(cluster, fleet, state, {one.node: one for one in state.surroundings.addresses})
    wrong = {node: why for node in cluster.nodes if (why := looks.doubt(node))}
    if not wrong:
        return
    raise BlockedError(
        f"cluster.yaml has other addresses than when run {state.run} began, and they may lead to other appliances: "
        f"{', '.join(node.name for node in wrong)}",
        details="\n".join(f"{node.name}: {why}" for node, why in wrong.items()),
        remedy="\n".join([*(looks.put_back(node) for node in wrong), *looks.when_right()]),
    )


@dataclass(slots=True)
class _Looks:
    """What is asked of the nodes, each once. :ivar was: the addresses when the run began, by node."""

    cluster: Cluster
    fleet: Fleet
    state: RunState
    was: Mapping[str, Address]
    boots: dict[str, Maybe[BootMark]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)  # nodes that did not tell who they are
    unproven: list[str] = field(default_factory=list)  # nodes whose url may be right, and nothing shows it

    def doubt(self, node: Node) -> str:
        """Return why a node may be another appliance than it was; "" where it is proven to be the same, or has its addresses."""
        was = self.was.get(node.name)
        if was is None:
            return ""
        others = {one.cluster_host.lower(): one.node for one in self.was.values() if one.node != node.name}
        if node.cluster_host != was.cluster_host and (other := others.get(node.cluster_host.lower())):
            return f"its cluster_host {node.cluster_host} was that of {other}"
        why = "" if self._same_shell(node, was) else self._doubt_of_shell(node)
        return why or ("" if self._same_url(node, was) else self._doubt_of_url(node))

    def put_back(self, node: Node) -> str:
        """Return the lines of cluster.yaml that are to be put back."""
        was = self.was[node.name]
        pairs = (
            ("host", was.host, node.host), ("port", was.port, node.ssh.port), ("url", was.url, node.url),
            ("cluster_host", was.cluster_host, node.cluster_host),
        )  # fmt: skip
        differ = [(key, old, new) for key, old, new in pairs if old != new]
        lines = ", ".join(f"{key}: {old}" for key, old, _ in differ)
        return f"{lines}   # of {node.name} in cluster.yaml, instead of {', '.join(str(new) for *_, new in differ)}"

    def when_right(self) -> list[str]:
        """Return what to do where the new addresses are right, and a node does not tell who it is: nothing is refused for good."""
        names = " and ".join(dict.fromkeys(self.silent))
        ways = (
            [f"or, where these are right: bring {names} back; then the same command again"] if names else []
        )
        return [*ways, *(_through_shell(self.cluster.node(name)) for name in self.unproven)]

    def _same_shell(self, node: Node, was: Address) -> bool:
        if LOCAL in (node.host, was.host):
            return node.host == was.host
        return node.ssh.port == was.port and _one_host(node.host, was.host, self.cluster.names)

    def _same_url(self, node: Node, was: Address) -> bool:
        new, old = urlsplit(node.url), urlsplit(was.url)
        one_port = (new.port or _HTTPS) == (old.port or _HTTPS)
        same = node.url == was.url or (
            one_port and _one_host(new.hostname or "", old.hostname or "", self.cluster.names)
        )
        if node.ksctl.through_ssh:  # seen from the node itself
            same = same and self._same_shell(node, was)
        return same or self._is_at_shell(node)

    def _is_at_shell(self, node: Node) -> bool:
        """Whether the url leads to where the node's shell is, which was looked at first. Behind other ports than the usual
        ones one address may be that of several appliances."""
        url = urlsplit(node.url)
        if node.ksctl.through_ssh or node.is_own:
            return (url.hostname or "") in ("localhost", "127.0.0.1", "::1")
        usual = node.ssh.port == _SSH and (url.port or _HTTPS) == _HTTPS
        return usual and _one_host(url.hostname or "", node.host, self.cluster.names)

    def _boot(self, name: str) -> Maybe[BootMark]:
        if name not in self.boots:
            self.boots[name] = ask(self.fleet.shell(name), shell_probes.BOOT)
        return self.boots[name]

    def _is_known(self, name: str) -> bool:
        """Whether a node's shell has its address of before, or a boot that the run has seen on it."""
        node, was = self.cluster.node(name), self.was.get(name)
        boot = self._boot(name)
        seen = (
            isinstance(boot, BootMark) and bool(boot.boot_id) and boot.boot_id in boots_of(self.state, name)
        )
        return seen or (was is not None and self._same_shell(node, was))

    def _doubt_of_shell(self, node: Node) -> str:
        boot = self._boot(node.name)
        if isinstance(boot, Unknown):
            self.silent.append(node.name)
            return f"its shell at {node.host} does not tell whether it is the same node: {boot.words}"
        others = [one.name for one in self.cluster.nodes if one.name != node.name]
        if boot.boot_id and boot.boot_id in boots_of(self.state, node.name):
            return ""
        if other := next((o for o in others if boot.boot_id and boot.boot_id in boots_of(self.state, o)), ""):
            return f"host {node.host} leads to {other}"
        if not any(owner.run == self.state.run for _, owner in node_marks.standing(self.fleet, [node.name])):
            return (
                f"host {node.host} leads to an appliance without this run's mark, which every node of it has"
            )
        return self._doubt_of_rebooted(node, boot, others)

    def _doubt_of_rebooted(self, node: Node, boot: BootMark, others: list[str]) -> str:
        """By elimination: it is a node of this run, and none of the others."""
        words = f"host {node.host} leads to a node of this run that was rebooted"
        silent = [other for other in others if isinstance(self._boot(other), Unknown)]
        for other in others:
            seen = self._boot(other)
            if isinstance(seen, BootMark) and not (self._is_known(other) and seen.differs_from(boot)):
                return f"{words}; it may be {other}"
        if not silent:
            return ""
        self.silent += silent
        one, several = "does not answer, so it may be that one", "do not answer, so it may be one of these"
        return f"{words}, and {' and '.join(silent)} {one if len(silent) == 1 else several}"

    def _doubt_of_url(self, node: Node) -> str:
        ids = {
            one.name: self.state.plan.basis.get(f"{one.name}: cluster id", "") for one in self.cluster.nodes
        }
        found = ask(self.fleet.control(node.name), ksctl_probes.MEMBERSHIP)
        if isinstance(found, Unknown):
            self.silent.append(node.name)
            self.unproven.append(node.name)
            return f"the control plane at {node.url} does not tell whether it is the same node: {found.words}"
        told = found.node_id
        if told and told == ids[node.name]:
            return ""
        if other := next((name for name, one in ids.items() if told and one == told), ""):
            return f"url {node.url} leads to {other}"
        if told and ids[node.name] and not _makes_new_ids(self.state):
            return f"url {node.url} leads to another node (id {told}, not {ids[node.name]})"
        self.unproven.append(node.name)
        return f"nothing shows that url {node.url} leads to the same node"


def _through_shell(node: Node) -> str:
    """Return the lines by which a node's control plane is reached where its shell is, which proves whose it is: a url that
    leads to a node in no cluster proves itself by nothing."""
    more = "" if node.is_own or node.ksctl.through_ssh else "`ksctl: {through_ssh: true}` and "
    return f"or reach it through its SSH connection: {more}`url: https://localhost` under {node.name} in cluster.yaml"


def _makes_new_ids(state: RunState) -> bool:
    """Whether a node of it may have another id in the cluster by now: it joins again."""
    return state.plan.strategy is StrategyName.REBUILD or kind_of(state) is not RunKind.UPGRADE


def _one_host(one: str, other: str, names: Names) -> bool:
    """Whether two hosts are the same as they are written, or stand for one address."""
    one, other = one.lower(), other.lower()
    if one == other:
        return True
    found = names.addresses([one, other])
    return bool(found[one] & found[other])
