"""The command line: parse, call one function of ``app``, render, exit code. Decides nothing.

Imports of ``app`` stand inside the commands, so that ``--help`` loads neither paramiko nor gnupg; a command
is made into a parser only when it is called (:mod:`ctmupgrade.cli.parser`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade import __version__
from ctmupgrade.cli import shells
from ctmupgrade.cli.funnel import funnel
from ctmupgrade.cli.given import Common
from ctmupgrade.cli.opening import registry
from ctmupgrade.cli.options import no_empty_values, with_common
from ctmupgrade.cli.parser import HELP, group_of
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="ctmupgrade",
    help="Upgrade clusters of Thales CipherTrust Manager appliances over SSH, one node at a time, and go on "
    "after any crash. First: init, check, plan, stage. In the window: run. After anything: resume.",
    cls=group_of(registry),
    no_args_is_help=True,
    context_settings=HELP,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctmupgrade {__version__}")
        raise typer.Exit


def _alone(shell: str) -> None:
    if shell:
        raise UsageError(
            f"{shells.INSTALL} and {shells.SHOW} are typed alone", remedy=f"ctmupgrade {shells.SHOW} {shell}"
        )


@app.callback()
@with_common
def root(
    common: Common,
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version and exit", is_eager=True, callback=_version),
    ] = False,
    install_completion: Annotated[
        str,
        typer.Option(
            shells.INSTALL,
            metavar="[SHELL]",
            help="let bash, zsh or fish complete commands, and exit",
            callback=_alone,
        ),
    ] = "",
    show_completion: Annotated[
        str,
        typer.Option(
            shells.SHOW, metavar="[SHELL]", help="print what that shell reads, and exit", callback=_alone
        ),
    ] = "",
) -> None:
    """Take the common options; they may be here or after the command."""


def main() -> int:
    """Run the installed program."""
    fill_registry()
    return funnel(_program)


def fill_registry() -> None:
    """Take in every command."""
    import ctmupgrade.cli.change
    import ctmupgrade.cli.demo
    import ctmupgrade.cli.look
    import ctmupgrade.cli.runs
    import ctmupgrade.cli.serve
    import ctmupgrade.cli.take_over  # noqa: F401 - to import it is enough


def _program() -> object:
    words = sys.argv[1:]
    no_empty_values(words)
    if shells.asked(words):
        return shells.answer(words)
    # Where no options stand before a command's name, those of the program and of the group need no look:
    # typer would load the validation library for them, also where only the command's help is wanted.
    command, rest = registry.find(words)
    if command is None:
        return app(standalone_mode=False)
    name = " ".join(("ctmupgrade", *words[: len(words) - len(rest)]))
    try:
        return command.main(list(rest), prog_name=name, standalone_mode=False)
    except Exception as error:
        error.add_note(name)  # the parser does not always say in which command it stopped
        raise
