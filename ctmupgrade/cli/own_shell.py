"""What is said before the appliance is upgraded on whose shell ctmupgrade runs: that this shell ends, and what to type
after that."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.cli.given import Common
from ctmupgrade.cli.place import placed
from ctmupgrade.core.plan.steps import Reboot, RunUpgrade
from ctmupgrade.core.run.journal import RunState, StepStarted

if TYPE_CHECKING:
    from ctmupgrade.core.model import Cluster
    from ctmupgrade.core.run.journal import Event


_NAME = "ctmupgrade"


def last_words(
    common: Common, cluster: Cluster, home: Path, state: RunState, event: Event | None
) -> list[str]:
    """Return what to say before an event's act; nothing where this shell outlives it.

    :param home: the cluster's state folder.
    """
    own = cluster.own_node
    if not own or not isinstance(event, StepStarted):
        return []
    step = state.plan.step(event.step)
    if step.node != own or not isinstance(step.action, RunUpgrade | Reboot):
        return []
    return [
        "",
        f"{own} is the appliance that ctmupgrade runs on: this shell ends with the reboot of {own}.",
        "When it is up again, log in and type this, which goes on and proves it:",
        "",
        f"  {resume_command(common, home, state.run)}",
        "",
        *_where_it_is(),
        *_to_set_again(cluster),
    ]


def resume_command(common: Common, home: Path, run: str) -> str:
    """Return the command that goes on with a run from any folder, after the environment of this shell is gone."""
    file = (common.cluster or Path("cluster.yaml")).absolute()
    there = replace(common, cluster=file, state_dir=home.parent.absolute(), strategy=None)
    if common.simulate is not None:
        there = replace(there, cluster=Path("cluster.yaml"), simulate=common.simulate.absolute())
    return placed(f"{_NAME} resume {run}", there).replace(_NAME, program(), 1)


def program() -> str:
    """Return what starts this program again, quoted for a shell: its name where PATH has it, for a restricted shell takes
    no path."""
    here = _path()
    found = shutil.which(_NAME)
    if found and os.path.realpath(found) == os.path.realpath(here):
        return _NAME
    return shlex.quote(here)


def _path() -> str:
    return os.path.abspath(shutil.which(sys.argv[0]) or sys.argv[0])  # noqa: PTH100 - a link stays what the operator calls


def _where_it_is() -> list[str]:
    """A name is found by PATH, which a new login may have without what was added to it here."""
    return [f"If {_NAME} is not found then, type {_path()} instead of it."] if program() == _NAME else []


def _to_set_again(cluster: Cluster) -> list[str]:
    """What this shell has and a new one has not."""
    names = [*cluster.secret_variables]
    if any(
        not (n.ksctl.password_env or n.ksctl.password_file or n.ksctl.password_command) for n in cluster.nodes
    ):
        names.append("KSCTL_PASSWORD")
    names = [name for name in dict.fromkeys(names) if os.environ.get(name)]
    lines = [f"Set again before it, for they end with this shell: {', '.join(names)}."] if names else []
    if os.environ.get("SSH_AUTH_SOCK") and any(not (n.is_own or n.ssh.identity_file) for n in cluster.nodes):
        lines.append("Log in with your ssh-agent forwarded again (ssh -A), which reaches the other nodes.")
    return lines
