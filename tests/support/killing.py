"""A fleet that dies: ``kill -9`` at the n-th thing the tool does to a node, before or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ctmupgrade.sim import SimFleet, World
from tests.support.world_run import Killed


@dataclass
class Fuse:
    """Counts calls; burns through at one of them. ``at`` -1: never."""

    at: int = -1
    after: bool = False
    count: int = 0

    def around(self, act: Callable[[], Any]) -> Any:
        """Does it, unless the process dies before; it may die right after."""
        self.count += 1
        if self.count == self.at and not self.after:
            raise Killed
        result = act()
        if self.count == self.at:
            raise Killed
        return result


class KillingFleet:
    """A simulated fleet, all of whose calls go past a fuse."""

    def __init__(self, world: World, fuse: Fuse) -> None:
        self._fleet, self._fuse = SimFleet(world), fuse

    def shell(self, node: str) -> Any:
        return _Guarded(self._fleet.shell(node), self._fuse)

    def control(self, node: str) -> Any:
        return _Guarded(self._fleet.control(node), self._fuse)

    def close(self) -> None:
        self._fleet.close()


class _Guarded:
    """One node's shell or control plane behind the fuse."""

    def __init__(self, real: Any, fuse: Fuse) -> None:
        self._real, self._fuse = real, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name in ("upload", "stream"):
            return lambda *a, **k: self._pieces(found, a, k)
        if name in ("read", "change", "terminal"):
            return lambda *a, **k: self._fuse.around(lambda: found(*a, **k))
        return found

    def _pieces(self, found: Any, args: Any, more: Any) -> Iterator[Any]:
        pieces = iter(found(*args, **more))
        while True:
            try:
                piece = self._fuse.around(lambda: next(pieces))
            except StopIteration:
                return
            yield piece
