"""The options of a rehearsal: what goes wrong in it, and how fast its time passes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.output import put_json
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.commands.faults import PlannedFault

_PACE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)x?", re.ASCII)


def faults_of(common: Common, given: Sequence[str] | None) -> tuple[PlannedFault, ...]:
    """Return what shall go wrong. :raises UsageError: it is none of the faults, or nothing is simulated."""
    from ctmupgrade.commands.faults import planned_fault

    made = tuple(planned_fault(text) for text in given or ())
    if made and common.simulate is None:
        raise UsageError(
            "--fault breaks simulated nodes only",
            remedy="name a fixture or a recorded cluster: --simulate DIR",
        )
    return made


def pace_of(common: Common, text: str) -> float:
    """Return ``60x`` as 60. :raises UsageError: it is no such number, or nothing is simulated."""
    if not text:
        return 0.0
    found = _PACE.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"--pace {text}: a number above 0 is expected, like 60x", remedy="--pace 60x")
    if common.simulate is None:
        raise UsageError(
            "--pace slows a simulation only", remedy="name a fixture or a recorded cluster: --simulate DIR"
        )
    return float(found[1])


def lists_faults(common: Common, given: Sequence[str] | None) -> bool:
    """Show the names of all faults where they are asked for; whether they were."""
    from ctmupgrade.commands.faults import LIST, fault_lines, fault_names

    if LIST not in (given or ()):
        return False
    if common.shown is Format.JSON:
        put_json({"schema": 1, "faults": fault_names()})
    else:
        typer.echo("\n".join(fault_lines()))
    return True
