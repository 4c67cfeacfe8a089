"""What could not be seen, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.redact import foreign


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something could not be known, and why. ``unreachable``: because nothing answered, or let us in.
    ``host_key``: because another machine may be answering, which never fixes itself.
    ``login``: because ksctl's user or password is refused.
    ``certificate``: because TLS does not trust who answers, and why (:func:`ctmupgrade.core.ksctl.certificate_trouble`).
    ``remedy``: what to do about it, where whoever asked knows it better than the check that needs the answer.
    ``later``: because the node is not ready to tell: it is added, removed or started, or catches up.
    ``endless``: because an answer was longer, or took longer, than one may: something is there, but not what."""

    why: str
    unreachable: bool = False
    host_key: bool = False
    login: bool = False
    certificate: str = ""
    remedy: str = ""
    later: bool = False
    endless: bool = False
    kind: Literal["unknown"] = "unknown"

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", one_line(foreign(self.why)))
        object.__setattr__(self, "remedy", foreign(self.remedy))

    @property
    def words(self) -> str:
        """Return why, for a reader who waits: what every boot and every join brings is told as that, not as a fault."""
        if self.later and not self.login:
            return "it answers with an internal error, as a node does that starts, joins or catches up"
        return self.why


T = TypeVar("T")
Maybe: TypeAlias = T | Unknown


_NOT_ASKED = Unknown("not asked")


def not_asked() -> Unknown:
    """Return what stands for a fact until it is asked for: the same value every time, for a look has many of them."""
    return _NOT_ASKED
