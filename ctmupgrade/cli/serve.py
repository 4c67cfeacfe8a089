"""A run's report while it goes on: a file that is kept fresh, and a page on loopback."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import AFTER, cluster_name, registry, request_of
from ctmupgrade.cli.options import RunId
from ctmupgrade.cli.output import format_of, printed_too, put_json
from ctmupgrade.cli.place import of_run, placed_report
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.adapters.web.loopback import Site
    from ctmupgrade.commands.live import Follower
    from ctmupgrade.core.run.journal import RunState
    from ctmupgrade.core.run.report import Report
    from ctmupgrade.render.live import Glance

Port = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="use this port, not a free one")
]


@registry.command(AFTER)
def serve(common: Common, run_id: RunId = None, port: Port = 0) -> int:
    """Show a run as a live page for a browser on this machine, read-only, until Ctrl-C."""
    from ctmupgrade.adapters.web.loopback import LoopbackServer

    follower = _follower(common, run_id)
    follower.look()
    with LoopbackServer(_site(follower), port) as server:
        run = follower.folder.run
        if common.shown is Format.JSON:
            put_json({"schema": 1, "url": server.url, "run": run}, lines=True)
        else:
            number = server.server_port
            typer.echo(server.url)
            typer.echo(f"shows run {run}, read-only, to browsers on this machine; Ctrl-C ends it")
            typer.echo(
                f"from another machine: ssh -L {number}:127.0.0.1:{number} THIS-MACHINE, then the same address there"
            )
        server.serve_forever(poll_interval=0.2)
    return 0


def keep_file(common: Common, run_id: str | None, target: Path) -> int:
    """Do ``report --live FILE``: write the page again and again, until the run ends."""
    from ctmupgrade.adapters.disk.private_file import write_private
    from ctmupgrade.commands.live import keep_fresh
    from ctmupgrade.core.redact import known_hidden
    from ctmupgrade.render.documents import report_document
    from ctmupgrade.render.html import report_html
    from ctmupgrade.render.live import live_file

    format_of(target, ".html", ".htm")

    def write(report: Report, last: bool) -> None:
        text = report_html(report) if last else live_file(report)
        try:
            write_private(target, known_hidden(text).encode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"{target}: {error.strerror}") from None

    follower = _follower(common, run_id)
    sys.stderr.write(f"{target}: kept fresh until the run ends or pauses; Ctrl-C stops only this\n")
    sight = keep_fresh(follower, write, time.sleep)
    state = sight.report.state if sight.report else "its journal cannot be read"
    sys.stderr.write(f"written: {target} ({follower.folder.run}: {state})\n")
    if sight.report and printed_too(common, target):
        put_json(report_document(sight.report))
    return 0


def _follower(common: Common, run_id: str | None) -> Follower:
    from ctmupgrade.commands.live import follower_of

    def shaped(report: Report, state: RunState) -> Report:
        return placed_report(report, of_run(common, state.files))

    return follower_of(request_of(common), cluster_name(common, run_id), run_id, shaped)


def _site(follower: Follower) -> Site:
    from ctmupgrade.adapters.web.loopback import Site
    from ctmupgrade.core.redact import known_hidden
    from ctmupgrade.render import live

    def glance() -> tuple[int, Glance]:
        sight = follower.look()
        return sight.number, live.Glance(sight.report, sight.problem)

    def page(nonce: str) -> tuple[str, str]:
        return known_hidden(live.served_page(glance()[1], nonce)), live.served_policy(nonce)

    def news() -> tuple[int, dict[str, str]]:
        number, seen = glance()
        return number, {name: known_hidden(text) for name, text in live.served_news(seen).items()}

    return Site(page, news, lambda: live.looked_words(datetime.now().astimezone()))
