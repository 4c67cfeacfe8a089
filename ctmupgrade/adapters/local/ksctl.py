"""The vendor CLI ``ksctl`` on this machine, pointed at one node's URL.

Its configuration travels by environment only: no option of ours is added to its command line, no
file of the caller is read, and no secret is seen in a process list.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ctmupgrade.adapters.local.ksctl_environ import ksctl_environ
from ctmupgrade.adapters.local.password_once import PasswordOnce
from ctmupgrade.adapters.local.process import Running, StoppedError, on_terminal, started
from ctmupgrade.adapters.local.prompts import asked, may_answer
from ctmupgrade.adapters.local.quiet_terminal import quiet_terminal
from ctmupgrade.adapters.local.reach import DirectReach, Place, Reach
from ctmupgrade.adapters.local.secrets import Scrubber, read_password
from ctmupgrade.adapters.locks import if_soon
from ctmupgrade.core.ksctl import login_file
from ctmupgrade.core.model import Node, Secret
from ctmupgrade.errors import ConnectionLostError, LoginRefusedError, NodeError, TooMuchError, UsageError
from ctmupgrade.ports import MOST_ANSWER, Reply

_GRACE = 30.0  # seconds beyond ksctl's own timeout before it is ended
_MOST_ANSWERS = 4
_LAST_LINE = 4096  # bytes of what was heard in which a prompt is looked for
_PRIVATE = 0o077  # no file that it makes is readable by others, not even for a moment
# What is left of a prompt that nobody answered: its line, with or without the complaint after it.
_UNANSWERED = re.compile(
    r"pass(word|phrase)[^\n]{0,60}[:?]\s{0,4}"
    r"(EOF|inappropriate ioctl[^\n]{0,60}|[^\n]{0,24}not a (terminal|tty)[^\n]{0,24})?\s{0,4}$",
    re.I,
)


class Program(Protocol):
    """The vendor CLI where it does not come from PATH."""

    def path(self) -> Path:
        """Return where it is. :raises CtmUpgradeError: it cannot be had."""
        ...

    def heard(self, argv: Sequence[str], reply: Reply) -> None:
        """Take notice of an answer: of the node's version."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """One call that runs. :ivar limit: seconds in all."""

    running: Running
    limit: float
    place: Place

    @property
    def code(self) -> int:
        return self.running.process.returncode


class KsctlControl:
    """Implements :class:`ctmupgrade.ports.Control`. Thread-safe."""

    def __init__(
        self,
        node: Node,
        *,
        environ: Mapping[str, str] | None = None,
        home_root: Path | None = None,
        once: PasswordOnce | None = None,
        withheld: Iterable[str] = (),
        reach: Reach | None = None,
        program: Program | None = None,
    ) -> None:
        """:param environ: the caller's environment; default is this process's.
        :param home_root: where the private folder is made; default is the temporary folder.
        :param once: what password programs have answered, for all nodes; default: this node's own.
        :param withheld: variables with other secrets, which no program gets.
        :param reach: the way to the node's url; default is the network.
        :param program: where ksctl comes from, for ``command: fetch``."""
        self._reach, self._program = reach or DirectReach(node), program
        self._once = once or PasswordOnce()
        self._node = node
        self._place = f"{node.name} (ksctl, {node.url})"
        self._environ = dict(os.environ if environ is None else environ)
        self._withheld = frozenset(withheld)
        self._root = home_root
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._password: Secret | None = None

    def read(self, *argv: str, timeout: float | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`.

        :param timeout: seconds that ksctl gets for it; None is the configured time.
        :raises UsageError: the password is not where cluster.yaml says.
        :raises NodeError: ksctl cannot be started, or asks for a password.
        :raises ConnectionLostError: it did not end in time.
        :raises TooMuchError: its answer has no end.
        """
        reply = self._plain(list(argv), timeout, Scrubber([self._secret()]), spare=False)
        if self._program:
            self._program.heard(argv, reply)
        return reply

    def stream(self, *argv: str, timeout: float | None = None) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`; errors as :meth:`read`."""
        scrub = Scrubber([self._secret()])
        said = bytearray()
        with self._started(list(argv), timeout) as call:
            for name, piece in call.running.pieces(total=call.limit):
                if name == "err":
                    said = (said + piece)[-65_536:]
                elif clean := scrub.feed(piece):
                    yield clean
        if rest := scrub.rest():
            yield rest
        if call.code:
            if failure := call.place.failure(shlex.join(argv)[:200]):
                raise failure
            details = call.place.named(scrub.text(said).strip())
            raise NodeError(f"{self._place}: {shlex.join(argv)} ended with {call.code}", details=details)

    def change(
        self,
        *argv: str,
        timeout: float | None = None,
        answer: Secret | None = None,
        files: Mapping[str, Secret] | None = None,
    ) -> Reply:
        """See :meth:`ctmupgrade.ports.Control.change`; errors as :meth:`read`."""
        secrets = [self._secret(), *(one for one in (answer, *(files or {}).values()) if one)]
        scrub = Scrubber(secrets)
        with self._written(list(argv), files or {}) as words:
            if answer is None:
                return self._plain(words, timeout, scrub, spare=True)
            return self._answered(words, timeout, scrub, answer)

    @contextmanager
    def login(self) -> Iterator[Secret]:
        """See :meth:`ctmupgrade.ports.Control.login`.

        :raises UsageError: the password is not where cluster.yaml says.
        :raises UnreachableError: the node is not reached through SSH.
        """
        with self._reach.open() as place:
            yield Secret(
                login_file(self._node, self._secret().reveal(), url=place.url, verified=not place.proven)
            )

    def close(self) -> None:
        """Remove the private folder; the next call makes a new one. Forgets the password. Where a call waits for its password,
        that is not waited for: all folders of the fleet are removed afterwards."""
        with if_soon(self._lock) as free:
            if not free:
                return
            folder, self._folder = self._folder, None
            self._password = None
            self._once.forget()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)

    # -- running ---------------------------------------------------------------------------------

    def _plain(self, argv: list[str], timeout: float | None, scrub: Scrubber, *, spare: bool) -> Reply:
        heard = {"out": bytearray(), "err": bytearray()}
        with self._started(argv, timeout, spare=spare) as call:
            for name, piece in call.running.pieces(total=call.limit, most=MOST_ANSWER):
                heard[name] += piece
        return self._reply(argv, call, scrub.text(heard["out"]), scrub.text(heard["err"]))

    def _answered(self, argv: list[str], timeout: float | None, scrub: Scrubber, answer: Secret) -> Reply:
        heard = {"out": bytearray(), "err": bytearray(), "terminal": bytearray()}
        told = dict.fromkeys(heard, 0)  # up to where prompts were answered
        prompts: dict[str, list[bytes]] = {name: [] for name in heard}
        named = False  # a prompt named the backup key
        with (
            quiet_terminal(self._place) as (master, slave),
            self._started(argv, timeout, terminal=slave.fileno(), spare=True) as call,
        ):
            slave.close()  # the program has its own; ours would keep the terminal from ending
            call.running.watch("terminal", os.dup(master.fileno()))
            for name, piece in call.running.pieces(total=call.limit, most=MOST_ANSWER):
                heard[name] += piece
                said = bytes(heard[name][told[name] :])
                line = asked(said[-_LAST_LINE:].decode("utf-8", "replace"))
                if line is None:
                    continue
                if not may_answer(line, named=named):
                    raise self._asks(argv, f"its prompt does not name the backup key alone: {line.strip()}")
                named = True
                told[name] = len(heard[name])
                prompts[name].append(said.rpartition(b"\n")[2])
                if sum(map(len, prompts.values())) > _MOST_ANSWERS:
                    raise self._asks(argv, "it asks again and again; the answer is not accepted")
                with suppress(OSError):
                    master.write(answer.reveal().encode() + b"\n")
        # Prompts that were answered are no part of the answer: who reads it takes "password:" for a refused login.
        for name, answered in prompts.items():
            for text in answered:
                heard[name] = heard[name].replace(text, b"", 1)
        err = scrub.text(heard["err"] + heard["terminal"].replace(b"\r", b""))
        return self._reply(argv, call, scrub.text(heard["out"]), err)

    def _reply(self, argv: list[str], call: _Call, out: str, err: str) -> Reply:
        code, out, err = call.code, call.place.named(out), call.place.named(err)
        if code and any(_UNANSWERED.search(text.rstrip()[-_LAST_LINE:]) for text in (out, err)):
            raise self._asks(argv, f"{out}\n{err}".strip())
        if code < 0:
            raise self._lost(argv, f"it was killed by signal {-code}")
        if code and (failure := call.place.failure(shlex.join(argv)[:200])):
            raise failure
        return Reply(code, out, err)

    @contextmanager
    def _started(
        self, argv: list[str], timeout: float | None, *, terminal: int | None = None, spare: bool = False
    ) -> Iterator[_Call]:
        seconds = timeout if timeout is not None else self._node.ksctl.timeout
        command = self._command()
        words = [*command, *argv]
        if terminal is not None:
            words = on_terminal(words)
        stdin = b"" if terminal is None else terminal
        try:
            with self._reach.open() as place:
                environ = ksctl_environ(
                    self._node,
                    place,
                    self._environ,
                    folder=self._private(),
                    password=self._secret(),
                    seconds=seconds,
                )
                with started(words, environ=environ, stdin=stdin, spare=spare, umask=_PRIVATE) as running:
                    yield _Call(running, seconds + _GRACE, place)
        except StoppedError as why:
            if why.endless and not spare:
                what = shlex.join(argv)[:200]
                raise TooMuchError(
                    f"{self._place}: no end of ksctl's answer to {what}: {why.endless}"
                ) from None
            raise self._lost(argv, why.endless or f"it did not end within {seconds + _GRACE:g} s") from None
        except OSError as error:
            raise self._missing(command[0], error.strerror or str(error)) from error

    def _command(self) -> list[str]:
        if self._program:
            return [str(self._program.path())]
        words = shlex.split(self._node.ksctl.command)
        if not words:
            raise UsageError(f"{self._node.name}: ksctl.command is empty", remedy="Write command: ksctl")
        found = shutil.which(words[0], path=self._environ.get("PATH"))
        if not found:
            raise self._missing(words[0], "not found")
        return [found, *words[1:]]

    # -- its surroundings ------------------------------------------------------------------------

    def _private(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="ctmupgrade-ksctl-", dir=self._root))  # 0700
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            return self._folder

    @contextmanager
    def _written(self, argv: list[str], files: Mapping[str, Secret]) -> Iterator[list[str]]:
        """``argv`` with each ``{name}`` replaced by a 0600 file that exists inside the block."""
        paths: list[Path] = []
        try:
            for name, content in files.items():
                descriptor, path = tempfile.mkstemp(prefix="secret-", dir=self._private())  # 0600
                paths.append(Path(path))
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(content.reveal())
                argv = [word.replace("{" + name + "}", path) for word in argv]
            yield argv
        finally:
            for written in paths:
                written.unlink(missing_ok=True)

    def _secret(self) -> Secret:
        with self._lock:
            if self._password is None:
                self._password = self._once.of(
                    self._node.ksctl.password_command,
                    lambda: read_password(self._node, self._environ, self._withheld),
                )
            return self._password

    # -- errors ----------------------------------------------------------------------------------

    def _missing(self, program: str, why: str) -> NodeError:
        if self._program:
            return NodeError(
                f"{self._place}: the ksctl that was taken from the appliance cannot be started: {program}: {why}",
                remedy="Does its file system allow programs (mount option noexec)? If not: --state-dir DIR, elsewhere.",
            )
        return NodeError(
            f"{self._place}: {program} cannot be started: {why}",
            remedy=(
                f"ksctl comes with the appliance: {self._node.url}/downloads/ksctl_images.zip . Unpack it and put "
                "the one for this machine into PATH, or name it in cluster.yaml under ksctl.command."
            ),
        )

    def _asks(self, argv: list[str], details: str) -> LoginRefusedError:
        return LoginRefusedError(
            f"{self._place}: ksctl asks for a password in {shlex.join(argv)[:200]}",
            details="\n".join(details.splitlines()[-20:]),
            remedy="Check ksctl.username and the password in cluster.yaml's ksctl section.",
        )

    def _lost(self, argv: list[str], why: str) -> ConnectionLostError:
        return ConnectionLostError(
            f"{self._place}: no answer from ksctl: {why}",
            details=f"command: {shlex.join(argv)[:200]}",
            remedy="It may have done its work: check before you repeat it.",
        )
