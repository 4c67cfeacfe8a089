"""A transcript that other people made: what cannot be of a recording is refused, and never believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.transcripts import TRANSCRIPT, ReplayVerifier, read_transcript
from ctmupgrade.errors import UsageError

ARCHIVE = {"size": 5, "sha256": "a" * 64, "signer": "0123456789ABCDEF0123456789ABCDEF01234567"}
LOOK = {"node": "ctm-1", "side": "shell", "argv": ["ls"], "code": 0, "out": "", "err": "", "after": 1.5}


def _made(
    folder: Path, *, archive: object = ARCHIVE, header: dict[str, Any] | None = None, **look: Any
) -> Path:
    first = {"schema": 1, "at": "2026-01-10T21:00:00+00:00", "archive": archive, **(header or {})}
    lines = (json.dumps(one) for one in (first, {**LOOK, **look}))
    (folder / TRANSCRIPT).write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("left_out", ARCHIVE)
def test_an_archive_that_is_not_told_whole(tmp_path: Path, left_out: str) -> None:
    known = {key: value for key, value in ARCHIVE.items() if key != left_out}
    place = _made(tmp_path, archive=known)
    if left_out == "sha256":  # as where it could not be verified
        with pytest.raises(UsageError):
            ReplayVerifier(read_transcript(place)[0]).verify(Path("x"), "", None)
        return
    with pytest.raises(UsageError, match="not a transcript"):
        read_transcript(place)


@pytest.mark.parametrize(
    "wrong",
    [{"sha256": None}, {"sha256": []}, {"sha256": "x"}, {"size": "x"}, {"size": -5}, {"size": True}, {"size": 10**40},
     {"signer": None}, {"signer": "me; you"}],
    ids=str,
)  # fmt: skip
def test_an_archive_with_wrong_types(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="not a transcript"):
        read_transcript(_made(tmp_path, archive={**ARCHIVE, **wrong}))


@pytest.mark.parametrize("archive", [None, [], "x", 5])
def test_no_archive(tmp_path: Path, archive: object) -> None:
    with pytest.raises(UsageError, match="not a transcript"):
        read_transcript(_made(tmp_path, archive=archive))


@pytest.mark.parametrize("after", [1e12, -1e300, 1e300, float("inf"), float("nan"), "1", None])
def test_a_look_at_no_time(tmp_path: Path, after: object) -> None:
    with pytest.raises(UsageError, match="not a transcript"):
        read_transcript(_made(tmp_path, after=after))


def test_another_schema(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its schema is not 1"):
        read_transcript(_made(tmp_path, header={"schema": 99}))


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    header, looks = read_transcript(_made(tmp_path))
    assert header.archive == ARCHIVE and len(looks) == 1
