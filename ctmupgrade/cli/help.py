"""Help in rich's panels, without what typer's own help loads besides: Markdown, tracebacks, columns.

typer lets a command's class format its help; what is shown here comes from the parser's public methods, so
it is what the parser takes. Loaded by ``--help`` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import ROUNDED
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ctmupgrade.cli.examples import examples_of
from ctmupgrade.cli.meaning import RARE, RARELY_NEEDED, meaningless

# What means something to few comes last.
_ORDER = ("Arguments", "Options", "Plan", "Common options", "Only for a rebuild", RARE)
Row = tuple[str, str]  # what is typed, and what it does


def print_help(command: Any, context: Any, listing: Sequence[tuple[str, Sequence[Row]]] = ()) -> None:
    """Print a command's help on standard output.

    :param command: of the parser; its arguments and options are shown.
    :param listing: panels of further commands, each with its title.
    """
    console = Console(highlight=False)
    console.print(Padding(Text(command.get_usage(context).strip(), style="bold"), 1))
    if command.help:
        paragraphs = (
            " ".join(part.split()) for part in command.help.split("\n\n")
        )  # wherever the source has its lines
        console.print(Padding(Text("\n\n".join(paragraphs)), (0, 1, 1, 1)))
    panels: dict[str, list[Row]] = {"Arguments": [], "Options": []}
    name = context.command_path.partition(" ")[2]
    for param in shown(command, context, name):
        record = param.get_help_record(context)
        if record:
            typed = record[0].partition(" <")[0] if param.param_type_name == "argument" else record[0]
            panels.setdefault(_panel_of(param), []).append((typed, record[1]))
    for title in sorted(panels, key=lambda title: (_ORDER.index(title), title)):
        _panel(console, title, panels[title])
    width = max((len(name) for _, rows in listing for name, _ in rows), default=0)
    for title, rows in listing:
        _panel(console, title, rows, width)
    _examples(console, examples_of(name))


def shown(command: Any, context: Any, name: str) -> list[Any]:
    """Return the parameters of a command that mean something for it. :param name: as it is typed."""
    return [param for param in command.get_params(context) if param.name not in meaningless(name)]


def _panel_of(param: Any) -> str:
    if param.name in RARELY_NEEDED:
        return RARE
    own = "Arguments" if param.param_type_name == "argument" else "Options"
    return getattr(param, "rich_help_panel", None) or own


def _examples(console: Console, examples: Sequence[Row]) -> None:
    """Lines that can be pasted whole: what they do is behind a "#"."""
    if not examples:
        return
    console.print(Text(" Examples:", style="bold"))
    width = max(len(typed) for typed, _does in examples)
    for typed, does in examples:
        line = Text(f"   ctmupgrade {typed:{width}}  ", style="cyan")
        if line.cell_len + len(does) + 2 <= console.width:
            console.print(line.append(f"# {does}", style="dim"))
        else:
            console.print(Text(f"   # {does}", style="dim"))
            console.print(Text(f"   ctmupgrade {typed}", style="cyan"))
    console.print()


def _panel(console: Console, title: str, rows: Iterable[Row], width: int | None = None) -> None:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    # Names are never cut: where the terminal is narrow, they are folded.
    table.add_column(
        style="bold cyan", min_width=width, max_width=max(20, console.width // 2), overflow="fold"
    )
    table.add_column(ratio=1, overflow="fold")
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    if table.row_count:
        console.print(Panel(table, title=title, title_align="left", border_style="dim", box=ROUNDED))
