"""The behaviours that a test can choose for a node, with their defaults."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFAULTS: Mapping[str, Any] = {
    # ks_upgrade.sh
    "check_seconds": 0.0,  # how much longer it looks at the archive, before its log and its screen session
    "launch_seconds": 0.0,  # from its log, which is empty then, to its screen session
    "upgrade_seconds": 6.0,  # how long it runs
    "log_dir": "",  # where its log lies; "" is the caller's working directory
    "tty": "screen",
    "notty": "foreground",
    "exit_code": "",  # overrides its exit status; "" leaves it
    "fail": "none",
    # booting
    "start_seconds": 2.0,  # from the daemon's start until its services report `started`
    "reboot_seconds": 2.0,  # how long the node is away in a reboot
    "reboot": "normal",
    # the control plane
    "services_error": False,
    "null_lists": False,  # empty lists are printed as null
    "backup_seconds": 1.0,
    "join_seconds": 2.0,
    "quorum": False,  # membership changes need a reachable majority ("consensus is down")
    "ntp_synced": True,
    "attended_boot": False,
    "alarms_on": (),  # names of built-in alarms that are on
    # the shell of ksadmin
    "shell_without": (),  # programs that it lacks; sftp: the subsystem too
    "restricted": False,  # rbash
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "tty": ("screen", "foreground", "background"),
    "notty": ("foreground", "returns", "survives"),
    "fail": ("none", "at_once", "middle", "no_verdict", "old_version_after_reboot", "hang"),
    "reboot": ("normal", "never", "new_host_key"),
}


def checked(name: str, value: Any) -> Any:
    """``value`` in the form of that knob's default. :raises ValueError: no such knob or value."""
    if name not in DEFAULTS:
        raise ValueError(f"no knob {name!r}; there are: {', '.join(DEFAULTS)}")
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
    if isinstance(default, float):
        return float(value)
    if isinstance(default, tuple):
        return [v for v in value.split(",") if v] if isinstance(value, str) else list(value)
    text = "" if value is None else str(value)
    if name in CHOICES and text not in CHOICES[name]:
        raise ValueError(f"{name}={text}: one of {', '.join(CHOICES[name])} is expected")
    return text


def load(folder: Path) -> dict[str, Any]:
    """The node's knobs as they are now."""
    try:
        chosen = json.loads((folder / "knobs.json").read_text())
    except FileNotFoundError:
        chosen = {}
    return {**DEFAULTS, **chosen}


def save(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes some knobs; also writes them for the shell scripts, as ``KNOB_name=value``."""
    new = load(folder) | {name: checked(name, value) for name, value in changes.items()}
    lines = [f"KNOB_{name}={shlex.quote(_word(value))}\n" for name, value in new.items()]
    for name, text in (("knobs.json", json.dumps(new, indent=1)), ("knobs.sh", "".join(lines))):
        draft = folder / f".{name}"
        draft.write_text(text)
        draft.replace(folder / name)  # never seen half written
    return new


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, list | tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
