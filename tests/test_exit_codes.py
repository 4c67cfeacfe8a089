"""Nothing ends with 0 that was not done: every command, with every port breaking in every way.

A port is what the wiring hands over: shells, ksctl, the verifier, the clock, the stores, the journal. First each
command is typed with everything whole, and tells which ports it asks; then once more for each of them and each kind
of error. The exit code is never 0, and nobody sees a traceback: where it is a bug, a log file is named.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.tasks import ThreadTasks
from ctmupgrade.cli.funnel import funnel
from ctmupgrade.cli.opening import registry
from ctmupgrade.core.ticks import Noted, Task
from ctmupgrade.errors import CtmUpgradeError, ExitCode
from tests.support.alone import CLUSTER
from tests.support.breaking import Breakage, Ended, type_in
from tests.support.desk import SCENARIOS, Desk
from tests.support.gpg_ring import garbage
from tests.support.live import PROGRAM, Signing

ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"),
    lambda: ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    lambda: TimeoutError("timed out"),
    lambda: ValueError("not a number"),
    lambda: RecursionError("maximum recursion depth exceeded"),
    MemoryError,
    lambda: KeyError("ctm-9"),
    lambda: OSError(errno.ENOSPC, "No space left on device", "/somewhere"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: SystemExit(0),
    lambda: SystemExit(1),
    lambda: PermissionError(errno.EACCES, "Permission denied"),
    lambda: OSError("nobody knows"),
    BrokenPipeError,
    lambda: FileNotFoundError(errno.ENOENT, "No such file or directory", "ksctl"),
    lambda: UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    lambda: OSError(errno.EIO, "Input/output error"),
    StopIteration,
    lambda: subprocess.TimeoutExpired("gpg", 60),
    lambda: socket.gaierror(-2, "Name or service not known"),
    lambda: IndexError("list index out of range"),
    lambda: AssertionError("never"),
    EOFError,
    lambda: OverflowError("int too large"),
    lambda: CtmUpgradeError("it did not work", remedy="try again"),
)


@dataclass(frozen=True)
class Typed:
    """A command as it is typed.

    :ivar state: whether there is a run, paused after its first node.
    :ivar stuck: the run stopped because its second node failed.
    :ivar bears: ports that may say no in this tool's own words: the command says so, and is not about them.
    :ivar without: ports that may break in any way: what was asked for is done and proven without them.
    :ivar told: ports of which what is seen beside the run, and fails nothing, depends: its last document says what is not known.
    :ivar must: so many questions to a port must be answered; behind them are looks that only warn; 0: all must.
    :ivar long: it takes a second or so: each port breaks in one way only, but for the slow lane.
    """

    words: str
    scenario: str = "standalone"
    state: bool = False
    stuck: bool = False
    bears: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    must: int = 0
    long: bool = False

    def argv(self, state: Path, run: str) -> list[str]:
        """The words behind the program's name."""
        out = str(state.parent / "out")
        words = [run if word == "RUN" else word.replace("OUT", out) for word in self.words.split()]
        return [*words, "--simulate", str(SCENARIOS / self.scenario), "--state-dir", str(state)]


def _look(words: str, **more: Any) -> Typed:
    return Typed(words, must=3, **more)


def _after(words: str, **more: Any) -> Typed:
    return Typed(words, "healthy-three", state=True, **more)


def _decided(words: str) -> Typed:
    return Typed(f"node {words} RUN ctm-2 --reason x", "upgrade-fails-on-node-2", state=True, stuck=True)


COMMANDS = (
    _look("check"), _look("check --format json"), _look("plan -o OUT.json"), _look("runbook"),
    Typed("verify x"), Typed("verify x --format json"), Typed("record OUT", bears=("verifier.verify",)),
    _look("recover", bears=("verifier.verify",)), _look("run --dry-run"), Typed("stage --yes", without=("control.read",)), Typed("backup --yes", without=("shell.read",), bears=("verifier.verify",)),
    Typed("run --yes --format json", long=True, told=("gather",), without=("shell.disconnect",)),  # what is compared with before may fail: it is told
    _after("resume", long=True),
    _after("status"), _after("runs"), _after("watch"), _after("pause"), _after("abort"), _after("report"), _after("report --verify"),
    _after("report -o OUT.html"), _after("report --bundle OUT.tar.gz", without=("control.read", "shell.read", "clock.monotonic"), bears=("verifier.verify", "shell.stream")),
    _decided("retry"), _decided("skip"), _decided("done"),
    _look("restore --dry-run", scenario="../restores/everything-lost", without=("shell.read",)),
    _look("drill --dry-run --on spare=10.0.0.99", scenario="../restores/drill", without=("shell.read",)),
)  # fmt: skip
LONGER = (
    Typed("run --yes", "rebuild-two"), Typed("run --yes", "healthy-three"), _look("check", scenario="healthy-three"),
    # keysecure comes back by itself: an order whose answer nobody understood is judged by what is seen then
    Typed("recover --yes", "../broken/keysecure-failed", without=("shell.change",), bears=("verifier.verify",)), Typed("restore --yes", "../restores/everything-lost"),
    Typed("drill --on spare=10.0.0.99", "../restores/drill"),
)  # fmt: skip
FEW = 3  # ways of breaking for each port, another three for the next one; the slow lane has them all


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a run that stopped after its first node."""
    return _stopped(tmp_path_factory, Typed("run --yes --stop-after ctm-1", "healthy-three"), ExitCode.PAUSED)


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a run that stopped because its second node failed."""
    return _stopped(tmp_path_factory, Typed("run --yes", "upgrade-fails-on-node-2"), ExitCode.FAILED)


def _stopped(tmp_path_factory: pytest.TempPathFactory, typed: Typed, code: ExitCode) -> Path:
    state = tmp_path_factory.mktemp("stopped") / "state"
    assert type_in(Breakage(), *typed.argv(state, "")).code == code
    return state


@dataclass
class Case:
    """One command with one port broken."""

    typed: Typed
    breakage: Breakage
    ended: Ended

    def __str__(self) -> str:
        error = repr(self.breakage.make())
        return f"{self.typed.words}: {self.breakage.port} ({error}, after {self.breakage.after}): {self.ended.code}"


def _type(typed: Typed, breakage: Breakage, paused: Path, folder: Path) -> Ended:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run = next(paused.glob("*/*/journal.jsonl")).parent.name
    if typed.state:
        shutil.copytree(paused, folder / "state")
    return type_in(breakage, *typed.argv(folder / "state", run))


def _cases(typed: Typed, paused: Path, folder: Path, ways: int) -> Iterator[Case]:
    whole = Breakage()
    ended = _type(typed, whole, paused, folder)
    assert ended.code == 0, ended.err
    for number, (port, times) in enumerate(sorted(whole.asked.items())):
        for way in range(ways):
            make = ERRORS[(number * ways + way) % len(ERRORS)]
            half = min(times // 2, typed.must or times)
            after = (0, 1, half)[(number + way) % 3] if times > 2 else 0
            breakage = Breakage(port, make, after)
            ended = _type(typed, breakage, paused, folder)
            assert breakage.struck, f"{typed.words}: {port} was not asked {after} times again"
            borne = port in typed.bears and isinstance(make(), CtmUpgradeError)
            done = ended.code == 0
            told = done and port in typed.told and '"not known"' in ended.out.splitlines()[-1]
            if not borne and not told and not (done and port in typed.without):
                yield Case(typed, breakage, ended)


def _wrong(case: Case) -> str:
    """What is wrong with how it ended; "" where it is right."""
    said = case.ended.out + case.ended.err
    if "Traceback" in said:
        return f"{case}: a traceback"
    if case.ended.code == ExitCode.BUG:
        log = re.search(r"its traceback: (.+\.log)$", case.ended.err, re.MULTILINE)
        if log is None or not Path(log[1]).is_file():
            return f"{case}: no log file: {case.ended.err}"
        Path(log[1]).unlink()
        return ""
    return "" if 2 <= case.ended.code <= 6 else f"{case}\n{case.ended.err}"


def _try(typed: Typed, stopped: Path, folder: Path, ways: int) -> None:
    wrong = [found for case in _cases(typed, stopped, folder, ways) if (found := _wrong(case))]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("typed", COMMANDS, ids=lambda typed: typed.words)
def test_no_command_ends_with_0_when_a_port_breaks(
    typed: Typed, paused: Path, stuck: Path, tmp_path: Path
) -> None:
    _try(typed, stuck if typed.stuck else paused, tmp_path / "desk", 1 if typed.long else FEW)


@pytest.mark.slow
@pytest.mark.parametrize("typed", [*COMMANDS, *LONGER], ids=lambda typed: f"{typed.words} {typed.scenario}")
def test_and_in_none_of_all_the_ways(typed: Typed, paused: Path, stuck: Path, tmp_path: Path) -> None:
    _try(typed, stuck if typed.stuck else paused, tmp_path / "desk", len(ERRORS))


def test_every_command_is_in_the_table() -> None:
    """A new command is tried here too; init, path and notify ask no port, a hand-over has two sides (tests/test_handover.py),
    demo is a run of a packaged cluster (tests/test_rehearsal.py), serve goes on until it is stopped (tests/test_serve.py)."""
    known = {typed.words.split()[0] for typed in COMMANDS}
    assert set(registry.names) == known | {"init", "path", "notify", "handover", "take-over", "demo", "serve"}


# -- the installed program -------------------------------------------------------------------------


def test_a_damaged_keyring_makes_no_altered_archive_good(signing: Signing, tmp_path: Path) -> None:
    """gpg stops reading such a file; the pipe that breaks with it is not a reader of ours that went away."""
    archive, keyring = tmp_path / "a_v2.21.0.tar.gz.gpg", tmp_path / "keys"
    signing.sign(archive, 200_000)
    altered = bytearray(archive.read_bytes())
    altered[100_000] ^= 1
    archive.write_bytes(altered)
    keyring.write_bytes(signing.gpg("--export") + garbage(400_000))
    desk = Desk(tmp_path)
    for form in ("plain", "json"):
        words = ("verify", str(archive), "--signer", signing.fingerprint, "--keyring", str(keyring))
        said = desk.type(*words, "--format", form)
        assert said.returncode == 2 and "damaged" in said.stderr + said.stdout, said.stderr


def nobody_reads(desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    """The program with an output whose reader is gone before it starts."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [str(PROGRAM), *words], env={**desk.environ, "CTMUPGRADE_STATE_DIR": str(desk.state)}, stdout=writer,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "words",
    [
        "check",
        "check --format json",
        "check --format rich",
        "plan",
        "runbook",
        "verify x",
        "recover",
        "check --list",
        "--help",
        "run",
    ],
)
def test_a_look_that_nobody_reads_is_not_done(words: str, tmp_path: Path) -> None:
    place = [] if words.startswith("-") else ["--simulate", str(SCENARIOS / "standalone")]
    said = nobody_reads(Desk(tmp_path), *words.split(), *place)
    assert said.returncode == ExitCode.NOT_READ, said.stderr
    assert "Traceback" not in said.stderr and "bug" not in said.stderr


@pytest.mark.parametrize("words", ["status", "report", "watch", "watch --format json", "pause"])
def test_nor_is_a_look_at_a_run(words: str, paused: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    shutil.copytree(paused, desk.state)
    assert nobody_reads(desk, *words.split()).returncode == ExitCode.NOT_READ


def test_a_blocked_check_stays_blocked(tmp_path: Path) -> None:
    """JSON is one piece, written at the end: the code of what was found is worth more than that nobody read it."""
    said = nobody_reads(Desk(tmp_path), "verify", "x", "--simulate", str(SCENARIOS / "wrong-signer"))
    assert said.returncode == ExitCode.BLOCKED


def test_a_run_goes_on_without_readers(tmp_path: Path) -> None:
    """Its journal tells; with JSON nothing is said on standard output before it begins."""
    desk = Desk(tmp_path)
    words = ("run", "--yes", "--format", "json", "--simulate", str(SCENARIOS / "standalone"))
    said = nobody_reads(desk, *words)
    assert said.returncode == 0, said.stderr
    assert desk.ok("status")["outcome"] == "done"


def test_a_task_that_leaves_is_a_failure() -> None:
    """On a thread of its own nobody would hear of it, and the run would wait for ever."""

    def task() -> Task:
        yield Noted("begun")
        raise SystemExit(0)

    tasks = ThreadTasks()
    tasks.start("x", task())
    found = []
    for _ in range(100):  # looks of half a second
        event = tasks.next()
        if event is not None:
            found.append(event)
            tasks.go_on("x")
        if found and found[-1].error is not None:
            break
    assert "SystemExit" in str(found[-1].error)


@pytest.mark.parametrize(
    "name", ["x" * 300, "/root/../" + "y/" * 2500, "folder", "none", "~nobody-at-all/x", "loop"]
)
def test_verify_of_what_is_no_file_is_no_bug(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    said = Desk(tmp_path).type("verify", name, "--signer", "A" * 40)
    assert said.returncode == 2 and "->" in said.stderr, said.stderr


@pytest.mark.parametrize("words", ["verify a_v2.21.0.tar.gz.gpg", "check"])
def test_ctrl_c_does_not_wait_for_gpg(words: str, signing: Signing, tmp_path: Path) -> None:
    """A gpg that reads for ever: the program leaves at once, with 130, and says so."""
    desk = Desk(tmp_path)
    signing.sign(tmp_path / "a_v2.21.0.tar.gz.gpg", 100_000)
    (tmp_path / "keys").write_bytes(signing.gpg("--export"))
    (tmp_path / "cluster.yaml").write_text(
        CLUSTER.format(signer=signing.fingerprint, keyring=", keyring: ./keys")
    )
    slow = tmp_path / "bin" / "gpg"
    slow.parent.mkdir()
    real = shutil.which("gpg")
    slow.write_text(
        f'#!/bin/sh\ncase " $* " in *" --verify "*) touch {tmp_path}/begun; exec sleep 90;; esac\nexec {real} "$@"\n'
    )
    slow.chmod(0o755)
    environ = {**desk.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}", "KSCTL_PASSWORD": "x"}
    argv = ["env", "--default-signal=INT", str(PROGRAM), *words.split()]
    with subprocess.Popen(
        argv, env=environ, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        while not (tmp_path / "begun").exists():
            assert made.poll() is None, made.communicate()
            time.sleep(0.05)
        made.send_signal(signal.SIGINT)
        _out, err = made.communicate(timeout=60)
    assert made.returncode == ExitCode.INTERRUPTED and "interrupted" in err, err


AFTER_THE_LAST_WORD = """
import os
from ctmupgrade.render import streams
reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(writer)
streams.usable_streams()
print("all that is to be said", flush=True)
assert streams.untaken_output() is None, "somebody may read it yet"
os.close(reader)
error = streams.untaken_output()
os.write(2, type(error).__name__.encode())
os._exit(0)
"""


def test_a_reader_that_leaves_after_the_last_word() -> None:
    """What was written stands in the pipe, and nobody will ever have it."""
    argv = [sys.executable, "-c", AFTER_THE_LAST_WORD]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert said.stderr == "ReaderGoneError", said.stderr


@pytest.mark.parametrize("result", [None, True, "0", 256, -1, 0.0])
def test_a_command_without_an_exit_code_is_not_done(
    result: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert funnel(lambda: result) == ExitCode.BUG
    log = re.search(r"its traceback: (.+\.log)$", capsys.readouterr().err, re.MULTILINE)
    assert log
    Path(log[1]).unlink()


def test_an_error_that_calls_itself_done_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    class OddError(CtmUpgradeError):
        exit_code = ExitCode.DONE

    def command() -> int:
        raise OddError("odd")

    assert funnel(command) == ExitCode.BUG
    assert "odd" in capsys.readouterr().err
