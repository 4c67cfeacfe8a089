"""What is in this process's memory stays there."""

from __future__ import annotations

from contextlib import suppress


def no_core_dumps() -> None:
    """Leave no core file, whatever happens to this process or to one that it starts: passwords would be in it."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
