"""The first words of an answer, and the error of an answer that cannot be read."""

from __future__ import annotations

from ctmupgrade.core.redact import foreign


class NotUnderstoodError(ValueError):
    """An answer that this parser cannot read.

    :ivar what: what is wrong with it, in our words. :ivar said: what it said instead, of which alone meanings are read.
    :ivar is_error: it is an error body.
    """

    def __init__(self, what: str, said: str = "", *, is_error: bool = False) -> None:
        super().__init__(what, said)
        self.what, self.said, self.is_error = what, said, is_error

    def __str__(self) -> str:
        return ": ".join(part for part in (self.what, self.said) if part)


_READ = 8192  # characters of an answer from which its first words are taken


def excerpt(text: str, limit: int = 160) -> str:
    """Return the first words of an answer, on one line, for a message."""
    # Without secrets before it is cut: half of one would not be known any more.
    flat = foreign(" ".join(text[:_READ].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def not_told(answer: str, otherwise: str) -> NotUnderstoodError:
    """Return the error for an answer that is none: its first words, or ``otherwise`` where it has no words."""
    said = excerpt(answer)
    return NotUnderstoodError("" if said else otherwise, said)
