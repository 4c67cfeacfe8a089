"""A fleet that dies: ``kill -9`` at the n-th thing the tool does to a node, before or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ctmupgrade.core.model import Cluster
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

    def learn(self, cluster: Cluster) -> None:
        self._fleet.learn(cluster)

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


class OrderFleet(KillingFleet):
    """The same; but only orders to control planes count whose words are these."""

    def __init__(self, world: World, words: str, fuse: Fuse) -> None:
        super().__init__(world, Fuse())
        self._words, self._orders = words, fuse

    def control(self, node: str) -> Any:
        """The node's control plane."""
        return _Orders(self._fleet.control(node), self._words, self._orders)


class _Orders:
    """One node's control plane, whose orders of these words go past the fuse."""

    def __init__(self, real: Any, words: str, fuse: Fuse) -> None:
        self._real, self._words, self._fuse = real, words, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def change(self, *argv: str, **more: Any) -> Any:
        """The order; the process may die before it or right after it."""
        if " ".join(argv).startswith(self._words):
            return self._fuse.around(lambda: self._real.change(*argv, **more))
        return self._real.change(*argv, **more)


class SleepyFleet(SimFleet):
    """A simulated fleet whose machine falls asleep once, after the n-th look of these words to a shell."""

    def __init__(self, world: World, words: str, nth: int, sleep: Callable[[], None]) -> None:
        super().__init__(world)
        self._words, self._left, self._sleep = words, nth, sleep

    def shell(self, node: str) -> Any:
        """The node's shell."""
        return _Sleepy(super().shell(node), self)

    def looked(self, command: str) -> None:
        """Falls asleep where it is time."""
        if command.startswith(self._words):
            self._left -= 1
            if self._left == 0:
                self._sleep()


class _Sleepy:
    """One node's shell of that fleet."""

    def __init__(self, real: Any, fleet: SleepyFleet) -> None:
        self._real, self._fleet = real, fleet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def read(self, *argv: str, **more: Any) -> Any:
        """The look; then perhaps a nap."""
        reply = self._real.read(*argv, **more)
        self._fleet.looked(" ".join(argv))
        return reply


class ShellOrderFleet(KillingFleet):
    """The same; but only orders to shells count whose words are these."""

    def __init__(self, world: World, words: str, fuse: Fuse) -> None:
        super().__init__(world, Fuse())
        self._words, self._orders = words, fuse

    def shell(self, node: str) -> Any:
        """The node's shell."""
        return _Orders(self._fleet.shell(node), self._words, self._orders)
