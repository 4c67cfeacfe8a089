"""The programs of a node's shell that change something."""

from __future__ import annotations

from functools import lru_cache

from ctmupgrade.errors import ConnectionLostError
from ctmupgrade.ports import Reply
from ctmupgrade.sim import active_faults, files, timeline, upgrade, upgrade_words
from ctmupgrade.sim.programs import find, refused, said
from ctmupgrade.sim.state import SCRIPT, File, SimNode
from ctmupgrade.sim.world import World

FILE_CHANGES = ("rm", "mv", "cp", "mkdir", "chmod", "truncate", "tee", "touch", "rmdir")
REBOOTS = ("reboot", "/sbin/reboot", "/usr/sbin/reboot")


@lru_cache(maxsize=4096)
def is_change(argv: tuple[str, ...]) -> bool:
    """Return whether a command changes something on the node."""
    match argv:
        case ("sudo", "-n", "-l", *_) | ("sudo", "-l", *_):
            return False
        case ("sudo", *_):
            return True
        case ("dd", *rest):
            return any(word.startswith("of=") for word in rest)
        case (name, *_):
            return name in FILE_CHANGES or name in REBOOTS or name == SCRIPT
        case _:
            return False


def run(world: World, node: SimNode, argv: tuple[str, ...], stdin: bytes | None) -> Reply | None:
    """Carry out a changing command; None where it is not known."""
    match argv:
        case ("sudo", "-n", *command) | ("sudo", *command):
            return _sudo(world, node, tuple(command))
        case (name, *_) if name in REBOOTS or name == SCRIPT:
            return refused(127 if name == "reboot" else 1, f"{name}: must be root")
        case _:
            try:
                return _on_files(world, node, argv, stdin or b"")
            except files.NoSpaceError:
                return refused(1, f"{argv[0]}: write error: No space left on device")


def listing(world: World, node: SimNode) -> Reply:
    """Answer ``sudo -n -l``."""
    rights = node.sudo
    if active_faults.lasting(world, "sudo_refused", node.name) or not rights.listing:
        return refused(1, "sudo: a password is required")
    lines = [f"User ksadmin may run the following commands on {node.name}:"]
    if rights.everything:
        lines.append("    (ALL) NOPASSWD: ALL")
    if rights.upgrade:
        lines.append(f"    (root) NOPASSWD: {SCRIPT}")
    if rights.reboot:
        lines.append("    (root) NOPASSWD: /sbin/reboot, /bin/systemctl restart keysecure")
    return said("\n".join([*lines, ""]))


def sudo_allows(world: World, node: SimNode, program: str) -> bool:
    """Return whether sudo runs this without a password."""
    rights = node.sudo
    if active_faults.lasting(world, "sudo_refused", node.name):
        return False
    if program == SCRIPT:
        return rights.upgrade or rights.everything
    return rights.reboot or rights.everything


def _sudo(world: World, node: SimNode, command: tuple[str, ...]) -> Reply | None:
    if not command or not sudo_allows(world, node, command[0]):
        return refused(1, "sudo: a password is required")
    match command:
        case (name, *_) if name in REBOOTS:
            return _reboot(world, node)
        case ("systemctl", "restart", "keysecure"):
            restart_services(world, node, "systemctl restart keysecure")
            return said("")
        case _ if command[0] == SCRIPT:
            return _script_without_terminal(world, node, command)
        case _:
            return None


def _reboot(world: World, node: SimNode) -> Reply:
    if active_faults.take_next(world, node, "reboot_ignored"):
        return said("")
    timeline.reboot(world, node, world.now, "sudo reboot", linger=node.times.linger_s)
    if node.shell.reboot_reply == "ok":
        return said("")
    raise ConnectionLostError(f"Connection to {node.host} closed by remote host")


def restart_services(world: World, node: SimNode, why: str) -> None:
    """Let the appliance's services go down and come up again."""
    now = world.now
    if node.join is not None:
        timeline.leave(world, node, now, "join_failed", f"restarted during the join: {why}")
    node.drop_due("ready")
    node.silent_from, node.ready_at = now, now + node.times.start_s
    node.plan_due(node.ready_at, "ready")
    world.record(node.name, "services_restarted", why)


def archive_of(command: tuple[str, ...]) -> str:
    """Return the argument of ``-f``."""
    return command[command.index("-f") + 1] if "-f" in command[:-1] else ""


def _script_without_terminal(world: World, node: SimNode, command: tuple[str, ...]) -> Reply:
    """Without a terminal there is no screen: it runs in the foreground, or goes to the background."""
    began = upgrade.start(world, node, archive_of(command), world.now)
    if began.tty_mode == "background":
        return said("Upgrade started in the background\n")
    if began.tty_mode == "screen":
        began.tty_mode = "foreground"
    if began.outcome == "fail" and began.duration <= 5:
        world.clock.advance(began.duration)
        timeline.catch_up(world)
        return Reply(upgrade.exit_code(began), upgrade_words.log_text(world, node, began), "")
    raise ConnectionLostError(f"{node.name}: no answer; the script runs in the foreground")


# -- files -----------------------------------------------------------------------------------------


def _on_files(world: World, node: SimNode, argv: tuple[str, ...], stdin: bytes) -> Reply | None:  # noqa: C901 - one case a kind
    if active_faults.lasting(world, "read_only", node.name):
        return refused(1, f"{argv[0]}: {argv[-1]}: Read-only file system")
    now = world.now
    match argv:
        case ("rm", *rest):
            return _rm(node, rest, now)
        case ("mv", *_, source, target):
            return _mv(node, source, target, now)
        case ("cp", *_, source, target):
            return _cp(world, node, source, target, now)
        case ("truncate", "-s", count, path):
            old = find(node, path) or File(data=b"")
            files.store(node, path, files.prefix(old, int(count)), now)
            return said("")
        case ("tee", "-a", path):
            old = find(node, path) or File(data=b"")
            return _write(world, node, path, (files.content(world, node, old) or b"") + stdin)
        case ("tee", path):
            return _write(world, node, path, stdin)
        case ("dd", *rest):
            return _dd(world, node, dict(word.partition("=")[::2] for word in rest), stdin)
        case ("touch", path):
            files.store(node, path, find(node, path) or File(data=b""), now)
            return said("")
        case ("chmod", mode, path):
            return _chmod(node, mode, path)
        case ("mkdir", path):
            return _mkdir(node, path)
        case ("rmdir", path):
            return _rmdir(node, path)
        case _:
            return None


def _write(world: World, node: SimNode, path: str, data: bytes) -> Reply:
    if not _writable(path):
        return refused(1, f"tee: {path}: Permission denied")
    if active_faults.lasting(world, "disk_full", node.name):
        raise files.NoSpaceError(path)
    files.store(node, path, File(len(data), data=data), world.now)
    return said(data.decode("utf-8", "replace"))


def _dd(world: World, node: SimNode, words: dict[str, str], stdin: bytes) -> Reply:
    """``dd of=FILE bs=N seek=N``: keeps what lies before, cuts the rest, as without conv=notrunc."""
    before = int(words.get("bs", "512")) * int(words.get("seek", "0"))
    old = find(node, words["of"])
    kept = (files.content(world, node, old) or b"") if old and before else b""
    reply = _write(world, node, words["of"], kept[:before].ljust(before, b"\0") + stdin)
    return reply if reply.code else Reply(0, "", f"{len(stdin)} bytes copied\n")


def _writable(path: str) -> bool:
    return not files.absolute(path).startswith(files.READ_ONLY)


def _rm(node: SimNode, rest: list[str], now: float) -> Reply:
    paths = [word for word in rest if not word.startswith("-")]
    for path in paths:
        if find(node, path) is not None:
            files.store(node, path, None, now)
        elif not any(word.startswith("-") and "f" in word for word in rest):
            return refused(1, f"rm: cannot remove '{path}': No such file or directory")
    return said("")


def _mv(node: SimNode, source: str, target: str, now: float) -> Reply:
    file = find(node, source)
    if file is None:
        return refused(1, f"mv: cannot stat '{source}': No such file or directory")
    where = (
        f"{target.rstrip('/')}/{source.rsplit('/', 1)[-1]}"
        if files.is_folder(node, files.absolute(target))
        else target
    )
    if files.absolute(where) == files.absolute(source):
        return refused(1, f"mv: '{source}' and '{target}' are the same file")
    written = file.mtime
    files.store(node, source, None, now)
    files.store(node, where, file, now)
    file.mtime = written  # a renamed file was not written to
    return said("")


def _cp(world: World, node: SimNode, source: str, target: str, now: float) -> Reply:
    file = find(node, source)
    if file is None:
        return refused(1, f"cp: cannot stat '{source}': No such file or directory")
    data = files.content(world, node, file)
    files.store(node, target, File(file.size, file.source, data, hole=file.hole), now)
    return said("")


def _mkdir(node: SimNode, path: str) -> Reply:
    """Of two that make the same folder one fails, which is what marks on nodes rely on."""
    where = files.absolute(path)
    problem = ""
    if where in node.files or files.is_folder(node, where):
        problem = "File exists"
    elif not files.is_folder(node, where.rpartition("/")[0] or "/"):
        problem = "No such file or directory"
    elif not _writable(where):
        problem = "Permission denied"
    if problem:
        return refused(1, f"mkdir: cannot create directory '{path}': {problem}")
    node.folders = [*node.folders, where]
    return said("")


def _rmdir(node: SimNode, path: str) -> Reply:
    where = files.absolute(path)
    if where not in node.folders or files.names_in(node, where):
        why = "Directory not empty" if where in node.folders else "No such file or directory"
        return refused(1, f"rmdir: failed to remove '{path}': {why}")
    node.folders = [folder for folder in node.folders if folder != where]
    return said("")


def _chmod(node: SimNode, mode: str, path: str) -> Reply:
    file = find(node, path)
    if file is None:
        return refused(1, f"chmod: cannot access '{path}': No such file or directory")
    file.mode = mode
    return said("")
