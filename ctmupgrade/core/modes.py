"""The words for how a cluster is upgraded and what a run may touch; light, as ``--help`` needs them."""

from __future__ import annotations

from enum import StrEnum


class StrategyName(StrEnum):
    """How a cluster is taken to the target."""

    IN_PLACE = "in-place"
    REBUILD = "rebuild"
    STANDALONE = "standalone"


class Mode(StrEnum):
    """Whether a run touches anything; printed and journaled first."""

    LIVE = "LIVE"
    DRY_RUN = "DRY-RUN"
    SIMULATED = "SIMULATED"
