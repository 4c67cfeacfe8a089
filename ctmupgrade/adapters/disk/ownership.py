"""Refuse files and folders that somebody else owns or may write to.

A journal is executed when it is resumed: whoever may write it decides what happens to the appliances. As OpenSSH and
gpg do, only what belongs to this user or to root counts, and only where no group and nobody else may write it.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import stat
from pathlib import Path

from ctmupgrade.errors import ForeignStateError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def refuse_foreign(*places: Path) -> None:
    """Make sure of folders (or files) that are there; one that is not there yet is nobody's.

    :raises ForeignStateError: one belongs to somebody else, or others may write to it.
    """
    for place in places:
        try:
            link = place.lstat()
            if stat.S_ISLNK(link.st_mode):
                _refuse_owner(place, link)
                _judge(place, place.stat())
            else:
                _judge(place, link)
        except (FileNotFoundError, NotADirectoryError):
            continue


def open_ours(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file that is ours, follow no link to it, and return its descriptor. One it makes has mode 0600.

    :raises ForeignStateError: it is a link, no regular file, somebody else's, or others may write to it.
    :raises OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise ForeignStateError(
                f"{path}: it is a link, and no link is followed here",
                remedy=f"ls -l {shlex.quote(str(path))}   # put the file itself there",
            ) from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ForeignStateError(
                f"{path}: it is no regular file", remedy=f"ls -l {shlex.quote(str(path.parent))}"
            )
        _judge(path, found)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_ours(path: Path, limit: int) -> bytes:
    """Return a file's content. :raises OSError: it cannot be read, or has more than ``limit`` bytes (EFBIG).

    :raises ForeignStateError: see :func:`open_ours`.
    """
    with os.fdopen(open_ours(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", str(path))
    return data


def _judge(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):  # whose mode nobody should change
        raise ForeignStateError(
            f"{path}: it is neither a folder nor a file", remedy="name a folder: --state-dir DIR"
        )
    _refuse_owner(path, found)
    mode = stat.S_IMODE(found.st_mode)
    shared = stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX  # as /tmp: nobody can replace what is ours
    if mode & _OTHERS_WRITE and not shared:
        raise ForeignStateError(
            f"{path}: others than its owner may write to it (mode {mode:04o})",
            remedy=f"if nobody else has written to it: chmod go-w {shlex.quote(str(path))}   "
            "# if not, use another folder: --state-dir DIR",
        )


def _refuse_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise ForeignStateError(
            f"{path}: it belongs to {user_name(found.st_uid)}, and this process runs as {user_name(os.geteuid())}",
            remedy=f"run as {user_name(found.st_uid)}, or use another folder: --state-dir DIR; "
            f"if its content is right: chown -R {user_name(os.geteuid())} {shlex.quote(str(path))}",
        )


def exposed(place: Path) -> str:
    """Return what to say of a file or folder above which is a folder where anybody may put another one in its place; ""
    where there is none. What is put there is refused by its owner, but ours may vanish, or be moved."""
    try:
        whole = place.resolve()
        above = [(folder, folder.stat().st_mode) for folder in whole.parents if folder.exists()]
    except (OSError, RuntimeError):
        return ""  # whoever uses it says why it cannot be looked at
    for folder, mode in above:
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return (
                f"anybody can move {place} away, because all may write to {folder} (mode {stat.S_IMODE(mode):04o}, "
                f"without the sticky bit): chmod +t {shlex.quote(str(folder))}   # or o-w, or use another folder"
            )
    return ""


def writable_by_all(file: Path) -> str:
    """Return what to say of a file that every user may write to; "" where not all may, or it cannot be looked at."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return ""
    if mode & stat.S_IWOTH:
        return f"others can write to {file} (mode {mode:04o}): chmod o-w {shlex.quote(str(file))}"
    return ""


def user_name(user: int) -> str:
    """Return a user's name for a message, or its number where it has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
