"""The programs of a node's shell that only look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from fnmatch import fnmatch

from ctmupgrade.ports import Reply
from ctmupgrade.sim import active_faults, files, status
from ctmupgrade.sim.answers import own_words
from ctmupgrade.sim.state import SCRIPT, File, SimNode, boot_id
from ctmupgrade.sim.world import World

INTERPRETERS = ("bash", "sh", "python3", "perl", "awk")
UNIT_WORDS = {"active": "running", "activating": "start", "failed": "failed", "inactive": "dead"}


def run(world: World, node: SimNode, argv: tuple[str, ...]) -> Reply | None:  # noqa: C901 - one case a kind
    """Return the answer of a program that looks; None where it is not known."""
    if (heard := node.heard.get(" ".join(argv))) is not None:
        return Reply(heard.code, heard.out, heard.err)
    own = own_words(node, " ".join(argv)) if node.says else None
    if own is not None:
        return said(own)
    match argv:
        case ("cat", "/proc/sys/kernel/random/boot_id"):
            return said(_boot_id(world, node))
        case ("cat", "/proc/stat"):
            return said(f"cpu  1 2 3 4\nbtime {_booted(world, node).timestamp():.0f}\nprocesses 99\n")
        case ("uptime", "-s"):
            return said(f"{_booted(world, node):%Y-%m-%d %H:%M:%S}\n")
        case ("who", "-b"):
            return said(f"         system boot  {_booted(world, node):%Y-%m-%d %H:%M}\n")
        case ("date", form):
            now = clock_of(world, node)
            text = form.removeprefix("+").replace("%s", str(int(now.timestamp())))
            return said(text.replace("%N", f"{now.microsecond * 1000:09d}") + "\n")
        case ("date",):
            return said(f"{clock_of(world, node):%a %b %d %H:%M:%S UTC %Y}\n")
        case ("systemctl", *rest):
            return _systemctl(status.unit_of(world, node), rest)
        case ("df", *rest) if "-i" in rest:
            return said(_INODES)
        case ("cat", "/proc/mounts"):
            return said("/dev/sda2 / ext4 rw,relatime,errors=remount-ro 0 0\nproc /proc proc rw,nosuid 0 0\n")
        case ("nmcli", *_, "device", "show"):
            return said(
                "GENERAL.DEVICE:ens160\nGENERAL.TYPE:ethernet\n\nGENERAL.DEVICE:lo\nGENERAL.TYPE:loopback\n"
            )
        case ("nc", *_, _, "1792"):
            return Reply(0, "", "Connection to 10.0.0.90 1792 port [tcp/*] succeeded!\n")
        case ("df", *rest):
            return _df(node, rest)
        case ("ps", *_) | ("pgrep", *_):
            return _processes(world, node, argv)
        case ("nc", *_, host, "5432" | "2380" as port):
            return _port(world, node, host, port, "nc")
        case ("timeout", _, "bash", "-c", text) if "/dev/tcp/" in text:
            place = text.split("/dev/tcp/")[1].split("/")
            return _port(world, node, place[0], place[1], "bash")
        case ("hostname",):
            return said(f"{node.name}\n")
        case ("whoami",) | ("id", "-un"):
            return said("ksadmin\n")
        case ("true",) | ("sync",):
            return said("")
        case _:
            return _on_files(world, node, argv)


INODE = 4711  # of every file
_EPOCH = "--time-style=+%s"  # an option of ls that not every ls has
_INODES = (
    "Filesystem      Inodes  IUsed   IFree IUse% Mounted on\n/dev/sda2      6553600 250000 6303600    4% /\n"
)


def said(out: str) -> Reply:
    """Return a good answer."""
    return Reply(0, out, "")


def refused(code: int, err: str) -> Reply:
    """Return a bad one."""
    return Reply(code, "", f"{err}\n")


def clock_of(world: World, node: SimNode) -> datetime:
    """Return the node's own time."""
    return world.clock.now() + timedelta(seconds=node.clock_offset)


def _boot_id(world: World, node: SimNode) -> str:
    return boot_id(node.name, status.boot_of(node, world.now)) + "\n"


def _booted(world: World, node: SimNode) -> datetime:
    return world.clock.wall(node.up_at - 20)


def _systemctl(active: str, rest: list[str]) -> Reply:
    sub = UNIT_WORDS.get(active, active)
    match rest:
        case ["show", *_]:
            return said(f"LoadState=loaded\nActiveState={active}\nSubState={sub}\n")
        case ["is-active", _]:
            return Reply(0 if active == "active" else 3, f"{active}\n", "")
        case ["status", *_]:
            text = (
                "● keysecure.service - CipherTrust Manager\n     Loaded: loaded (/etc/systemd/system/keysecure.service)\n"
                f"     Active: {active} ({sub}) since Tue 2025-09-02 14:25:36 UTC; 1h ago\n"
            )
            return Reply(0 if active == "active" else 3, text, "")
        case _:
            return refused(1, f"systemctl {' '.join(rest)}: not allowed")


def _df(node: SimNode, rest: list[str]) -> Reply:
    total, free = int(node.total_gib * 2**20), node.free // 1024
    human = "-h" in rest
    header = "Size  Used Avail Use% Mounted on" if human else "1024-blocks Used Available Capacity Mounted on"
    use = f"{100 * (total - free) // max(1, total)}%"
    if human:
        sizes = " ".join(f"{kib / 2**20:.0f}G" for kib in (total, total - free, free))
    else:
        sizes = f"{total} {total - free} {free}"
    lines = [f"/dev/sda2 {sizes} {use} /" for word in rest if not word.startswith("-")] or [
        f"/dev/sda2 {sizes} {use} /"
    ]
    return said("\n".join([f"Filesystem {header}", *lines, ""]))


def process_lines(world: World, node: SimNode) -> list[str]:
    """Command lines of what runs and matters."""
    run, found = node.running, ["/sbin/init", "/usr/sbin/sshd -D"]
    if run is not None and node.upgrade.works_as:
        found.append(node.upgrade.works_as)
    elif run is not None:
        if run.tty_mode == "screen":
            found.append(f"SCREEN -L -dmS upgrade {run.command}")
        found.append(f"sudo -n {run.command}")
        found.append(f"/bin/bash {run.command}")
    fault = active_faults.lasting(world, "process", node.name)
    if fault:
        found.append(fault.text("args", f"/bin/bash {SCRIPT} -f other.tar.gz.gpg"))
    return found


def _processes(world: World, node: SimNode, argv: tuple[str, ...]) -> Reply:
    lines = process_lines(world, node)
    match argv:
        case ("ps", "-eo", "args"):
            return said("\n".join(["COMMAND", *lines, "ps -eo args", ""]))
        case ("ps", *_):
            rows = [f"root {100 + i} 1 0 10:00 ? 00:00:00 {line}" for i, line in enumerate(lines)]
            return said("\n".join(["UID PID PPID C STIME TTY TIME CMD", *rows, ""]))
        case _:
            rows = [f"{100 + i} {line}" for i, line in enumerate(lines) if argv[-1] in line]
            return Reply(0 if rows else 1, "".join(f"{row}\n" for row in rows), "")


def _port(world: World, node: SimNode, host: str, port: str, how: str) -> Reply:
    """From 2.22 on something listens on 2380; what closes 5432 alone says nothing of it."""
    peer = next((n for n in world.nodes.values() if host in (n.cluster_host, n.host)), None)
    away = peer is None or status.booting(peer, world.now)
    blocked = False
    for one, other in ((node, peer), (peer, node)):
        fault = active_faults.lasting(world, "port_closed", one.name) if one else None
        hit = fault is not None and other is not None and fault.text("peer", other.name) == other.name
        blocked |= bool(hit and fault and fault.text("port", "5432") == port)
    if port == "2380" and blocked:
        return Reply(124, "", "") if how == "bash" else refused(1, "nc: connect: Connection timed out")
    silent = (
        port == "2380" and peer is not None and peer.version < "2.22"
    )  # two digits each: text compares them
    if not away and not blocked and not silent:
        return said("")
    if how == "nc" and port == "5432":
        return Reply(1, "", "")
    return refused(1, f"bash: connect: Connection refused\nbash: /dev/tcp/{host}/{port}: Connection refused")


# -- files -----------------------------------------------------------------------------------------


def _on_files(world: World, node: SimNode, argv: tuple[str, ...]) -> Reply | None:  # noqa: C901 - one case a kind
    match argv:
        case ("ls", *rest):
            return _ls(world, node, rest)
        case ("find", root, *rest):
            pattern = rest[rest.index("-name") + 1] if "-name" in rest else "*"
            hits = [
                p for p in sorted(node.files) if p.startswith(root) and fnmatch(p.rsplit("/", 1)[-1], pattern)
            ]
            return Reply(1, "".join(f"{p}\n" for p in hits), "find: '/root': Permission denied\n")
        case ("openssl", "dgst", "-sha256", path):
            return _hash(world, node, path, "SHA2-256({path})= {hash}\n")
        case ("sha256sum", path) | ("sha256sum", "-b", path) | ("shasum", "-a", "256", path):
            return _hash(world, node, path, "{hash}  {path}\n")
        case ("gpg", "--print-md", "SHA256", path):
            return _hash(world, node, path, "{path}: {spaced}\n")
        case ("python3", "-c", code, path) if "sha256" in code:
            return _hash(world, node, path, "{hash}\n")
        case ("sh", "-c", text, *_) if "|" in text:
            return Reply(
                126, "", "sh: pipes are not offered\n"
            )  # what runs beside an upload needs real nodes
        case ("stat", "-c", form, path):
            return _stat(world, node, form, path)
        case ("test", flag, path):
            there = files.absolute(path) in node.files or files.is_folder(node, files.absolute(path))
            return Reply(0 if there or flag not in ("-e", "-f", "-s") else 1, "", "")
        case ("wc", "-c", path):
            return _text(world, node, path, lambda data: f"{len(data)} {path}\n".encode())
        case ("cat", path):
            return _text(world, node, path, lambda data: data)
        case ("tail", "-n", count, path):
            lines = int(count)
            return _text(world, node, path, lambda data: b"".join(data.splitlines(keepends=True)[-lines:]))
        case ("tail", "-c", count, path):
            return _text(world, node, path, lambda data: _from(data, count))
        case ("head", "-c", count, path):
            return _text(world, node, path, lambda data: data[: int(count)])
        case _:
            return None


def _from(data: bytes, count: str) -> bytes:
    return data[int(count) - 1 :] if count.startswith("+") else data[-int(count) :]


def find(node: SimNode, path: str) -> File | None:
    """Return a file whose folder ksadmin may look into; not whether they may read it."""
    where = files.absolute(path)
    return None if where.startswith(files.CLOSED) else node.files.get(where)


def _readable(file: File) -> bool:
    return file.owner == "ksadmin" or int(file.mode[-1]) >= 4


def _absent(program: str, path: str, *, closed: bool = False) -> Reply:
    closed = closed or files.absolute(path).startswith(files.CLOSED)
    return refused(1, f"{program}: {path}: {'Permission denied' if closed else 'No such file or directory'}")


def _hash(world: World, node: SimNode, path: str, form: str) -> Reply:
    file = find(node, path)
    if file is None or not _readable(file):
        return _absent("hash", path, closed=file is not None)
    digest = files.sha256(world, node, file)
    spaced = " ".join(digest[i : i + 8].upper() for i in range(0, 64, 8))
    return said(form.format(path=path, hash=digest, spaced=spaced))


def _text(world: World, node: SimNode, path: str, cut: Callable[[bytes], bytes]) -> Reply:
    file = find(node, path)
    if file is None or not _readable(file):
        return _absent("cat", path, closed=file is not None)
    data = files.content(world, node, file)
    if data is None:
        return refused(1, f"{path}: Input/output error: a virtual file has no bytes; use stream() or a hash")
    return said(cut(data).decode("utf-8", "replace"))


def _stat(world: World, node: SimNode, form: str, path: str) -> Reply:
    file = find(node, path)
    if file is None:
        return _absent("stat", path)
    written = files.written_at(world, node, file)
    values = {
        "%s": files.size(world, node, file),
        "%n": path,
        "%a": file.mode,
        "%U": file.owner,
        "%Y": int(world.clock.wall(written).timestamp() + node.clock_offset),
        "%Z": int(world.clock.wall(written).timestamp() + node.clock_offset),
        "%i": INODE,
    }
    for key, value in values.items():
        form = form.replace(key, str(value))
    return said(f"{form}\n")


def _ls(world: World, node: SimNode, rest: list[str]) -> Reply:
    flags = "".join(word[1:] for word in rest if word.startswith("-") and not word.startswith("--"))
    if _EPOCH in rest:
        if f"ls {_EPOCH}" in node.shell.missing:
            return refused(1, f"ls: unrecognized option '{_EPOCH}'")
        flags += "T"
    paths = [word for word in rest if not word.startswith("-")] or ["."]
    out, err, shown = [], [], len(paths) > 1
    for path in sorted(paths, key=lambda p: files.is_folder(node, files.absolute(p))):
        where = files.absolute(path)
        if where in node.files and not where.startswith(files.CLOSED):
            out.append(_ls_line(world, node, where, path, flags))
        elif where.startswith(files.CLOSED):
            err.append(f"ls: cannot open directory '{path}': Permission denied")
        elif not files.is_folder(node, where):
            err.append(f"ls: cannot access '{path}': No such file or directory")
        else:
            head = ([""] if out else []) + ([f"{path}:"] if shown else [])
            out += head + _ls_folder(world, node, where, flags)
    return Reply(2 if err else 0, "".join(f"{line}\n" for line in out), "".join(f"{line}\n" for line in err))


def _ls_folder(world: World, node: SimNode, where: str, flags: str) -> list[str]:
    names = files.names_in(node, where)
    if "a" in flags or "A" in flags:
        names = [*([".", ".."] if "a" in flags else []), *names]
    else:
        names = [name for name in names if not name.startswith(".")]
    total = ["total 8"] if "l" in flags else []
    base = where.rstrip("/")
    return total + [_ls_line(world, node, f"{base}/{name}", name, flags) for name in names]


def _ls_line(world: World, node: SimNode, where: str, name: str, flags: str) -> str:
    if "l" not in flags:
        return name
    file = node.files.get(where)
    owner = "1000 50" if "n" in flags else "ksadmin staff"
    if file is not None and file.owner == "root":
        owner = "0 0" if "n" in flags else "root root"
    if file is None:
        return f"drwxr-xr-x 2 {owner} 4096 Sep  2 13:57 {name}"
    written = world.clock.wall(files.written_at(world, node, file)).timestamp() + node.clock_offset
    day = str(int(written)) if "T" in flags else "Sep  2 13:57"
    inode = f"{INODE} " if "i" in flags else ""
    mode = "".join("rwx"[i] if int(d) & (4 >> i) else "-" for d in file.mode[-3:] for i in range(3))
    return f"{inode}-{mode} 1 {owner} {files.size(world, node, file)} {day} {name}"
