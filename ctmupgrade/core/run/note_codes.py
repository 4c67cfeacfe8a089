"""What a note in the journal means to the program. Its text is for people, and may be reworded."""

from __future__ import annotations

from enum import StrEnum


class NoteCode(StrEnum):
    """``NONE``: for people alone. The others are what a later process must know of a step that this one began."""

    NONE = ""
    SCRIPT_STARTED = "script-started"  # ks_upgrade.sh was started on a terminal
    SCRIPT_RUNS = "script-runs"  # it was seen in the node's process list
    TERMINAL_BROKE = "terminal-broke"  # the connection of its terminal broke
    WORKS_ON = "works-on"  # its log grew while the process list showed none
    ORDER_TAKEN = "order-taken"  # an order that must not be given twice was answered without an error
    NOT_SENT = "not-sent"  # the order that begins the step was not sent, or was refused for good


# Version 0.1.0 journaled the text alone; these are its words, and are never changed.
_WORDS_OF_0_1_0 = (
    ("started on a terminal", NoteCode.SCRIPT_STARTED),
    ("ks_upgrade.sh runs: it is in the node's process list", NoteCode.SCRIPT_RUNS),
    (
        "its terminal's connection broke; ks_upgrade.sh goes on where it has its screen session: its log is followed",
        NoteCode.TERMINAL_BROKE,
    ),
)


def code_of_old_note(text: str) -> NoteCode:
    """Return what a note without a code means: one that version 0.1.0 wrote."""
    return next((code for words, code in _WORDS_OF_0_1_0 if text.startswith(words)), NoteCode.NONE)
