"""Ways between two versions: the hops, what is published about each, traps with their ways out."""

from __future__ import annotations

import pytest

from ctmupgrade.core.behaviour_changes import changes_between
from ctmupgrade.core.hops import find_path, next_lines
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.releases import PathVerdict, judge_path
from ctmupgrade.core.version import Version

V = Version.parse


@pytest.mark.parametrize(
    ("start", "end", "strategy", "hops"),
    [
        ("2.17.1", "2.21.0", "in-place", ["2.18.0", "2.19.0", "2.20.0", "2.21.0"]),
        ("2.20.0", "2.21.3+16000", "in-place", ["2.21.3+16000"]),
        ("2.10.0", "2.14.0", "in-place", ["2.11.0", "2.12.0", "2.13.3", "2.14.0"]),  # no late patch of 2.11
        ("2.16.0", "2.18.0", "in-place", ["2.17.0", "2.18.0"]),  # by the release that the next list names
        ("2.13.3", "2.18.0", "standalone", ["2.16.1", "2.18.0"]),
        ("2.11.4", "2.18.0", "rebuild", ["2.14.0", "2.16.1", "2.18.0"]),
        ("2.11.4", "2.18.0", "in-place", []),  # 2.12 and 2.13 refuse it, 2.14 is too far in place
        ("2.11.2-tct", "2.16.0", "standalone", ["2.15.0-tct", "2.16.0"]),
        ("2.11.2-tct", "2.16.0", "in-place", []),
        ("2.11.1-tct", "2.16.0", "standalone", []),
        ("2.11.2-tct", "2.18.0", "standalone", []),  # nothing is published beyond 2.16
        (
            "2.19.0",
            "2.22.0",
            "rebuild",
            ["2.20.0", "2.21.0", "2.22.0"],
        ),  # no list: one minor version at a time
        ("2.21.0", "2.20.0", "in-place", []),
        ("2.24.0-beta7", "2.26.0", "in-place", []),
        ("2.21.0", "2.40.0", "in-place", []),
        ("2.21.0", "3.0.0", "in-place", []),
        ("1.8.0", "1.9.0", "in-place", []),  # in place exists since 1.9.0
    ],
)
def test_the_hops(start: str, end: str, strategy: str, hops: list[str]) -> None:
    found = find_path(V(start), V(end), StrategyName(strategy))
    assert [str(hop.end) for hop in found.hops] == hops
    assert found.found is bool(hops) and bool(found.why) is not bool(hops)


@pytest.mark.parametrize("strategy", StrategyName)
def test_every_hop_is_one_that_the_check_lets_pass(strategy: StrategyName) -> None:
    for start in ("2.9.0", "2.11.0", "2.11.4", "2.13.0", "2.17.1", "2.19.2"):
        for hop in find_path(V(start), V("2.26.0"), strategy).hops:
            judged = judge_path(hop.start, hop.end, strategy, force_path=hop.forced)
            assert judged.verdict is not PathVerdict.BLOCK


def test_a_model_with_a_path_of_its_own_keeps_it() -> None:
    standalone = StrategyName.STANDALONE
    assert [h.end.short for h in find_path(V("2.15.0"), V("2.16.0"), standalone, model="k160").hops] == [
        "2.16.0"
    ]
    assert not find_path(V("2.16.0"), V("2.17.0"), standalone, model="CipherTrust k160").found


def _traps(start: str, end: str, strategy: StrategyName) -> str:
    return "\n".join(f"{trap} -> {out}" for trap, out in find_path(V(start), V(end), strategy).traps)


def test_traps_are_named_with_their_way_out() -> None:
    late = _traps("2.11.4", "2.18.0", StrategyName.IN_PLACE)
    assert "released after the first releases of 2.12 and 2.13" in late
    assert "--force-path" in late and "--strategy rebuild" in late
    assert "LTS" in _traps("2.19.3", "2.21.0", StrategyName.IN_PLACE)
    assert "ask vendor support" in _traps("2.11.2-tct", "2.18.0", StrategyName.STANDALONE)
    assert "backup of 2.17.1 cannot" in _traps("2.17.1", "2.21.0", StrategyName.IN_PLACE)
    assert not _traps("2.20.0", "2.21.0", StrategyName.IN_PLACE)


def test_a_change_is_named_where_it_is_crossed() -> None:
    def lines(start: str, end: str) -> list[tuple[int, int]]:
        return [change.line for change in changes_between(V(start), V(end))]

    assert lines("2.21.0", "2.22.0") == [(2, 22), (2, 22)]
    assert lines("2.22.0", "2.22.1") == []
    assert (2, 19) in lines("2.18.0", "2.20.0") and (2, 19) not in lines("2.18.0", "2.22.0")


def test_what_follows_a_release() -> None:
    assert next_lines(V("2.24.1")) == ("2.25", "2.26")
    assert next_lines(V("2.26.0")) == next_lines(V("3.0.0")) == ()
