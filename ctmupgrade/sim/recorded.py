"""A world made of what a recorded cluster answered: its members, versions, disks, services, clocks and latencies.

What the run itself changes (versions, members, services, files, backups) is simulated from there; every other answer is
the recorded one, word for word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from ctmupgrade.core import timing
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.sim.clock import SimClock
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.files import absolute
from ctmupgrade.sim.setup import SERVICE_STATES, finish_node
from ctmupgrade.sim.state import GIB, File, Heard, NtpState, SimArchive, SimNode, SudoRights, Times
from ctmupgrade.sim.world import World

Look = tuple[str, str, tuple[str, ...]]  # node, side, command
_LIVING = ("cluster", "services", "version", "backup", "backupkeys", "ntp")  # of ksctl: what a run changes
_OF_THE_SHELL = (
    "/proc/mounts",
    "1792",
)  # of the shell only these are as recorded for good: mounts, HSMs' ports
_IN_THIS_BOOT, _BEFORE_IT = -60.0, -2e6  # seconds
_NO_PROGRAM, _NOT_ALLOWED = 127, 126
_SLOWEST = 60.0  # seconds; what took longer was no command's own time


@dataclass(frozen=True, slots=True)
class Recording:
    """What a transcript holds.

    :ivar looks: each answer: code, out and err, or error; and how many seconds it took.
    :ivar archive: what was known of the archive; without sha256 where it could not be verified.
    """

    at: datetime
    archive: Mapping[str, object]
    looks: Mapping[Look, Mapping[str, object]]


def recorded_world(cluster: Cluster, nodes: Mapping[str, NodeFacts], recording: Recording) -> World:
    """Return the world of a recorded cluster, at the moment of its recording.

    :param nodes: what the recorded answers say.
    """
    archive = _archive(cluster, recording.archive)
    made = [
        _node(cluster.node(name), index, facts, archive, recording)
        for index, (name, facts) in enumerate(nodes.items())
    ]
    _learn_ids(made, nodes)
    made += _strangers(made, nodes)
    _no_twins(made)
    fresh = [SimNode(n.name, n.host, n.cluster_host, version=archive.version) for n in cluster.fresh]
    for index, node in enumerate(fresh, len(made)):
        finish_node(node, index, clustered=False, archive=archive)
    world = World([*made, *fresh], archive, SimClock(recording.at))
    for node in (one for one in made if one.name in nodes):
        world.faults += [*_away(node, nodes[node.name], nodes), *_unwell(node, nodes)]
    return world


def _archive(cluster: Cluster, known: Mapping[str, object]) -> SimArchive:
    made = SimArchive(cluster.target.archive.name, version=str(cluster.target.version))
    size, sha256 = known.get("size"), known.get("sha256")
    made.size = size if isinstance(size, int) and 0 < size <= 10**15 else made.size
    made.sha256 = sha256 if isinstance(sha256, str) else made.sha256
    made.signer = cluster.target.signer
    return made


def _node(node: Node, index: int, facts: NodeFacts, archive: SimArchive, recording: Recording) -> SimNode:
    made = SimNode(node.name, node.host, node.address_among_nodes)
    if not isinstance(facts.system, Unknown):
        made.version = str(facts.system.version)
        made.model = facts.system.model or made.model
        made.system_name = facts.system.name
    _membership(made, facts)
    _disk(made, facts, archive)
    _services(made, facts)
    _time(made, facts)
    if not isinstance(facts.rights, Unknown):
        rights = facts.rights
        listing = rights.upgrade is not None and rights.reboot is not None
        made.sudo = SudoRights(rights.upgrade is not False, rights.reboot is not False, listing=listing)
    made.attended_boot = facts.attended_boot is True
    mine = {key: look for key, look in recording.looks.items() if key[0] == node.name}
    made.heard = {
        text: heard
        for key, look in mine.items()
        for text, heard in _heard(key, look, refused=_refused(facts))
    }
    made.times = _times(mine)
    made.shell.missing = sorted(
        {key[2][0] for key, look in mine.items() if key[1] == "shell" and look.get("code") == _NO_PROGRAM}
        - {"sudo", "sh", "bash", "timeout"}
    )
    made.shell.restricted = any(
        look.get("code") == _NOT_ALLOWED and "restricted" in str(look.get("err")) for look in mine.values()
    )
    _logs(made, facts, mine)
    finish_node(made, index, clustered=False, archive=archive)
    return made


def _membership(made: SimNode, facts: NodeFacts) -> None:
    if isinstance(facts.membership, Unknown) or facts.membership.clustered:
        made.cluster = "main"
        made.node_id = facts.node_id


def _learn_ids(made: list[SimNode], nodes: Mapping[str, NodeFacts]) -> None:
    """The id of a member that did not answer is the one that the others list."""
    listed = {m.host: m.node_id for m in _listed(nodes)}
    for node in made:
        silent = isinstance(nodes[node.name].membership, Unknown)
        node.node_id = (listed.get(node.cluster_host, "") if silent else "") or node.node_id


def _strangers(made: list[SimNode], nodes: Mapping[str, NodeFacts]) -> list[SimNode]:
    """Members that are listed and that cluster.yaml does not name."""
    known = {node.node_id for node in made} | {""}
    found = {m.node_id: m for m in _listed(nodes) if m.node_id not in known}
    addresses = {node.cluster_host for node in made}
    return [
        SimNode(
            f"not-in-cluster-yaml-{n}", m.host, m.host, cluster="main", node_id=m.node_id, data="data-main"
        )
        for n, m in enumerate((m for m in found.values() if m.host not in addresses), 1)
    ]


def _disk(made: SimNode, facts: NodeFacts, archive: SimArchive) -> None:
    """The fullest of its file systems: which one the upgrade fills is not known."""
    if not isinstance(facts.mounts, Unknown) and facts.mounts:
        least = min(facts.mounts, key=lambda mount: mount.free)
        made.total_gib = max(least.total, least.free) / GIB
        made.free_gib = least.free / GIB
    if isinstance(facts.staged, int) and facts.staged:
        made.files = {absolute(archive.name): File(facts.staged, "archive")}


def _services(made: SimNode, facts: NodeFacts) -> None:
    if not isinstance(facts.services, Unknown):
        states = facts.services.by_name.items()
        made.services = {name: state if state in SERVICE_STATES else "error" for name, state in states}
    if not isinstance(facts.unit, Unknown):
        made.unit = facts.unit.active


def _time(made: SimNode, facts: NodeFacts) -> None:
    if not isinstance(facts.clock, Unknown):
        made.clock_offset = facts.clock.offset
    good = not isinstance(facts.ntp, Unknown) and facts.ntp.synchronised
    servers = [] if isinstance(facts.time_servers, Unknown) else list(facts.time_servers)
    made.ntp = NtpState(servers or (["time1.example.com"] if good else []), good)


def _logs(made: SimNode, facts: NodeFacts, mine: Mapping[Look, Mapping[str, object]]) -> None:
    """The logs of earlier upgrades, as far as they were read."""
    if isinstance(facts.logs, Unknown):
        return
    for log in facts.logs:
        text = next(
            (str(look.get("out", "")) for (_, _, argv), look in mine.items() if _reads(argv, log)), ""
        )
        written = _IN_THIS_BOOT if log.in_this_boot or log.undecided else _BEFORE_IT
        data = text.encode()
        file = File(len(data), data=data, mtime=written)
        if log.verdict is LogVerdict.UNREAD:
            file.mode, file.owner = "600", "root"
        made.files = {**made.files, absolute(log.path): file}


def _reads(argv: tuple[str, ...], log: UpgradeLog) -> bool:
    return argv[:1] in (("tail",), ("cat",)) and argv[-1] == log.path


# -- answers that stay -----------------------------------------------------------------------------


def _refused(facts: NodeFacts) -> bool:
    """Whether its control plane answered, but only with errors: a certificate that is not trusted, a refused login."""
    return isinstance(facts.system, Unknown) and not facts.system.unreachable


def _heard(key: Look, look: Mapping[str, object], *, refused: bool) -> Iterator[tuple[str, Heard]]:
    """An answer that no run changes, by its command's text. :param refused: none of its control plane's changes."""
    _, side, argv = key
    if "error" in look or not (_stays(side, argv) or (refused and side == "control")):
        return
    code = look.get("code")
    text = " ".join(argv) if side == "shell" else f"ksctl {' '.join(argv)}"
    yield (
        text,
        Heard(code if isinstance(code, int) else 1, str(look.get("out", "")), str(look.get("err", ""))),
    )


def _stays(side: str, argv: tuple[str, ...]) -> bool:
    if side == "control":
        return argv[:1] not in [(word,) for word in _LIVING] and argv[:2] != ("system", "info")
    inodes = argv[:1] == ("df",) and "-i" in argv
    return inodes or argv[:1] == ("nmcli",) or argv[-1] in _OF_THE_SHELL


def _times(mine: Mapping[Look, Mapping[str, object]]) -> Times:
    """Of what it takes: the commands as measured, all else as plans estimate it."""
    return Times(
        upload_mb_s=timing.UPLOAD_BYTES_S / 1e6, upgrade_s=timing.UPGRADE_S, reboot_s=timing.BOOT_S,
        start_s=timing.SERVICES_S, backup_s=timing.BACKUP_S, join_s=timing.JOIN_S,
        shell_s=_usual(mine, "shell"), ksctl_s=_usual(mine, "control"),
    )  # fmt: skip


def _usual(mine: Mapping[Look, Mapping[str, object]], side: str) -> float:
    took = [look.get("took") for key, look in mine.items() if key[1] == side and "error" not in look]
    good = [float(one) for one in took if isinstance(one, int | float) and 0 <= one <= _SLOWEST]
    return round(median(good), 3) if good else 0.0


# -- what does not fit -----------------------------------------------------------------------------


def _no_twins(nodes: list[SimNode]) -> None:
    """One address, or one id, is one node's: the others get their own name for it."""
    hosts: set[str] = set()
    ids: set[str] = set()
    for index, node in enumerate(nodes):
        if node.host in hosts or node.cluster_host in hosts:
            node.host = node.name
            node.cluster_host = node.name if node.cluster_host in hosts else node.cluster_host
        hosts |= {node.host, node.cluster_host}
        if node.node_id and node.node_id in ids:
            node.node_id = ""
            finish_node(node, index, clustered=True, archive=SimArchive(), has_data=True)
        ids.add(node.node_id)


def _away(node: SimNode, facts: NodeFacts, nodes: Mapping[str, NodeFacts]) -> Iterator[Fault]:
    """A node that did not answer goes on not answering: this machine, or its peers too."""
    name, shell, control = node.name, facts.shell, facts.system
    no_shell = isinstance(shell, Unknown)
    if no_shell and isinstance(shell, Unknown) and shell.host_key:
        yield Fault("host_key_changed", name, rehearsed=True)
    elif no_shell and isinstance(shell, Unknown) and not shell.unreachable:
        yield Fault("auth_refused", name, rehearsed=True)
    told = any(text.startswith("ksctl system info") for text in node.heard)
    unknown = isinstance(control, Unknown) and not (_refused(facts) and told)
    gone = no_shell and isinstance(shell, Unknown) and shell.unreachable
    if gone or unknown:
        what = "both" if gone and unknown else "shell" if gone else "control"
        params: dict[str, object] = {"what": what, "peers": not _seen_ready(node.cluster_host, nodes)}
        yield Fault("refused", name, params=params, rehearsed=True)


def _unwell(node: SimNode, nodes: Mapping[str, NodeFacts]) -> Iterator[Fault]:
    """What was wrong with it goes on being wrong: how the others see it, a script that runs on it."""
    found = nodes[node.name].processes
    if not isinstance(found, Unknown) and found:
        yield Fault("process", node.name, params={"args": found[0]}, rehearsed=True)
    if isinstance(nodes[node.name].shell, Unknown) or not node.node_id:
        return
    codes = [m.code for m in _listed(nodes) if m.node_id == node.node_id and not m.ready]
    views = [
        report.peers[node.node_id]
        for facts in nodes.values()
        if not isinstance(facts.summary, Unknown)
        for report in facts.summary
        if report.reporter != node.node_id and node.node_id in report.peers
    ]
    if codes:
        yield Fault("member_code", node.name, params={"code": codes[0]}, rehearsed=True)
    elif any(view.connected is False or view.code != "r" for view in views):
        yield Fault("member_code", node.name, params={"code": "d", "where": "summary"}, rehearsed=True)


def _listed(nodes: Mapping[str, NodeFacts]) -> list[Member]:
    return [m for facts in nodes.values() if not isinstance(facts.members, Unknown) for m in facts.members]


def _seen_ready(address: str, nodes: Mapping[str, NodeFacts]) -> bool:
    """Whether a member reports the node at this address as ready."""
    return any(m.ready and not m.is_this and m.host == address for m in _listed(nodes))
