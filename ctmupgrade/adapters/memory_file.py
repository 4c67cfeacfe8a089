"""Files that are in memory only: another program reads or runs one, and nothing of it is left when we are killed."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from ctmupgrade.adapters.own_program import is_one_file

_PROC = "/proc/self/fd"
_EXEC = 0x10  # MFD_EXEC (memfd_create(2), from Linux 6.3 on): where vm.memfd_noexec is 1, none can be run without it


def memory_file(name: str, data: bytes, *, runs: bool = False) -> int:
    """Return a descriptor of a file in memory with this content, to be read from its beginning.

    Another program gets it by ``pass_fds`` and opens ``/proc/self/fd/N``.

    :param runs: it is a program. :raises OSError: there is none here, or the kernel allows no programs in memory.
    """
    if runs:
        try:
            fd = _create(name, _EXEC)
        except OSError:  # a kernel that does not know the flag
            fd = _create(name, 0)
    else:
        fd = _create(name, 0)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        if not Path(_PROC, str(fd)).exists():
            raise OSError("/proc is not mounted")
    except OSError:
        os.close(fd)
        raise
    return fd


def _create(name: str, flags: int) -> int:
    if is_one_file():  # made for a C library without it (scripts/onefile/main.c)
        return int(import_module("_onefile_c").memfd(name, flags))
    if not hasattr(os, "memfd_create"):
        raise OSError("no files in memory here")
    return os.memfd_create(name, os.MFD_CLOEXEC | flags)
