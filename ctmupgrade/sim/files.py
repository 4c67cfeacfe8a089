"""A node's virtual files: sizes, contents and their hashes, without the gigabytes."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ctmupgrade.sim import upgrade_words
from ctmupgrade.sim.state import HOME, File, SimNode
from ctmupgrade.sim.world import World

FOLDERS = (
    HOME, "/", "/home", "/opt", "/opt/keysecure", "/opt/keysecure/logs", "/proc", "/root", "/tmp", "/var",  # noqa: S108
    "/var/log",
)  # fmt: skip
CLOSED = ("/root",)  # ksadmin cannot read them
READ_ONLY = ("/opt", "/var", "/proc", "/root")
PIECE = 65536


class NoSpaceError(Exception):
    """The disk is full."""


def absolute(path: str) -> str:
    """Return the path from the root; relative ones begin in ksadmin's home."""
    whole = path if path.startswith("/") else f"{HOME}/{path}"
    parts: list[str] = []
    for part in whole.split("/"):
        match part:
            case "" | ".":
                continue
            case "..":
                parts = parts[:-1]
            case "~":
                parts = HOME.strip("/").split("/")
            case _:
                parts.append(part)
    return "/" + "/".join(parts)


def content(world: World, node: SimNode, file: File) -> bytes | None:
    """Return a small file's bytes; None for one that exists only by its size."""
    if file.data is not None:
        return file.data
    if file.source.startswith("upgrade:"):
        run = node.upgrades[int(file.source.partition(":")[2])]
        return upgrade_words.log_text(world, node, run).encode()
    if file.source == "archive" and world.archive.generated:
        data = world.archive.content()[: file.size]
        return data if not file.hole else data[: file.size // 2].ljust(file.size, b"\0")
    return None


def size(world: World, node: SimNode, file: File) -> int:
    """Return its size by now."""
    data = content(world, node, file)
    return file.size if data is None else len(data)


def written_at(world: World, node: SimNode, file: File) -> float:
    """Return when it was last written to."""
    if file.data is None and file.source.startswith("upgrade:"):
        run = node.upgrades[int(file.source.partition(":")[2])]
        return upgrade_words.last_write(world, node, run)
    return file.mtime


def sha256(world: World, node: SimNode, file: File) -> str:
    """Return its hash; that of the archive when it is the whole archive."""
    data = content(world, node, file)
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    if file.hole:
        return hashlib.sha256(f"hole in {file.source} {file.size}".encode()).hexdigest()
    return source_hash(world, file.source, file.size)


def source_hash(world: World, source: str, length: int) -> str:
    """Return the hash of the first ``length`` bytes of a content."""
    if source == "archive" and length == world.archive.size:
        return world.archive.sha256
    return _made_up(world.archive.sha256 if source == "archive" else source, length)


@lru_cache(maxsize=1024)
def _made_up(source: str, length: int) -> str:
    if length == 0:
        return hashlib.sha256(b"").hexdigest()
    return hashlib.sha256(f"first {length} of {source}".encode()).hexdigest()


def prefix(data: File, length: int) -> File:
    """Return the first ``length`` bytes of a file, as a file. Cutting may take the hole away, never adds one."""
    if data.data is not None:
        return File(length, data=data.data[:length].ljust(length, b"\0"))
    return File(length, data.source, hole=data.hole)


def store(node: SimNode, path: str, file: File | None, now: float) -> None:
    """Put a file in place (None: remove it) and keep the count of used bytes."""
    where = absolute(path)
    old = node.files.get(where)
    grown = (_bytes(file) if file else 0) - (_bytes(old) if old else 0)
    if grown > node.free:
        raise NoSpaceError(where)
    others = {k: v for k, v in node.files.items() if k != where}
    if file is not None:
        file.mtime = now
        others[where] = file
    node.files = others
    node.used += grown


def _bytes(file: File) -> int:
    return file.size if file.data is None else len(file.data)


def names_in(node: SimNode, folder: str) -> list[str]:
    """Return names of the files right in a folder, sorted."""
    prefix_ = folder.rstrip("/") + "/"
    inside = {p[len(prefix_) :].partition("/")[0] for p in node.files if p.startswith(prefix_)}
    inside |= {
        f[len(prefix_) :].partition("/")[0] for f in (*FOLDERS, *node.folders) if f.startswith(prefix_)
    }
    return sorted(name for name in inside if name)


def is_folder(node: SimNode, path: str) -> bool:
    """Return whether a folder of that path is on the node."""
    inside = path.rstrip("/") + "/"
    return path in FOLDERS or path in node.folders or any(p.startswith(inside) for p in node.files)
