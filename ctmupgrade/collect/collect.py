"""Asks nodes and their control planes the probes' questions. Only looks: it is given Readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from ctmupgrade.collect.patience import PatientControl
from ctmupgrade.core.checks import health
from ctmupgrade.core.ksctl import certificate_trouble, sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks import file_probes, ksctl_probes, shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.cluster_views import Member, Membership
from ctmupgrade.core.looks.consensus_port import consensus_port, is_needed
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.facts import ClockReading, Facts, Maybe, NodeFacts, PortState, Unknown
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.errors import (
    UNFORESEEN,
    AuthenticationError,
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    LoginRefusedError,
    UnreachableError,
    UsageError,
    named,
)
from ctmupgrade.ports import Clock, Gather, Looks, Reader, Reply

T = TypeVar("T")
R = TypeVar("R")
MOST_PAGES = 100  # of a listing
LAST_LOGS = 3  # how many upgrade logs, newest first by name, are read


def ask(reader: Reader, probe: Probe[T], *, timeout: float | None = None) -> Maybe[T]:
    """The probe's answer by the first way that gives one.

    :param timeout: seconds; None is the reader's own (30 for a shell, the configured one for ksctl).

    A connection that cannot be made ends the asking: the other ways use the same one. One that breaks is made
    anew, for a look harms nothing when it is repeated.
    """
    tried = []
    for way in probe.ways:
        try:
            reply = _read(reader, way.argv, timeout)
            return way.parse(reply.code, reply.out, reply.err)
        except NotUnderstoodError as error:
            tried.append(f"{way.argv[0]}: {error}")
        except (HostKeyError, AuthenticationError) as error:
            return Unknown(_said(error), unreachable=True, host_key=isinstance(error, HostKeyError))
        except (UnreachableError, ConnectionLostError) as error:
            return Unknown(error.brief, unreachable=True)
        except LoginRefusedError as error:
            return Unknown(_said(error), login=True)
        except CtmUpgradeError as error:
            tried.append(_said(error))
        except UNFORESEEN as error:
            tried.append(f"{way.argv[0]}: {_not_foreseen(error)}")
    why = "; ".join(dict.fromkeys(tried))
    trouble = certificate_trouble(why)
    away = sounds_away(why) and not trouble
    return Unknown(
        why, unreachable=away, login=sounds_like_login(why), certificate=trouble, later=sounds_later(why)
    )


LOST_AGAIN = 2  # so often a look whose connection broke is repeated at once


def boot_against(shell: Reader, earlier: BootMark) -> Maybe[BootMark]:
    """The boot mark, of a kind that can be compared with an earlier one where the node still tells it."""
    boot = ask(shell, shell_probes.BOOT)
    if isinstance(boot, Unknown) or boot.differs_from(earlier) is not None:
        return boot
    since = ask(shell, shell_probes.BOOT_TIME)
    return boot if isinstance(since, Unknown) else since


def _read(reader: Reader, argv: tuple[str, ...], timeout: float | None) -> Reply:
    for _ in range(LOST_AGAIN):
        try:
            return reader.read(*argv) if timeout is None else reader.read(*argv, timeout=timeout)
        except ConnectionLostError:
            continue
    return reader.read(*argv) if timeout is None else reader.read(*argv, timeout=timeout)


def _said(error: CtmUpgradeError) -> str:
    return ". ".join(part for part in (error.brief, error.details) if part)


def _reach(reader: Reader) -> Maybe[bool]:
    """Whether commands run there at all; ``ls`` is known to work in the restricted shell."""
    try:
        reader.read("ls", timeout=30.0)
    except (HostKeyError, AuthenticationError, UsageError) as error:
        return Unknown(". ".join(p for p in (error.brief, error.details, error.remedy) if p))
    except CtmUpgradeError as error:
        return Unknown(error.brief, unreachable=isinstance(error, UnreachableError | ConnectionLostError))
    return True


def clock_of(reader: Reader, clock: Clock) -> Maybe[ClockReading]:
    """The node's clock against ours; half the round trip and the resolution are its uncertainty."""
    before = clock.now()
    answer = ask(reader, shell_probes.CLOCK)
    after = clock.now()
    if isinstance(answer, Unknown):
        return answer
    there, resolution = answer
    middle = before + (after - before) / 2
    spread = (after - before).total_seconds() / 2 + resolution / 2
    return ClockReading(there + resolution / 2 - middle.timestamp(), spread)


def _clock_by_ksctl(facts: NodeFacts, clock: Clock) -> Maybe[ClockReading]:
    if isinstance(facts.system, Unknown) or facts.system.time is None:
        return Unknown("neither `date` nor ksctl tells the node's time")
    return ClockReading(facts.system.time.timestamp() + 0.5 - clock.now().timestamp(), 2.0)


def logs_of(reader: Reader, limit: int = LAST_LOGS) -> Maybe[tuple[UpgradeLog, ...]]:
    """The newest upgrade logs and what they prove."""
    names = ask(reader, shell_probes.LOG_LIST)
    if isinstance(names, Unknown):
        return names
    found = []
    for name in names[-limit:]:
        log = ask(reader, shell_probes.log_tail(name))
        if isinstance(log, Unknown):
            if log.unreachable:
                return log
            continue  # unreadable to us: an old run's, by root; a new one is followed on its terminal
        found.append(log)
    return tuple(found)


def _dated(reader: Reader, logs: Maybe[tuple[UpgradeLog, ...]]) -> Maybe[tuple[UpgradeLog, ...]]:
    """The logs, the newest of which tells whether it was written to in the boot that the node still has: both times
    are of the node's own clock. One that somebody rebooted since is older than the boot."""
    if isinstance(logs, Unknown) or not logs or logs[-1].verdict is not LogVerdict.SUCCEEDED:
        return logs
    mark, boot = ask(reader, file_probes.file_mark(logs[-1].path)), ask(reader, shell_probes.BOOTED_AT)
    if isinstance(mark, Unknown) or isinstance(boot, Unknown):
        return logs
    return *logs[:-1], replace(logs[-1], in_this_boot=float(mark.split()[2]) > boot.since)


def running_upgrades(reader: Reader) -> Maybe[tuple[str, ...]]:
    """Running ``ks_upgrade.sh``: by the process list; where that cannot be read, by the newest log, which a
    running script writes to from its start and which holds a success line only at its end."""
    found = ask(reader, shell_probes.PROCESSES)
    if isinstance(found, tuple) or found.unreachable:
        return found
    logs = logs_of(reader, limit=1)
    if isinstance(logs, tuple) and all(log.verdict is LogVerdict.SUCCEEDED for log in logs):
        return ()
    return found


def every_page(reader: Reader, page: Callable[[int], Probe[tuple[T, ...]]]) -> Maybe[tuple[T, ...]]:
    """All rows of a listing: the default page of 10 hides the newest. One that does not end is not known."""
    rows: dict[T, None] = {}
    for _ in range(MOST_PAGES):
        found = ask(reader, page(len(rows)))
        if isinstance(found, Unknown):
            return found
        before = len(rows)
        rows |= dict.fromkeys(found)
        if len(found) < ksctl_probes.PAGE or len(rows) == before:
            return tuple(rows)
    return Unknown(f"the listing does not end: {len(rows)} rows on {MOST_PAGES} pages")


def health_of(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> NodeFacts:
    """What the gate between two nodes must know of one."""
    shell, control = looks.shell(name), _patient(looks, cluster, name, clock)
    unit = ask(shell, shell_probes.UNIT)
    if isinstance(unit, Unknown) and unit.unreachable:
        return _silent(name, unit)
    return NodeFacts(
        name,
        shell=True,
        unit=unit,
        processes=running_upgrades(shell),
        clock=clock_of(shell, clock),
        **_control_health(control),  # type: ignore[arg-type]
    )


def membership_in(members: Maybe[tuple[Member, ...]]) -> Membership | None:
    """What a node's own list says of itself, in the form of `cluster info`."""
    if isinstance(members, Unknown):
        return None
    own = next((m for m in members if m.is_this and m.node_id), None)
    return Membership(own.node_id, own.code, len(members)) if own else None


def _patient(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> PatientControl:
    return PatientControl(looks.control(name), cluster.node(name), clock)


def _control_health(control: Reader) -> dict[str, object]:
    """Each call of ksctl is a login; the list of members tells a member's own id too, so `cluster info` is
    asked only of a node that is on no list."""
    members = ask(control, ksctl_probes.MEMBERS)
    return {
        "system": ask(control, ksctl_probes.SYSTEM),
        "services": ask(control, ksctl_probes.SERVICES),
        "membership": membership_in(members) or ask(control, ksctl_probes.MEMBERSHIP),
        "members": members,
        "summary": ask(control, ksctl_probes.SUMMARY),
    }


def _silent(name: str, why: Unknown) -> NodeFacts:
    """A node that does not answer: nothing about it is known, for that reason."""
    gone = Unknown(why.why, unreachable=why.unreachable, host_key=why.host_key)
    return NodeFacts(
        name, shell=gone, boot=gone, mounts=gone, unit=gone, rights=gone, clock=gone, processes=gone, logs=gone,
        staged=gone, system=gone, services=gone, membership=gone, members=gone, summary=gone, ntp=gone,
        attended_boot=gone,
    )  # fmt: skip


def node_facts(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> NodeFacts:
    """Everything about one node, over one connection and its control plane."""
    shell, control = looks.shell(name), _patient(looks, cluster, name, clock)
    reach = _reach(shell)
    if isinstance(reach, Unknown) and reach.unreachable:
        control.hurry()
    facts = NodeFacts(name, shell=reach, **_control_health(control))  # type: ignore[arg-type]
    facts = replace(
        facts,
        ntp=ask(control, ksctl_probes.NTP),
        attended_boot=ask(control, ksctl_probes.ATTENDED_BOOT),
        hsm=ask(control, ksctl_probes.HSM) if cluster.strategy is StrategyName.REBUILD else -1,
    )
    if isinstance(reach, Unknown):
        silent = _silent(name, reach)
        return replace(
            facts, boot=silent.boot, mounts=silent.mounts, unit=silent.unit, rights=silent.rights,
            clock=silent.clock, processes=silent.processes, logs=silent.logs, staged=silent.staged,
        )  # fmt: skip
    facts = replace(
        facts,
        boot=ask(shell, shell_probes.BOOT),
        mounts=ask(shell, shell_probes.MOUNTS),
        unit=ask(shell, shell_probes.UNIT),
        rights=ask(shell, shell_probes.RIGHTS),
        clock=clock_of(shell, clock),
        processes=running_upgrades(shell),
        logs=_dated(shell, logs_of(shell)),
        staged=ask(shell, file_probes.staged(cluster.target.archive.name)),
    )
    if isinstance(facts.clock, Unknown):
        facts = replace(facts, clock=_clock_by_ksctl(facts, clock))
    return facts


def _ports(looks: Looks, cluster: Cluster, name: str, unproven: Iterable[str]) -> dict[str, Maybe[PortState]]:
    shell = looks.shell(name)
    return {peer: ask(shell, shell_probes.port(cluster.node(peer).cluster_host)) for peer in unproven}


def _not_foreseen(error: BaseException) -> str:
    return f"the answer is not understood ({named(error)})"


def _guarded(look: Callable[[str], NodeFacts]) -> Callable[[str], NodeFacts]:
    """A look at one node that ends neither the process nor the looks at other nodes: whatever is raised that is
    no error of ours makes all of that node unknown."""

    def safe(name: str) -> NodeFacts:
        try:
            return look(name)
        except CtmUpgradeError:
            raise
        except Exception as error:
            return _silent(name, Unknown(_not_foreseen(error)))

    return safe


def collect_nodes(looks: Looks, cluster: Cluster, clock: Clock, gather: Gather) -> Mapping[str, NodeFacts]:
    """All nodes at once; then port 5432 between those that no fresh report shows connected."""
    names = [node.name for node in cluster.nodes]
    nodes = gather(_guarded(lambda name: node_facts(looks, cluster, name, clock)), names)
    proven = health.connected_pairs(nodes, clock.now())

    def ports_of(name: str) -> dict[str, Maybe[PortState]]:
        if isinstance(nodes[name].shell, Unknown):
            return {}
        return _ports(looks, cluster, name, [p for p in names if p != name and (name, p) not in proven])

    asked, consensus = gather(ports_of, names), _consensus_ports(looks, cluster, nodes, gather)
    return {
        name: replace(facts, ports=asked[name], consensus_ports=consensus[name])
        for name, facts in nodes.items()
    }


def _consensus_ports(
    looks: Looks, cluster: Cluster, nodes: Mapping[str, NodeFacts], gather: Gather
) -> Mapping[str, Mapping[str, Maybe[PortState]]]:
    """Port 2380 between all nodes, where a version that runs or is to come needs it."""
    versions = [f.version for f in nodes.values() if not isinstance(f.version, Unknown)]
    needed = is_needed(cluster.target.version, *versions) and cluster.strategy is not StrategyName.STANDALONE

    def asked(name: str) -> dict[str, Maybe[PortState]]:
        if not needed or isinstance(nodes[name].shell, Unknown):
            return {}
        shell = looks.shell(name)
        return {p: ask(shell, consensus_port(cluster.node(p).cluster_host)) for p in nodes if p != name}

    return gather(asked, list(nodes))


def all_health(looks: Looks, cluster: Cluster, clock: Clock, gather: Gather) -> Mapping[str, NodeFacts]:
    """What the gate must know, of all nodes."""
    names = [node.name for node in cluster.nodes]
    return gather(_guarded(lambda name: health_of(looks, cluster, name, clock)), names)


def facts_of(nodes: Mapping[str, NodeFacts], clock: Clock) -> Facts:
    """Facts without the local part, for judgements that need only the nodes."""
    return Facts(clock.now(), nodes, Unknown("not asked"))
