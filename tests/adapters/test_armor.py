"""The lines of an armored keyring: what gpg would pass over in silence is found by its number."""

from __future__ import annotations

import pytest

from ctmupgrade.adapters.gpg.armor import is_armored, stray_line

BLOCK = (
    b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a key\n\nmQINBF8AAAEBEAC+aaaa\n=abcd\n"
    b"-----END PGP PUBLIC KEY BLOCK-----\n"
)


def test_whole_blocks_have_no_stray_line() -> None:
    assert stray_line(BLOCK + b"# another\n\n" + BLOCK) == 0


@pytest.mark.parametrize("lines", range(1, 6))
def test_a_last_block_that_is_cut_off_is_found(lines: int) -> None:
    cut = b"".join(BLOCK.splitlines(keepends=True)[:lines])
    assert stray_line(BLOCK + cut) in (6 + lines, 6 + lines + 1)


def test_a_line_that_belongs_nowhere_is_found() -> None:
    assert stray_line(BLOCK + b"no key\n" + BLOCK) == 7


@pytest.mark.parametrize(
    ("data", "armored"),
    [(BLOCK, True), (b"\xc4ndert nichts\n" + BLOCK, True), (b"\x99\x02\x0d\x04", False), (b"", True)],
)
def test_what_gpg_takes_as_armored(data: bytes, armored: bool) -> None:
    """Also a text whose first byte has the highest bit, as a binary keyring's first has."""
    assert is_armored(data) is armored
