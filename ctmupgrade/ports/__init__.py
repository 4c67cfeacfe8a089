"""What the inside needs of the outside, as types: ``nodes`` has what is asked of appliances, ``machine`` the rest.

Adapters and the simulator implement these; nothing inside knows which of them it works with.
"""

from ctmupgrade.ports.machine import (
    Clock,
    Gather,
    Journal,
    PortWatch,
    Record,
    RunStore,
    Signed,
    SimulatedWorld,
    Store,
    TaskEvent,
    Tasks,
    Tools,
    Verifier,
)
from ctmupgrade.ports.nodes import (
    MOST_ANSWER,
    Control,
    Fleet,
    Looks,
    Reader,
    Reply,
    Screenful,
    Sent,
    Shell,
    Terminal,
    most_time,
)
from ctmupgrade.ports.programs import ProgramResult, Programs

__all__ = [
    "MOST_ANSWER",
    "Clock",
    "Control",
    "Fleet",
    "Gather",
    "Journal",
    "Looks",
    "PortWatch",
    "ProgramResult",
    "Programs",
    "Reader",
    "Record",
    "Reply",
    "RunStore",
    "Screenful",
    "Sent",
    "Shell",
    "Signed",
    "SimulatedWorld",
    "Store",
    "TaskEvent",
    "Tasks",
    "Terminal",
    "Tools",
    "Verifier",
    "most_time",
]
