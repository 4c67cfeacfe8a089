"""Nodes that answer what the simulator's answer, with somebody else's words in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ctmupgrade.ports import Reader, Reply
from ctmupgrade.sim import SimFleet, World

Change = Callable[[str, str], str]  # (what was asked, the answer) -> another answer


class ChangedReader:
    """A reader whose standard output is changed."""

    def __init__(self, inner: Reader, change: Change) -> None:
        self._inner, self._change = inner, change

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        reply = self._inner.read(*argv, timeout=timeout)
        return Reply(reply.code, self._change(" ".join(argv), reply.out), reply.err)

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        yield from self._inner.stream(*argv, timeout=timeout)


class ChangedLooks:
    """All nodes of a simulated world, some of whose answers are changed."""

    def __init__(self, world: World, shell: Change, control: Change, only: str = "") -> None:
        self._fleet, self._shell, self._control, self._only = SimFleet(world), shell, control, only

    def shell(self, node: str) -> Reader:
        reader = self._fleet.shell(node)
        return reader if self._only not in ("", node) else ChangedReader(reader, self._shell)

    def control(self, node: str) -> Reader:
        reader = self._fleet.control(node)
        return reader if self._only not in ("", node) else ChangedReader(reader, self._control)


def same(_asked: str, answer: str) -> str:
    return answer


def _with(value: Any, text: str, *, ids: bool) -> Any:
    if isinstance(value, dict):
        kept = (
            ()
            if ids
            else ("id", "nodeID", "isThisNode", "code", "version", "server_version", "createdAt", "backupKey")
        )
        return {key: one if key in kept else _with(one, text, ids=ids) for key, one in value.items()}
    if isinstance(value, list):
        return [_with(one, text, ids=ids) for one in value]
    return f"{value}{text}" if isinstance(value, str) else value


def in_json(text: str, *, ids: bool = False) -> Change:
    """Puts a text behind every text of a ksctl answer; ``ids``: behind those that are judged by their form too."""

    def change(_asked: str, answer: str) -> str:
        try:
            return json.dumps(_with(json.loads(answer), text, ids=ids))
        except ValueError:
            return answer + text

    return change


def in_shell(text: str) -> Change:
    """Puts a text behind every line of a shell's answer."""

    def change(_asked: str, answer: str) -> str:
        return "".join(f"{line}{text}\n" for line in answer.split("\n"))

    return change
