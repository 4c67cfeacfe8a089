"""``path``: the hops between two versions. It asks no node and needs no cluster.yaml."""

from __future__ import annotations

from ctmupgrade.core.hops import UpgradePath, find_path
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version
from ctmupgrade.errors import UsageError


def paths_between(
    start: str, end: str, strategy: StrategyName | None, model: str = ""
) -> tuple[UpgradePath, UpgradePath | None]:
    """Return the way from one version to another, and where it is none in place, the way by a rebuild.

    :param strategy: None: in place. :param model: of the appliances; "": none that has a path of its own.
    :raises UsageError: what is given is no version.
    """
    first, last = _version("FROM", start), _version("TO", end)
    found = find_path(first, last, strategy or StrategyName.IN_PLACE, model=model)
    if found.found or found.strategy is not StrategyName.IN_PLACE:
        return found, None
    apart = find_path(first, last, StrategyName.REBUILD, model=model)
    return found, apart if apart.found else None


def _version(what: str, text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise UsageError(f"{what}: {error}", remedy="ctmupgrade path 2.18.1 2.21.0") from None
