"""Whatever a node says, the program ends: by itself, and at once by Ctrl-C."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.hostile.test_patterns import KNOWN
from tests.support.live import PROGRAM, clean_environ

PATIENCE = 100.0  # seconds; a busy machine is slow, a pattern that backtracks needs hours

CLUSTER = """\
cluster: hostile
strategy: standalone
target: {{archive: ./a_v2.21.0.tar.gz.gpg, signer: {signer}}}
ksctl: {{command: {folder}/ksctl, password_env: HOSTILE_PW, timeout: 30}}
nodes:
  - {{name: ctm-1, host: local, url: "https://127.0.0.1"}}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "cluster.yaml").write_text(CLUSTER.format(signer="0" * 40, folder=tmp_path))
    (tmp_path / "a_v2.21.0.tar.gz.gpg").write_bytes(b"none")
    return tmp_path


def start(desk: Path, ksctl: str, *words: str) -> subprocess.Popen[str]:
    """Starts the program with a ksctl that is this shell script."""
    (desk / "ksctl").write_text(f"#!/bin/sh\ntouch {desk}/asked\n{ksctl}\n")
    (desk / "ksctl").chmod(0o755)
    # However the tests were started, this signal reaches the program.
    argv = [
        "env",
        "--default-signal=INT",
        str(PROGRAM),
        *words,
        "-c",
        "cluster.yaml",
        "--state-dir",
        str(desk / "state"),
    ]
    environ = {**clean_environ(desk), "HOSTILE_PW": "x"}
    return subprocess.Popen(
        argv, cwd=desk, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("name", ["word", "pin"])
def test_a_mebibyte_that_made_patterns_backtrack_is_an_unknown(desk: Path, name: str) -> None:
    (desk / "answer").write_text('{"status": "' + (KNOWN[name] * 2**20)[: 2**20 - 100])
    process = start(desk, f"cat {desk}/answer", "check", "--format", "json")
    try:
        said, complaint = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 3, complaint
    verdicts = {f["check"]: f["verdict"] for f in json.loads(said)["findings"]}
    assert verdicts["services_started"] in ("unknown", "block")


def interrupted_from_another_thread(process: subprocess.Popen[str]) -> None:
    """Ctrl-C that the main thread does not take: Python deals with it there all the same."""
    threads = (int(thread.name) for thread in Path(f"/proc/{process.pid}/task").iterdir())
    others = [thread for thread in threads if thread != process.pid]
    assert ctypes.CDLL(None).tgkill(process.pid, others[0], signal.SIGINT) == 0


def ends_at_once(process: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, complaint
    assert time.monotonic() - began < 15, complaint  # less than one look may take: it is not waited for


@pytest.mark.parametrize("command", ["check", "plan"])
def test_ctrl_c_that_another_thread_takes_ends_a_wait(desk: Path, command: str) -> None:
    """Seen as: Ctrl-C in the moment before the wait begins, on a busy machine, waited for all that the wait did."""
    process = start(desk, "sleep 60", command)
    try:
        end = time.monotonic() + PATIENCE
        while not (desk / "asked").exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)  # the main thread waits by now
        interrupted_from_another_thread(process)
        ends_at_once(process)
    finally:
        process.kill()


@pytest.mark.parametrize(
    "drips", ["while :; do echo a; sleep 0.2; done", "sleep 60"], ids=["drips", "silent"]
)
def test_ctrl_c_ends_a_look_that_is_not_answered(desk: Path, drips: str) -> None:
    process = start(desk, drips, "check")
    try:
        end = time.monotonic() + PATIENCE
        while not (desk / "asked").exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert time.monotonic() - began < 30  # less than one look may take: it is not waited for
    finally:
        process.kill()


@pytest.mark.parametrize(
    "words", [("check",), ("check", "--only", "node_reachable"), ("record", "out"), ("recover",)]
)
def test_ctrl_c_ends_a_connection_that_no_server_answers(desk: Path, words: tuple[str, ...]) -> None:
    """Seen as: interrupted, and 13 seconds later ended: what closes connections waited for the banner."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        port = server.getsockname()[1]
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(desk / "key")], check=True)
        way = f"host: 127.0.0.1, port: {port}, identity_file: {desk}/key"
        text = (desk / "cluster.yaml").read_text().replace("host: local", way)
        (desk / "cluster.yaml").write_text(text)
        process = start(desk, "exit 1", *words)
        try:
            held, _ = server.accept()
            time.sleep(1.0)  # until the main thread waits
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=PATIENCE)
            held.close()
            assert process.returncode == 130, complaint
            assert time.monotonic() - began < 7, complaint  # a banner is waited for for 15 s
        finally:
            process.kill()


def test_ctrl_c_ends_the_wait_for_a_password_program(desk: Path) -> None:
    (desk / "password").write_text(f"#!/bin/sh\ntouch {desk}/asked\nsleep 40\n")
    (desk / "password").chmod(0o755)
    text = (desk / "cluster.yaml").read_text()
    slow = f"password_command: {desk}/password"
    (desk / "cluster.yaml").write_text(text.replace("password_env: HOSTILE_PW", slow))
    process = start(desk, "exit 1", "check")
    try:
        end = time.monotonic() + PATIENCE
        while not (desk / "asked").exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)  # the main thread waits by now
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert (process.returncode, time.monotonic() - began < 7) == (130, True)
    finally:
        process.kill()
