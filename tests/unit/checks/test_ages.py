"""Ages across two clocks have a sign and an error bar; this machine's own clock is looked at too (PUBLIC 26, M10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ctmupgrade.core.checks.ages import backup_age, ours_against, span
from ctmupgrade.core.checks.check import Question
from ctmupgrade.core.checks.cluster import clocks_agree
from ctmupgrade.core.checks.findings import Verdict
from ctmupgrade.core.checks.node import backup_downloaded_with_key
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import ClockReading, Facts
from ctmupgrade.core.model import Options
from tests.unit.values import cluster, facts

DAY = 86400.0


def _clocks(*offsets: float, uncertainty: float = 0.5) -> Facts:
    found = facts()
    nodes = {
        name: replace(node, clock=ClockReading(offset, uncertainty))
        for (name, node), offset in zip(found.nodes.items(), offsets, strict=True)
    }
    return replace(found, nodes=nodes)


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (-3 * DAY, "3 days ahead of"),
        (-400 * DAY, "1.1 years ahead of"),
        (3700, "62 min behind"),
        (90, "90 s behind"),
    ],
)
def test_this_machines_clock_is_told(offset: float, said: str) -> None:
    found = _clocks(offset, offset + 0.2, offset)
    told = [f for f in clocks_agree(Question(found, cluster(), Options())) if f.verdict is Verdict.WARN]
    assert [said in f.summary for f in told] == [True]
    assert "give or take" in told[0].summary
    assert told[0].remedy


@pytest.mark.parametrize("offsets", [(0, 0, 0), (50, 50, 50), (-3 * DAY, 0, -3 * DAY), (100, -100, 100)])
def test_a_clock_that_some_node_shares_is_not_ours_to_set(offsets: tuple[float, ...]) -> None:
    assert ours_against(ClockReading(offset, 0.5) for offset in offsets) is None


def test_a_difference_below_the_error_bar_tells_nothing() -> None:
    assert ours_against([ClockReading(100.0, 60.0)]) is None
    assert ours_against([]) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (40, "40 s"),
        (-119, "119 s"),
        (600, "10 min"),
        (30 * 3600, "30 h"),
        (3 * DAY, "3 days"),
        (-2.5 * 365 * DAY, "2.5 years"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def _kept(found: Facts, created: timedelta, downloaded: timedelta | None = None) -> Manifest:
    node = next(iter(found.nodes))
    at = found.at - downloaded if downloaded is not None else None
    return Manifest(node, "2.20.0", "b1", "k1", found.at - created, "f", "k", "", at)


def test_a_backups_age_has_an_error_bar_and_a_sign() -> None:
    found = _clocks(-10, -10, -10)
    assert backup_age(_kept(found, timedelta(hours=30)), found) == "30 h old, give or take 10 s"
    ahead = _kept(found, timedelta(days=-400))
    assert "1.1 years ahead of this machine's clock" in backup_age(ahead, found)


def test_the_check_says_how_old_the_newest_backup_is() -> None:
    found = _clocks(0, 0, 0)
    old = (_kept(found, timedelta(hours=50), timedelta(hours=49)), _kept(found, timedelta(hours=30)))
    asked = Question(replace(found, manifests=old), cluster(), Options())
    told = next(f for f in backup_downloaded_with_key(asked) if f.node == old[0].node)
    assert told.verdict is Verdict.WARN
    assert "30 h old" in told.summary
    assert "max_age, 24 h" in told.summary
