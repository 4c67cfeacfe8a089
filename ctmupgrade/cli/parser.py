"""Commands that are made into a parser only when they are called: ``--help`` needs their names alone.

A command with its options takes a millisecond or two to build, and there are twenty of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ctmupgrade.cli.options import with_common

HELP = {"help_option_names": ["-h", "--help"]}

_SPELLED = ("--help", "--version")  # what is typed as a command elsewhere

F = TypeVar("F", bound=Callable[..., object])


class PanelCommand(TyperCommand):
    """A command whose help stands in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help itself; ``formatter`` stays empty."""
        from ctmupgrade.cli.help import print_help

        print_help(self, ctx)


class CommandRegistry:
    """Commands by name, in the order in which they are listed.

    :param panels: titles in the order in which help shows them, whatever module is imported first.
    """

    def __init__(self, *panels: str) -> None:
        self._panels: dict[str, dict[str, str]] = {panel: {} for panel in panels}
        self._makers: dict[str, Callable[[], Any]] = {}
        self._inner: dict[str, CommandRegistry] = {}

    def command(self, panel: str, *, name: str = "") -> Callable[[F], F]:
        """Decorator: the function becomes the command of its name, or of ``name``, its docstring the help."""

        def register(function: F) -> F:
            called = name or function.__name__
            self._put(called, panel, inspect.getdoc(function) or "", lambda: _command(called, function))
            return function

        return register

    def group(self, name: str, panel: str, text: str) -> CommandRegistry:
        """Return a command with commands of its own."""
        inner = self._inner[name] = CommandRegistry()
        made = group_of(inner)
        self._put(
            name, panel, text, lambda: made(name=name, help=text, no_args_is_help=True, context_settings=HELP)
        )
        return inner

    def _put(self, name: str, panel: str, text: str, make: Callable[[], Any]) -> None:
        self._panels.setdefault(panel, {})[name] = " ".join(text.split("\n\n", maxsplit=1)[0].split())
        self._makers[name] = make

    @property
    def names(self) -> list[str]:
        """Return all names."""
        return list(self._makers)

    def inner(self, name: str) -> CommandRegistry | None:
        """Return the commands of a command that has some."""
        return self._inner.get(name)

    @property
    def listing(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return panels with names and first paragraphs."""
        return [(panel, list(rows.items())) for panel, rows in self._panels.items()]

    def find(self, words: Sequence[str]) -> tuple[Any, Sequence[str]]:
        """Return the parser of the command that is named by the first words, and the words behind its name; None
        and all words where an option or something unknown comes first."""
        if len(words) > 1 and words[0] in self._inner:
            command, rest = self._inner[words[0]].find(words[1:])
            if command is not None:
                return command, rest
        command = self.make(words[0]) if words else None
        return (command, words[1:]) if command is not None else (None, words)

    def make(self, name: str) -> Any:
        """Return the parser of a command; None where there is none of that name."""
        maker = self._makers.get(name)
        return maker() if maker else None


def _command(name: str, function: Callable[..., object]) -> Any:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, cls=PanelCommand, context_settings=HELP)(with_common(function))
    return typer.main.get_command(app)


def group_of(shelf: CommandRegistry) -> type[TyperGroup]:
    """Return the parser's class of a command whose commands are those of ``shelf``."""

    class Group(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return shelf.names

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return shelf.make(cmd_name)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if args and args[0] not in shelf.names and not args[0].startswith("-"):
                from ctmupgrade.core.near import meant

                ctx.fail(f"no such command: {args[0]}{meant(args[0], [*shelf.names, *_SPELLED])}")
            return super().resolve_command(ctx, args)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            from ctmupgrade.cli.help import print_help

            print_help(self, ctx, shelf.listing)

    return Group
