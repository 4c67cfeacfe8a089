"""The OpenSSH client as a child process, and uploads by it: about twice as fast as anything in Python.

It gets exactly the trust and the key that our own connection used: a known_hosts file with the one
verified key, and nothing from ~/.ssh/config. It never asks for anything.
"""

from __future__ import annotations

import base64
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.adapters.ssh.connect import Login
from ctmupgrade.adapters.ssh.node_file import NodeFile, UnusableError, Writer
from ctmupgrade.adapters.ssh.own_agent import own_agent
from ctmupgrade.adapters.ssh.rate_limit import Limiter, take
from ctmupgrade.adapters.ssh.transport import CIPHERS, DIGESTS
from ctmupgrade.adapters.ssh.way import Hop
from ctmupgrade.errors import ConnectionLostError, UnreachableError
from ctmupgrade.ports import Sent

_OWN_AGENT = "agent"  # the socket of our own agent, in the private folder
_POLL = 1.0  # seconds between two looks at the file on the node
_STALLED = 90.0  # seconds without a byte moving; the child's own keepalive gives up at 45
_PIECE = 262_144
_RSA_SIGNATURES = "rsa-sha2-512,rsa-sha2-256"


def child_command(
    program: str, logins: Sequence[Login], folder: Path, command: str, *, own: Sequence[str] = ("-T",)
) -> list[str]:
    """Return the argv of an OpenSSH client that runs ``command`` on the last of ``logins``.

    :param folder: private; files with the verified host keys and public keys are put there.
    :param own: options of the client that runs it, not of the jump hosts'; of two that differ the first counts.
    """
    argv = [program]
    for number in range(len(logins)):
        last = number == len(logins) - 1
        before, argv = argv, [program, *(own if last else ("-T",)), *_options(logins[number], folder, number)]
        if not number:
            argv += _first(logins[0].hop)
        else:
            hop = logins[number].hop
            address = f"[{hop.host}]:{hop.port}" if ":" in hop.host else f"{hop.host}:{hop.port}"
            proxy = shlex.join([*before[:-1], "-W", address, before[-1]])
            argv += ["-o", f"ProxyCommand={proxy.replace('%', '%%')}"]
        argv += [f"-l{logins[number].hop.user}", logins[number].hop.host]
    return [*argv, command]


def _first(hop: Hop) -> list[str]:
    """How the first server is reached: as the SSH configuration says."""
    wishes = []
    if hop.command:
        wishes.append(f"ProxyCommand={hop.command.replace('%', '%%')}")
    if hop.bind:
        wishes.append(f"BindAddress={hop.bind}")
    if hop.family != socket.AF_UNSPEC:
        wishes.append(f"AddressFamily={'inet6' if hop.family == socket.AF_INET6 else 'inet'}")
    return [word for wish in wishes for word in ("-o", wish)]


@contextmanager
def keys_for_child(logins: Sequence[Login], folder: Path) -> Iterator[None]:
    """Serve the keys that only we can read to the client, while it enters."""
    ours = [login.credential.key for login in logins if _is_ours(login)]
    if not ours:
        yield
        return
    with own_agent(folder / _OWN_AGENT, ours):
        yield


def _is_ours(login: Login) -> bool:
    return not login.credential.agent and not login.credential.file


def _options(login: Login, folder: Path, number: int) -> list[str]:
    credential, key = login.credential, login.host_key
    alias = f"ctmupgrade-{number}"  # with an alias neither names, ports nor addresses can mismatch
    known = folder / f"known_hosts_{number}"
    known.write_text(
        f"{alias} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}\n", encoding="utf-8"
    )
    identity = credential.file
    agent: Path | str = "none"
    if identity is None:
        identity = folder / f"identity_{number}.pub"
        identity.write_text(credential.public_line(), encoding="utf-8")
        agent = Path(credential.agent) if credential.agent else folder / _OWN_AGENT
    kinds = _RSA_SIGNATURES if key.get_name() == "ssh-rsa" else key.get_name()
    wishes = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": alias,
        "HostKeyAlgorithms": kinds,
        "CheckHostIP": "no",
        "UpdateHostKeys": "no",
        "PreferredAuthentications": "publickey",
        "IdentitiesOnly": "yes",
        "IdentityAgent": agent,
        "IdentityFile": identity,
        **({"CertificateFile": credential.certificate.path} if credential.certificate else {}),
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ControlPath": "none",
        "ConnectTimeout": 10,
        "ServerAliveInterval": 15,
        "ServerAliveCountMax": 3,
        "LogLevel": "ERROR",
        "Ciphers": ",".join(CIPHERS),
        "MACs": ",".join(DIGESTS),
        "Port": login.hop.port,
    }
    pairs = (("-o", f"{name}={_quoted(value)}") for name, value in wishes.items())
    return ["-F", "none", *(word for pair in pairs for word in pair)]


def child_environ(logins: Sequence[Login]) -> dict[str, str]:
    """Return the client's environment: nothing in it makes it ask, and no password of ours stands there. Where it runs a
    ProxyCommand of the operator's, it has what that needs."""
    own = dict(logins[0].hop.environ) if logins else {}
    # The shell runs ProxyCommand and LocalCommand.
    return own | login_environ() | {"SHELL": "/bin/sh"}


def _quoted(value: object) -> str:
    """ssh takes an option's value apart at blanks, and expands % in paths."""
    if isinstance(value, Path):
        text = str(value).replace("%", "%%")
        return f'"{text}"' if " " in text else text
    return str(value)


def send_by_child(
    file: NodeFile,
    writer: Writer,
    *,
    source: OpenFile,
    size: int,
    logins: Sequence[Login],
    limits: Sequence[Limiter],
) -> Iterator[Sent]:
    """Feed ``writer`` on the node from ``source``. Progress is the size of the file on the node.

    :raises UnusableError: no OpenSSH client, or it does not get in.
    :raises NodeError: the writer failed.
    :raises ConnectionLostError: the link broke, or nothing moved for a minute and a half.
    """
    program = shutil.which("ssh")
    if not program:
        raise UnusableError("no ssh program here")
    with private_folder() as folder:
        argv = child_command(program, logins, folder, shlex.join(writer.argv))
        with (
            keys_for_child(logins, folder),
            source.reader() as data,
            (folder / "said").open("w+b") as said,
        ):
            data.seek(writer.start)
            with _running(argv, child_environ(logins), data, said.fileno(), limits) as child:
                yield from _watch(child, data, file, writer.start, size)
            said.seek(0)
            text = said.read(8192).decode("utf-8", "replace").strip()
    _judge(child.returncode, text, file, writer)


def _dying_with_us(argv: list[str]) -> list[str]:
    """The command line so that the child does not outlive us: after a ``kill -9`` of ours it would go on
    writing to the part that a resumed run is about to measure."""
    setpriv = shutil.which("setpriv")  # util-linux; elsewhere the final hash alone protects the file
    return [setpriv, "--pdeathsig", "KILL", *argv] if setpriv and sys.platform == "linux" else argv


@contextmanager
def _running(
    argv: list[str], environ: Mapping[str, str], data: BinaryIO, said: int, limits: Sequence[Limiter]
) -> Iterator[subprocess.Popen[bytes]]:
    fed = bool(limits) or not _is_handed_on(data)
    child = subprocess.Popen(
        _dying_with_us(argv),
        stdin=subprocess.PIPE if fed else data,
        stdout=subprocess.DEVNULL,
        stderr=said,
        env=dict(environ),
        start_new_session=True,
    )
    feeder = threading.Thread(target=_feed, args=(child, data, limits), daemon=True)
    try:
        if fed:
            feeder.start()
        yield child
    finally:
        if child.poll() is None:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)  # with the jump hosts' clients
            child.wait()
        if fed:
            feeder.join()


def _is_handed_on(data: BinaryIO) -> bool:
    """Whether a child can read it by itself."""
    try:
        data.fileno()
    except OSError:
        return False
    return True


def _feed(child: subprocess.Popen[bytes], data: BinaryIO, limits: Sequence[Limiter]) -> None:
    pipe = child.stdin
    if pipe is None:
        return
    with suppress(OSError, ValueError):
        while child.poll() is None and (piece := data.read(_PIECE)):
            take(limits, len(piece), lambda: child.poll() is not None)
            pipe.write(piece)
            pipe.flush()
    with suppress(OSError):
        pipe.close()


def _watch(
    child: subprocess.Popen[bytes], data: BinaryIO, file: NodeFile, start: int, size: int
) -> Iterator[Sent]:
    moved, before, best = time.monotonic(), (-1, -1), start
    while not _ends_within(child, _POLL):
        have = None
        # Our own connection may stumble while the child's goes on; the child's end decides.
        with suppress(UnreachableError, ConnectionLostError):
            have = file.size()
        # What ssh has read is not what the node has; but more than it has read is not from us.
        read = data.tell()
        best = max(best, min(have or 0, read, size))
        if (read, best) != before:
            moved, before = time.monotonic(), (read, best)
        elif time.monotonic() - moved > _STALLED:
            raise _broken(file, f"nothing moved for {_STALLED:g} s")
        yield Sent(best)


def _ends_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits for its end. subprocess looks every 50 ms for that, Linux tells at once."""
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or no descriptor left
            descriptor = os.pidfd_open(child.pid)
            try:
                told = select.poll()
                told.register(descriptor, select.POLLIN)
                if not told.poll(seconds * 1000):
                    return False
            finally:
                os.close(descriptor)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=seconds)
    return child.returncode is not None


def _judge(code: int, said: str, file: NodeFile, writer: Writer) -> None:
    if code == 0:
        return
    try:
        have = file.size()
    except (UnreachableError, ConnectionLostError) as error:
        raise _broken(file, said or str(error)) from error
    written = max(0, (have or 0) - writer.start)
    # 255 is ssh's own: nothing written means it did not get in, where we did.
    if code in (126, 127, 255) and have is not None and not written:
        raise UnusableError(said or f"ssh ended with {code}")
    if code in (255,) or code < 0:
        raise _broken(file, said or f"ssh ended with {code}")
    raise file.refusal(said or f"{writer.argv[0]} ended with {code}", have)


def _broken(file: NodeFile, why: str) -> ConnectionLostError:
    return ConnectionLostError(
        f"{file.place}: the connection was lost while {file.target} was uploaded",
        details=why,
        remedy="The node keeps what it has of it: run the command again, it continues from there.",
    )
