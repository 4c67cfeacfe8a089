"""Notifications at the terminal: what is wrong with a receiver, said once and beside whatever is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

from ctmupgrade.cli.place import placed
from ctmupgrade.cli.questions import heard
from ctmupgrade.errors import Interrupted

if TYPE_CHECKING:
    from ctmupgrade.cli.given import Common
    from ctmupgrade.commands.notices import Notices
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.run.journal import Event, RunState

Aside = Callable[[], AbstractContextManager[None]]


@contextmanager
def notices(common: Common, made: Setup) -> Iterator[Notices]:
    """Give what tells people far away, for the time of a command; questions at the terminal are told too.

    At the end what is under way has a few seconds. Ctrl-C ends that, and is no more than that.
    """
    from ctmupgrade.commands.notices import Notices

    desk = Notices(made.cluster, made.mode, made.clock, lambda text: placed(text, common))
    leaving = False
    try:
        with heard(desk.question):
            yield desk
    except BaseException as error:
        leaving = isinstance(error, Interrupted | KeyboardInterrupt)
        desk.left(error)
        raise
    finally:
        with suppress(KeyboardInterrupt):
            warn(desk.close(leaving=leaving))


def tell(desk: Notices, state: RunState, event: Event | None, aside: Aside) -> None:
    """Take in what happens in a run, and say what is wrong with receivers. :param aside: takes the board away meanwhile."""
    if event is not None:
        desk.see(state, event)
    warn(desk.trouble(), aside)


def warn(lines: Iterable[str], aside: Aside | None = None) -> None:
    """Say what is wrong with receivers on stderr. :param aside: takes the board away for that time."""
    said = [f"ctmupgrade: notify: {line}\n" for line in lines]
    if not said:
        return
    from ctmupgrade.core.redact import foreign

    text = foreign("".join(said))
    if aside is None:
        sys.stderr.write(text)
        return
    with aside():
        sys.stderr.write(text)
