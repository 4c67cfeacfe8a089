"""Finds a check's page."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.checks.page import Page
from ctmupgrade.core.checks.pages import cluster, machine, node, whole

PAGES: Mapping[str, Page] = {**cluster.PAGES, **node.PAGES, **whole.PAGES, **machine.PAGES}
