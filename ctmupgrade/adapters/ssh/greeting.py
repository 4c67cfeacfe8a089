"""What a node's shell says before the output of every command, as a warning that somebody put into its start-up file.

A parser that looks for its own lines does not mind it; a list of files, a number alone and the bytes of a file do.
So it is found out once for a connection (it may tell a version, which an upgrade changes) and taken off every output.
Numbers in it may differ each time: it may tell the time, or the last login.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Reply

__all__ = ["QUESTION", "Greeting"]

QUESTION = ("ls", "-d", ".")  # its answer is known, and ``ls`` is known to work in the restricted shell
_ANSWERS = (".", "./")  # the latter by an alias with -F
_ANY_NUMBER = re.compile(r"\d+")


class Greeting:
    """The greeting of one node's shell. An answer that is not understood is taken for no greeting."""

    def __init__(self, ask: Callable[[], Reply]) -> None:
        """:param ask: puts the :data:`QUESTION`; its errors are no news, for an answer has just come."""
        self._ask = ask
        self._link: object = None
        self._lines = 0
        self._words = re.compile("")

    def off(self, reply: Reply, link: object) -> Reply:
        """Return a reply without the greeting. :param link: the connection that it came by; a new one is asked."""
        if not reply.out:
            return reply
        self._learn(link)
        found = self._words.match(reply.out)
        return replace(reply, out=reply.out[found.end() :]) if found and found.end() else reply

    def off_pieces(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Return the pieces of an output without the greeting, as it was last found out."""
        wanted, begun = self._lines, b""
        for piece in pieces:
            if not wanted:
                yield piece
                continue
            begun += piece
            if begun.count(b"\n") >= wanted:
                yield self._off_bytes(begun)
                wanted, begun = 0, b""
        yield begun

    def _off_bytes(self, begun: bytes) -> bytes:
        at = 0
        for _ in range(self._lines):
            at = begun.index(b"\n", at) + 1
        return begun[at:] if self._words.fullmatch(begun[:at].decode("utf-8", "replace")) else begun

    def _learn(self, link: object) -> None:
        if link is None or link is self._link:
            return
        with suppress(CtmUpgradeError):
            text = _before_the_answer(self._ask())
            self._lines, self._words = text.count("\n"), re.compile(_ANY_NUMBER.sub(r"\\d+", re.escape(text)))
            self._link = link


def _before_the_answer(reply: Reply) -> str:
    lines = reply.out.splitlines(keepends=True)
    return "".join(lines[:-1]) if reply.ok and lines and lines[-1].strip() in _ANSWERS else ""
