"""A ksctl command line, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ctmupgrade.core.model import Secret

SWITCHES = (
    "yes", "y", "force", "block", "shared-hsm-partition", "tied-to-hsm", "overall-status", "nosslverify",
    "writetoconfig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """A ksctl command line, read."""

    words: tuple[str, ...]
    flags: Mapping[str, str] = field(default_factory=dict)
    answer: Secret | None = None
    files: Mapping[str, Secret] = field(default_factory=dict)
    text: str = ""  # the whole command as it was typed

    def number(self, flag: str, default: int) -> int:
        """Return a flag's value as a number."""
        return int(self.flags.get(flag, default))

    @property
    def sure(self) -> bool:
        """Return whether it asks no question."""
        return "yes" in self.flags or "y" in self.flags


@lru_cache(maxsize=4096)
def parse(argv: tuple[str, ...]) -> Order:
    """Return words first, then flags in either form."""
    words: list[str] = []
    flags: dict[str, str] = {}
    rest = iter(argv)
    for item in rest:
        if not item.startswith("-"):
            words.append(item)
            continue
        name, equals, value = item.lstrip("-").partition("=")
        if equals or name in SWITCHES:
            flags[name] = value if equals else "true"
        else:
            flags[name] = next(rest, "")
    return Order(tuple(words), flags, text=" ".join(argv))
