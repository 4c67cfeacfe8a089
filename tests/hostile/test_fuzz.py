"""The fuzzers for some seconds; with --slow for 10 minutes. ``CTMUPGRADE_SEED`` picks another seed."""

from __future__ import annotations

import os

import pytest

from tests.hostile.fuzz import answers, fuzz_parsers, fuzz_whole, parsers, rounds

SEED = int(os.environ.get("CTMUPGRADE_SEED", "20260110"))


@pytest.mark.parametrize("number", range(len(answers())))
def test_no_parser_raises_on_the_corpus(number: int) -> None:
    parsers(answers()[number])


def test_no_parser_raises() -> None:
    print(f"seed {SEED}")
    fuzz_parsers(SEED, 100)


def test_the_way_from_looks_to_runbook_raises_nothing() -> None:
    print(f"seed {SEED}")
    fuzz_whole(SEED, 12)


@pytest.mark.slow
def test_ten_minutes_find_nothing() -> None:
    for line in rounds(10, SEED):
        print(line)
