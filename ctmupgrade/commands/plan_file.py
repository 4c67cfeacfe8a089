"""``run --plan FILE``: the plan that was reviewed, held against the plan that is made now.

The file is never executed. The plan is made again from the facts, the command line and what the file's options add to
it; only where it is the same in every field does the run go on, with the plan that was made now.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ctmupgrade.codec import is_sealed, plan_document, plan_from_document, plan_to_json
from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.differences import differences
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.errors import BlockedError, CtmUpgradeError, ExitCode, UsageError
from ctmupgrade.render.documents import times_document

_LARGEST = 16 * 2**20  # bytes; a plan of a hundred nodes has less than one of them
_NEW_PLAN = "ctmupgrade plan -o FILE   # makes one"
# What loosens a safeguard is taken from the command line alone: whoever may write the file must not be able to.
_LOOSENING = {
    "skips": "--skip",
    "allow_downgrade": "--allow-downgrade",
    "force_path": "--force-path",
    "accept_attended_boot": "--accept-attended-boot",
    "shared_hsm_partition": "--shared-hsm-partition",
    "fresh": "--fresh",
}


@dataclass(frozen=True, slots=True)
class ReviewedPlan:
    """A plan file: where it is, its content as plain data, and as a plan."""

    place: Path
    document: Mapping[str, object]
    plan: Plan


def read_plan(place: Path) -> ReviewedPlan:
    """Read a plan file; no node is asked before.

    :raises UsageError: there is none, it cannot be read, or it is no plan.
    """
    document = plan_document(_text(place), str(place))
    return ReviewedPlan(place, document, plan_from_document(document, str(place)))


def _text(place: Path) -> str:
    try:
        if not stat.S_ISREG(place.stat().st_mode):
            raise UsageError(f"{place}: it is no file", remedy=_NEW_PLAN)
        with place.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise UsageError(f"{place}: it is not a plan: it is too large", remedy=_NEW_PLAN)
        return data.decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{place}: there is no such file", remedy=_NEW_PLAN) from None
    except UnicodeDecodeError:
        raise UsageError(f"{place}: it is not a plan: it is no text", remedy=_NEW_PLAN) from None
    except OSError as error:
        raise UsageError(f"{place}: it cannot be read: {error.strerror}", remedy=_NEW_PLAN) from None


def with_options_of(reviewed: ReviewedPlan, asked: Options) -> Options:
    """Return the command line's options, and of the file's those that the command line does not name.

    :raises BlockedError: the file loosens a safeguard that the command line does not.
    """
    usual, given = Options(), reviewed.plan.options
    taken: dict[str, object] = {}
    for name in (field.name for field in fields(Options)):
        if getattr(given, name) == getattr(asked, name):
            continue
        if name in _LOOSENING and getattr(asked, name) == getattr(usual, name):
            raise BlockedError(
                f"{reviewed.place}: the plan was made with {_LOOSENING[name]}, which is not in this command line",
                remedy=f"add {_LOOSENING[name]} to --plan, as it was given to ctmupgrade plan",
            )
        if getattr(asked, name) == getattr(usual, name):
            taken[name] = getattr(given, name)
    return replace(asked, **taken)  # type: ignore[arg-type]  # each value is the same field's of the same class


def refuse_difference(reviewed: ReviewedPlan, now: Plan) -> None:
    """Make sure that the plan which was reviewed is the one that would be made now.

    :raises ReviewedPlanError: a field differs; the first ones are named.
    """
    found = differences(reviewed.document, plan_to_json(now))
    times = reviewed.document.get("times")  # absent in a plan of an earlier version
    # Only the times of steps that are ours can be summed: others may come after steps that are not there.
    if not found and times is not None and times != times_document(reviewed.plan):
        found.append("times: they are not the sums of the steps' estimates in the file")
    if not found and not is_sealed(reviewed.document):
        found.append(
            "digest: it is not the file's; the file was changed since it was made, or an earlier version made it"
        )
    if found:
        stale = reviewed.document.get("basis") != dict(now.basis)
        what = "is stale" if stale else "is not the plan that would be made now"
        raise ReviewedPlanError(
            f"the plan {reviewed.plan.id} {what}: {found[0]}",
            details="\n".join(found[1:20]),
            remedy="ctmupgrade plan -o FILE   # and read it again",
        )


class ReviewedPlanError(CtmUpgradeError):
    """The cluster has changed since the plan was made, or the plan's file was."""

    exit_code = ExitCode.BLOCKED
