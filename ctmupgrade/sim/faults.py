"""Faults as data: what goes wrong, where, when and for how long.

``when`` is one of

- ``""``                         from the start
- ``at 300s``                    so long after the start of the world
- ``command PATTERN #3``         at the third command of that node whose text holds PATTERN (a shell
  pattern where it has ``*``); ksctl's begin with ``ksctl``. Without ``#``: the first
- ``upgrade_started:ctm-2 + 300s #2``   so long after the second such event (see ``World.events``)

``for_s`` is the duration of a lasting fault (0: for good), ``times`` how often one of the others strikes
(0: always).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

from ctmupgrade.sim.state import NEVER

# Lasting conditions: begin, and end after `for_s`.
LASTING: dict[str, tuple[str, ...]] = {
    "refused": ("what", "peers"),  # what: both, shell, control. peers: whether the others lose it too
    "unreachable": ("what", "peers"),
    "auth_refused": (),
    "host_key_changed": (),
    "commands_refused": (),  # sshd answers, but starts no command (it cannot fork, or the node goes down)
    "session_limit": (),  # no more channels until disconnect()
    "read_only": (),
    "disk_full": (),
    "sudo_refused": (),
    "services": ("state", "names"),
    "unit": ("state",),
    "member_code": ("code", "seen_by", "where"),  # where: summary: the list of members goes on to say r
    "port_closed": ("peer", "port"),
    "process": ("args",),  # somebody's ks_upgrade.sh in the process list
    "ntp_lost": (),
    "replication_behind": ("fields", "peer"),  # fields: of its entry in the others' (or one peer's) summary
    "consensus_down": (),
}
# Strike commands that match.
STRIKING: dict[str, tuple[str, ...]] = {
    "drop": ("command", "ran"),  # the connection ends; ran: the command was carried out
    "silence": ("command", "ran"),
    "reply": ("command", "ran", "code", "out", "err"),
    "error": ("command", "ran", "code", "text"),
    "half": ("command", "chars"),
    "garbage": ("command",),
    "password_prompt": ("command",),
    "unauthorized": ("command",),
    "timeout_but_done": ("command",),
}
# Change how the next run of the script goes.
UPGRADE: dict[str, tuple[str, ...]] = {
    "upgrade_fails": ("at", "text"),  # at: once, middle
    "upgrade_hangs": ("asks",),
    "upgrade_no_verdict": (),
    "upgrade_old_version": (),
    "upgrade_slow": ("seconds",),
    "log_missing": (),
    "log_truncated": ("lines",),
    "log_folder": ("folder",),
    "exit_code": ("code",),
    "tty_mode": ("mode",),
}
# Change how the next reboot, upload, backup or join goes.
NEXT: dict[str, tuple[str, ...]] = {
    "reboot_never_ends": (),
    "reboot_ignored": (),
    "reboot_slow": ("seconds",),
    "new_host_key": (),
    "services_after_reboot": ("state", "names"),
    "unit_after_reboot": ("state",),
    "upload_full": ("at_byte",),
    "upload_drop": ("at_byte",),
    "upload_hole": ("at_byte",),
    "upload_refused": (),
    "backup_fails": (),
    "restore_fails": (),
    "restore_hangs": (),
    "join_fails": ("at", "code"),  # at: fraction of its time; code: d, k, vanish
    "join_hangs": ("at",),
}
# Happen once, at their time.
ACTIONS: dict[str, tuple[str, ...]] = {
    "power_loss": (),
    "clock_jump": ("seconds",),
    "second_upgrade": (),
    "second_reboot": (),
    "delete_file": ("path",),
    "corrupt_file": ("path",),
    "remove_member": (),
    "broken": (),
    "cut": (),  # every open connection to the node ends
}
KINDS: dict[str, tuple[str, ...]] = {**LASTING, **STRIKING, **UPGRADE, **NEXT, **ACTIONS}


@dataclass(frozen=True, slots=True)
class Trigger:
    """``when``, read. ``kind``: start, at, command or event."""

    kind: str
    pattern: str = ""
    node: str = ""
    delay: float = 0.0
    nth: int = 1


@lru_cache(maxsize=1024)
def parse_when(text: str) -> Trigger:
    """Read when a fault strikes. :raises ValueError: not one of the forms."""
    plain = text.strip()
    if plain in ("", "now"):
        return Trigger("start")
    counted = re.fullmatch(r"(.*)#(\d{1,6})", plain)
    nth = int(counted.group(2)) if counted else 1
    body = counted.group(1).rstrip() if counted else plain
    if body.startswith("command "):
        return Trigger("command", body.removeprefix("command ").strip(), nth=nth)
    at = re.fullmatch(r"at\s+(\d+(?:\.\d+)?)\s*s?", body)
    if at:
        return Trigger("at", delay=float(at.group(1)))
    event = re.fullmatch(r"([a-z_]+)(?::([\w.-]+))?(?:\s*\+\s*(\d+(?:\.\d+)?)\s*s?)?", body)
    if not event:
        raise ValueError(f"when {text!r}: 'at 300s', 'command TEXT #2' or 'event:node + 300s' is expected")
    return Trigger("event", event.group(1), event.group(2) or "", float(event.group(3) or 0), nth)


@dataclass
class Fault:
    """One fault. ``node`` ``*``: any. The last fields but one are its state."""

    kind: str
    node: str = "*"
    when: str = ""
    for_s: float = 0.0
    times: int = 1
    params: dict[str, object] = field(default_factory=dict)
    seen: int = 0  # matching commands or events so far
    struck: int = 0
    due: float = NEVER
    started: float = NEVER
    rehearsed: bool = False  # asked for on the command line: fixed when the run is resumed

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}; known: {', '.join(sorted(KINDS))}")
        wrong = set(self.params) - set(KINDS[self.kind])
        if wrong:
            raise ValueError(f"fault {self.kind}: unknown {sorted(wrong)}; known: {list(KINDS[self.kind])}")
        if self.due >= NEVER and self.started >= NEVER and not self.seen:
            trigger = parse_when(self.when)
            if trigger.kind in ("start", "at"):
                self.due = trigger.delay

    @property
    def trigger(self) -> Trigger:
        """Return what makes the fault strike."""
        return parse_when(self.when)

    def concerns(self, node: str) -> bool:
        """Return whether the fault is this node's."""
        return self.node in ("*", node)

    def lasts(self, now: float) -> bool:
        """Return whether a lasting fault is there now."""
        return self.started <= now and (self.for_s == 0 or now < self.started + self.for_s)

    @property
    def spent(self) -> bool:
        """Return whether it has struck as often as it shall."""
        return 0 < self.times <= self.struck

    def text(self, key: str, default: str = "") -> str:
        """Return a parameter as text."""
        return str(self.params.get(key, default))

    def number(self, key: str, default: float = 0.0) -> float:
        """Return a parameter as a number."""
        return float(str(self.params.get(key, default)))

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return whether a parameter is set."""
        return bool(self.params.get(key, default))

    def names(self, key: str) -> list[str]:
        """Return a parameter as a list of names."""
        value = self.params.get(key)
        return [str(name) for name in value] if isinstance(value, list) else []


def fault_from(value: Mapping[str, object], place: str) -> Fault:
    """Return a fault from its dict, in which the parameters stand beside the other keys.

    :raises ValueError: unknown kind, key or ``when``; names ``place``.
    """
    known = ("kind", "node", "when", "for_s", "times", "seen", "struck", "due", "started", "rehearsed")
    try:
        params = value.get("params", {})
        if not isinstance(params, Mapping):
            raise TypeError("params must be a mapping")
        extra = {k: v for k, v in value.items() if k not in known and k != "params"}
        own = {k: v for k, v in value.items() if k in known}
        return Fault(params={**params, **extra}, **own)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from None


def matches(pattern: str, command: str) -> bool:
    """Return whether a command's text holds the pattern."""
    return fnmatchcase(command, f"*{pattern}*") if "*" in pattern else pattern in command


def striking(faults: list[Fault], node: str, command: str, now: float) -> Iterator[Fault]:
    """Yield the faults that strike this command; each counts it."""
    for fault in faults:
        if fault.kind not in STRIKING or fault.spent or not fault.concerns(node):
            continue
        trigger = fault.trigger
        pattern = trigger.pattern if trigger.kind == "command" else fault.text("command")
        if not matches(pattern, command):
            continue
        if trigger.kind == "command":
            fault.seen += 1
            begun = fault.seen >= trigger.nth
        else:
            begun = fault.lasts(now)
        if begun:
            fault.struck += 1
            yield fault
