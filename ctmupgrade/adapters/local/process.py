"""Programs on this machine: run to their end, heard out, and stopped when they fall silent."""

from __future__ import annotations

import errno
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from ctmupgrade.adapters.own_program import ON_TERMINAL, helper

_CHUNK = 65_536
_BUSY_TRIES, _BUSY_PAUSE = 20, 0.05  # seconds each
_TICK = 0.5  # seconds after which it is looked whether a program has ended
_LEFT_OPEN = 5.0  # seconds of silence after its end: what is heard then is not its own

# What another program needs of our environment. Whatever else is in there may be a password: cluster.yaml names
# variables that are, and who holds a terminal lives on after us.
_NEEDED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT",
    "SSH_AUTH_SOCK", "SSH_SK_PROVIDER", "SSH_SK_HELPER",
)  # fmt: skip


_OWN_SECRETS = ("KSCTL_PASSWORD", "KSCTL_JWT")  # ksctl's
# And a program that talks to a web server, besides: the way there, and whom it trusts.
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG")


def login_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment as a login has it, for programs that need nothing of ours; with English messages."""
    return {name: value for name, value in environ.items() if name in _NEEDED} | {"LC_ALL": "C"}


def network_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the same for programs that talk to a web server: with proxies and trusted certificates."""
    more = {name: value for name, value in environ.items() if name.upper() in _NETWORK}
    return login_environ(environ) | more


def operators_environ(withheld: Iterable[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the caller's environment for a program of the operator's own choice, which may need anything of it.

    :param withheld: names of variables with secrets of ours, which it does not need.
    """
    hidden = {*withheld, *_OWN_SECRETS}
    return {name: value for name, value in environ.items() if name not in hidden}


class StoppedError(Exception):
    """The program was stopped: it ran, or was silent, for longer than agreed, or said more. ``endless``: it was
    speaking all the while."""

    def __init__(self, endless: str = "") -> None:
        super().__init__(endless or "silence")
        self.endless = endless


def on_terminal(argv: Sequence[str]) -> list[str]:
    """Return the argv that gives ``argv`` its standard input as controlling terminal.

    It must be started in a session of its own.
    """
    return helper(ON_TERMINAL, *argv)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program; where it was started in a session of its own with its children, also when it has ended before them."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


class Running:
    """A started program whose outputs are read by threads, so that neither can block the other."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes = b"") -> None:
        """:param stdin: written and closed, where the program was given a pipe."""
        self.process = process
        self._pieces: queue.Queue[tuple[str, bytes]] = queue.Queue(maxsize=64)
        self._open: set[str] = set()
        self._left = self._stopped = False
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            if pipe is not None:
                self.watch(name, os.dup(pipe.fileno()))
                pipe.close()
        if process.stdin is not None:
            threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True).start()

    def watch(self, name: str, descriptor: int) -> None:
        """Read one more descriptor (a terminal). It is the reading thread's, which closes it: closed
        by anyone else its number could be another file's at the next read."""
        self._open.add(name)
        threading.Thread(target=self._pump, args=(name, descriptor), daemon=True).start()

    def leave(self) -> None:
        """Stop listening; what the program says is still taken, so that it does not block."""
        self._left = True

    def pieces(
        self, *, silence: float | None = None, total: float | None = None, most: int | None = None
    ) -> Iterator[tuple[str, bytes]]:
        """Yield ("out" | "err" | a watched name, bytes) as they come, until both outputs have ended, or the program has and
        a child that it left behind, which holds them open, says nothing for some seconds.

        :param silence: seconds without a piece that are too long.
        :param total: seconds in all that are too long.
        :param most: bytes of one of the outputs that are too many.
        :raises StoppedError: the program was ended.
        """
        last = ended = time.monotonic()
        end = last + total if total is not None else None
        heard: dict[str, int] = {}
        while self._open & {"out", "err"}:
            now = time.monotonic()
            if end is not None and now >= end:
                self._stop(f"it did not end within {total:g} s")
            if silence is not None and now >= last + silence:
                self._stop()
            if self.process.poll() is None:
                ended = now
            elif now >= max(last, ended) + _LEFT_OPEN:
                break
            limits = [last + silence] if silence is not None else []
            limits += [end] if end is not None else []
            with suppress(queue.Empty):
                for name, piece in self._next(max(0.0, min([_TICK, *(limit - now for limit in limits)]))):
                    heard[name] = heard.get(name, 0) + len(piece)
                    if most is not None and heard[name] > most:
                        self._stop(f"it is longer than {most} bytes")
                    yield name, piece
                last = time.monotonic()
        try:
            self.process.wait(timeout=silence if end is None else max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._stop()
        with suppress(queue.Empty):
            while self._open:  # a terminal: a child left behind can hold it open for ever
                yield from self._next(0.5)

    def _next(self, timeout: float | None) -> Iterator[tuple[str, bytes]]:
        name, piece = self._pieces.get(timeout=timeout)
        if piece:
            yield name, piece
        else:
            self._open.discard(name)

    def _stop(self, endless: str = "") -> NoReturn:
        # Whoever goes on to print, a child in our own session for one, finds no reader any more, which ends it.
        self._left = self._stopped = True
        kill(self.process)
        raise StoppedError(endless)

    def _pump(self, name: str, descriptor: int) -> None:
        piece = b"-"
        while piece and not self._stopped:
            try:
                piece = os.read(descriptor, _CHUNK)
            except OSError:  # a terminal without a program at its other end says EIO
                piece = b""
            self._put(name, piece)
        os.close(descriptor)

    def _put(self, name: str, piece: bytes) -> None:
        while not self._left:
            with suppress(queue.Full):
                self._pieces.put((name, piece), timeout=0.5)
                return


def _write(pipe: IO[bytes], data: bytes) -> None:
    with suppress(OSError, ValueError):
        pipe.write(data)
    with suppress(OSError, ValueError):
        pipe.close()


def _begun(argv: Sequence[str], **more: Any) -> subprocess.Popen[bytes]:
    """A new process. One that another thread started a moment ago may still hold a program open for writing that was
    just written, until it has become its own program."""
    for _ in range(_BUSY_TRIES):
        try:
            return subprocess.Popen(argv, **more)
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            time.sleep(_BUSY_PAUSE)
    return subprocess.Popen(argv, **more)


@contextmanager
def started(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path | None = None,
    stdin: int | bytes = b"",
    spare: bool = False,
    umask: int = -1,
) -> Iterator[Running]:
    """Start ``argv`` in a session of its own, so that Ctrl-C in our terminal does not reach it.

    :param umask: of the program, for the files that it makes; -1 is ours.
    :param stdin: a descriptor, or what to write; nothing means /dev/null.
    :param spare: when we are interrupted it goes on; otherwise it is ended with us.
    :raises OSError: it cannot be started.
    """
    written = isinstance(stdin, bytes) and bool(stdin)
    source = stdin if isinstance(stdin, int) else subprocess.PIPE if written else subprocess.DEVNULL
    process = _begun(
        argv,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        cwd=folder,
        start_new_session=True,
        umask=umask,
    )
    running = Running(process, stdin if isinstance(stdin, bytes) else b"")
    try:
        yield running
    except BaseException as error:
        # An interrupt (or a consumer that stopped listening) does not end what changes something.
        if not spare or isinstance(error, Exception):
            kill(process)
        raise
    finally:
        running.leave()
