"""What of the operator's own is a part of a cluster's runs: hooks, checks, and whom to call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hooks:
    """The operator's programs around a run and around each node; () where there is none.

    :ivar timeout: of each. :ivar environment: names of variables that they get besides the few that every program needs.
    """

    before_run: Argv = ()
    before_node: Argv = ()
    after_node: Argv = ()
    after_run: Argv = ()
    timeout: timedelta = timedelta(minutes=10)
    environment: tuple[str, ...] = ()

    def argv(self, name: str) -> Argv:
        """Return the program of a hook, by the hook's name."""
        found: Argv = getattr(self, name)
        return found

    def __bool__(self) -> bool:
        return bool(self.before_run or self.before_node or self.after_node or self.after_run)


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """A check of the operator's: a program that exits 0 where all is well.

    :ivar on_node: it runs on the node, over SSH; else on this machine.
    :ivar when: "check" (with all other checks) and "after_node" (when a node has been upgraded).
    """

    name: str
    run: Argv
    on_node: bool = False
    when: tuple[str, ...] = ("check",)
    timeout: timedelta = timedelta(minutes=1)
    environment: tuple[str, ...] = ()

    @property
    def of_each_node(self) -> bool:
        """Return whether it is asked for every node, not once for the cluster."""
        return self.on_node or any(
            f"{{{name}}}" in word for word in self.run for name in ("node", "host", "url")
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to call in the window, for the runbook."""

    name: str
    phone: str = ""
    mail: str = ""
    role: str = ""
