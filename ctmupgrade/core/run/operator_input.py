"""What only the operator knows of a broken cluster, as it was typed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorInput:
    """What only the operator knows: nodes that are gone for good, nodes to take out and join again, and the
    node whose data counts when no cluster is left."""

    gone: tuple[str, ...] = ()
    rejoin: tuple[str, ...] = ()
    survivor: str = ""

    @property
    def words(self) -> str:
        """Return it as options of ``recover``, each with a blank before it. Also what a journal says is safe to paste."""
        given = (
            ("gone", ",".join(self.gone)),
            ("rejoin", ",".join(self.rejoin)),
            ("survivor", self.survivor),
        )
        return "".join(f" --{option} {shlex.quote(value)}" for option, value in given if value)
