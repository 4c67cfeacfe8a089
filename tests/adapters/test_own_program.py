"""This program started again as a helper: in both forms, and by nobody but itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ctmupgrade import __main__
from ctmupgrade.adapters import own_program
from ctmupgrade.adapters.local import process

PACKAGE = Path(__main__.__file__).parent


def test_a_helper_is_started_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    words = own_program.helper(own_program.ON_TERMINAL, "sh", "-c", "x")
    assert words[:3] == [sys.executable, "-I", "-S"] and words[-4:] == ["--on-terminal", "sh", "-c", "x"]
    assert str(PACKAGE.parent) in words[-5].split(":")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert own_program.helper("--on-terminal", "sh") == [sys.executable, "--on-terminal", "sh"]


@pytest.mark.parametrize("word", own_program.HELPERS[:2])
@pytest.mark.parametrize("session", [False, True])
def test_helpers_are_no_way_to_run_a_program_for_whoever_may_only_run_this_one(
    word: str, session: bool
) -> None:
    """A shell starts no program as the leader of a session. And what our own helpers run is no Python."""
    argv = own_program.helper(word, *(["", "echo", "ran"] if word == "--hold-terminal" else ["echo", "ran"]))
    master, slave = os.openpty()
    try:
        done = subprocess.run(argv, stdin=slave, capture_output=True, start_new_session=session, check=False)
    finally:
        os.close(master)
        os.close(slave)
    assert (b"ran" in done.stdout) is session
    if not session:
        assert done.returncode == 2 and b"is no option" in done.stderr


@pytest.mark.parametrize("word", own_program.HELPERS[:2])
def test_an_ssh_server_that_starts_a_helper_at_once_is_refused_too(word: str) -> None:
    """Its program leads a session: without a terminal it has a socket, with one the terminal is the session's."""
    argv = own_program.helper(word, *(["", "echo", "ran"] if word == "--hold-terminal" else ["echo", "ran"]))
    ours, its = socket.socketpair()
    with ours, its:
        done = subprocess.run(
            argv, stdin=its.fileno(), capture_output=True, start_new_session=True, check=False
        )
    assert done.returncode == 2 and done.stdout == b""
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            ["setsid", "--ctty", "--wait", *argv], stdin=slave, capture_output=True, check=False
        )
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2 and done.stdout == b""


def test_helpers_load_nothing_but_themselves() -> None:
    """Each upload and each upgrade has one for hours."""
    show = "import atexit, sys; sys.argv[:] = {!r}; atexit.register(lambda: print(*sys.modules)); "
    argv = own_program.helper("--hold-terminal", "", "true")
    argv[4] = show.format(argv[4:]) + argv[4]
    said = subprocess.run(
        argv, capture_output=True, text=True, start_new_session=True, check=True
    ).stdout.split()
    ours = {name for name in said if name.startswith("ctmupgrade")}
    assert ours <= {
        "ctmupgrade", "ctmupgrade.__main__", "ctmupgrade.adapters", "ctmupgrade.adapters.local",
        "ctmupgrade.adapters.own_program", "ctmupgrade.adapters.local.terminal_holder",
    }  # fmt: skip
    assert "ctmupgrade.adapters.local.terminal_holder" in ours and not {"pathlib", "typing", "re"} & set(said)


def test_a_program_that_is_not_there_is_told_as_a_shell_tells_it() -> None:
    master, slave = os.openpty()
    try:
        words = process.on_terminal(["no-such-program"])
        done = subprocess.run(words, stdin=slave, capture_output=True, start_new_session=True, check=False)
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 127 and b"no-such-program: No such file" in done.stderr


def test_the_words_that_main_knows_are_those_of_the_helpers() -> None:
    text = (PACKAGE / "__main__.py").read_text(encoding="utf-8")
    assert all(f'"{word}"' in text for word in own_program.HELPERS)
