"""``scripts/lab``: a lab by hand."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab import host
from tests.lab.cluster import TARGET, VERSION, Lab
from tests.lab.host import LabError
from tests.lab.layout import default_directory
from tests.lab.standin import knobs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description="Real nodes for tests, on this machine.")
    parser.add_argument(
        "--dir", type=Path, default=None, help="default: $CTMUPGRADE_LAB_DIR or /tmp/ctmupgrade-lab"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, words: str, *positional: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words)
        one.add_argument("--dir", type=Path, default=argparse.SUPPRESS)
        for argument in positional:
            one.add_argument(argument.rstrip("*"), nargs="*" if argument.endswith("*") else None)
        return one

    up = add("up", "start nodes")
    up.add_argument("-n", type=int, default=3)
    up.add_argument("--version", default=VERSION)
    up.add_argument("--target", default=TARGET)
    up.add_argument("--archive-size", default="4M")
    up.add_argument("--unclustered", action="store_true")
    up.add_argument("--disk", default="40G", help="size of each node's disk, in memory")
    up.add_argument("--install-packages", action="store_true")
    add("down", "end them and remove everything")
    add("status", "what the nodes are doing")
    add("exec", "run a client where it reaches the nodes: exec -- CMD...", "argv*")
    add("node", "run a command as root in a node: node NAME -- CMD...", "name", "argv*")
    add("ssh", "a command line of ksadmin: ssh NAME -- CMD...", "name", "argv*")
    add(
        "behave",
        f"set behaviours: behave NAME KEY=VALUE... ({', '.join(knobs.DEFAULTS)})",
        "name",
        "settings*",
    )
    add("cut", "no port 5432 between two nodes", "one", "other")
    add("heal", "ends cut", "one", "other")
    add("drop", "a node loses all SSH packets", "name")
    add("undrop", "ends drop", "name")
    add("kill-sessions", "end ksadmin's SSH connections", "name")
    add("crash", "power failure of a node", "name")
    add("audit", "what happened to a node", "name")
    archive = add("archive", "make a signed archive; cluster.yaml names it from then on")
    archive.add_argument("--size", default="64M")
    archive.add_argument("--target", default=TARGET)
    return parser


def _up(given: argparse.Namespace) -> int:
    if given.install_packages and os.geteuid() == 0:
        installed = host.install_packages()
        print(f"installed: {' '.join(installed)}" if installed else "nothing to install")
    lab = Lab.up(
        given.n, given.dir, version=given.version, target=given.target, archive_size=given.archive_size,
        clustered=not given.unclustered, disk=given.disk,
    )  # fmt: skip
    for name in lab.names:
        print(f"{name}  {lab.address(name)}")
    print(f"{lab.layout.cluster_file}\nscripts/lab exec -- ctmupgrade check")
    return 0


def _exec(words: Sequence[str], lab: Lab, inside: Sequence[str]) -> int:
    if not words:
        raise LabError("a command is expected after --")
    return subprocess.run(inside, env={**os.environ, **lab.environment}, check=False).returncode


def _show(lab: Lab) -> int:
    for name, state in lab.status().items():
        kept = lab.state(name)
        place = "clustered" if kept["cluster"] else "alone"
        chosen = {k: v for k, v in knobs.load(lab.layout.node(name).shared).items() if v != _plain(k)}
        print(
            f"{name}  {state['address']}  {state['state']}  {kept['version']}  {place}  {json.dumps(chosen)}"
        )
    return 0


def _plain(name: str) -> object:
    default = knobs.DEFAULTS[name]
    return list(default) if isinstance(default, tuple) else default


def _command(given: argparse.Namespace) -> int:  # noqa: C901 - one case a kind
    if given.command == "up":
        return _up(given)
    if given.command == "down":
        Lab(given.dir or default_directory(), ()).down()
        return 0
    lab = Lab.attach(given.dir)
    match given.command:
        case "status":
            return _show(lab)
        case "exec":
            return _exec(given.argv, lab, ["ip", "netns", "exec", lab.layout.hub, *given.argv])
        case "node":
            return _exec(given.argv, lab, lab.node_words(given.name, *given.argv))
        case "ssh":
            terminal = ("-tt",) if sys.stdin.isatty() else ()
            words = [*lab.ssh_words(given.name, *terminal), *given.argv]
            return _exec(words, lab, ["ip", "netns", "exec", lab.layout.hub, *words])
        case "behave":
            print(json.dumps(lab.behave(given.name, **dict(s.split("=", 1) for s in given.settings))))
        case "cut" | "heal":
            getattr(lab, given.command)(given.one, given.other)
        case "drop" | "undrop" | "crash":
            getattr(lab, given.command)(given.name)
        case "kill-sessions":
            print(lab.kill_sessions(given.name))
        case "audit":
            print("\n".join(json.dumps(line) for line in lab.audit(given.name)))
        case "archive":
            print(lab.archive(given.size, given.target))
        case other:
            raise LabError(f"no command {other}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 1 with the reason where it does not work."""
    words = list(sys.argv[1:] if argv is None else argv)
    rest: list[str] = []
    if "--" in words:  # all behind it belongs to the command that is run
        where = words.index("--")
        words, rest = words[:where], words[where + 1 :]
    given = _parser().parse_args(words)
    if hasattr(given, "argv"):
        given.argv += rest
    try:
        return _command(given)
    except (LabError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
