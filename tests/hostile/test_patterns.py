"""Every regular expression of the package takes a time that is linear in the text, whatever the text is.

Python's matcher holds the interpreter: one that backtracks stops every thread, Ctrl-C and ``pause`` with them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.hostile.patterns import Found, all_patterns, attacks, heads

KIB = 1024
# (length, seconds of processor time): the slowest linear one needs 0.01 s for 32 KiB, the fastest quadratic one of
# those that were here 0.1 s, and minutes for 1 MiB.
FAST, SLOW = (32 * KIB, 0.06), (1024 * KIB, 4.0)
STEPS = (2 * KIB, 8 * KIB, 64 * KIB)  # one that is worse than quadratic is not to be waited for
SHORT, HARDEST = 2 * KIB, 24  # so many texts of each pattern are tried at the whole length, but for one test


def _texts(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    pairs = {("", text) for text in attacks(pattern)} | heads(pattern)
    for before, repeated in sorted(pairs):
        whole = before + repeated * ((length - len(before)) // len(repeated) + 1)
        yield f"{whole[:length]}\n!x"


def _seconds(found: Found, text: str) -> float:
    pattern: re.Pattern[Any] = found.pattern
    given = text.encode("utf-8", "replace") if isinstance(pattern.pattern, bytes) else text
    began = time.thread_time()
    if found.anchored:
        pattern.match(given)
        pattern.fullmatch(given)
    else:
        for _ in pattern.finditer(given):
            pass
    return time.thread_time() - began


def _slow_ones(found: Found, length: int, limit: float) -> list[str]:
    for size in (*(step for step in STEPS if step < length), length):
        for text in _texts(found.pattern, size):
            if all(_seconds(found, text) > limit for _ in range(3)):
                return [_told(found, text, size, limit)]
    return []


def _told(found: Found, text: str, size: int, limit: float) -> str:
    return f"{found.place}: over {limit} s for {size} characters like {text[:40]!r}: {found.pattern.pattern}"


def _slowest(found: Found, length: int, limit: float) -> list[str]:
    """As ``_slow_ones``, but the whole length is tried with those texts alone that are the slowest when short."""
    short: list[tuple[float, int]] = []
    for number, text in enumerate(_texts(found.pattern, SHORT)):
        short.append((_seconds(found, text), number))
        if short[-1][0] > limit and _seconds(found, text) > limit:
            return [_told(found, text, SHORT, limit)]
    worst = {number for _seconds, number in sorted(short, reverse=True)[:HARDEST]}
    for number, text in enumerate(_texts(found.pattern, length)):
        if number in worst and all(_seconds(found, text) > limit for _ in range(3)):
            return [_told(found, text, length, limit)]
    return []


PATTERNS = all_patterns()


def test_patterns_of_all_rooms_are_found() -> None:
    rooms = {found.place.removeprefix("ctmupgrade.").replace("/", ".").split(".")[0] for found in PATTERNS}
    assert {"core", "adapters", "config", "sim", "commands", "actions", "render"} <= rooms
    assert len(PATTERNS) > 60


@pytest.mark.parametrize("part", range(4))
def test_every_pattern_is_linear(part: int) -> None:
    assert [line for found in PATTERNS[part::4] for line in _slowest(found, *FAST)] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_pattern_is_linear_for_every_text(part: int) -> None:
    assert [line for found in PATTERNS[part::4] for line in _slow_ones(found, *FAST)] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_every_pattern_bears_a_mebibyte(part: int) -> None:
    assert [line for found in PATTERNS[part::8] for line in _slowest(found, *SLOW)] == []


# What made each of them backtrack before (SECURITY H3), in case they are ever rewritten.
KNOWN = {
    "word": "a", "string escape": "\x1b]", "token": "eyJ", "key": "-----BEGIN PRIVATE KEY-----", "lines": "\n",
    "version": "1", "screen": "SCREEN ", "pin": "pin", "url": "KSCTL_URL=", "prompt": "password", "bracket": "(a", "key header": " Proc-Type",
}  # fmt: skip


@pytest.mark.parametrize("text", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("before", ["", '"', "Upgrade to 1.1.", "-----BEGIN PRIVATE KEY-----\n"])
def test_what_reads_answers_bears_each_known_one(before: str, text: str) -> None:
    from ctmupgrade.core.clean_text import clean
    from ctmupgrade.core.looks import parse_shell
    from ctmupgrade.core.looks.excerpt import NotUnderstoodError
    from ctmupgrade.core.looks.upgrade_log import failure_lines, log_verdict
    from ctmupgrade.core.redact import foreign, redacted

    answer = before + text * (128 * KIB // len(text)) + "\nX"
    readers = (
        clean, foreign, redacted, parse_shell.epoch, log_verdict, parse_shell.unit_status,
        parse_shell.upgrade_processes, failure_lines, parse_shell.log_names, parse_shell.sha256_of,
        parse_shell.mounts, parse_shell.log_name,
    )  # fmt: skip
    for read in readers:
        began = time.thread_time()
        with suppress(NotUnderstoodError):
            read(answer)
        took = time.thread_time() - began
        assert took < 1.0, f"{getattr(read, '__name__', read)}: {took:.1f} s"


def test_a_new_pattern_is_found_and_a_bad_one_fails() -> None:
    for text in (
        r"\w+://",
        r"-BEGIN-(?s:.*?)-END-",
        r'"[^"]*pin[^"]*"',
    ):
        assert _slowest(Found("here", re.compile(text, re.MULTILINE), anchored=False), *FAST), text
