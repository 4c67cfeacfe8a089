"""That ``check`` and ``verify`` show that they work, and answer Ctrl-C while nobody answers them."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.cli.progress import Counted, Reading, Working
from tests.support.live import PROGRAM, clean_environ
from tests.support.terminal import on_terminal

CLUSTER = """
cluster: silent
strategy: standalone
target: {{archive: ./a.gpg, version: 2.21.0, signer: 0123456789ABCDEF0123456789ABCDEF01234567}}
ssh: {{user: ksadmin, port: {port}, known_hosts: ./known_hosts}}
ksctl: {{username: admin, command: ./ksctl}}
backup: {{directory: ./backups, key_password_env: CTM_KEY}}
nodes:
  - {{name: ctm-1, host: 127.0.0.1, url: "https://127.0.0.1:{port}"}}
"""


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """A folder with the cluster.yaml of a node that takes connections and says nothing on them."""
    held: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        with suppress(OSError):
            while True:
                held.append(server.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    (tmp_path / "cluster.yaml").write_text(CLUSTER.format(port=server.getsockname()[1]))
    (tmp_path / "known_hosts").touch()
    (tmp_path / "ksctl").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "ksctl").chmod(0o755)
    (tmp_path / "a.gpg").write_bytes(b"no archive")
    yield tmp_path
    server.close()
    for one in held:
        one.close()


def test_questions_are_not_counted_as_nodes() -> None:
    """What is asked of one node for all, such as schedules and quorum, is counted by question."""
    counted = Counted(one_by_one, frozenset(["ctm-1", "ctm-2"]))
    counted(lambda _name: None, ["ctm-2"])
    assert counted.words() == "1 of 1 nodes have answered; judging"
    counted(lambda _name: None, ["quorum", "alarms"])
    assert counted.words() == "2 of 2 questions are answered; judging"


def test_check_says_whom_it_waits_for_and_answers_ctrl_c(silent: Path) -> None:
    environ = {**clean_environ(silent), "KSCTL_PASSWORD": "x", "CTM_KEY": "y"}
    argv = [str(PROGRAM), "check", "--state-dir", str(silent / "state")]
    with on_terminal(argv, silent, environ, columns=80, lines=24) as terminal:
        terminal.until("0 of 1 nodes have answered; waiting for ctm-1")
        began = time.monotonic()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130
        assert time.monotonic() - began < 5, "a node's time-out is 15 s and more"
        assert not any("waiting for" in line for line in terminal.seen())


def test_how_much_is_read_is_said_where_nobody_watches_too(capsys: pytest.CaptureFixture[str]) -> None:
    read = Reading(2_000_000_000)
    working = Working(False, read.words)
    read(500_000_000)
    working.say()
    working.stop()
    working.say()
    assert capsys.readouterr().err == "0.5 of 2.0 GB of the archive are read, 25 %\n"
    assert Reading(0).words() == ""
