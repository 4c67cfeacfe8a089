"""What is asked of a node, a row for each field of its facts, and how the answers that need several probes are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.state import interfaces_of
from ctmupgrade.collect.upgrade_logs import dated_logs, running_upgrades
from ctmupgrade.core.looks import file_probes, ksctl_probes, shell_probes, state_probes
from ctmupgrade.core.looks.cluster_views import Member, Membership
from ctmupgrade.core.looks.facts import ClockReading, Maybe, Unknown
from ctmupgrade.core.looks.node_state import DiskEncryption
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.core.model import Cluster
from ctmupgrade.ports import Clock, Reader


def clock_of(reader: Reader, clock: Clock) -> Maybe[ClockReading]:
    """Return the node's clock against ours; half the round trip and the resolution are its uncertainty."""
    before = clock.now()
    answer = ask(reader, shell_probes.CLOCK)
    after = clock.now()
    if isinstance(answer, Unknown):
        return answer
    there, resolution = answer
    middle = before + (after - before) / 2
    spread = (after - before).total_seconds() / 2 + resolution / 2
    return ClockReading(there + resolution / 2 - middle.timestamp(), spread)


def membership_in(members: Maybe[tuple[Member, ...]]) -> Membership | None:
    """Return what a node's own list says of itself, in the form of `cluster info`."""
    if isinstance(members, Unknown):
        return None
    own = next((m for m in members if m.is_this and m.node_id), None)
    return Membership(own.node_id, own.code, len(members)) if own else None


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the questions about one node are put to."""

    shell: Reader
    control: Reader
    cluster: Cluster
    clock: Clock


@dataclass(frozen=True, slots=True)
class Fact:
    """One row: what fills a field of :class:`NodeFacts`.

    :param field: its name there.
    :param look: gives its value; it also gets what the rows before it found.
    :param health: the gate between two nodes needs it too.
    """

    field: str
    look: Callable[[Asked, Mapping[str, object]], object]
    health: bool = False


def _by_shell(field: str, probe: Probe[object], *, health: bool = False) -> Fact:
    return Fact(field, lambda asked, _found: ask(asked.shell, probe), health)


def _by_ksctl(field: str, probe: Probe[object], *, health: bool = False) -> Fact:
    return Fact(field, lambda asked, _found: ask(asked.control, probe), health)


def _of_what_answers(field: str, look: Callable[[Reader], object]) -> Fact:
    """A look that only checks need: not put to a control plane that has not told its version. It would not answer, and
    each refused login may lock the account."""

    def asked_of(asked: Asked, found: Mapping[str, object]) -> object:
        return found["system"] if isinstance(found["system"], Unknown) else look(asked.control)

    return Fact(field, asked_of)


def _state(field: str, probe: Probe[object]) -> Fact:
    return _of_what_answers(field, lambda control: ask(control, probe))


def _attended(_asked: Asked, found: Mapping[str, object]) -> object:
    """The same answer says it."""
    encryption: Maybe[DiskEncryption] = found["encryption"]  # type: ignore[assignment]  # the row before
    return encryption if isinstance(encryption, Unknown) else encryption.attended


def _membership(asked: Asked, found: Mapping[str, object]) -> object:
    """Each call of ksctl is a login; the list of members tells a member's own id too, so `cluster info` is asked only of
    a node that is on no list."""
    members: Maybe[tuple[Member, ...]] = found["members"]  # type: ignore[assignment]  # the row before
    return membership_in(members) or ask(asked.control, ksctl_probes.MEMBERSHIP)


# A new fact is a probe, a field of NodeFacts, and a row here. They are asked in this order.
CONTROL_FACTS = (
    _by_ksctl("members", ksctl_probes.MEMBERS, health=True),
    _by_ksctl("system", ksctl_probes.SYSTEM, health=True),
    _by_ksctl("services", ksctl_probes.SERVICES, health=True),
    Fact("membership", _membership, health=True),
    _by_ksctl("summary", ksctl_probes.SUMMARY, health=True),
    _by_ksctl("ntp", ksctl_probes.NTP),
    _by_ksctl("encryption", state_probes.DISK_ENCRYPTION),
    Fact("attended_boot", _attended),
    _state("hsm", state_probes.HSM),
    _state("alarms", state_probes.ALARMS),
    _state("licences", state_probes.LICENCES),
    _state("backup_job", state_probes.BACKUP_JOB),
    _state("time_servers", state_probes.TIME_SERVERS),
    _state("raft", state_probes.RAFT),
    _of_what_answers("interfaces", interfaces_of),
)
SHELL_FACTS = (
    _by_shell("boot", shell_probes.BOOT),
    _by_shell("mounts", shell_probes.MOUNTS),
    _by_shell("inodes", state_probes.INODES),
    _by_shell("mounted", state_probes.MOUNTED),
    _by_shell("by_dhcp", state_probes.BY_DHCP),
    _by_shell("unit", shell_probes.UNIT, health=True),
    _by_shell("rights", shell_probes.RIGHTS),
    Fact("processes", lambda asked, _found: running_upgrades(asked.shell), health=True),
    Fact("clock", lambda asked, _found: clock_of(asked.shell, asked.clock), health=True),
    Fact("logs", lambda asked, _found: dated_logs(asked.shell)),
    Fact(
        "staged",
        lambda asked, _found: ask(asked.shell, file_probes.staged(asked.cluster.target.archive.name)),
    ),
)


def answers(asked: Asked, table: Iterable[Fact]) -> dict[str, object]:
    """Return what the rows of a table find out, by field."""
    found: dict[str, object] = {}
    for fact in table:
        found[fact.field] = fact.look(asked, found)
    return found
