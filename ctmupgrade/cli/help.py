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

# What means something to few comes last.
_ORDER = ("Arguments", "Options", "Plan", "Common options", "Only for a rebuild")
Row = tuple[str, str]  # what is typed, and what it does


def print_help(command: Any, context: Any, listing: Sequence[tuple[str, Sequence[Row]]] = ()) -> None:
    """Print a command's help on standard output.

    :param command: of the parser; its arguments and options are shown.
    :param listing: panels of further commands, each with its title.
    """
    console = Console(highlight=False)
    console.print(Padding(Text(command.get_usage(context).strip(), style="bold"), 1))
    if command.help:
        console.print(Padding(Text(command.help.strip()), (0, 1, 1, 1)))
    panels: dict[str, list[Row]] = {"Arguments": [], "Options": []}
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record:
            own = "Arguments" if param.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(param, "rich_help_panel", None) or own, []).append(record)
    for title in sorted(panels, key=lambda title: (_ORDER.index(title), title)):
        _panel(console, title, panels[title])
    width = max((len(name) for _, rows in listing for name, _ in rows), default=0)
    for title, rows in listing:
        _panel(console, title, rows, width)


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
