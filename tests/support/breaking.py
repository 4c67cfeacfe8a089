"""Ports that break: whatever a command asks of the outside raises, from the n-th time on.

The boundary is where the wiring hands over its tools (:class:`ctmupgrade.commands.wiring.Setup`) and the disk's
own modules; what is behind it is the simulator, and what is before it is the program as it is.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ctmupgrade.adapters.disk import journal_file, lock, run_store
from ctmupgrade.cli import app
from ctmupgrade.commands import status, verify, watch, wiring
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.config import load

Maker = Callable[[], BaseException]


@dataclass
class Breakage:
    """What is asked, how often, and which of it raises.

    :ivar port: like ``control.read``; "" breaks nothing. :ivar after: so many calls go well.
    """

    port: str = ""
    make: Maker = RuntimeError
    after: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    struck: int = 0

    def on(self, port: str) -> None:
        """Somebody asks ``port``."""
        self.asked[port] = self.asked.get(port, 0) + 1
        if port == self.port and self.asked[port] > self.after:
            self.struck += 1
            raise self.make()

    def around(self, port: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, but it raises first where it is time to."""

        def asked(*words: Any, **named: Any) -> Any:
            self.on(port)
            return function(*words, **named)

        return asked


class _Broken:
    """An object whose methods are ports."""

    def __init__(self, name: str, inner: Any, breakage: Breakage) -> None:
        self._name, self._inner, self._breakage = name, inner, breakage

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        port = f"{self._name}.{name}"
        if not callable(value):
            return value
        if port in ("fleet.shell", "fleet.control"):  # handing one out asks nothing yet
            return lambda node: _Broken(name, value(node), self._breakage)
        if port == "shell.terminal":
            opened = self._breakage.around(port, value)
            return lambda *argv: _Broken("terminal", opened(*argv), self._breakage)
        return self._breakage.around(port, value)


def _broken_setup(made: wiring.Setup, breakage: Breakage) -> wiring.Setup:
    tools = made.tools
    broken = replace(
        tools,
        fleet=_Broken("fleet", tools.fleet, breakage), verifier=_Broken("verifier", tools.verifier, breakage),
        clock=_Broken("clock", tools.clock, breakage), store=_Broken("store", tools.store, breakage),
        gather=breakage.around("gather", tools.gather), tasks=breakage.around("tasks", tools.tasks),
        prefix_hash=breakage.around("prefix_hash", tools.prefix_hash),
        rest_hash=breakage.around("rest_hash", tools.rest_hash),
        unusable_store=breakage.around("unusable_store", tools.unusable_store),
    )  # fmt: skip
    return replace(made, tools=broken)


# The disk, where it is used: (owner, name).
DISK: tuple[tuple[Any, str], ...] = (
    (journal_file.JournalFile, "append"), (journal_file.JournalFile, "open"), (journal_file.JournalFile, "create"),
    (lock.ClusterLock, "acquire"), (run_store, "read_requests"), (run_store, "read_with_head"),
    (watch, "read_journal"), (status, "verify_chain"), (load, "load_cluster"), (wiring, "load_cluster"),
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def type_in(breakage: Breakage, *argv: str) -> Ended:
    """The installed program in this process, with tools that break."""
    real_setup, real_verifier = wiring.setup, verify._simulated

    @contextmanager
    def setup(request: CommandRequest) -> Iterator[wiring.Setup]:
        with real_setup(request) as made:
            yield _broken_setup(made, breakage)

    def verifier(folder: Path) -> Any:
        return _Broken("verifier", real_verifier(folder), breakage)

    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CTM", "KSCTL"))}
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        for owner, name in DISK:
            port = f"disk.{name}"
            stack.enter_context(patch.object(owner, name, breakage.around(port, getattr(owner, name))))
        stack.enter_context(patch.object(wiring, "setup", setup))
        stack.enter_context(patch.object(verify, "_simulated", verifier))
        stack.enter_context(patch.object(sys, "argv", ["ctmupgrade", *argv]))
        stack.enter_context(patch.dict(os.environ, environ, clear=True))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        code = app.main()
    return Ended(code, out.getvalue(), err.getvalue())
