"""A shell that says something before the output of every command, over a real sshd: what stands for itself is read all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctmupgrade.adapters.ssh.greeting import QUESTION, Greeting
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import ConnectionLostError
from ctmupgrade.ports import Reply
from tests.adapters.conftest import StartSshd

pytestmark = pytest.mark.usefixtures("home")

WORDS = "*** Authorised use only ***\\n\\nVersion 2.20.0+15016\\n"
GREETS = f"ForceCommand printf '{WORDS}'; eval \"$SSH_ORIGINAL_COMMAND\""


def test_what_the_shell_says_is_no_part_of_an_answer(start_sshd: StartSshd, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_bytes(b"*** Authorised use only ***\nand \0 more\n" * 3000)
    shell = SshShell(start_sshd(GREETS).node())
    try:
        assert shell.read("echo", "42").out == "42\n"
        assert shell.read("ls", "-1a", str(tmp_path)).out.split("\n")[:3] == [".", "..", "a file"]
        assert shell.read("true").out == ""
        assert b"".join(shell.stream("cat", str(file))) == file.read_bytes()
    finally:
        shell.disconnect()


@pytest.mark.parametrize("size", [0, 5, 300_001])
def test_an_upload_behind_a_greeting(start_sshd: StartSshd, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * size)
    shell = SshShell(start_sshd(GREETS).node())
    try:
        for _ in shell.upload(source, str(target)):
            pass
    finally:
        shell.disconnect()
    assert target.read_bytes() == source.read_bytes()


def test_another_connection_may_greet_in_other_words() -> None:
    """An upgrade brings another version, and its shell may say so."""
    said = ["Release A\n", "Release B\n"]
    greeting = Greeting(lambda: Reply(0, said[0] + ".\n", ""))
    first, second = object(), object()
    assert greeting.off(Reply(0, "Release A\n7\n", ""), first).out == "7\n"
    said.pop(0)
    assert greeting.off(Reply(0, "Release B\n8\n", ""), first).out == "Release B\n8\n"
    assert greeting.off(Reply(0, "Release B\n8\n", ""), second).out == "8\n"


def test_a_greeting_may_tell_the_time() -> None:
    greeting, link = Greeting(lambda: Reply(0, "It is 22:13 (+0).\n[a-z]+ 9 logins\n.\n", "")), object()
    said = "It is 9:04 (+0).\n[a-z]+ 10 logins\n"
    assert greeting.off(Reply(0, f"{said}42\n", ""), link).out == "42\n"
    assert b"".join(greeting.off_pieces(iter([said.encode(), b"42\n"]))) == b"42\n"
    for other in ("It is late (+0).\n[a-z]+ 9 logins\n42\n", "It is 9:04 (+0).\nabc 9 logins\n42\n"):
        assert greeting.off(Reply(0, other, ""), link).out == other
        assert b"".join(greeting.off_pieces(iter([other.encode()]))) == other.encode()


@pytest.mark.parametrize(
    "answer",
    [
        Reply(0, ".\n", ""),  # no greeting
        Reply(0, "hello\nnot the question's answer\n", ""),
        Reply(127, "hello\n.\n", "ls: not found"),
        Reply(0, "", ""),
    ],
)
def test_what_is_no_greeting_stays(answer: Reply) -> None:
    assert Greeting(lambda: answer).off(Reply(0, "hello\nthere\n", ""), object()).out == "hello\nthere\n"


def test_a_question_that_gets_no_answer_does_not_spoil_one_that_came() -> None:
    asked: list[int] = []

    def ask() -> Reply:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionLostError("ctm-1: the connection was lost")
        return Reply(0, "hello\n./\n", "")

    greeting, link = Greeting(ask), object()
    assert greeting.off(Reply(0, "hello\n7\n", ""), link).out == "hello\n7\n"
    assert greeting.off(Reply(0, "hello\n7\n", ""), link).out == "7\n"
    assert greeting.off(Reply(0, "hello\n7\n", ""), link).out == "7\n"
    assert len(asked) == 2


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pieces_of_any_size(size: int) -> None:
    greeting = Greeting(lambda: Reply(0, "hello\n.\n", ""))
    greeting.off(Reply(0, "x", ""), object())
    for whole, left in (
        (b"hello\nabc", b"abc"),
        (b"hello\n", b""),
        (b"hel", b"hel"),
        (b"", b""),
        (b"hexlo\nabc", b"hexlo\nabc"),
    ):
        pieces = (whole[at : at + size] for at in range(0, len(whole), size))
        assert b"".join(greeting.off_pieces(pieces)) == left


def test_the_question_only_looks() -> None:
    assert QUESTION == ("ls", "-d", ".")
