"""Upgrade paths, disk space and backups: what is published, and what is not."""

from __future__ import annotations

import pytest

from ctmupgrade.core.disk_space import GIB, space_need
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.releases import PathVerdict, judge_path
from ctmupgrade.core.restorable import backup_fits
from ctmupgrade.core.version import Version

V = Version.parse
IN_PLACE, REBUILD, STANDALONE = StrategyName.IN_PLACE, StrategyName.REBUILD, StrategyName.STANDALONE


@pytest.mark.parametrize(
    ("current", "target", "strategy", "expected"),
    [
        ("2.11.1", "2.12.0", IN_PLACE, "block"),  # refused by name although it is older
        ("2.11.3", "2.12.0", IN_PLACE, "block"),  # a late patch is newer than the next line's first release
        ("2.11.0", "2.12.0", IN_PLACE, "pass"),
        ("2.17.0", "2.18.0", IN_PLACE, "pass"),
        ("2.16.0", "2.18.0", IN_PLACE, "block"),  # two minor versions at once
        ("2.16.1", "2.18.0", STANDALONE, "pass"),
        ("2.13.3", "2.14.0", IN_PLACE, "manual"),  # the internal database is upgraded
        ("2.13.3", "2.14.0", REBUILD, "pass"),
        ("2.20.0", "2.21.0", IN_PLACE, "manual"),  # no list was published
        ("2.20.0", "3.0.0", IN_PLACE, "block"),
        ("2.21.0", "2.20.0", IN_PLACE, "block"),  # downgrade of a member
        ("2.21.0", "2.20.0", STANDALONE, "block"),  # and of one appliance unless asked for by name
    ],
)
def test_paths(current: str, target: str, strategy: StrategyName, expected: str) -> None:
    judged = judge_path(V(current), V(target), strategy)
    assert judged.verdict == expected and judged.why


@pytest.mark.parametrize(
    ("current", "target"),
    [("2.18.0", "2.18.1"), ("2.17.0", "2.17.3"), ("2.16.1", "2.16.2"), ("2.11.0", "2.11.1")],
)
def test_a_patch_of_the_same_line_is_tested_only_where_a_list_says_so(current: str, target: str) -> None:
    """FACTS 2 and upgrade_paths.json: only the lists of 2.12, 2.14 and 2.16.0 name their own line."""
    judged = judge_path(V(current), V(target), IN_PLACE)
    assert judged.verdict is PathVerdict.MANUAL and "not on the list" in judged.why


def test_builds_of_one_release_are_told_apart() -> None:
    older, newer = V("2.21.0+15440"), V("2.21.0+15451")
    forward, back = judge_path(older, newer, IN_PLACE), judge_path(newer, older, IN_PLACE)
    assert forward.verdict is PathVerdict.MANUAL and f"{older} can be upgraded to {newer}" in forward.why
    assert back.verdict is PathVerdict.BLOCK and "downgrade" in back.why
    assert judge_path(newer, older, STANDALONE).verdict is PathVerdict.BLOCK
    assert judge_path(newer, older, STANDALONE, allow_downgrade=True).verdict is PathVerdict.MANUAL


def test_a_downgrade_is_only_for_one_appliance_and_by_name() -> None:
    assert (
        judge_path(V("2.21.0"), V("2.20.0"), STANDALONE, allow_downgrade=True).verdict is PathVerdict.MANUAL
    )
    assert judge_path(V("2.21.0"), V("2.20.0"), REBUILD, allow_downgrade=True).verdict is PathVerdict.BLOCK


def test_minus_o_is_documented_on_one_path_only() -> None:
    late, target = V("2.11.4"), V("2.14.0")
    assert judge_path(late, target, STANDALONE).verdict is PathVerdict.BLOCK
    assert judge_path(late, target, STANDALONE, force_path=True).verdict is PathVerdict.MANUAL
    assert judge_path(V("2.11.4"), V("2.13.1"), STANDALONE, force_path=True).verdict is PathVerdict.BLOCK


@pytest.mark.parametrize("model", ["CipherTrust Manager k160", "K160"])
def test_k160_has_a_path_of_its_own(model: str) -> None:
    assert judge_path(V("2.15.0"), V("2.16.0"), STANDALONE, model=model).verdict is PathVerdict.MANUAL
    assert judge_path(V("2.17.0"), V("2.18.0"), STANDALONE, model=model).verdict is PathVerdict.BLOCK


def test_the_strictest_disk_rule_counts() -> None:
    plain = space_need(V("2.20.0"), V("2.21.0"), 2 * GIB, staged=True)
    assert plain.bytes == 12 * GIB
    assert space_need(V("2.20.0"), V("2.21.0"), 5 * GIB, staged=True).bytes == 25 * GIB
    assert space_need(V("2.20.0"), V("2.21.0"), 5 * GIB, staged=False).bytes == 30 * GIB
    assert space_need(V("2.15.0"), V("2.16.0"), 2 * GIB, staged=True).bytes == 35 * GIB


@pytest.mark.parametrize(
    ("made", "restored", "fits"),
    [
        ("2.20.0", "2.20.0", True), ("2.20.0", "2.23.0", True), ("2.20.0", "2.24.0", False),
        ("2.21.0", "2.20.0", False), ("2.19.0", "2.23.0", True), ("2.11.0", "2.23.0", True),
        ("2.11.0", "2.24.0", False), ("2.20.0", "3.0.0", False),
    ],
)  # fmt: skip
def test_a_backup_goes_forward_three_minors_or_two_lts_lines(made: str, restored: str, fits: bool) -> None:
    assert backup_fits(V(made), V(restored)) is fits
