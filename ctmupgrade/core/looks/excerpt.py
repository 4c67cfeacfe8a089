"""The first words of an answer, and the error of an answer that cannot be read."""

from __future__ import annotations

from ctmupgrade.core.redact import foreign


class NotUnderstoodError(ValueError):
    """An answer that this parser cannot read; its text says what it saw instead."""


_READ = 8192  # characters of an answer from which its first words are taken


def excerpt(text: str, limit: int = 160) -> str:
    """The first words of an answer, on one line, for a message."""
    # Without secrets before it is cut: half of one would not be known any more.
    flat = foreign(" ".join(text[:_READ].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
