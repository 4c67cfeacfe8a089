"""Every look at a live cluster, recorded, and played back strictly: an unexpected command is an error.

A transcript is JSON lines: first a header (when, and what was known of the archive), then one look a line.
No look carries a secret; what an appliance might print of one is removed.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ctmupgrade.adapters.disk.bounded_file import MIB, read_text_bounded
from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.parse_shell import is_process_list
from ctmupgrade.core.model import Cluster, Secret
from ctmupgrade.core.redact import hidden, redacted
from ctmupgrade.errors import (
    UNFORESEEN,
    AuthenticationError,
    ConnectionLostError,
    CtmUpgradeError,
    ForwardingRefusedError,
    HostKeyError,
    IncompatibleError,
    LoginRefusedError,
    NodeError,
    NotToldError,
    NotYetError,
    ProgramError,
    TooMuchError,
    UnreachableError,
    UsageError,
    named,
)
from ctmupgrade.ports import Control, Looks, Reader, Reply, Sent, Shell, Signed, Terminal

TRANSCRIPT = "transcript.jsonl"
MOST = 256 * MIB  # of a transcript
_LONGEST = 30 * 24 * 3600.0  # seconds that a recording may take
_MOST_SIZE = 10**15  # bytes of an archive
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_SIGNER = re.compile(r"[0-9A-Fa-f]{16,64}")
_PROCESSES = frozenset(way.argv for way in shell_probes.PROCESSES.ways)
_NAME = "ks_upgrade"


def worth_keeping(argv: tuple[str, ...], out: str) -> str:
    """Return of an answer what a fixture needs, secrets removed.

    Of a process list those are the lines that a parser looks at, and enough others to see that it is a list: what
    else runs there may have a password in its command line, in forms that nobody can list.
    """
    if argv not in _PROCESSES:
        return hidden(out)
    lines = out.replace("\0", " ").splitlines()
    kept = [line for line in lines if _NAME in line]
    enough = 2 if is_process_list(out) else 1  # what is no list must not become one
    others = ["COMMAND", "(others)"][: min(enough, len(lines) - len(kept))]
    return "".join(f"{redacted(line)}\n" for line in (*others, *kept))


@dataclass(slots=True)
class Recorder:
    """Writes looks as they are made; several nodes at once.

    :ivar monotonic: tells how long each look takes.
    :ivar lost: nodes of which a look has no answer, and why.
    """

    file: TextIO
    monotonic: Callable[[], float] = time.monotonic
    count: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.monotonic()

    def write(
        self, node: str, side: str, argv: tuple[str, ...], began: float, answer: dict[str, object]
    ) -> None:
        """Add one look. :param began: when, by :attr:`monotonic`."""
        now = self.monotonic()
        times = {"after": round(now - self.began, 3), "took": round(now - began, 3)}
        words = [hidden(word) for word in argv]
        line = json.dumps({"node": node, "side": side, "argv": words, **answer, **times})
        with self.lock:
            self.file.write(line + "\n")
            self.count += 1


# What an answer that was none means depends on its kind.
_KINDS = {
    kind.__name__: kind
    for kind in (
        HostKeyError, IncompatibleError, AuthenticationError, UnreachableError, ConnectionLostError, LoginRefusedError,
        ForwardingRefusedError, ProgramError, TooMuchError, NotYetError, NotToldError, NodeError,
    )
}  # fmt: skip


_LOST = (UnreachableError, ConnectionLostError)  # no answer of the node: the recording is not whole


def _kind_of(error: CtmUpgradeError) -> str | None:
    """The nearest of the kinds that a look may end with; None where it is none of them."""
    return next((one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS), None)


def _as_look(error: CtmUpgradeError) -> dict[str, object]:
    """An error as it is written down, without secrets."""
    return {
        "error": hidden(error.brief), "kind": _kind_of(error) or NodeError.__name__, "details": hidden(error.details), "remedy": hidden(error.remedy),
        "unreachable": isinstance(error, UnreachableError | ConnectionLostError),
    }  # fmt: skip


def _as_error(look: dict[str, object]) -> CtmUpgradeError:
    """The same as it was raised; a transcript of an earlier version tells only whether something answered."""
    usual = UnreachableError if look.get("unreachable") else NodeError
    kind = _KINDS.get(str(look.get("kind")), usual)
    return kind(str(look["error"]), details=str(look.get("details", "")), remedy=str(look.get("remedy", "")))


@dataclass(slots=True)
class RecordingReader:
    """A Reader that writes down what it hears."""

    inner: Reader
    node: str
    side: str
    recorder: Recorder

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """Read as the inner one does; an error is recorded too, as its kind and words."""
        began = self.recorder.monotonic()
        try:
            reply = self.inner.read(*argv, timeout=timeout)
        except CtmUpgradeError as error:
            self.recorder.write(self.node, self.side, argv, began, _as_look(error))
            if isinstance(error, _LOST) or _kind_of(error) is None:
                self.recorder.lost.setdefault(self.node, f"{argv[0]}: {error.brief}")
            raise
        except Exception as error:
            self.recorder.lost.setdefault(self.node, f"{argv[0]}: {named(error)}")
            raise
        answer: dict[str, object] = {
            "code": reply.code, "out": worth_keeping(argv, reply.out), "err": hidden(reply.err),
        }  # fmt: skip
        self.recorder.write(self.node, self.side, argv, began, answer)
        return reply

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """Stream without recording: no look of a check streams."""
        return self.inner.stream(*argv, timeout=timeout)


@dataclass(slots=True)
class RecordingLooks:
    """Looks whose answers are written down."""

    inner: Looks
    recorder: Recorder

    def shell(self, node: str) -> Reader:
        """Return the node's shell; what it is asked and answers is recorded, or played back."""
        return RecordingReader(self.inner.shell(node), node, "shell", self.recorder)

    def control(self, node: str) -> Reader:
        """Return the node's control plane; what it is asked and answers is recorded, or played back."""
        return RecordingReader(self.inner.control(node), node, "control", self.recorder)


@dataclass(frozen=True, slots=True)
class Header:
    """What a transcript begins with."""

    at: datetime
    archive: dict[str, object]


def read_transcript(folder: Path) -> tuple[Header, dict[tuple[str, str, tuple[str, ...]], dict[str, object]]]:
    """Return a transcript's header and looks. Where a look was made twice the last answer counts.

    :raises UsageError: it cannot be read.
    """
    path = folder / TRANSCRIPT
    try:
        text = read_text_bounded(path, MOST)
        lines = [read_json(line) for line in text.split("\n") if line.strip()]
        if lines[0].get("schema", 1) != 1:
            raise ValueError("its schema is not 1")
        header = Header(_moment(lines[0]["at"]), _archive(lines[0]["archive"]))
        looks = {(x["node"], x["side"], tuple(map(str, x["argv"]))): _look(x) for x in lines[1:]}
    except (OSError, *UNFORESEEN) as error:
        raise UsageError(f"{path}: not a transcript: {error}", remedy="ctmupgrade record DIR") from None
    return header, looks


def _moment(text: str) -> datetime:
    """:raises ValueError: not a time of this age with its zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or at.year not in range(1970, 2200):
        raise ValueError("no time with its zone")
    return at


def _archive(value: object) -> dict[str, object]:
    """:raises ValueError: not what is known of a verified archive, or of one that could not be verified."""
    found = dict(value) if isinstance(value, dict) else None
    if found is None:
        raise ValueError("no archive in its first line")
    if "sha256" in found:
        size = found.get("size")
        whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _MOST_SIZE
        if not (
            whole and _HASH.fullmatch(str(found["sha256"])) and _SIGNER.fullmatch(str(found.get("signer")))
        ):
            raise ValueError("size, sha256 or signer of the archive in its first line")
    return found


def _look(value: dict[str, object]) -> dict[str, object]:
    """:raises ValueError: made at no time at which a recording may still go on."""
    after = value.get("after", 0)
    if not isinstance(after, int | float) or not 0 <= after <= _LONGEST:
        raise ValueError(f"a look after {after!r} s")
    return value


@dataclass(slots=True)
class ReplayReader:
    """Answers from a transcript; has nothing that could change anything."""

    node: str
    side: str
    looks: dict[tuple[str, str, tuple[str, ...]], dict[str, object]]
    passed: Callable[[float], None] = lambda _seconds: None

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """Return the recorded answer. :raises NodeError: this was never asked when it was recorded."""
        found = self.looks.get((self.node, self.side, argv))
        if found is None:
            raise NodeError(f"the transcript has no answer of {self.node} to: {' '.join(argv)}")
        if isinstance(after := found.get("after"), int | float):
            self.passed(float(after))
        if "error" in found:
            raise _as_error(found)
        code = found.get("code")
        return Reply(
            code if isinstance(code, int) else 1, str(found.get("out", "")), str(found.get("err", ""))
        )

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """Yield what :meth:`read` returns, in one piece."""
        yield self.read(*argv, timeout=timeout).out.encode()


def _refuse() -> NodeError:
    return NodeError("a recording can only be looked at", remedy="ctmupgrade run --simulate DIR")


class ReplayShell(ReplayReader):
    """The shell of a recorded node: every change is refused."""

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """Refuse: a recording changes nothing. :raises UsageError: always."""
        raise _refuse()

    def terminal(self, *argv: str) -> Terminal:
        """Refuse: a recording changes nothing. :raises UsageError: always."""
        raise _refuse()

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """Refuse: a recording changes nothing. :raises UsageError: always."""
        raise _refuse()

    def disconnect(self) -> None:
        """Do nothing: there is no connection."""


class ReplayControl(ReplayReader):
    """The control plane of a recorded node: every change is refused."""

    def login(self) -> AbstractContextManager[Secret]:
        """Return the login of the control plane behind this one."""
        raise _refuse()

    def change(
        self, *argv: str, timeout: float | None = None, answer: Secret | None = None, files: object = None
    ) -> Reply:
        """Refuse: a recording changes nothing. :raises UsageError: always."""
        raise _refuse()


class ReplayFleet:
    """All nodes of a transcript.

    :ivar passed: is told how many seconds after the transcript's beginning each answer came.
    """

    def __init__(self, folder: Path) -> None:
        self.header, self.looks = read_transcript(folder)
        self.passed: Callable[[float], None] = lambda _seconds: None

    def shell(self, node: str) -> Shell:
        """Return the node's shell; what it is asked and answers is recorded, or played back."""
        return ReplayShell(node, "shell", self.looks, self.passed)

    def control(self, node: str) -> Control:
        """Return the node's control plane; what it is asked and answers is recorded, or played back."""
        return ReplayControl(node, "control", self.looks, self.passed)

    def learn(self, cluster: Cluster) -> None:
        """Do nothing: a recording has the nodes that it has."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class ReplayVerifier:
    """What was known of the archive when it was recorded."""

    def __init__(self, header: Header) -> None:
        self._archive = header.archive

    def verify(self, archive: Path, signer: str, keyring: Path | None, *, hashed: bool = True) -> Signed:
        """Return the recorded signature. :raises UsageError: none was recorded."""
        found = self._archive
        if "sha256" not in found:
            raise UsageError(str(found.get("problem", "no archive was recorded")))
        return Signed(
            archive, int(str(found["size"])), str(found["sha256"]), str(found["signer"]),
            str(found["signer"]), None,
        )  # fmt: skip
