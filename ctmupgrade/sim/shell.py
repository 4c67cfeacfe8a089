"""A simulated node's shell: connections, commands, terminals and uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ctmupgrade.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostKeyError,
    NodeError,
    SilentError,
    UnreachableError,
)
from ctmupgrade.ports import Reply, Screenful, Sent, Terminal
from ctmupgrade.sim import active_faults, changes, files, programs, status, timeline, upgrade, upgrade_words
from ctmupgrade.sim.effects import Lost, struck
from ctmupgrade.sim.state import NEVER, SCRIPT, File, SimNode, UpgradeRun
from ctmupgrade.sim.world import World

CHUNKS = 20
LITERAL_LIMIT = 64 * 2**20  # bytes of a real file that are kept in memory


class SimShell:
    """A :class:`~ctmupgrade.ports.Shell` of a node of the world."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.since = -1.0  # when this connection was opened; -1: not open
        self.terminals: list[SimTerminal] = []

    @property
    def node(self) -> SimNode:
        """Return the node whose shell this is."""
        return self.world.nodes[self.name]

    # -- connection ------------------------------------------------------------------------------

    def connect(self) -> SimNode:
        """Connect. :raises UnreachableError: no connection, for whatever reason."""
        now, node = timeline.catch_up(self.world), self.world.nodes[self.name]
        where = f"{node.name} ({node.host}:22)"
        if status.booting(node, now):
            raise UnreachableError(f"{where}: connection refused")
        if self.world.faults:
            self._hindered(where)
        elif node.host_key != 1:
            raise self._other_key(where)
        self.since = now if self.since < 0 else self.since
        return node

    def _other_key(self, where: str) -> HostKeyError:
        return HostKeyError(
            f"{where}: its host key has changed",
            details=f"it shows SHA256:simulated-{self.name}-{self.node.host_key}",
            remedy="find out on its console whether the key is its own; if so put it into known_hosts",
        )

    def _hindered(self, where: str) -> None:
        node = self.node
        for kind, text in (("refused", "connection refused"), ("unreachable", "timed out")):
            fault = active_faults.lasting(self.world, kind, node.name)
            if fault and fault.text("what", "both") in ("both", "shell"):
                raise UnreachableError(f"{where}: {text}")
        if node.host_key != 1 or active_faults.lasting(self.world, "host_key_changed", node.name):
            raise self._other_key(where)
        if active_faults.lasting(self.world, "auth_refused", node.name):
            raise AuthenticationError(f"{where}: the key is refused")
        limit = active_faults.lasting(self.world, "session_limit", node.name)
        if limit and self.since <= limit.started:
            raise UnreachableError(f"{where}: no more sessions on this connection")

    def disconnect(self) -> None:
        """Drop the connection of looks and changes; terminals have their own."""
        self.since = self.world.now

    def hang_up(self) -> None:
        """End all connections, those of terminals too."""
        for terminal in self.terminals:
            terminal.lose()
        self.terminals = []
        self.disconnect()

    # -- commands --------------------------------------------------------------------------------

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`."""
        if changes.is_change(argv):
            self.world.complain(f"a look must not change anything: {argv}")
        return self._run(argv, timeout, None)

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Shell.change`."""
        return self._run(argv, timeout, stdin)

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`."""
        reply = self._run(argv, timeout, None) if argv[0] != "cat" else None
        data = reply.out.encode() if reply else self._bytes(argv, timeout)
        for start in range(0, len(data), files.PIECE):
            yield data[start : start + files.PIECE]
        if reply and reply.code:
            raise NodeError(f"{self.name}: {' '.join(argv)}: exit {reply.code}", details=reply.err)

    def _bytes(self, argv: tuple[str, ...], timeout: float) -> bytes:
        """A file's bytes, exactly: text would not hold them all."""
        node, file = self.connect(), programs.find(self.node, argv[-1])
        data = files.content(self.world, node, file) if file else None
        reply = self._run(argv, timeout, None) if data is None else None
        if reply is not None and reply.code:
            raise NodeError(f"{self.name}: {' '.join(argv)}: exit {reply.code}", details=reply.err)
        return data if data is not None else reply.out.encode() if reply else b""

    def _run(self, argv: tuple[str, ...], timeout: float, stdin: bytes | None) -> Reply:
        self._begin(argv)
        result = struck(
            self.world, self.name, " ".join(argv), lambda: self._execute(argv, stdin), timeout=timeout
        )
        match result:
            case Reply():
                return result
            case Lost(silent=True):
                raise SilentError(f"{self.name}: no answer to `{argv[0]}` for {timeout:.0f} s")
            case Lost():
                raise ConnectionLostError(f"{self.name}: the connection ended during `{argv[0]}`")

    def _begin(self, argv: tuple[str, ...]) -> None:
        """What every command does first: connect, be counted, be written down if it changes something."""
        self.connect()
        if active_faults.lasting(self.world, "commands_refused", self.name):
            raise NodeError(
                f"{self.name}: the SSH server does not run commands", details=f"asked for: {argv[0]}"
            )
        if pause := self.world.latency + self.node.times.shell_s:
            self.world.clock.advance(pause)
        link, text = self.node.link, " ".join(argv)
        timeline.command_started(self.world, self.name, text)
        if changes.is_change(argv):
            self.world.record(self.name, "change", text)
        timeline.catch_up(self.world)
        if self.node.link != link:
            raise ConnectionLostError(f"{self.name}: the connection ended during `{argv[0]}`")
        self.connect()

    def _execute(self, argv: tuple[str, ...], stdin: bytes | None) -> Reply:
        world, node = self.world, self.node
        program = argv[0].rsplit("/", 1)[-1]
        refusal = _not_offered(node, argv[0], program)
        if refusal:
            return refusal
        if argv[:3] == ("sudo", "-n", "-l"):
            return changes.listing(world, node)
        if changes.is_change(argv):
            reply = changes.run(world, node, argv, stdin)
            world.touch()
        else:
            reply = programs.run(world, node, argv)
        if reply is None:
            world.complain(f"the simulator does not know the command {argv}")
            return Reply(127, "", f"bash: {argv[0]}: command not found\n")
        return reply

    # -- terminals -------------------------------------------------------------------------------

    def terminal(self, *argv: str) -> Terminal:
        """See :meth:`ctmupgrade.ports.Shell.terminal`."""
        self._begin(argv)
        node = self.node
        if not node.shell.pty:
            raise NodeError(f"{self.name}: the node gives no pseudo-terminal")
        command = argv[2:] if argv[:2] == ("sudo", "-n") else argv[1:] if argv[:1] == ("sudo",) else argv
        if command[:1] != (SCRIPT,) or not changes.sudo_allows(self.world, node, SCRIPT):
            reply = self._execute(argv, None)
            return SaidTerminal(reply.out + reply.err, reply.code)
        run = upgrade.start(self.world, node, changes.archive_of(command), self.world.now)
        terminal = SimTerminal(self.world, node, run)
        self.terminals.append(terminal)
        return terminal

    # -- uploads ---------------------------------------------------------------------------------

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """See :meth:`ctmupgrade.ports.Shell.upload`."""
        self._begin(("sftp", "put", target))
        world, node = self.world, self.node
        world.record(self.name, "change", f"upload {target} from {offset}")
        if not node.shell.upload or active_faults.take_next(world, node, "upload_refused"):
            raise NodeError(f"{self.name}: no way of writing a file: sftp, scp and cat are refused")
        if active_faults.lasting(world, "read_only", self.name):
            raise NodeError(f"{self.name}: writing {target}: Failure (Read-only file system)")
        data = _literal(world, source)
        total = world.archive.size if data is None else len(data)
        kept = programs.find(node, target) if offset else None
        limits = {
            k: active_faults.take_next(world, node, k) for k in ("upload_full", "upload_drop", "upload_hole")
        }
        stops = {k: int(f.number("at_byte", total / 2)) for k, f in limits.items() if f}
        link, done, step = node.link, offset, max(1, -(-(total - offset) // CHUNKS))
        self._store(target, _grown(kept, data, offset, offset, hole="upload_hole" in stops), target)
        while done < total:
            upto = min(total, done + step)
            self._check_upload(target, link, upto, stops, _grown(kept, data, offset, upto, hole=True))
            self._store(target, _grown(kept, data, offset, upto, hole="upload_hole" in stops), target)
            pause = (upto - done) / (node.times.upload_mb_s * 1e6)
            done = upto
            yield Sent(done, pause)
        world.record(self.name, "upload", f"{target} {total}")

    def _check_upload(self, target: str, link: int, upto: int, stops: dict[str, int], partial: File) -> None:
        """Whether the next piece gets through."""
        try:
            self.connect()
        except UnreachableError as error:
            raise ConnectionLostError(f"{self.name}: the upload was cut: {error.brief}") from error
        if self.node.link != link:
            raise ConnectionLostError(f"{self.name}: the upload was cut")
        full = active_faults.lasting(self.world, "disk_full", self.name) is not None
        if full or stops.get("upload_full", upto + 1) < upto:
            self._store(target, partial, target)
            raise NodeError(f"{self.name}: writing {target}: Failure (No space left on device)")
        if stops.get("upload_drop", upto + 1) < upto:
            raise ConnectionLostError(f"{self.name}: the upload was cut at byte {stops['upload_drop']}")

    def _store(self, path: str, file: File, name: str) -> None:
        try:
            files.store(self.node, path, file, self.world.now)
        except files.NoSpaceError:
            raise NodeError(f"{self.name}: writing {name}: Failure (No space left on device)") from None


def _not_offered(node: SimNode, called: str, program: str) -> Reply | None:
    traits = node.shell
    if program in traits.missing:
        return Reply(127, "", f"bash: {program}: command not found\n")
    if traits.restricted and (program in programs.INTERPRETERS or "/" in called):
        return Reply(126, "", f"rbash: {called}: restricted\n")
    return None


def _literal(world: World, source: Path) -> bytes | None:
    """A real small file's bytes; None for the world's archive, of which only the size matters."""
    if source.name == world.archive.name and not world.archive.generated:
        return None
    if source.is_file() and source.stat().st_size <= LITERAL_LIMIT:
        return source.read_bytes()
    return None


def _grown(kept: File | None, data: bytes | None, offset: int, upto: int, *, hole: bool) -> File:
    """The target with bytes up to ``upto``: what was kept of it before ``offset``, then the source's."""
    if data is not None:
        head = kept.data[:offset] if kept and kept.data else b""
        return File(upto, data=head.ljust(offset, b"\0") + data[offset:upto])
    foreign = kept is not None and (kept.source != "archive" or kept.hole)
    return File(upto, "archive", hole=hole or foreign or (kept is None and offset > 0))


class SimTerminal:
    """The upgrade script on a pseudo-terminal."""

    ends_with_us = ""

    def __init__(self, world: World, node: SimNode, run: UpgradeRun) -> None:
        self.world, self.node, self.run = world, node, run
        self.link, self.shown, self.lost = node.link, 0, False

    def look(self) -> Screenful:
        """See :meth:`ctmupgrade.ports.Terminal.look`."""
        timeline.catch_up(self.world)
        if self.lost or self.node.link != self.link:
            return Screenful("", True, None)
        text, over = upgrade_words.screen_text(self.world, self.node, self.run)
        fresh, self.shown = text[self.shown :], len(text)
        return Screenful(fresh, over, upgrade.exit_code(self.run) if over else None)

    def lose(self) -> None:
        """End its connection: a script in the foreground dies with it."""
        timeline.catch_up(self.world)
        if not self.lost and self.node.link == self.link:
            foreground = self.run.tty_mode == "foreground" and self.run.ended >= NEVER
            if foreground:
                timeline.kill_upgrade(self.world, self.node, self.world.now)
        self.lost = True

    def close(self) -> None:
        """See :meth:`ctmupgrade.ports.Terminal.close`."""
        self.lose()


class SaidTerminal:
    """A command on a terminal that has ended already."""

    ends_with_us = ""

    def __init__(self, text: str, code: int) -> None:
        self.text, self.code = text, code

    def look(self) -> Screenful:
        """See :meth:`ctmupgrade.ports.Terminal.look`."""
        text, self.text = self.text, ""
        return Screenful(text, True, self.code)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
