"""``recover`` on the command line: what it prints, its question, and the command that takes the way back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.output import fold, put_json
from ctmupgrade.cli.place import place_words
from ctmupgrade.cli.questions import NOTHING, ask, at_terminal
from ctmupgrade.core.plan.option_words import given_words
from ctmupgrade.errors import CtmUpgradeError, ExitCode

if TYPE_CHECKING:
    from ctmupgrade.commands.recover import Recovery
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.model import Options
    from ctmupgrade.core.run.operator_input import OperatorInput


class ReadOtherwiseError(CtmUpgradeError):
    """``--pin`` names a way back that is not the one of now."""

    exit_code = ExitCode.BLOCKED


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed.

    :ivar pin: what was read before, of which nothing may have changed; "": nothing was.
    """

    common: Common
    known: OperatorInput
    options: Options
    take_over: str = ""
    pin: str = ""

    def command(self, found: Recovery) -> str:
        """Return the command that takes this way back and no other; "" where there is none."""
        if not found.plan.steps:
            return ""
        more = f" --take-over {self.take_over}" if self.take_over else ""
        return (
            f"ctmupgrade recover{found.known.words}{given_words(self.options)}{more} --pin {found.pin} --yes"
        )

    @property
    def place(self) -> str:
        """Return the options that say where the cluster's files are, as they were given."""
        return place_words(self.common)


def show(asked: Asked, made: Setup, found: Recovery, *, after: bool = False) -> None:
    """Print a diagnosis: before the way back is taken, or after it."""
    from ctmupgrade.render import documents, folding, recovery

    if asked.common.shown is Format.JSON:
        document = documents.recovery_document(
            made.cluster,
            made.mode,
            found.diagnosis,
            found.plan,
            pin=found.pin,
            take=asked.command(found),
            place=asked.place,
        )
        put_json({**document, "after": True} if after else document, lines=True)
        return
    lines = recovery.diagnosis_lines(
        found.diagnosis, found.plan, take=asked.command(found), place=asked.place
    )
    if asked.common.shown is Format.RICH:
        lines = folding.folded(lines, shutil.get_terminal_size().columns)
    typer.echo("\n".join(["afterwards:", *lines] if after else lines))


def refuse_unread(asked: Asked, found: Recovery) -> None:
    """Refuse a way back that is not the one which was read.

    :raises ReadOtherwiseError: ``--pin`` names another.
    """
    if asked.pin and asked.pin != found.pin:
        raise ReadOtherwiseError(
            "the cluster is no longer as it was when that ID was printed; nothing was changed",
            remedy="read what is proposed now, and take that: each reading has an ID of its own (--pin)",
        )


def confirm(asked: Asked, found: Recovery) -> bool:
    """Return whether a person at this terminal says yes to the way back; False where nobody can be asked."""
    from ctmupgrade.render import recovery

    if not at_terminal(asked.common):
        return False
    lines = fold(asked.common, recovery.question_lines(found.diagnosis, found.plan))
    return ask("Take this way back now?", lines, no=NOTHING)


def take(asked: Asked, made: Setup, found: Recovery) -> int:
    """Take the way back, asked for with --yes or at the terminal; return the exit code."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import recover as recovering
    from ctmupgrade.render import plain

    confirmed = not asked.common.yes
    while True:
        if confirmed and not confirm(asked, found):
            return found.code
        if confirmed:
            for line in fold(asked.common, [plain.mode_line(made.mode, made.cluster.name, looks_only=False)]):
                typer.echo(line)
        command = f"ctmupgrade recover{asked.known.words}{given_words(asked.options)} --yes"
        try:
            with wishes(asked.common, made, take_over=asked.take_over, command=command) as wish:
                outcome, after = recovering.perform(made, wish, found, confirmed=confirmed)
        except recovering.WayChangedError as changed:
            typer.echo(f"{changed.brief}:\n{changed.details}")
            found = changed.now
            show(asked, made, found)
            if not found.plan.steps:
                return found.code
            continue
        if after is not None and asked.common.shown is Format.JSON:
            show(asked, made, after, after=True)
        code = finish(asked.common, made, outcome)
        if after is not None and asked.common.shown is not Format.JSON:
            show(asked, made, after, after=True)
        return code
