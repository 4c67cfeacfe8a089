"""The error for a message that was not delivered."""

from __future__ import annotations


class NotDeliveredError(Exception):
    """A receiver did not take a message; the text says why, and holds nothing secret of ours."""
