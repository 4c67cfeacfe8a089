"""What a simulated world consists of, as plain data that can be written down and read back.

All times are virtual seconds since the world's start (:attr:`SimClock.elapsed`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

NEVER = 1e12  # a time that does not come; JSON has no infinity
GIB = 2**30
HOME = "/home/ksadmin"
SCRIPT = "/opt/keysecure/ks_upgrade.sh"

SERVICES = (
    "UI", "adp-management", "alarms", "api-gateway", "api-playground", "audit-log", "authorization",
    "nae-kmip", "web",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimEvent:
    """Something that happened in the world; the list of them is only ever appended to."""

    at: float
    node: str
    kind: str
    detail: str = ""


@dataclass
class SimArchive:
    """The upgrade archive on the operator's machine. ``version`` is what it upgrades to.

    ``problem``: none, wrong_signer, unsigned, tampered, truncated, expired, revoked or encrypted.
    """

    name: str = "610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v2.21.0_RevA.tar.gz.gpg"
    size: int = 5_499_876_577
    sha256: str = hashlib.sha256(b"archive 2.21.0").hexdigest()
    signer: str = "0123456789ABCDEF0123456789ABCDEF01234567"
    version: str = "2.21.0+15451"
    problem: str = "none"
    generated: bool = False  # small, with real bytes (see `content`); sha256 is then theirs

    def content(self) -> bytes:
        """Return the bytes of a generated archive."""
        return (b"CipherTrust Manager " * (self.size // 20 + 1))[: self.size]


@dataclass
class Times:
    """How long things take on a node, in seconds (upload: 10^6 bytes a second)."""

    upload_mb_s: float = 36.0
    upgrade_s: float = 1200.0
    db_lock_s: float = 20.0
    reboot_s: float = 300.0
    start_s: float = 120.0
    backup_s: float = 60.0
    restore_s: float = 180.0
    join_s: float = 1800.0
    linger_s: float = 1.0  # the old boot still answers for so long after `sudo reboot`
    removed_s: float = 30.0  # a removed node calls itself down for so long, then not clustered; 0: at once
    publish_s: float = (
        0.0  # so long after its join a member's status is "" for the others (2.21.3: up to 100 s)
    )
    upset_s: float = 0.0  # so long after a removal, deletion or join, and in the join, it answers HTTP 500
    login_s: float = 0.0  # so long after them, and after a boot, its logins are refused
    flap_s: float = 0.0  # so long after they started its services go back to error and starting
    shell_s: float = 0.0  # each command on its shell
    ksctl_s: float = 0.0  # and on its control plane


@dataclass
class ShellTraits:
    """What ksadmin's shell offers. ``missing`` programs answer 127."""

    missing: list[str] = field(default_factory=list)
    restricted: bool = False  # no interpreters, no / in command names
    pty: bool = True
    upload: bool = True  # any way of writing a large file
    sftp: bool = True  # used by the real SSH server of the tests
    scp: bool = True
    reboot_reply: str = "lost"  # or "ok": how `sudo reboot` answers


@dataclass
class SudoRights:
    """What sudo allows without a password. ``listing``: whether ``sudo -l`` tells."""

    upgrade: bool = True
    reboot: bool = True
    everything: bool = False
    listing: bool = True


@dataclass
class KsctlTraits:
    """How ksctl prints: ``format`` new (2.19) or old (2.10), where errors go and what they exit with."""

    format: str = "new"
    null_lists: bool = False
    errors_on: str = "stdout"
    error_exit: int = 1  # 0: it lies
    limits: bool = True  # listings know --limit
    lockdata: str = ""  # "get": the words are `licensing lockdata get`
    bare_lists: bool = False  # listings are bare arrays
    status_words: list[str] = field(default_factory=lambda: ["in progress", "completed", "failed"])


@dataclass
class ClusterTraits:
    """How its cluster calls behave (docs/appliance.md 6).

    ``keeps_configuration``: a removed node must be told to delete what it knew, or its next join is refused.
    ``delete``: yes, silent (done, and never answered). ``vain_deletes``: so many answer 200 and do nothing.
    """

    keeps_configuration: bool = True
    delete: str = "yes"
    vain_deletes: int = 0


@dataclass
class UpgradeTraits:
    """How the upgrade script behaves on a node, when no fault says otherwise."""

    tty_mode: str = "screen"  # screen, foreground (dies with the channel), background (returns at once)
    log_folder: str = HOME
    log_of_root: bool = False  # nobody else may read it
    exit_code: int = -1  # -1: an honest one
    stops_services: bool = True  # its last phase waits for the new services to start
    shows_early: bool = False  # ksctl says the new version from the success line on, before the reboot
    works_as: str = ""  # what the process list shows of a running script; "": its own name
    line_every_s: float = 0.0  # it also writes the same line so often, without a time


@dataclass
class NtpState:
    """Which time servers a node has, and whether it follows them."""

    servers: list[str] = field(default_factory=lambda: ["time1.example.com"])
    synchronised: bool = True


@dataclass
class File:
    """A file on a node. Content is ``data`` where that is set, else the first ``size`` bytes of
    ``source``: "archive", "upgrade:N" (the log of the node's N-th upgrade) or any other name for a
    content. ``hole``: pipelined writes left a gap, so the size is right and the content is not."""

    size: int = 0
    source: str = ""
    data: bytes | None = None
    hole: bool = False
    mtime: float = 0.0
    mode: str = "644"
    owner: str = "ksadmin"


@dataclass
class Backup:
    """A system backup on a node. ``created``: virtual seconds, before the start where negative."""

    id: str
    scope: str = "system"
    state: str = "completed"  # running, completed, failed
    created: float = -3600.0
    key_id: str = ""
    description: str = ""
    tied_to_hsm: bool = False
    content: str = ""  # the data set in it
    version: str = ""
    users: list[str] = field(default_factory=list)  # in it; empty: not told
    hsm: list[str] = field(default_factory=list)  # the node's then


@dataclass
class BackupKeyState:
    """A key that opens backups. ``state``: active, or any other word."""

    id: str
    state: str = "active"
    default: bool = True
    sealed: bool = True  # its download opens with its password alone; else with any


@dataclass
class Heard:
    """What a recorded node answered to one command."""

    code: int
    out: str
    err: str = ""


@dataclass
class Due:
    """A transition that will happen to a node at a time."""

    at: float
    what: str
    detail: str = ""


@dataclass
class UpgradeRun:
    """One run of ks_upgrade.sh. ``outcome``: success, fail, hang, no_verdict, old_version, killed."""

    started: float
    duration: float
    version: str
    outcome: str = "success"
    log: str = ""  # path of its log; "" where it writes none
    tty_mode: str = "screen"
    exit_code: int = -1
    text: str = ""  # the words of a failure
    asks: str = ""  # what its terminal asks when it hangs
    ended: float = NEVER
    truncated: int = 0  # so many of the log's last lines never reach the disk
    by: str = "ctmupgrade"
    command: str = ""
    waits: bool = True  # services go down in its last phase


@dataclass
class JoinRun:
    """A join under way. ``ends`` NEVER: it hangs."""

    started: float
    ends: float
    cluster: str
    via: str


@dataclass
class SimNode:
    """One appliance. Every assignment to a field is noticed, so cached answers never go stale."""

    name: str
    host: str = ""
    cluster_host: str = ""
    public_address: str = ""
    version: str = "2.20.0+15016"
    model: str = "CipherTrust Manager k170v"
    system_name: str = ""
    cluster: str = ""  # id of the cluster it is a member of; "" not clustered
    node_id: str = ""
    data: str = ""  # id of the data set it holds; "" none
    free_gib: float = 60.0
    total_gib: float = 100.0
    archive_present: bool = False
    clock_offset: float = 0.0
    ntp: NtpState = field(default_factory=NtpState)
    services: dict[str, str] = field(default_factory=dict)
    unit: str = "active"
    attended_boot: bool = False
    hsm: list[str] = field(default_factory=list)
    proxy: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=lambda: ["Virtual CipherTrust Manager"])
    lock_code: str = "*1FW KSPH 86WH HJJV"
    interfaces: list[str] = field(default_factory=lambda: ["web", "kmip", "nae", "ssh"])
    users: list[str] = field(default_factory=lambda: ["admin"])
    cte_clients: list[str] = field(default_factory=list)  # the state of each
    schedules: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    products: dict[str, str] = field(default_factory=lambda: {"csm": "disabled"})
    # What it answers instead, by the words of a look: `ksctl alarms list`, `df -P -i / .`. Text, or what is printed as JSON.
    says: dict[str, object] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)  # the same of a recorded node, by whole commands
    backups: list[Backup] = field(default_factory=list)
    backup_keys: list[BackupKeyState] = field(default_factory=lambda: [BackupKeyState("key-default")])
    shell: ShellTraits = field(default_factory=ShellTraits)
    sudo: SudoRights = field(default_factory=SudoRights)
    ksctl: KsctlTraits = field(default_factory=KsctlTraits)
    upgrade: UpgradeTraits = field(default_factory=UpgradeTraits)
    membership: ClusterTraits = field(default_factory=ClusterTraits)
    times: Times = field(default_factory=Times)
    # -- from here on: what a run does to it -----------------------------------------------------
    files: dict[str, File] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)  # those that were made, by their whole paths
    used: int = 0  # bytes taken since the start, by files
    boot: int = 1  # counts boots
    down_from: float = -1e6
    up_at: float = -1e6
    silent_from: float = -1e6  # from when its services are away, until ready_at
    ready_at: float = -1e6
    broken_at: float = NEVER
    host_key: int = 1  # counts host keys
    link: int = 0  # counts cuts of all connections
    pending: str = ""  # version that the next boot brings
    upgrades: list[UpgradeRun] = field(default_factory=list)
    join: JoinRun | None = None
    restore: str = ""  # its last operation was a restore: running, completed, failed
    removed_at: float = NEVER
    removed_id: str = ""
    config_left: bool = False  # it was removed, and still has its cluster's configuration
    changed_at: float = -1e6  # when it was last removed, told to leave, or done joining
    joined_at: float = -1e6
    schedule: list[Due] = field(default_factory=list)

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__[name] = value
        ticks = self.__dict__.get("ticks")
        if ticks is not None:
            ticks[0] += 1

    def count_in(self, ticks: list[int]) -> None:
        """Count every assignment from now on in the world's counter."""
        self.__dict__["ticks"] = ticks

    @property
    def free(self) -> int:
        """Return free bytes of its root file system."""
        return max(0, int(self.free_gib * GIB) - self.used)

    @property
    def boot_id(self) -> str:
        """Return the kernel's boot id of boot number :attr:`boot`."""
        return boot_id(self.name, self.boot)

    @property
    def shown_version(self) -> str:
        """Return what its control plane says; whether that is the new one before the reboot already is not known
        (docs/appliance.md 1.2: the services of the new version start before it)."""
        return (self.upgrade.shows_early and self.pending) or self.version

    @property
    def running(self) -> UpgradeRun | None:
        """Return the upgrade that runs now."""
        return next((run for run in self.upgrades if run.ended >= NEVER), None)

    def drop_due(self, *kinds: str) -> None:
        """Forget scheduled transitions of these kinds."""
        self.schedule = [due for due in self.schedule if due.what not in kinds]

    def plan_due(self, at: float, what: str, detail: str = "") -> None:
        """Schedule a transition."""
        self.schedule = [*self.schedule, Due(at, what, detail)]


def boot_id(name: str, count: int) -> str:
    """Return the same every time for a node's n-th boot, and different for every other."""
    text = hashlib.sha256(f"{name} boot {count}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"
