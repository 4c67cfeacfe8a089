"""The operator's own checks in the form of the catalogue: cluster.yaml has their programs, nobody has written pages for them."""

from __future__ import annotations

import shlex

from ctmupgrade.core.checks.check import Check, Group, Harm
from ctmupgrade.core.checks.page import Page, Sure
from ctmupgrade.core.hooks import OwnCheck
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.timing import clock_time

_MOMENTS = {"check": "with all other checks", "after_node": "after each node's upgrade"}


def own_check(own: OwnCheck) -> Check:
    """Return an own check for the list. It judges no facts: its program is run."""
    where = "on each node" if own.on_node else "here, for each node" if own.of_each_node else "here"
    return Check(
        own.name, f"{_program(own)} ends with 0 ({where})", lambda _question: iter(()), Group.OWN, Harm.OUTAGE
    )


def own_page(own: OwnCheck) -> Page:
    """Return its page."""
    where = (
        "on the node, over SSH, so it must be a command that only reads" if own.on_node else "on this machine"
    )
    moments = " and ".join(_MOMENTS.get(moment, moment) for moment in own.when)
    longest = clock_time(int(own.timeout.total_seconds()))
    return Page(
        means="What its program makes sure; this program only knows its exit code.",
        otherwise="The run does not begin, or does not go on with the next node.",
        looked_up=f"{_program(own)} is run {where}, {moments}, for at most {longest}; 0 passes, anything else blocks.",
        fix=f"Run it by hand and read what it says: {_program(own)}",
        source="checks.own in cluster.yaml",
        sure=Sure.OURS,
    )


def _program(own: OwnCheck) -> str:
    return foreign(shlex.join(own.run))
