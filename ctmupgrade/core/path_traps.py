"""Name what has misled others on a way between two versions, each trap with its way out (docs/appliance.md 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.releases import has_special_path
from ctmupgrade.core.restorable import LTS_LINES, backup_fits
from ctmupgrade.core.tested_paths import RELEASES
from ctmupgrade.core.version import Version

_LATE = (2, 11)  # the line whose late patches the vendor's lists refuse by name
_APART = "more than one minor version: use --strategy rebuild, or standalone"
Trap = tuple[str, str]  # what misleads, and the way out


def traps(
    start: Version, end: Version, strategy: StrategyName, steps: Sequence[Version], model: str = ""
) -> Iterator[Trap]:
    """Yield the traps on a way.

    :param steps: the versions on it, with both ends; none where no way is published.
    """
    if has_special_path(start, model):
        yield (
            "k160 and -tct builds have one published path, 2.11.2-tct -> 2.15.0 -> 2.16, and not in place",
            "use --strategy standalone or rebuild; for anything beyond 2.16 ask vendor support",
        )
    elif start.line == _LATE < end.line and start.patch > 0:
        yield from _late_patch(start, strategy)
    yield from _lts(start, end, steps)
    if steps and not backup_fits(start, end):
        yield (
            f"a backup of {start.short} cannot be restored on {end.short} (only up to three minor versions later, or from "
            "LTS to the next two LTS)",
            "make a new backup on every hop; each run does, and keeps the old ones",
        )


def _late_patch(start: Version, strategy: StrategyName) -> Iterator[Trap]:
    refused = [".".join(map(str, r.line)) for r in RELEASES if start.release in r.refused]
    if not refused:
        return
    if start.patch == 1:
        out = f"go to 2.13 or 2.14; {_APART}"
    else:
        forced = " with -o (--force-path), as a stepping stone to 2.16 or later" if start.patch > 2 else ""
        out = f"go to 2.14{forced}"
        out += f"; {_APART}" if strategy is StrategyName.IN_PLACE else ""
    names = " and ".join(dict.fromkeys(refused))
    yield (
        f"{start.short} was released after the first releases of {names}, which refuse it although its number is lower",
        out,
    )


def _lts(start: Version, end: Version, steps: Sequence[Version]) -> Iterator[Trap]:
    patches = {start.line: start.patch} | {version.line: 0 for version in steps[1:-1]}
    for line, patch in patches.items():
        if line in LTS_LINES and line != _LATE and line < end.line:
            name = ".".join(map(str, line))
            late = f" ({name}.{patch} may be one)" if patch else ""
            yield (
                f"{name} is an LTS line: patches of it that were released after the first releases of the next lines may be "
                f"refused there{late}",
                "choose a target that was released after the patch in use; on the way, take no later patch of "
                f"{name} than the release notes of the next hop name",
            )
