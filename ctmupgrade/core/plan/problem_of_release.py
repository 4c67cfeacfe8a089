"""Whether a backup can be restored on a node's release, in words."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.looks.unknown import Maybe, Unknown
from ctmupgrade.core.restorable import FORWARD_MINORS, backup_fits
from ctmupgrade.core.version import Version


@dataclass(frozen=True, slots=True)
class ReleaseProblem:
    """Why a backup does not fit a release, and what does."""

    why: str
    remedy: str


def release_problem(made_on: str, here: Maybe[Version], *, forced: bool) -> ReleaseProblem | None:
    """Return why a backup cannot be restored on a release; None where it can (docs/appliance.md 3).

    Never onto an older one, whatever is forced: ``--force`` only skips the appliance's own check of how much newer it is.

    :param made_on: the release that made it, as text; "": not known.
    """
    if isinstance(here, Unknown):
        return ReleaseProblem(f"its release is not known: {here.words}", "ctmupgrade check")
    try:
        made = Version.parse(made_on)
    except ValueError:
        unknown = f"which release made the backup is not known, and {here.short} is here"
        return None if forced else ReleaseProblem(unknown, "if you know that it fits: --force")
    if here.release < made.release:
        return ReleaseProblem(
            f"the backup is of {made.short}, and {here.short} is older: a backup is never restored on an older release",
            f"bring the node to {made.short} first, or up to {FORWARD_MINORS} minor releases later",
        )
    if backup_fits(made, here) or forced:
        return None
    return ReleaseProblem(
        f"the backup is of {made.short}, and {here.short} is more than {FORWARD_MINORS} minor releases later",
        f"install {made.short} or one of the next {FORWARD_MINORS} minor releases on it; --force tries it all the same",
    )
