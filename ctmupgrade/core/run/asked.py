"""Which requests of other shells a journal has, by the names of their files."""

from __future__ import annotations

from ctmupgrade.core.run.events import Event, NodeDecided, StopAsked


def asked_after(held: frozenset[str], event: Event) -> frozenset[str]:
    """Return the requests after one more event. Whoever dies between its line and the removal of its file leaves a file
    that must not be obeyed twice."""
    if isinstance(event, NodeDecided | StopAsked) and event.request:
        return held | {event.request}
    return held
