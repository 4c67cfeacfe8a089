"""The board: what it says of a run at any size of a terminal, what it writes, and what it leaves behind."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.journal_file import read_journal
from ctmupgrade.adapters.disk.run_store import state_of
from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities, Activity, Doing
from ctmupgrade.core.overview.overview import Overview, make_overview
from ctmupgrade.core.plan.clients import WHOLE
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.remaining import clients_still_notice
from ctmupgrade.core.ticks import Progress
from ctmupgrade.render import overview_words as words
from ctmupgrade.render.board import PAUSING, WATCHED, Board, LiveBoard
from ctmupgrade.render.board_lines import Size, board_lines
from ctmupgrade.render.painter import BYTES, Painter
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import PROGRAM
from tests.support.terminal import on_screen, on_terminal

JOURNALS = Path(__file__).parent / "journals"
SIZES = [(80, 24), (120, 40), (200, 50)]


def state_at(name: str, lines: int = -1) -> RunState:
    """A stored run, up to a line of its journal."""
    return state_of(read_journal(JOURNALS / name / "journal.jsonl")[0][:lines])


def upgrading(**more: Doing) -> tuple[RunState, str]:
    """Twenty nodes: the first one is being upgraded."""
    state = state_at("healthy-twenty")
    step = next(s.id for s in state.plan.steps if state.steps[s.id].status is not Status.DONE)
    while not step.startswith("upgrade:"):
        state = journal.apply(state, journal.StepDone(step, {}), state.at)
        step = next(s.id for s in state.plan.steps if state.steps[s.id].status is not Status.DONE)
    live = replace(state, paused="", stop="", code=0)
    return journal.apply(live, journal.StepStarted(step, {}), state.at), step


def seen(state: RunState, minutes: float = 12, doing: Doing | None = None, *, alive: bool = True) -> Overview:
    return make_overview(state, doing or Doing(), state.at + timedelta(minutes=minutes), alive=alive)


def waiting(state: RunState, step: str, what: str, **more: datetime) -> Doing:
    until = state.at + timedelta(hours=2)
    return Doing({step: Activity(what, state.at, state.at, until)}, **more)  # type: ignore[arg-type]


def text_of(view: Overview, size: tuple[int, int], news: list[str] | None = None) -> list[str]:
    return [line.plain for line in board_lines(view, news or [], Size(*size), "Ctrl-C pauses")]


# -- what it says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_twenty_nodes_at_any_size(size: tuple[int, int]) -> None:
    state, step = upgrading()
    node = step.partition(":")[2]
    doing = waiting(state, step, "ks_upgrade.sh runs; last line: migrating the database")
    news = [f"21:{n:02} ctm-1: something of the twelfth order happened to it {n}" for n in range(40)]
    lines = text_of(seen(state, doing=doing), size, news)
    assert len(lines) == size[1] - 1 and max(map(len, lines)) < size[0]
    said = "\n".join(lines)
    row = next(line for line in lines if line.startswith(f"{node} "))
    assert "upgrading" in row and "12 min" in row and "20 min" in row
    assert "last line: migrating the database" in " ".join(said.split())
    assert re.search(r"step \d+ of 181", said) and "1 in work" in said and "19 of 20 nodes in service" in said
    assert "ends about" in said and "at worst" in said and lines[-1] == "Ctrl-C pauses"
    assert news[-1] in said and "gives up" not in said
    if size == (80, 24):
        assert re.search(r"\d+ nodes waiting: next ctm-\d+, about \d\d:\d\d", said)
    else:
        assert all(any(line.startswith(f"{name} ") for line in lines) for name in state.plan.versions)


@pytest.mark.parametrize("size", SIZES)
def test_a_failed_node_is_always_shown_with_its_reason(size: tuple[int, int]) -> None:
    state, step = upgrading()
    state = journal.apply(
        state, journal.StepFailed(step, f"{step}: cannot migrate the database", "fix it", 5), state.at
    )
    state = journal.apply(state, journal.RunPaused("x", 5), state.at)
    said = "\n".join(text_of(seen(state, alive=False), size))
    assert "FAILED" in said and "cannot migrate the database" in said and "1 stuck" in said
    assert "ends about" not in said, "nothing goes on"


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (40, 10), (20, 5)])
def test_twenty_uploads_fit_and_say_their_rate(size: tuple[int, int]) -> None:
    state = state_at("healthy-twenty", 1)
    held, at = Activities(Window(None, None)), state.at
    for second in range(3):
        for name in state.plan.versions:
            at = state.at + timedelta(seconds=second)
            held.take(None, f"stage:{name}", Progress("upload", second * 36_000_000, 5_400_000_000), at)
    view = make_overview(state, held.doing(at), at, alive=True)
    lines = text_of(view, size)
    assert len(lines) <= size[1] - 1 and max(map(len, lines)) < size[0]
    if size == (80, 24):
        said = "\n".join(lines)
        assert "1 %, 36 MB/s, 2 min left" in said and re.search(r"and \d+ more in work: ctm-\d+", said)


def test_a_time_out_is_never_an_expected_end() -> None:
    state, step = upgrading()
    view = seen(state, doing=waiting(state, step, "ks_upgrade.sh runs"))
    row = next(row for row in view.rows if row.work)
    assert row.span is not None and row.work[0].activity is not None
    time_out = row.work[0].activity.gives_up
    assert time_out is not None and row.span.ends < row.span.worst < time_out
    said = "\n".join(text_of(view, (200, 50)))
    assert f"{time_out:%H:%M}" not in said


def test_what_takes_longer_is_said_and_expected_to_end_later() -> None:
    state, step = upgrading()
    early, late = seen(state, 1), seen(state, 50, waiting(state, step, "ks_upgrade.sh runs"))
    assert early.span and late.span and late.span.ends > early.span.ends
    assert "longer than expected (31 min at worst)" in "\n".join(text_of(late, (200, 50)))


def test_some_seconds_over_a_short_step_are_not_late() -> None:
    """An upload that was expected to take a second and took seven hid how far it was."""
    state, step = upgrading()
    (row,) = [one for one in seen(state, 1).rows if one.work]
    work = row.work[0]
    assert not words.is_late(replace(work, worst_s=1, elapsed_s=7))
    assert words.usual_words(replace(work, worst_s=1, usual_s=1, elapsed_s=7)) == "usually 1 s"
    assert words.is_late(replace(work, worst_s=1, elapsed_s=32))
    assert step


def test_a_row_does_not_name_its_node_again() -> None:
    state, step = upgrading()
    said = f"{step.rpartition(':')[2]}: no SSH connection: Connection refused"
    lines = text_of(seen(state, doing=waiting(state, step, said)), (80, 24))
    assert "  no SSH connection: Connection refused" in lines


def test_behind_the_first_ctrl_c_the_hint_is_about_the_second(capsys: pytest.CaptureFixture[str]) -> None:
    state, _step = upgrading()
    board = Board(lambda: state.at, Activities(Window(None, None)))
    for attended, hint in ((True, PAUSING), (False, WATCHED)):
        live = LiveBoard(board, WATCHED)
        live.attended, live._hidden = attended, False
        board.take(state, journal.StopAsked("pause", "op (Ctrl-C)", here=True), "", None)
        live.draw()
        assert capsys.readouterr().out.rstrip().removesuffix("\x1b[K").endswith(hint)


def test_the_window_is_said_and_whether_it_is_enough() -> None:
    state, _step = upgrading()
    window = Window(None, state.at + timedelta(hours=2))
    said = "\n".join(text_of(seen(state, 20, Doing(window=window)), (80, 24)))
    assert "1 h 40 min left, NOT enough for all nodes" in " ".join(said.split())
    wide = Window(None, state.at + timedelta(hours=20))
    assert "NOT" not in "\n".join(text_of(seen(state, 20, Doing(window=wide)), (80, 24)))


# -- what it writes ----------------------------------------------------------------------------------------------


def test_lines_are_on_the_screen_whatever_they_were_before() -> None:
    drawn, chance = bytearray(b"$ ctmupgrade run\r\n"), random.Random(19)
    painter = Painter(lambda text: drawn.extend(text.replace("\n", "\r\n").encode()))
    pool = [f"line {n} " + "x" * chance.randrange(60) for n in range(12)]
    for _ in range(60):
        lines = [chance.choice([*pool, ""]) for _ in range(chance.randrange(1, 15))]
        painter.paint(lines, again=chance.random() < 0.2)
        shown = on_screen(bytes(drawn), 80, 24)
        assert shown[0] == "$ ctmupgrade run"
        assert [line.rstrip() for line in lines] == shown[1 : 1 + len(lines)]
        assert not any(shown[1 + len(lines) :])
    painter.erase()
    assert not any(on_screen(bytes(drawn), 80, 24)[1:])


def test_what_does_not_change_is_not_written_and_no_more_than_a_slow_line_bears() -> None:
    writes: list[str] = []
    painter = Painter(writes.append)
    lines = [f"{n} " + "y" * 190 for n in range(49)]
    while not painter.paint(lines):
        assert len(writes[-1]) < BYTES + 300 and len(writes) < 9
    painter.paint(lines)
    assert len(writes) == 3 and all("\x1b[2J" not in text for text in writes)
    painter.paint([*lines[:30], "new", *lines[31:]])
    assert len(writes[3]) < 30


def test_twenty_nodes_cost_little() -> None:
    """Ten minutes with twenty uploads that grow each second: bytes and processor's time, each second's share."""
    state = state_at("healthy-twenty", 1)
    now = [state.at]
    board = Board(lambda: now[0], Activities(Window(None, None)))
    written: list[int] = []
    painter = Painter(lambda text: written.append(len(text.encode())))
    spent = time.process_time()
    for second in range(100):
        now[0] = state.at + timedelta(seconds=second)
        for name in state.plan.versions:
            board.take(state, None, f"stage:{name}", Progress("upload", second * 36_000_000, 5_400_000_000))
        found = board.look()
        assert found is not None
        painter.paint([line.plain for line in board_lines(*found, Size(200, 50))], again=second % 10 == 0)
    spent = time.process_time() - spent
    assert max(written) <= 4096 and sum(written) / 100 <= 4096
    assert spent / 100 < 0.05, "under 5 % of a core"


# -- on a terminal -----------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _run(desk: Desk, size: tuple[int, int], **environ: str) -> tuple[int, str, list[str]]:
    """A simulated run on a terminal: its exit code, all that it wrote, and the screen when it has ended."""
    argv = [str(PROGRAM), "run", "--yes", "--state-dir", str(desk.state)]
    argv += ["--simulate", str(SCENARIOS / "healthy-three")]
    env = {**desk.environ, **environ}
    with on_terminal(argv, desk.folder, env, columns=size[0], lines=size[1]) as terminal:
        code = terminal.ended()
        return code, terminal.raw.decode(), terminal.seen()


def test_the_board_is_drawn_and_a_clean_summary_is_left(desk: Desk) -> None:
    code, raw, screen = _run(desk, (80, 24))
    assert code == 0 and "Ctrl-C pauses after the step in hand" in raw
    said = "\n".join(screen)
    assert "Ctrl-C pauses" not in said and "Upgrade of healthy-three to 2.21.0" in said
    for name in ("ctm-1", "ctm-2", "ctm-3"):
        assert f"{name}  2.20.0+15016 -> 2.21.0+15451  done, out of service for 27 min" in said


@pytest.mark.parametrize(
    ("environ", "forbidden"), [({"TERM": "dumb"}, "\x1b"), ({"NO_COLOR": "1"}, r"\x1b\[[0-9;]*m")], ids=str
)
def test_without_colours(desk: Desk, environ: dict[str, str], forbidden: str) -> None:
    code, raw, _screen = _run(desk, (120, 40), **environ)
    assert code == 0 and re.search(forbidden, raw) is None


def test_before_a_resume_it_is_told_of_the_nodes_that_are_left() -> None:
    """Of clients nothing is promised or threatened that is over."""
    state, _step = upgrading()
    names = list(state.plan.versions)
    said = "While each of {} nodes is out of service, its clients lose it."
    whole = {WHOLE: said.format(len(names)), **dict.fromkeys(names, "it")}
    state = replace(state, plan=replace(state.plan, clients=whole))
    steps = {name: replace(held, status=Status.PENDING) for name, held in state.steps.items()}
    state = replace(state, steps=steps)
    assert clients_still_notice(state) == [whole[WHOLE]]
    for step in state.plan.steps:
        if step.node == "ctm-3":
            state = journal.apply(state, journal.StepDone(step.id, {}), state.at)
    assert clients_still_notice(state) == [said.format(len(names) - 1)]
