"""Each question of each command, as a person sees it on the screen of a real terminal."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import broken
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import PROGRAM, Live, clean_environ
from tests.support.terminal import Terminal, on_terminal

STUCK = "upgrade-fails-on-node-2"
WIDE = [pytest.param(columns, marks=pytest.mark.slow) for columns in (120, 200)]
DECISION = ("latest", "ctm-2", "--reason", "ticket 4711")


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a run whose second node's ks_upgrade.sh failed."""
    desk = Desk(tmp_path_factory.mktemp("stuck"))
    assert desk.type("run", "--yes", scenario=STUCK).returncode == 5
    return desk.state


@pytest.fixture
def short_window(tmp_path: Path) -> Path:
    """Three nodes, and a window in which two of them fit."""
    folder = tmp_path / "three"
    shutil.copytree(SCENARIOS / "healthy-three", folder)
    window = "window: {start: 2026-01-10T22:00:00+01:00, finish_by: 2026-01-10T23:25:00+01:00}\n"
    with (folder / "cluster.yaml").open("a") as file:
        file.write(window)
    return folder


@contextmanager
def _asked(folder: Path, columns: int, *words: str) -> Iterator[Terminal]:
    argv = [str(PROGRAM), *words]
    with on_terminal(argv, folder, clean_environ(folder), columns=columns, lines=24) as terminal:
        terminal.until("[y/N]:")
        yield terminal


def _is_seen(terminal: Terminal, question: str, *said: str) -> None:
    """The question is the last thing on the screen, what it is about is above it, and no word is torn apart."""
    lines = [line for line in terminal.seen() if line]
    assert lines[-1].endswith(f"{question} [y/N]:"), lines
    screen = " ".join(" ".join(lines).split())
    for text in said:
        assert text in screen, lines
    assert max(map(len, lines)) <= terminal.size[0]


QUESTIONS = {
    "resume": (("resume",), "Go on with it?", ("of 28 steps on ctm-2, ctm-3", "the run stays as it is")),
    "abort": (
        ("abort",),
        "It cannot be resumed then.",
        ("of 28 steps on ctm-2, ctm-3", "the run stays as it is"),
    ),
    "retry": (("node", "retry", *DECISION), "Go on?", ("upgrade:ctm-2 will be run again", "n or Ctrl-C")),
    "skip": (("node", "skip", *DECISION), "Go on?", ("ctm-2 will be left as it is", "n or Ctrl-C")),
    "done": (("node", "done", *DECISION), "Go on?", ("upgrade:ctm-2 will count as done", "n or Ctrl-C")),
}


@pytest.mark.parametrize("columns", [80, *WIDE])
@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_about_a_run(stuck: Path, tmp_path: Path, name: str, columns: int) -> None:
    words, question, said = QUESTIONS[name]
    place = ["--simulate", str(SCENARIOS / STUCK)] if name == "resume" else []
    with _asked(tmp_path, columns, *words, "--state-dir", str(stuck), *place) as terminal:
        _is_seen(terminal, question, *said)
        terminal.type("n\n")
        assert terminal.ended() == 7


@pytest.mark.parametrize("columns", [80, *WIDE])
def test_the_question_of_recover(tmp_path: Path, columns: int) -> None:
    place = ("--simulate", str(broken.BROKEN / "unclustered-node"), "--state-dir", str(tmp_path / "s"))
    with _asked(tmp_path, columns, "recover", *place) as terminal:
        _is_seen(
            terminal, "Take this way back now?", "This ERASES ctm-3.", "n or Ctrl-C: nothing is changed."
        )
        terminal.type("n\n")
        assert terminal.ended() == 3


@pytest.mark.parametrize("columns", [80, *WIDE])
def test_the_question_where_not_all_nodes_fit(short_window: Path, tmp_path: Path, columns: int) -> None:
    place = ("--simulate", str(short_window), "--state-dir", str(tmp_path / "s"))
    with _asked(tmp_path, columns, "run", "--yes", *place) as terminal:
        _is_seen(terminal, "Upgrade 2 of 3 nodes now?", "ctm-3:", "does not fit", "left with two versions")
        terminal.type("n\n")
        assert terminal.ended() == 7


@pytest.mark.parametrize("columns", [80, *WIDE])
def test_the_question_before_each_node_stays_on_the_screen(tmp_path: Path, columns: int) -> None:
    """TRIAL A1: the board was drawn over it. It is drawn once a second, so it has its chance here."""
    place = ("--simulate", str(SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path / "s"))
    with _asked(tmp_path, columns, "run", "--yes", "--confirm-each", *place) as terminal:
        said = ("about 39 min", "go on serving", "n pauses the run", "so does Ctrl-C")
        time.sleep(1.5)
        terminal.type("x")  # its echo comes behind whatever was drawn meanwhile
        terminal.until("x")
        terminal.type("\b")
        lines = [line for line in terminal.seen() if line]
        assert lines[-1].endswith("Upgrade ctm-1 now? [y/N]: x"), lines
        assert all(text in " ".join(" ".join(lines).split()) for text in said), "\n".join(lines[-12:])
        terminal.type("\x15n\n")
        assert terminal.ended() == 7


@pytest.mark.parametrize("columns", [80, *WIDE])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--simulate", "scenarios/healthy-three"),
        ("restore", "--simulate", "restores/everything-lost"),
        ("drill", "--on", "spare=10.0.0.99", "--simulate", "restores/drill"),
    ],
    ids=lambda words: words[0],
)
def test_the_question_before_nodes_are_changed(tmp_path: Path, words: tuple[str, ...], columns: int) -> None:
    place = (*words[:-1], str(SCENARIOS.parent / words[-1]), "--state-dir", str(tmp_path / "s"))
    with _asked(tmp_path, columns, *place) as terminal:
        _is_seen(terminal, "Go on?", "n or Ctrl-C: nothing is changed.")
        terminal.type("n\n")
        assert terminal.ended() == 7
    assert not list(tmp_path.glob("s/*/*/journal.jsonl"))


@pytest.mark.slow
def test_the_question_before_a_live_run(go_live: Callable[..., Live]) -> None:
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone")
    with on_terminal(live.argv("run"), live.folder, live.environ, columns=80, lines=24) as terminal:
        terminal.until("[y/N]:")
        _is_seen(terminal, "Go on?", "n or Ctrl-C: nothing is changed.")
        terminal.type("n\n")
        assert terminal.ended() == 7
    assert live.changes() == []


def test_what_was_typed_before_the_question_answers_nothing(tmp_path: Path) -> None:
    """Somebody who hits Enter, or y, at the board has not said yes to the next node."""
    argv = [
        str(PROGRAM),
        "run",
        "--yes",
        "--confirm-each",
        "--pace",
        "600x",
        "--state-dir",
        str(tmp_path / "s"),
    ]
    argv += ["--simulate", str(SCENARIOS / "healthy-three")]
    with on_terminal(argv, tmp_path, clean_environ(tmp_path), columns=80, lines=24) as terminal:
        terminal.until("Ctrl-C pauses")
        terminal.type("y\n")
        terminal.until("Upgrade ctm-1 now? [y/N]:")
        time.sleep(0.5)
        terminal.type("n\n")
        assert terminal.ended() == 7
    assert "upgrade:ctm-1" not in [
        event.get("step") for event in _events(tmp_path) if event["kind"] == "step-started"
    ]


def _events(folder: Path) -> list[dict[str, Any]]:
    journal = next(folder.glob("s/*/*/journal.jsonl"))
    return [json.loads(line)["event"] for line in journal.read_text().splitlines()]
