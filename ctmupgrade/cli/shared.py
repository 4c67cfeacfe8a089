"""What the commands of every panel share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade.cli.options import Common, Format, rate_of
from ctmupgrade.cli.parser import Shelf

if TYPE_CHECKING:
    from ctmupgrade.commands.request import Request
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.model import Options

LOOK, CHANGE, AFTER = "Look (changes nothing)", "Change", "While and after"
shelf = Shelf()


OutFile = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="instead of the terminal")
]


Rate = Annotated[
    str, typer.Option("--limit-rate", metavar="RATE", help="all uploads together, in bytes a second: 20M")
]


NodeRate = Annotated[
    str, typer.Option("--limit-rate-per-node", metavar="RATE", help="and each node's upload")
]


RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="default: the latest")]


def _request(
    common: Common, options: Options | None = None, rates: tuple[str, str] = ("", ""), purpose: str = "PLAN"
) -> Request:
    from ctmupgrade.commands.request import Purpose, Request
    from ctmupgrade.core.model import Options

    def say(line: str) -> None:
        if common.verbose:
            sys.stderr.write(f"{line}\n")

    return Request(
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
def _setup(
    common: Common,
    options: Options | None = None,
    *,
    looks_only: bool = False,
    rates: tuple[str, str] = ("", ""),
    purpose: str = "PLAN",
) -> Iterator[Setup]:
    from ctmupgrade.commands.wiring import setup
    from ctmupgrade.render import plain

    with setup(_request(common, options, rates, purpose)) as made:
        line = plain.mode_line(made.mode, made.cluster.name, looks_only=looks_only)
        sys.stderr.write(f"{line}\n") if common.shown is Format.JSON else typer.echo(line)
        yield made
