"""What a node's own commands can do for an upload: cut a file, take bytes into it, tell its size.

No shell syntax is used where it can be avoided: ksadmin's shell is restricted in ways that are not
known (a restricted shell forbids ``>``, and ``/`` in a command's name), so ``dd`` comes first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from ctmupgrade.errors import ConnectionLostError, NodeError, UnreachableError
from ctmupgrade.ports import Reply, Shell

BLOCK = 1 << 20  # bytes; uploads with dd go on at a multiple of it
ABSENT = -1  # the size of a file that is not there
_PATIENCE = 60.0  # seconds: cutting a file of 5 GB can take a while
_SIZE_TIMEOUT = 10.0

_MISSING = re.compile(
    r"not found|restricted|not allowed|unknown (command|syntax)|invalid command|no such command", re.I
)
_HARD = re.compile(r"no space left|disk quota|read-only file system|permission denied|is a directory", re.I)
_GONE = re.compile(r"no such file or directory", re.I)
_SIZES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("stat", "-c", "%s"), re.compile(r"^\s*(\d+)\s*$")),
    (("ls", "-ln"), re.compile(r"^-\S+\s+\d+\s+\d+\s+\d+\s+(\d+)\s")),
    (("wc", "-c"), re.compile(r"^\s*(\d+)\s")),
)


class UnusableError(Exception):
    """The node, or this machine, does not offer this way; nothing was lost by trying."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A command on the node that writes its standard input into the file, from ``start`` on."""

    argv: tuple[str, ...]
    start: int  # bytes; where the source must be read from, at most the offset that was asked for


class NodeFile:
    """The node's file that an upload fills."""

    def __init__(self, shell: Shell, place: str, target: str) -> None:
        self.place = place
        # A name that begins with a dash would be taken for an option.
        self.target = f"./{target}" if target.startswith("-") else target
        self._shell = shell
        self._sizes = list(_SIZES)

    def size(self) -> int | None:
        """Return its size in bytes, :data:`ABSENT`, or None where no command tells.

        :raises UnreachableError: no connection.
        :raises ConnectionLostError: no answer.
        """
        while self._sizes:
            argv, pattern = self._sizes[0]
            reply = self._shell.read(*argv, self.target, timeout=_SIZE_TIMEOUT)
            found = pattern.search(reply.out) if reply.ok else None
            if found:
                return int(found[1])
            if not reply.missing and _GONE.search(reply.err):
                return ABSENT
            self._sizes.pop(0)
        return None

    def prepare(self, offset: int) -> Writer:
        """Cut (or create) the file at ``offset`` or a little before, with the writer to go on.

        :raises Unusable: none of the writers is offered.
        :raises NodeError: the file cannot be written at all.
        """
        answers = []
        for writer in (self._dd, self._cat, self._tee):
            try:
                ready = writer(offset)
                size = self.size()
                if size not in (None, ready.start):
                    # Some restricted shells refuse with exit status 0.
                    raise UnusableError(f"{ready.argv[0]} left {size} bytes, not {ready.start}")
            except UnusableError as why:
                answers.append(str(why))
            else:
                return ready
        raise UnusableError("; ".join(answers))

    def refusal(self, said: str, done: int | None = None) -> NodeError:
        """Return the error for a node that does not take the file, with what ``df`` says about why."""
        disk = self._df()
        full = re.search(r"no space left|disk quota|(?m:\s0\s+100%)", f"{said}\n{disk}", re.I)
        if full:
            what, remedy = "its disk is full", "Free space on the node; what was sent so far is kept."
        elif re.search("read-only", said, re.I):
            what, remedy = "its file system is read-only", "Check dmesg and mount on the node."
        elif re.search("permission denied", said, re.I):
            what, remedy = (
                "no permission",
                f"Check who owns the folder: ls -ld {shlex.quote(str(self._folder()))}",
            )
        else:
            what, remedy = (
                "writing failed",
                f"Check the node: df -h {shlex.quote(str(self._folder()))}; ls -l {shlex.quote(str(self.target))}",
            )
        kept = "" if done is None else f" after {done} bytes"
        details = "\n".join(part for part in (said.strip(), disk.strip()) if part)
        brief = f"{self.place}: the node cannot store {self.target}{kept}: {what}"
        return NodeError(brief, details=details, remedy=remedy)

    def _folder(self) -> str:
        return str(PurePosixPath(self.target).parent)

    def _df(self) -> str:
        try:
            return self._shell.read("df", "-P", "-k", self._folder(), timeout=_SIZE_TIMEOUT).out
        except (NodeError, UnreachableError, ConnectionLostError):
            return ""

    # -- writers: each is tried with an empty input, which cuts the file and shows that it works --

    def _dd(self, offset: int) -> Writer:
        # Without conv=notrunc dd cuts the file where it begins to write, which is what is wanted.
        blocks = offset // BLOCK
        argv = ("dd", f"of={self.target}", f"bs={BLOCK}", f"seek={blocks}")
        self._try(argv)
        return Writer(argv, blocks * BLOCK)

    def _cat(self, offset: int) -> Writer:
        append = ("sh", "-c", 'cat >> "$1"', "sh", self.target)
        start = self._cut(offset, lambda: self._try(("sh", "-c", ': > "$1"', "sh", self.target)))
        self._try(append)
        return Writer(append, start)

    def _tee(self, offset: int) -> Writer:
        append = ("tee", "-a", self.target)
        start = self._cut(offset, lambda: self._try(("tee", self.target)))
        self._try(append)
        return Writer(append, start)

    def _cut(self, offset: int, empty: Callable[[], object]) -> int:
        """Cuts the file for a writer that can only append; 0 where only emptying it is offered."""
        if offset:
            if self._shell.change("truncate", "-s", str(offset), self.target, timeout=_PATIENCE).ok:
                return offset
            if self.size() == offset:
                return offset
        empty()
        return 0

    def _try(self, argv: tuple[str, ...]) -> Reply:
        reply = self._shell.change(*argv, timeout=_PATIENCE)
        said = f"{reply.err}{reply.out}".strip()
        if reply.ok:
            return reply
        if not reply.missing and not _MISSING.search(said) and (_HARD.search(said) or _GONE.search(said)):
            raise self.refusal(said)
        raise UnusableError(f"{argv[0]}: {said[:200] or f'exit status {reply.code}'}")
