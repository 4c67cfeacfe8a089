"""The bench's arithmetic: when a line is reached, and what its note says when it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench import table
from tests.bench.measure import MEMORY, Result, Took, compare, run


def line(*peaks: float, note: str = "") -> Result:
    took = tuple(Took(1.0, 1.0, peak) for peak in peaks)
    return Result("upload", "scp", "at least 1x", (1.5,) * len(peaks), took, (), True, note)


def test_a_line_within_its_memory_stays_as_it_is() -> None:
    assert line(MEMORY, 20.0, note="1 GiB").within() == line(MEMORY, 20.0, note="1 GiB")


def test_one_run_over_the_memory_limit_is_enough_to_miss_it() -> None:
    found = line(20.0, MEMORY + 1, note="1 GiB").within()
    assert not found.reached
    assert found.note == "more than 150 MiB of memory; 1 GiB"
    assert "**no**" in table.row(found) and "| 151 |" in table.row(found)


def test_a_line_has_a_limit_of_its_own() -> None:
    assert not line(101.0).within(100).reached
    assert line(99.0).within(100).reached


@pytest.mark.parametrize("peak", [MEMORY, MEMORY + 1])
@pytest.mark.parametrize(("theirs", "reached"), [(2.0, True), (1.0, False)])
def test_a_comparison_needs_both_the_speed_and_the_memory(peak: float, theirs: float, reached: bool) -> None:
    found = compare(
        "", "", 1.5, lambda: Took(1.0, 1.0, peak), lambda: Took(theirs, 1.0, 999.0), 3, faster=True
    )
    assert found.ratios == (theirs,) * 3
    assert found.reached is (reached and peak <= MEMORY)


def test_what_is_added_to_a_note_follows_what_is_there() -> None:
    assert line(1.0).noting("a").noting("b").note == "a; b"
    assert line(1.0, note="a").missed() == line(1.0, note="a")


def test_a_run_keeps_what_was_said_and_its_exit_code(tmp_path: Path) -> None:
    said = tmp_path / "said"
    took = run([sys.executable, "-c", "print('yes'); raise SystemExit(3)"], ok=(0, 3), out=said)
    assert (took.code, said.read_text()) == (3, "yes\n")
    with pytest.raises(RuntimeError, match="ended with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])
