"""A signal is dealt with at once: whichever thread takes it, whatever the main thread waits for, whatever loses it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

FOR_EVER = 60  # seconds that the wait takes where nobody is woken

BEGIN = f"""
import os, signal, sys, threading, time
from ctmupgrade.cli.waking import wake_for_signals
wake_for_signals()
wake_for_signals()
lock = threading.Lock()
lock.acquire()
def ended(number, _frame):
    raise SystemExit(number)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this beside itself has it ignored
def later(what):
    def wait():
        time.sleep(0.5)
        what()
    threading.Thread(target=wait, daemon=True).start()
def here(number):
    return lambda: signal.pthread_kill(threading.get_ident(), number)
def stand():
    lock.acquire(timeout={FOR_EVER})
"""
LOSES = """
class Lost:
    def __del__(self):
        signal.raise_signal({number})
"""


def run(script: str, *before: str) -> tuple[int, str, float]:
    """Returns the exit code, what it complains of, and its seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [*before, sys.executable, "-c", BEGIN + script],
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * FOR_EVER,
    )
    return done.returncode, done.stderr, time.monotonic() - began


@pytest.mark.parametrize("wait", ["stand()", f"time.sleep({FOR_EVER})", "os.read(os.pipe()[0], 1)"])
@pytest.mark.parametrize(("number", "code"), [("signal.SIGINT", -2), ("signal.SIGTERM", 15)])
def test_a_signal_that_another_thread_takes_ends_the_wait(wait: str, number: str, code: int) -> None:
    got, complaint, seconds = run(f"later(here({number}))\n{wait}")
    assert got == code, complaint
    assert seconds < FOR_EVER / 2


def test_who_ignores_the_nudge_is_woken_too() -> None:
    got, complaint, seconds = run("later(here(signal.SIGINT))\nstand()", "env", "--ignore-signal=URG")
    assert got == -2, complaint
    assert seconds < FOR_EVER / 2


@pytest.mark.parametrize(("number", "code"), [("signal.SIGINT", -2), ("signal.SIGTERM", 15)])
def test_a_signal_that_comes_while_an_object_is_cleared_away_comes_again(number: str, code: int) -> None:
    raises = "def ended(number, _frame):\n    raise Ended(number)\n" if code == 15 else ""
    own = "class Ended(KeyboardInterrupt):\n    pass\n" + raises + "signal.signal(signal.SIGTERM, ended)\n"
    got, complaint, seconds = run(
        own
        + LOSES.format(number=number)
        + "try:\n    Lost()\n    stand()\nexcept Ended as e:\n    sys.exit(e.args[0])"
    )
    assert got == code, complaint
    assert seconds < FOR_EVER / 2
    assert "ignored" not in complaint


def test_what_else_is_raised_there_is_told_as_ever() -> None:
    got, complaint, _ = run(
        "class Broken:\n    def __del__(self):\n        raise ValueError('seen')\nBroken()"
    )
    assert got == 0
    assert "seen" in complaint


def test_each_signal_is_dealt_with_once() -> None:
    script = """
came = []
signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
for _ in range(20):
    here(signal.SIGINT)()
    time.sleep(0.05)
time.sleep(1)
sys.exit(len(came))
"""
    got, complaint, _ = run(script)
    assert got == 20, complaint
