"""Real SSH servers on 127.0.0.1 and a fake ``ksctl`` program, all in front of one simulated world.

The world's time follows the real one, ``speed`` times as fast. Clocks on its walls show real time, so
that what compares them with ours (skew, age of reports) is not misled.
"""

from __future__ import annotations

import shlex
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

from ctmupgrade.errors import ConnectionLostError, NodeError, SilentError, UnreachableError
from ctmupgrade.sim import SimClock, World, timeline
from ctmupgrade.sim.active_faults import lasting
from ctmupgrade.sim.shell import SimShell
from ctmupgrade.sim.state import SimNode
from tests.support.sshd_files import SftpFiles
from tests.support.sshd_ksctl import Bridge, write_program
from tests.support.sshd_transport import ServerTransport, carry

TICK = 0.02  # seconds between two looks at the world


class RealtimeClock(SimClock):
    """Virtual time that passes by itself."""

    def __init__(self, clock: SimClock, speed: float) -> None:
        self.speed, self._began, self._wall = speed, time.monotonic(), datetime.now(UTC)
        super().__init__(clock.start, clock.elapsed)

    @property
    def elapsed(self) -> float:
        return self._before + (time.monotonic() - self._began) * self.speed

    @elapsed.setter
    def elapsed(self, elapsed: float) -> None:
        self._before = elapsed  # virtual seconds that had passed when this clock was made

    def wall(self, elapsed: float) -> datetime:
        return self._wall + timedelta(seconds=(elapsed - self._before) / self.speed)

    def advance(self, seconds: float) -> None:
        """Nothing: it passes anyway."""


class Session(paramiko.ServerInterface):
    """One connection of one client to one node."""

    def __init__(self, server: NodeServer, transport: ServerTransport) -> None:
        self.server, self.transport = server, transport
        self.shell = SimShell(server.fleet.world, server.node.name)
        self.ptys: set[int] = set()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        with self.server.fleet.lock:
            try:
                self.shell.connect()
            except UnreachableError as error:
                if "key is refused" in str(error):
                    return AUTH_FAILED
        known = key.get_base64() == self.server.fleet.client_key.get_base64()
        return AUTH_SUCCESSFUL if known and username == "ksadmin" else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        with self.server.fleet.lock:
            try:
                self.shell.connect()
            except UnreachableError as error:
                if "no more sessions" in str(error):
                    return OPEN_FAILED_CONNECT_FAILED
        allowed = kind == "session"
        return OPEN_SUCCEEDED if allowed else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(self, channel: paramiko.Channel, *_details: object) -> bool:
        self.ptys.add(channel.get_id())
        return self.server.node.shell.pty

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if lasting(self.shell.world, "commands_refused", self.server.node.name):
            return False
        self.server.asked.append(command.decode())
        argv = tuple(shlex.split(command.decode()))
        pty = channel.get_id() in self.ptys
        threading.Thread(target=self._serve, args=(channel, argv, pty), daemon=True).start()
        return True

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if name == "sftp" and not (self.server.node.shell.sftp and self.server.node.shell.upload):
            return False
        return super().check_channel_subsystem_request(channel, name)

    def check_channel_direct_tcpip_request(
        self, chanid: int, _origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        """Connect where the node would; a place that nobody has told of is forbidden."""
        port = self.server.fleet.places.get((self.server.node.name, *destination))
        if port is None:
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            peer = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            return OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=carry, args=(self.transport, chanid, peer), daemon=True).start()
        return OPEN_SUCCEEDED

    # -- commands --------------------------------------------------------------------------------

    def _serve(self, channel: paramiko.Channel, argv: tuple[str, ...], pty: bool) -> None:
        self.transport.wait_for_answer(channel, 2 if pty else 1)
        if argv == ("ls",) and self.server.fleet.together:
            with suppress(threading.BrokenBarrierError):  # the test sees that it is
                self.server.fleet.together.wait()
        try:
            if pty:
                self._on_terminal(channel, argv)
            elif argv[:2] == ("scp", "-t"):
                self._scp(channel, argv[-1])
            else:
                self._command(channel, argv)
        except SilentError:
            while self.transport.is_active() and not channel.closed:
                time.sleep(TICK)
        except (ConnectionLostError, UnreachableError):
            self.transport.close()
        except NodeError as error:
            self._finish(channel, 1, err=error.brief)
        except (OSError, EOFError, paramiko.SSHException):
            with suppress(OSError, EOFError, paramiko.SSHException):  # the link may be gone altogether
                channel.close()

    def _command(self, channel: paramiko.Channel, argv: tuple[str, ...]) -> None:
        stdin = self._everything(channel) if _reads_input(argv) else None
        if argv[:1] == ("cat",) and len(argv) == 2:
            with self.server.fleet.lock:
                pieces = list(self.shell.stream(*argv))
            for piece in pieces:
                channel.sendall(piece)
            self._finish(channel, 0)
            return
        with self.server.fleet.lock:
            reply = self.shell.change(*argv, stdin=stdin)
        self._finish(channel, reply.code, reply.out, reply.err)

    def _everything(self, channel: paramiko.Channel) -> bytes:
        """Standard input to its end. A lost link looks like an end, as it does to the real dd."""
        data = bytearray()
        while piece := channel.recv(65536):
            data += piece
            self.server.taken = len(data)
        return bytes(data)

    def _on_terminal(self, channel: paramiko.Channel, argv: tuple[str, ...]) -> None:
        lock = self.server.fleet.lock
        with lock:
            terminal = self.shell.terminal(*argv)
        while True:
            with lock:
                screen = terminal.look()
            if screen.text:
                channel.sendall(screen.text.encode())
            if screen.ended and screen.code is None:
                self.transport.close()
                return
            if screen.ended:
                self._finish(channel, screen.code or 0)
                return
            if channel.closed or not self.transport.is_active():
                with lock:
                    terminal.close()
                return
            time.sleep(TICK)

    def _scp(self, channel: paramiko.Channel, target: str) -> None:
        if not (self.server.node.shell.scp and self.server.node.shell.upload):
            self._finish(channel, 127, err="bash: scp: command not found\n")
            return
        channel.sendall(b"\0")
        size = int(_line(channel).split()[1])
        channel.sendall(b"\0")
        data = bytearray()
        while len(data) < size and (piece := channel.recv(min(65536, size - len(data)))):
            data += piece
        with self.server.fleet.lock:
            SftpFiles(self, self.shell, self.server.fleet.lock).save(target, bytes(data))
            self.shell.world.record(self.shell.name, "change", f"scp -t {target}")
        if len(data) == size:
            channel.recv(1)
            channel.sendall(b"\0")
        self._finish(channel, 0)

    def _finish(self, channel: paramiko.Channel, code: int, out: str = "", err: str = "") -> None:
        channel.sendall(out.encode())
        channel.sendall_stderr(err.encode())
        channel.send_exit_status(code)
        channel.shutdown_write()
        channel.close()


def _reads_input(argv: tuple[str, ...]) -> bool:
    return argv[:1] == ("tee",) or (argv[:1] == ("dd",) and any(word.startswith("of=") for word in argv))


def _line(channel: paramiko.Channel) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (piece := channel.recv(1)):
        line += piece
    return line


class NodeServer:
    """One node's port."""

    def __init__(
        self,
        fleet: SshFleet,
        node: SimNode,
        keys: list[paramiko.PKey],
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.fleet, self.node, self.keys = fleet, node, keys
        self.socket = socket.create_server(at)
        self.host = at[0]
        self.port = int(self.socket.getsockname()[1])
        self.transports: list[paramiko.Transport] = []
        self.link, self.closed = node.link, False
        self.taken = 0  # bytes of the last upload so far
        self.connections, self.asked = 0, list[str]()  # how many came, and the commands they brought
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        self.closed = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.cut()

    def cut(self) -> None:
        """Ends all connections."""
        for transport in self.transports:
            transport.close()
        self.transports = []

    def _accept(self) -> None:
        while not self.closed:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            try:
                self._greet(client)
            except (OSError, EOFError, paramiko.SSHException):
                client.close()

    def _greet(self, client: socket.socket) -> None:
        self.connections += 1
        key = self.keys[0]
        with self.fleet.lock:
            try:
                SimShell(self.fleet.world, self.node.name).connect()
            except UnreachableError as error:
                match error.brief.rsplit(": ", 1)[-1]:
                    case "connection refused" | "timed out":
                        client.close()
                        return
                    case "its host key has changed":
                        key = self.keys[1]
                    case _:
                        pass
        transport = ServerTransport(client)
        transport.add_server_key(key)
        session = Session(self, transport)
        transport.set_subsystem_handler(
            "sftp", paramiko.SFTPServer, SftpFiles, shell=session.shell, lock=self.fleet.lock
        )
        self.transports = [t for t in self.transports if t.is_active()] + [transport]
        transport.start_server(event=threading.Event(), server=session)

    def _watch(self) -> None:
        """Ends the connections when the world says so."""
        while not self.closed:
            with self.fleet.lock:
                timeline.catch_up(self.fleet.world)
                cut = self.node.link != self.link
                self.link = self.node.link
            if cut:
                time.sleep(TICK)  # an answer that is on its way still gets out
                self.cut()
            time.sleep(TICK)


@dataclass
class SshFleet:
    """Handles of a started fleet. ``ports`` and ``urls`` by node name; ``known_hosts`` names all keys."""

    world: World
    directory: Path
    client_key: paramiko.PKey
    lock: threading.RLock = field(default_factory=threading.RLock)
    servers: dict[str, NodeServer] = field(default_factory=dict)
    bridge: Bridge | None = None
    # what nodes see besides: (node, host, port) to a port of this machine; others are forbidden
    places: dict[tuple[str, str, int], int] = field(default_factory=dict)
    together: threading.Barrier | None = None  # `ls`, the first look, is answered when so many nodes have it

    @property
    def ports(self) -> dict[str, int]:
        return {name: server.port for name, server in self.servers.items()}

    @property
    def urls(self) -> dict[str, str]:
        return {name: f"https://{name}.sim" for name in self.servers}

    @property
    def host_keys(self) -> dict[str, str]:
        """SHA256 fingerprints, as ``host_key`` in cluster.yaml takes them."""
        return {name: str(server.keys[0].fingerprint) for name, server in self.servers.items()}

    @property
    def client_key_path(self) -> Path:
        return self.directory / "client_key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def ksctl(self) -> Path:
        return self.directory / "ksctl"

    def close(self) -> None:
        for server in self.servers.values():
            server.close()
        if self.bridge:
            self.bridge.close()


def _place(fleet: SshFleet, node: SimNode) -> tuple[str, int]:
    """Where a node listens. A spare (``host: 127.0.0.99``) is reached at the port of the first node, as `drill` has it."""
    if not node.host.startswith("127."):
        return "127.0.0.1", 0
    return node.host, next(iter(fleet.servers.values())).port


def start_fleet(world: World, directory: Path, speed: float = 1.0) -> SshFleet:
    """Servers for every node of the world, whose time runs from now on ``speed`` times as fast as ours."""
    directory.mkdir(parents=True, exist_ok=True)
    world.clock = RealtimeClock(world.clock, speed)
    world.touch()
    client = _new_key(directory / "client_key")
    fleet = SshFleet(world, directory, client)
    lines = []
    for name, node in world.nodes.items():
        keys = [_new_key(directory / f"host_{name}_{i}") for i in (1, 2)]
        server = fleet.servers[name] = NodeServer(fleet, node, keys, _place(fleet, node))
        lines.append(f"[{server.host}]:{server.port} {keys[0].get_name()} {keys[0].get_base64()}\n")
    fleet.known_hosts.write_text("".join(lines))
    fleet.bridge = Bridge(world, fleet.lock)
    write_program(fleet.ksctl, fleet.bridge.port)
    return fleet


def _new_key(path: Path) -> paramiko.PKey:
    """A key pair in OpenSSH's form, 0600."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.write_bytes(made)
    path.chmod(0o600)
    return paramiko.Ed25519Key.from_private_key_file(str(path))
