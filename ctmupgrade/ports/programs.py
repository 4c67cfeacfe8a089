"""What runs the operator's own programs: hooks and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program of the operator's ended. :ivar code: -1: it could not be run, or was stopped, as ``error`` says.
    :ivar output: cut, cleaned and redacted. :ivar unreachable: its node did not answer."""

    code: int
    output: str = ""
    error: str = ""
    unreachable: bool = False


class Programs(Protocol):
    """Runs the operator's programs on this machine."""

    def run(
        self,
        argv: Sequence[str],
        *,
        variables: Mapping[str, str],
        names: Sequence[str],
        timeout: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> ProgramResult:
        """Run one to its end. Never raises for what it does.

        :param variables: given to it. :param names: of our own variables that it gets besides.
        :param timeout: seconds; then it is stopped, with its children.
        :param meanwhile: called a few times a second.
        """
        ...
