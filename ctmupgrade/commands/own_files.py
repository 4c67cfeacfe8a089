"""What a resume needs of this machine, where this machine is one of the appliances that are upgraded."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks.facts import Maybe
from ctmupgrade.core.looks.own_files import OwnFile


def files_for_resume(setup: Setup) -> Maybe[tuple[OwnFile, ...]]:
    """Return what a resume needs after the reboot of the appliance that this runs on, and whether it is there then;
    nothing where this is no such appliance."""
    if not setup.cluster.own_node or setup.request.simulate is not None:
        return ()
    from ctmupgrade.adapters.local.own_files import own_files

    return own_files(dict.fromkeys(_needed(setup)))


def ended_by_logout(setup: Setup) -> str:
    """Return what would end the upgrade of the appliance that this runs on when its operator logs out; "" where nothing
    does, or where this is no such appliance."""
    if not setup.cluster.own_node or setup.request.simulate is not None:
        return ""
    from ctmupgrade.adapters.local.logout import ended_by_logout

    return ended_by_logout(os.getuid())


def boot_of_this_machine(setup: Setup) -> str:
    """Return this machine's boot id, to find out whether it is one of the nodes; "" where that is said, or not known."""
    if setup.cluster.own_node or setup.request.simulate is not None:
        return ""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _needed(setup: Setup) -> Iterator[tuple[str, Path]]:
    cluster = setup.cluster
    yield "the state folder", setup.home.absolute()
    yield "cluster.yaml", setup.request.cluster.absolute()
    yield "the archive", cluster.target.archive
    yield "backup.directory", cluster.backup.directory
    if cluster.target.keyring:
        yield "target.keyring", cluster.target.keyring
    program = shutil.which(sys.argv[0])
    if program:
        yield "the program ctmupgrade", Path(program).absolute()
    for node in cluster.nodes:
        ksctl = Path(node.ksctl.command.split()[0])
        for what, path in (
            ("ssh.identity_file", None if node.is_own else node.ssh.identity_file),
            ("ssh.known_hosts", None if node.is_own else node.ssh.known_hosts),
            ("ksctl.password_file", node.ksctl.password_file),
            ("ksctl.command", ksctl if ksctl.is_absolute() else None),
        ):
            if path:
                yield what, path
