"""What a person types once before the commands of a page: who they are to ksctl and ssh, and whether every way in works."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

from ctmupgrade.core.manual_commands import ksctl, password_export, shell
from ctmupgrade.core.model import Cluster, KsctlSettings
from ctmupgrade.render.page import Mono, Words


def logins(cluster: Cluster) -> Iterator[Words]:
    """Yield what ksctl and ssh must be given once, in words. No command carries a password."""
    nodes = (*cluster.nodes, *cluster.fresh)
    yield (
        "one shell from the beginning to the end; what it writes is for you alone: ", Mono("umask 077"),
        "; in zsh also: ", Mono("setopt interactivecomments"),
    )  # fmt: skip
    if any(node.ksctl.username == KsctlSettings().username for node in nodes):
        yield "ksctl's user: ", Mono(f"export KSCTL_USERNAME={KsctlSettings().username}")
    yield from _passwords(cluster)
    for node in [node for node in nodes if node.ksctl.fetched][:1]:
        yield (
            "ksctl, for PATH: the one for this machine in ",
            Mono(f"{node.url}/downloads/ksctl_images.zip"),
        )
    seconds = math.ceil(max(node.ksctl.timeout for node in nodes))
    yield (
        "long calls: ", Mono(f"export KSCTL_TIMEOUT={seconds}"), "; one that times out may have succeeded: look first",
    )  # fmt: skip
    jumping = [n.ssh for n in nodes if n.ssh.proxy_jump and not n.ssh.jump.identity_file]
    keys = {str(ssh.identity_file): None for ssh in jumping if ssh.identity_file}
    for key in keys:
        yield (
            Mono("ssh -J"), " does not show its ", Mono("-i"), " to the jump hosts: ", Mono(f"ssh-add {shlex.quote(key)}"),
        )  # fmt: skip


def _passwords(cluster: Cluster) -> Iterator[Words]:
    places: dict[tuple[str, str], list[str]] = {}
    for node in (*cluster.nodes, *cluster.fresh):
        place = (password_export(node.ksctl), node.ksctl.password_env or "")
        places.setdefault(place, []).append(node.name)
    for (line, variable), names in places.items():
        whose = ", ".join(names) if len(places) > 1 else "all nodes"
        typed = line.startswith("read ")
        how = "; type it, then Enter: it is not shown" if typed else ""
        where = f"; ctmupgrade has it in {variable}" if typed and variable else ""
        yield f"ksctl's password for {whose}, which no command below carries{where}: ", Mono(line), how


def ways_in(cluster: Cluster) -> tuple[str, ...]:
    """Return commands that try every way in and change nothing: the control plane and the shell of each node."""
    found = []
    for node in (*cluster.nodes, *cluster.fresh):
        found.append(ksctl(node, "system", "info", "get", note=f"{node.name}: shows its version"))
        found.append(
            shell(node, "df", "-h", "/", note=f"{node.name}: free space, and no question for a password")
        )
    return tuple(found)
