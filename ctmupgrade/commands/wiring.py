"""Chooses the adapters: real SSH and ksctl, or a simulated world."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.adapters.disk.run_store import FileRuns
from ctmupgrade.adapters.disk.state_folder import usual_folder
from ctmupgrade.collect.login_guard import GuardedFleet
from ctmupgrade.commands.known_secrets import known_secrets
from ctmupgrade.commands.options import with_options, with_skips
from ctmupgrade.commands.request import CommandRequest, fixture_folder
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core import redact
from ctmupgrade.core.looks.served import Served
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.receivers import variables_of
from ctmupgrade.errors import ConfigError
from ctmupgrade.ports import Clock, Fleet, Programs, RunStore, SimulatedWorld, Tools

if TYPE_CHECKING:
    from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes


@dataclass(slots=True)
class Setup:
    """Everything a command needs, chosen once."""

    request: CommandRequest
    cluster: Cluster
    tools: Tools
    world: SimulatedWorld | None = None  # None: the appliances themselves
    # which vendor CLI the nodes served, where it is taken from them
    served: Callable[[], Mapping[str, Served]] = dict
    warnings: tuple[str, ...] = ()  # about this machine, for the terminal
    keeps_world: bool = False  # a simulated world is written down at every step, not only where a run pauses
    programs: Programs | None = None  # None: nothing of the operator's is run, as in a simulation
    _guarded: GuardedFleet = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._guarded = GuardedFleet(self.tools.fleet, self.cluster, self.tools.clock)
        self.tools = replace(self.tools, fleet=self._guarded, held_back=self._guarded.held_back)

    @property
    def fleet(self) -> Fleet:
        """Return the nodes' shells and control planes; no login is tried so often that it locks an account."""
        return self.tools.fleet

    @property
    def clock(self) -> Clock:
        """Return the clock by which this command measures."""
        return self.tools.clock

    def learn(self, cluster: Cluster) -> None:
        """Take in that the cluster has more nodes than at first: the new instances of a run that is resumed."""
        self.cluster = cluster
        self._guarded.learn(cluster)

    @property
    def mode(self) -> Mode:
        """Return LIVE, DRY-RUN or SIMULATED; a dry run wins."""
        return self.request.mode

    @property
    def home(self) -> Path:
        """Return this cluster's state folder."""
        return state_dir(self.request) / self.cluster.name

    @property
    def runs(self) -> RunStore:
        """Return the journals of this cluster's runs. Those of simulated ones need not outlive this machine."""
        return FileRuns(self.home, durable=self.mode is not Mode.SIMULATED)


def state_dir(request: CommandRequest) -> Path:
    """Return where journals live: as asked, or in the usual folder."""
    return usual_folder() if request.state_dir is None else request.state_dir


def whoami() -> str:
    """Return user@host of this process, for the journal and the lock."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def read_cluster(request: CommandRequest) -> Cluster:
    """Read cluster.yaml of the request, with what the command line overrides.

    :raises UsageError: wrong file, or names on the command line that it lacks.
    """
    if request.simulate:
        fixture_folder(request.simulate)
    path = request.simulate / "cluster.yaml" if request.simulate else request.cluster
    cluster = load_cluster(path, simulated=request.simulate is not None, needs_archive=request.needs_archive)
    if request.strategy is not None:
        cluster = replace(cluster, strategy=request.strategy)
    return with_options(cluster, request.options, request.purpose, path.name)


@contextmanager
def setup(request: CommandRequest) -> Iterator[Setup]:
    """Give the adapters for a request; connections and temporary files are gone afterwards."""
    from ctmupgrade.adapters.local.memory import keep_memory_private

    cluster = read_cluster(request)
    with redact.knowing(known_secrets(cluster, os.environ)):
        if request.simulate is not None:
            from ctmupgrade.adapters.disk.private_folder import private_folder

            with private_folder() as scratch:
                yield _with_skips(_simulated(request, cluster, request.simulate, scratch))
            return
        keep_memory_private()
        _passwords_are_there(cluster)
        from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes

        hashes = PrefixHashes()
        made = _with_skips(_live(request, cluster, hashes))
        try:
            yield made
        finally:
            hashes.close()
            made.fleet.close()


def _with_skips(made: Setup) -> Setup:
    options = with_skips(made.request.options, made.cluster, made.clock.now())
    made.request = replace(made.request, options=options)
    return made


def _passwords_are_there(cluster: Cluster) -> None:
    """Find out before anything else what would otherwise fail every look at a control plane.

    :raises ConfigError: a variable that shall hold ksctl's password is not set. One that is not called as variables
        usually are may be the password itself, and is not printed back.
    """
    for node in cluster.nodes:
        name = node.ksctl.password_env
        if name and not os.environ.get(name):
            usual = name.isupper()
            raise ConfigError(
                f"{node.name}: the variable {f'{name} (ksctl.password_env)' if usual else 'that ksctl.password_env names'} "
                "is not set",
                remedy=f"export {name if usual else 'VARIABLE'}=...   # the password of {node.ksctl.username}",
            )


def _live(request: CommandRequest, cluster: Cluster, hashes: PrefixHashes) -> Setup:
    from ctmupgrade.adapters.disk.backups import BackupStore
    from ctmupgrade.adapters.fleet import LiveFleet
    from ctmupgrade.adapters.gpg.verifier import GpgVerifier
    from ctmupgrade.adapters.local.names import ResolvedNames
    from ctmupgrade.adapters.local.port_watch import TcpPortWatch
    from ctmupgrade.adapters.local.programs import LocalPrograms
    from ctmupgrade.adapters.tasks import RealClock, SideBySide, ThreadTasks

    store = BackupStore(cluster.backup.directory, cluster.name)
    cluster = replace(cluster, names=ResolvedNames())
    home, clock = state_dir(request) / cluster.name, RealClock()
    fleet = LiveFleet(
        cluster, request.say, home=home, rate=request.rate, node_rate=request.node_rate, opened=hashes.opened
    )
    tools = Tools(
        fleet=fleet,
        verifier=GpgVerifier(hashes=hashes),
        clock=clock,
        gather=SideBySide(),
        tasks=ThreadTasks,
        store=store,
        prefix_hash=lambda length: hashes.prefix(cluster.target.archive, length),
        rest_hash=lambda offset: hashes.rest(cluster.target.archive, offset),
        unusable_store=store.unusable,
        port_watch=lambda: TcpPortWatch(clock.now),
    )
    programs = LocalPrograms(cluster.folder, cluster.secret_variables)
    warnings = tuple(_warnings(cluster, store.warning(), home, request.cluster))
    return Setup(request, cluster, tools, served=fleet.served, warnings=warnings, programs=programs)


def _warnings(cluster: Cluster, of_backups: str, home: Path, file: Path) -> Iterator[str]:
    """What others on this machine can read or move away, and what to do about it."""
    from ctmupgrade.adapters.disk.ownership import exposed, writable_by_all
    from ctmupgrade.adapters.local.secrets import readable_by_others

    if of_backups:
        yield of_backups
    if said := writable_by_all(file):
        yield f"{said}   # it names programs that run here"
    for path in sorted({node.ksctl.password_file for node in cluster.nodes if node.ksctl.password_file}):
        if said := readable_by_others(path):
            yield said
        if said := exposed(path):
            yield said
    if said := exposed(home):
        yield said
    for receiver in cluster.notify:
        if missing := [name for name in variables_of(receiver) if not os.environ.get(name)]:
            yield f"notify: the variable {missing[0]} is not set: nothing is sent to {receiver.name}"


def _simulated(request: CommandRequest, cluster: Cluster, folder: Path, scratch: Path) -> Setup:
    from ctmupgrade.commands.simulated import simulated

    made = simulated(request, cluster, folder, scratch)
    return Setup(
        request, made.cluster, made.tools, made.rehearsal, keeps_world=made.keeps, warnings=made.warnings
    )
