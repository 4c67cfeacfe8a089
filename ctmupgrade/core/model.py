"""What a person names: nodes, the cluster, the target, and how they are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ctmupgrade.core.hooks import Contact, Hooks, OwnCheck
from ctmupgrade.core.jumps import NO_JUMP, JumpSettings
from ctmupgrade.core.modes import Mode as Mode  # noqa: PLC0414 - part of this module for its users
from ctmupgrade.core.modes import StrategyName as StrategyName  # noqa: PLC0414
from ctmupgrade.core.names import Names, NoNames
from ctmupgrade.core.receivers import Receiver, variables_of
from ctmupgrade.core.version import Version

LOCAL = "local"  # the host of the appliance on whose shell ctmupgrade runs
FETCH = "fetch"  # as ksctl.command: the appliance's own download


class Secret:
    """A value that prints as ``***`` and that no codec writes."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself: for an environment, a prompt or a 0600 file, nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is never serialised")


def url_of(host: str) -> str:
    """Return where ksctl finds a host that no URL is given for; an IPv6 address needs its brackets there."""
    bare = host.strip("[]")  # the % of an IPv6 zone is %25 there
    return f"https://[{bare.replace('%', '%25')}]" if ":" in bare else f"https://{bare}"


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How a node's shell is reached. Paths are absolute; ``~`` is already expanded."""

    user: str = "ksadmin"
    port: int = 22
    identity_file: Path | None = None
    passphrase_env: str | None = None
    known_hosts: Path | None = None
    proxy_jump: str | None = None
    host_key: str | None = None  # pinned "SHA256:..." fingerprint
    jump: JumpSettings = NO_JUMP
    config: Path | None = None  # read instead of the operator's SSH configuration; /dev/null: none


@dataclass(frozen=True, slots=True)
class KsctlSettings:
    """How the vendor CLI is called for a node. The password stays where it is until it is needed.

    :ivar through_ssh: the node's url is reached through its SSH connection, as the node sees it."""

    command: str = "ksctl"
    through_ssh: bool = False
    username: str = "admin"
    auth_domain: str | None = None  # where the user is kept; None: the caller's own, or the root domain
    domain: str | None = None  # which the login is for
    password_env: str | None = None
    password_file: Path | None = None
    password_command: str | None = None
    nosslverify: bool = False
    timeout: float = 300.0  # seconds

    @property
    def fetched(self) -> bool:
        """Return whether the program is taken from the appliance itself."""
        return self.command == FETCH

    @property
    def password_place(self) -> str:
        """Return where the password comes from, for a message."""
        if self.password_file:
            return f"the file {self.password_file}"
        if self.password_command:
            return "what ksctl.password_command prints"
        return f"the variable {self.password_env or 'KSCTL_PASSWORD'}"


@dataclass(frozen=True, slots=True)
class Node:
    """One appliance. ``host`` is its SSH address, or ``local`` for this very machine;
    ``cluster_host`` is what the nodes call it among themselves (port 5432)."""

    name: str
    host: str
    url: str
    cluster_host: str
    ssh: SshSettings
    ksctl: KsctlSettings

    @property
    def is_own(self) -> bool:
        """Return whether ctmupgrade runs on this very appliance."""
        return self.host == LOCAL

    @property
    def address_among_nodes(self) -> str:
        """Return what the other nodes call it; "" where cluster.yaml says only that it is this machine."""
        return "" if self.is_own and self.cluster_host == "localhost" else self.cluster_host


@dataclass(frozen=True, slots=True)
class Target:
    """What the cluster shall become."""

    archive: Path
    version: Version
    signer: str  # full fingerprint, upper case, no spaces
    keyring: Path | None = None


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Where backups go and how old one may be."""

    directory: Path
    key_password_env: str | None = None
    max_age: timedelta = timedelta(hours=24)
    proven_within: timedelta = timedelta(days=90)  # a drill, or a restore, proves a backup


@dataclass(frozen=True, slots=True)
class Window:
    """The maintenance window; either end may be open."""

    start: datetime | None = None
    finish_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """A check that cluster.yaml waives. :ivar until: from then on the check counts again."""

    check: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each kind of wait may last before the run pauses and asks."""

    upload: timedelta = timedelta(hours=2)
    upgrade: timedelta = timedelta(hours=2)
    reboot: timedelta = timedelta(minutes=30)
    service: timedelta = timedelta(minutes=30)
    join: timedelta = timedelta(hours=2)
    backup: timedelta = timedelta(hours=1)
    stuck: timedelta = timedelta(minutes=15)  # no growth of the upgrade log for so long is said


@dataclass(frozen=True, slots=True)
class Cluster:
    """cluster.yaml as a value."""

    name: str
    strategy: StrategyName
    target: Target
    nodes: tuple[Node, ...]
    backup: BackupSettings
    window: Window = field(default_factory=Window)
    timeouts: Timeouts = field(default_factory=Timeouts)
    poll: timedelta = timedelta(seconds=5)
    stable_for: timedelta = timedelta(seconds=60)
    skips: tuple[Skip, ...] = ()
    own_checks: tuple[OwnCheck, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    contacts: tuple[Contact, ...] = ()
    notify: tuple[Receiver, ...] = ()
    metrics: Path | None = None  # for a collector of numbers, such as node_exporter's
    folder: Path = Path()  # cluster.yaml's: the operator's programs start there
    fresh: tuple[Node, ...] = ()  # new instances of this run, in place of old nodes; not in the file
    names: Names = field(default_factory=NoNames, compare=False, repr=False)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """Return the environment variables in which, by cluster.yaml, secrets are."""
        names = {self.backup.key_password_env}
        for node in (*self.nodes, *self.fresh):
            names |= {node.ksctl.password_env, node.ssh.passphrase_env, node.ssh.jump.passphrase_env}
        names.update(*map(variables_of, self.notify))
        return tuple(sorted(name for name in names if name))

    @property
    def own_node(self) -> str:
        """Return the appliance on whose shell ctmupgrade runs, which dies with its reboot; "" where it is none of them."""
        return next((node.name for node in self.nodes if node.is_own), "")

    def node(self, name: str) -> Node:
        """Return the node of that name. :raises KeyError: there is none."""
        for node in (*self.nodes, *self.fresh):
            if node.name == name:
                return node
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to cluster.yaml."""

    order: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    skips: tuple[tuple[str, str], ...] = ()  # (check, reason)
    allow_downgrade: bool = False
    force_path: bool = False
    survivor: str = ""
    parallel: int = 0  # 0: all that may
    keep_copies: int = 1
    reset_before_join: bool = False
    hold_back: str = ""
    shared_hsm_partition: bool = False
    accept_attended_boot: bool = False
    fresh: tuple[tuple[str, str], ...] = ()  # (node, host of the new instance in its place)
