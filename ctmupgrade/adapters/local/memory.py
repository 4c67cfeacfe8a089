"""What is in this process's memory stays there, also where core files go to a program."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

from ctmupgrade.adapters.own_program import is_one_file

_PR_SET_DUMPABLE = 4  # prctl(2), linux/prctl.h


def keep_memory_private() -> None:
    """Let no other process of this user read our memory, and no core be made of it.

    Linux only; elsewhere nothing happens. The limit on core files alone does not hold where core_pattern is a program
    (core(5)). What follows: ``/proc/self`` belongs to root. Our own descriptors there stay open to us, and every
    program that we start has a memory of its own, for which this does not count.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError, ImportError):  # a Python without ctypes, a C library without prctl
        _prctl(_PR_SET_DUMPABLE)


def _prctl(option: int) -> None:
    """prctl(option, 0, 0, 0, 0). The one file has no ctypes and brings its own (scripts/onefile/main.c)."""
    if is_one_file():
        import_module("_onefile_c").prctl(option)
    else:
        import_module("ctypes").CDLL(None).prctl(option, 0, 0, 0, 0)
