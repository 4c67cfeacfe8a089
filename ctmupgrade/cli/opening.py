"""Opens what a command works on: the panels, the request, the wired tools, the cluster's name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.options import rate_of
from ctmupgrade.cli.output import fold, put_json
from ctmupgrade.cli.parser import CommandRegistry
from ctmupgrade.cli.place import of_run, placed
from ctmupgrade.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ctmupgrade.commands.request import CommandRequest
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.model import Options
    from ctmupgrade.core.run.journal import RunState

LOOK, CHANGE, AFTER = "Look (changes nothing)", "Change", "While and after"
registry = CommandRegistry(LOOK, CHANGE, AFTER)


def request_of(
    common: Common, options: Options | None = None, rates: tuple[str, str] = ("", ""), purpose: str = "PLAN"
) -> CommandRequest:
    """Return what the command line asks for, as the commands take it."""
    from ctmupgrade.commands.request import CommandRequest, Purpose
    from ctmupgrade.core.model import Options

    def say(line: str) -> None:
        if common.verbose:
            sys.stderr.write(f"{line}\n")

    return CommandRequest(
        cluster=common.cluster or Path("cluster.yaml"),
        state_dir=common.state_dir,
        strategy=common.strategy,
        dry_run=common.dry_run,
        simulate=common.simulate,
        options=options or Options(),
        say=say,
        rate=rate_of(rates[0]),
        node_rate=rate_of(rates[1]),
        purpose=Purpose[purpose],
    )


@contextmanager
def opened(
    common: Common,
    options: Options | None = None,
    *,
    looks_only: bool = False,
    rates: tuple[str, str] = ("", ""),
    purpose: str = "PLAN",
    needs_archive: bool = True,
    pace: float = 0.0,
) -> Iterator[Setup]:
    """Open the cluster with its tools for the time of a command, and print the mode first."""
    from ctmupgrade.commands.wiring import setup
    from ctmupgrade.render import plain

    request = request_of(common, options, rates, purpose)
    with setup(replace(request, needs_archive=needs_archive, pace=pace)) as made:
        line = plain.mode_line(made.mode, made.cluster.name, looks_only=looks_only)
        for part in fold(common, [line]):
            typer.echo(part, err=common.shown is Format.JSON)
        for warning in (*_not_read(common), *made.warnings):
            sys.stderr.write(f"ctmupgrade: {warning}\n")
        yield made


def _not_read(common: Common) -> Iterator[str]:
    """Tell of a cluster.yaml that was typed beside ``--simulate`` and is not the fixture's: whoever typed it may believe that
    it counts. One that the environment names is for the live cluster."""
    typed, fixture = common.cluster, common.simulate
    if typed is None or fixture is None or str(typed) == os.environ.get("CTMUPGRADE_CLUSTER"):
        return
    own = fixture / "cluster.yaml"
    if typed.absolute() not in (own.absolute(), Path("cluster.yaml").absolute()):
        yield f"-c {typed} is not read: --simulate takes {own}"


def cluster_name(common: Common, run: str | None) -> str | None:
    """Return the cluster's name where its file tells it; a run can be looked at, and stopped, without it.

    :param run: as typed: in full or by its beginning it needs no cluster.
    :raises UsageError: no run is named, and the file that was named is not there: the latest run of all clusters would be
        that of another one.
    """
    from ctmupgrade.config.load import cluster_name as name_in

    path = common.simulate / "cluster.yaml" if common.simulate else common.cluster
    if path is None or not os.path.isfile(path):  # noqa: PTH113 - which raises nothing, whatever the folder is
        if path not in (None, Path("cluster.yaml")) and run in (None, "latest"):
            raise UsageError(
                f"{path}: there is no such file, so it is not known whose run is meant",
                remedy="ctmupgrade runs   # lists all runs: name one, or the file that is there",
            )
        return None
    found = name_in(path)
    if found is None:
        sys.stderr.write(f"{path}: does not tell the cluster's name, so the runs of all clusters are meant\n")
    return found


def need_cluster_file(common: Common, run: str | None, command: str) -> None:
    """Make sure that cluster.yaml is there; where it is not, the journals know which run is meant, and where its file is.

    :param command: what goes on with a run, as it is typed, without the run.
    :raises ConfigError: it is not there; the remedy names each run that may be meant, with its file.
    :raises UsageError: there is no such run, or it has ended.
    """
    from ctmupgrade.commands.choose import LATEST, find, not_over
    from ctmupgrade.commands.resume import refuse_ended
    from ctmupgrade.commands.wiring import state_dir

    path, request = common.cluster or Path("cluster.yaml"), request_of(common)
    if common.simulate is not None or os.path.lexists(path):
        return
    if run in (None, LATEST):
        waiting = list(not_over(state_dir(request)))
    else:
        folder = find(request, None, run)
        waiting = [(folder, folder.state())]
        refuse_ended(*waiting[0])
    if waiting:
        remedies = [_with_its_file(common, f"{command} {folder.run}", state) for folder, state in waiting]
        raise ConfigError(f"{path}: there is no such file", remedy="\n".join(dict.fromkeys(remedies)))


def _with_its_file(common: Common, command: str, state: RunState) -> str:
    """How to type a command on a run whose cluster.yaml is elsewhere; one that is gone there too is to be put back first."""
    file = state.files.get("cluster", "")
    if "simulate" in state.files or (file and os.path.isfile(file)):  # noqa: PTH113 - which raises nothing
        return placed(f"ctmupgrade {command}", of_run(common, state.files))
    return f"put {file} back, or name the file with -c FILE" if file else "name the run's file with -c FILE"


def only_said(common: Common, words: Mapping[str, str], said: str) -> int:
    """Return what a dry run of a request says."""
    said = f"DRY-RUN: {said}; nothing was changed"
    if common.shown is Format.JSON:
        put_json({"schema": 1, **words, "mode": "DRY-RUN", "said": said})
    else:
        typer.echo(said)
    return 0
