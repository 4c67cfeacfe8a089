"""``-o FILE``: refused before anything is looked at where it cannot be written; for programs there is a document as well."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

import ctmupgrade
from tests.support.desk import Desk

PACKAGE = Path(ctmupgrade.__file__).parent
HEALTHY = "healthy-three"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "with a space"
    folder.mkdir()
    return Desk(folder)


@pytest.mark.parametrize("named", ["gone/x.json", "file/x.json", "folder.json"])
def test_what_cannot_be_written_is_refused_before_the_cluster_is_asked(desk: Desk, named: str) -> None:
    (desk.folder / "file").touch()
    (desk.folder / "folder.json").mkdir()
    said = desk.type("plan", "-o", named, scenario=HEALTHY)
    assert (said.returncode, "SIMULATED" in said.stdout) == (2, False), said
    assert named.split("/", maxsplit=1)[0] in said.stderr and "\n  -> " in said.stderr, said.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(desk: Desk) -> None:
    (desk.folder / "kept").mkdir(mode=0o500)
    assert desk.type("plan", "-o", "kept/x.json", scenario=HEALTHY).returncode == 2


def test_a_file_and_a_document(desk: Desk) -> None:
    document = desk.ok("plan", "-o", "plan.json", scenario=HEALTHY)
    assert json.loads((desk.folder / "plan.json").read_text()) == document
    assert desk.ok("runbook", "-o", "book.html", scenario=HEALTHY)["markdown"].startswith("# ")
    assert (desk.folder / "book.html").read_text().startswith("<!doctype html>")
    desk.type("stage", "--yes", scenario=HEALTHY)
    assert desk.ok("report", "-o", "done.html", scenario=HEALTHY)["outcome"] == "done"
    assert desk.ok("report", "--live", "live.html", scenario=HEALTHY)["outcome"] == "done"


def test_the_command_that_checks_a_journal_later_works_as_printed(desk: Desk, tmp_path: Path) -> None:
    """In the report of a run that only ``--state-dir`` and ``--simulate`` find."""
    desk.type("stage", "--yes", scenario=HEALTHY)
    text = desk.type("report", scenario=HEALTHY).stdout
    [printed] = [line.split("`")[1] for line in text.splitlines() if line.startswith("- to check it later")]
    page = desk.folder / "done.html"
    desk.type("report", "-o", page.name, scenario=HEALTHY)
    program, *words = shlex.split(printed)
    assert program == "ctmupgrade"
    bare = Desk(tmp_path)
    bare.state = tmp_path / "another"
    assert bare.type(*words).returncode == 0
    assert "--state-dir" in page.read_text().split("To verify it:")[1]


def test_a_device_is_no_state_folder(desk: Desk) -> None:
    """``chmod go-w /dev/null``, typed by root as it was printed, would break the machine."""
    said = desk.type("runs", "--state-dir", "/dev/null")
    assert said.returncode == 2 and "chmod" not in said.stderr and "--state-dir DIR" in said.stderr, (
        said.stderr
    )


_TO_COPY = re.compile(
    r"\b(?:ls|ls -[lRd]+|chmod [a-z0-9+-]+|chown (?:-R )?\{user_name\([a-z.()]*\)\}|df|df -h|rm -r) \{(?!shlex\.|[A-Z_]+\}|\d\})[^}]*\}"
)


def test_every_printed_command_quotes_its_path() -> None:
    """It is copied and run: ``chmod go-w /srv/my files`` is about two others."""
    known = {"manual.py"}  # whose paths are quoted before the lines are made
    found = [
        f"{path.name}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.name not in known
        for line in path.read_text("utf-8").splitlines()
        if _TO_COPY.search(line)
    ]
    assert found == []
    assert _TO_COPY.search("remedy=f'ls -ld {folder}'"), "and it would be found"
