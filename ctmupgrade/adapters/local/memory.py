"""What is in this process's memory stays there, also where core files go to a program."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4  # prctl(2), linux/prctl.h


def keep_memory_private() -> None:
    """Let no other process of this user read our memory, and no core be made of it.

    Linux only; elsewhere nothing happens. The limit on core files alone does not hold where core_pattern is a program
    (core(5)). What follows: ``/proc/self`` belongs to root. Our own descriptors there stay open to us, and every
    program that we start has a memory of its own, for which this does not count.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
