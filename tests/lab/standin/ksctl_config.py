"""How ``ksctl`` finds its settings: command line over --configfile over environment over ~/.ksctl/config.yaml."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing would be a good part of a short-lived program's run time
if TYPE_CHECKING:
    from collections.abc import Mapping

GLOBAL = {
    "--url": "KSCTL_URL",
    "--user": "KSCTL_USERNAME",
    "--password": "KSCTL_PASSWORD",
    "--timeout": "KSCTL_TIMEOUT",
    "--respfmt": "KSCTL_RESP",
    "--nosslverify": "KSCTL_NOSSLVERIFY",
    "--configfile": "",
    "--domain": "KSCTL_DOMAIN",
    "--auth-domain": "KSCTL_AUTH_DOMAIN",
}
SWITCHES = frozenset((
    "--nosslverify", "--force", "-y", "--yes", "--shared-hsm-partition", "--block", "--tied-to-hsm",
    "--overall-status", "--writetoconfig",
))  # fmt: skip


class UsageError(Exception):
    """Wrong words on the command line, or an answer that cannot be had."""


def split(argv: list[str]) -> tuple[list[str], dict[str, str]]:
    """(command words, flags). :raises UsageError: a flag lacks its value."""
    words, flags, rest = [], {}, list(argv)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif has_value:
            flags[name] = value
        elif word in SWITCHES:
            flags[word] = "true"
        elif rest:
            flags[word] = rest.pop(0)
        else:
            raise UsageError(f"Error: flag needs an argument: {word}")
    return words, flags


def read_file(path: str) -> dict[str, str]:
    """``KEY: value`` lines; values may be quoted."""
    import json  # not needed where there is no file

    found = {}
    with open(path) as file:
        lines = file.read().splitlines()
    for line in lines:
        name, colon, value = line.partition(":")
        text = value.strip()
        if colon and text:
            found[name.strip()] = str(json.loads(text)) if text.startswith('"') else text
    return found


def settings(flags: Mapping[str, str]) -> dict[str, str]:
    """All settings by their KSCTL_ name. :raises UsageError: the named file cannot be read."""
    found: dict[str, str] = {}
    default = os.path.expanduser("~/.ksctl/config.yaml")
    if os.path.isfile(default):
        found |= read_file(default)
    found |= {name: value for name, value in os.environ.items() if name.startswith("KSCTL_") and value}
    if "--configfile" in flags:
        try:
            found |= read_file(flags["--configfile"])
        except OSError as error:
            raise UsageError(f"Error: open {flags['--configfile']}: {error.strerror}") from error
    found |= {GLOBAL[flag]: value for flag, value in flags.items() if GLOBAL.get(flag)}
    return found


def prompt(what: str) -> str:
    """Asks on the terminal. :raises UsageError: there is none."""
    sys.stdout.write(what)
    sys.stdout.flush()
    if not sys.stdin.isatty():
        raise UsageError("inappropriate ioctl for device")
    if not what.startswith("password"):
        return sys.stdin.readline().strip()
    import termios  # rarely needed

    descriptor = sys.stdin.fileno()
    old = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        answer = sys.stdin.readline().rstrip("\n")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, old)
    sys.stdout.write("\n")
    return answer
