"""What a person sees and is asked, on a real terminal and off it: questions, runs by name, decisions, endings."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ctmupgrade.cli.given import Common
from ctmupgrade.cli.place import placed
from ctmupgrade.cli.questions import ask
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import PROGRAM, clean_environ
from tests.support.terminal import Terminal, on_terminal

COMMANDS = "check|plan|run|resume|status|watch|pause|abort|recover|restore|drill|report|backup|stage"
PACKAGE = Path(__file__).parents[1] / "ctmupgrade"

STUCK = "upgrade-fails-on-node-2"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def stuck(desk: Desk) -> Desk:
    """A run whose second node's ks_upgrade.sh failed."""
    assert desk.type("run", "--yes", scenario=STUCK).returncode == 5
    return desk


def _on_terminal(
    desk: Desk, *words: str, columns: int = 200, scenario: str = ""
) -> AbstractContextManager[Terminal]:
    place = ["--simulate", str(SCENARIOS / scenario)] if scenario else []
    argv = [str(PROGRAM), *words, "--state-dir", str(desk.state), *place]
    return on_terminal(argv, desk.folder, clean_environ(desk.folder), columns=columns)


# -- questions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_question_before_each_node_is_seen(desk: Desk, columns: int) -> None:
    """TRIAL A1: the board held its line back, and the run stood still."""
    words = ("run", "--confirm-each", "--yes")
    with _on_terminal(desk, *words, columns=columns, scenario="healthy-three") as seen:
        asked = " ".join(seen.until("Upgrade ctm-1 now? [y/N]:").split())
        assert re.search(r"While ctm-1 is out of service \(about \d+ min\), its clients lose it", asked)
        assert "ctm-2 and ctm-3 go on serving" in asked
        assert "n pauses the run" in asked and "Ctrl-C" in asked
        assert re.search(r"ctmupgrade resume --state-dir \S+ --simulate \S+ goes on", asked), (
            "it works when copied"
        )
        lines = [line for line in seen.shown.splitlines() if line.startswith("SIMULATED: ")]
        assert lines and all(len(line) <= columns for line in lines), "folded between words"
        seen.type("y\n")
        seen.until("Upgrade ctm-2 now? [y/N]:")
        seen.type("n\n")
        assert seen.ended() == 7
    assert desk.ok("status")["nodes"][0]["state"] == "done"


@pytest.mark.parametrize("shown", ["rich", "plain"])
def test_ctrl_c_at_the_question_ends_the_run_and_it_can_be_resumed(desk: Desk, shown: str) -> None:
    words = ("run", "--confirm-each", "--yes", "--format", shown)
    with _on_terminal(desk, *words, scenario="healthy-three") as seen:
        seen.until("[y/N]:")
        seen.process.send_signal(signal.SIGINT)
        assert seen.ended() == 130
        assert "invalid input" not in seen.shown and seen.shown.count("[y/N]:") == 1, repr(seen.shown[-2500:])
        assert re.search(r"ctmupgrade resume \S+ --state-dir", seen.shown)
    assert desk.type("resume", scenario="healthy-three").returncode == 0


def test_where_nobody_can_be_asked_nothing_is_begun(desk: Desk) -> None:
    said = desk.type("run", "--confirm-each", scenario="healthy-three")
    assert said.returncode == 2 and "--confirm-each asks, and there is no terminal" in said.stderr
    assert not desk.state.exists() or not list(desk.state.glob("*/*/journal.jsonl"))


def test_resume_says_what_is_left_and_asks(stuck: Desk) -> None:
    assert stuck.type("node", "retry", "latest", "ctm-2", "--reason", "x").returncode == 0
    before = stuck.journal.read_text()
    with _on_terminal(stuck, "resume", scenario=STUCK) as seen:
        asked = seen.until("[y/N]:")
        assert f"Upgrade of {STUCK} to 2.21.0" in asked and "Left to do: 11 of 28 steps" in asked
        assert "ctm-1 is on 2.21.0+15451; ctm-2 is on a version that was not seen" in " ".join(asked.split())
        assert "While each of ctm-2 and ctm-3 is out of service" in " ".join(asked.split()), "ctm-1 is done"
        seen.type("n\n")
        assert seen.ended() == 7
    assert stuck.journal.read_text() == before
    with _on_terminal(stuck, "resume", "--yes", scenario=STUCK) as seen:
        assert seen.ended() != 7 and "[y/N]" not in seen.shown


def test_abort_says_what_it_ends_and_asks(stuck: Desk) -> None:
    before = stuck.journal.read_text()
    with _on_terminal(stuck, "abort") as seen:
        asked = seen.until("[y/N]:")
        assert f"Upgrade of {STUCK} to 2.21.0" in asked and "ctm-1 is on 2.21.0+15451" in asked
        assert "Left to do:" in asked and "cannot be resumed" in asked
        seen.type("\n")
        assert seen.ended() == 7
    assert stuck.journal.read_text() == before
    with _on_terminal(stuck, "abort", "--yes") as seen:
        assert seen.ended() == 0
        assert f"of {STUCK} is aborted: ctm-1 is on 2.21.0+15451" in seen.shown and "[y/N]" not in seen.shown


def test_done_says_which_step_counts_and_what_comes_next(stuck: Desk) -> None:
    """TRIAL A6: it read as "the node is done", and the next step was a reboot of what must not be rebooted."""
    before = stuck.journal.read_text()
    words = ("node", "done", "latest", "ctm-2", "--reason", "ticket 4711")
    with _on_terminal(stuck, *words) as seen:
        asked = seen.until("[y/N]:")
        assert "upgrade:ctm-2 will count as done" in asked and "Next: reboot ctm-2." in asked
        seen.type("n\n")
        assert seen.ended() == 7
    assert stuck.journal.read_text() == before
    said = stuck.type(*words)
    assert said.returncode == 0, "without a terminal nobody is asked"
    assert "upgrade:ctm-2 now counts as done" in said.stdout and "Next: reboot ctm-2." in said.stdout
    again = shlex.split(re.sub(r".*Continue with: ", "", said.stdout, flags=re.DOTALL))
    done = subprocess.run(
        [str(PROGRAM), *again[1:]], cwd=stuck.folder, env=stuck.environ, capture_output=True, text=True,
        timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "resumed by" in done.stdout, done.stderr


def test_skip_and_retry_say_what_they_mean(stuck: Desk) -> None:
    run = stuck.journal.parent.name
    said = stuck.type("node", "retry", run, "ctm-2", "--reason", "x").stdout
    assert "upgrade:ctm-2 is run again" in said and "Next: run ks_upgrade.sh on ctm-2 again." in said
    said = stuck.type("node", "skip", run[:-3], "ctm-2", "--reason", "x").stdout
    assert "ctm-2 is left as it is, on a version that was not seen" in said and "partial (exit 9)" in said


@pytest.mark.parametrize("decision", ["retry", "done"])
@pytest.mark.parametrize("node", ["ctm-1", "ctm-3"])
def test_where_nothing_is_stuck_nothing_is_decided(stuck: Desk, decision: str, node: str) -> None:
    before = stuck.journal.read_text()
    said = stuck.type("node", decision, "latest", node, "--reason", "x")
    assert said.returncode == 2 and "nothing to decide" in said.stderr and "node retry" not in said.stdout
    assert stuck.journal.read_text() == before


def test_a_reason_is_needed_and_the_remedy_does_not_say_otherwise(stuck: Desk) -> None:
    for empty in ("", "  "):
        said = stuck.type("node", "retry", "latest", "ctm-2", "--reason", empty)
        assert said.returncode == 2 and "--reason needs a text" in said.stderr and "leave" not in said.stderr


def test_an_error_is_folded_between_words_on_a_terminal(desk: Desk) -> None:
    with _on_terminal(desk, "check", "--only", "x", columns=60, scenario="nothing") as seen:
        assert seen.ended() == 2
    lines = seen.shown.splitlines()
    told = next(number for number, line in enumerate(lines) if "-> a fixture folder" in line)
    assert all(len(line) <= 60 for line in lines[told:]) and "record DIR" in " ".join(lines[told:])


# -- which run ---------------------------------------------------------------------------------------------------


def test_the_latest_is_the_one_that_changes_nodes(desk: Desk) -> None:
    """TRIAL A5: a backup that came later became "Upgrade of healthy-three, done"."""
    assert desk.type("run", "--yes", scenario="healthy-three").returncode == 0
    run = desk.journal.parent.name
    for words in (("backup",), ("stage",), ("run", "--dry-run")):
        assert desk.type(*words, scenario="healthy-three").returncode == 0
        assert desk.journal.parent.name != run
        assert desk.ok("status")["run"] == run and desk.ok("report")["run"] == run
        assert desk.ok("status", "latest")["run"] == run
    kinds = {one["id"]: one["kind"] for one in desk.ok("runs")["runs"]}
    assert sorted(kinds.values()) == ["backup", "dry run", "stage", "upgrade"]
    titles = {
        "backup": "# Backup of",
        "stage": "# Staging for",
        "dry run": "# Dry run for",
        "upgrade": "# Upgrade of",
    }
    for one, kind in kinds.items():
        assert desk.type("report", one).stdout.startswith(f"{titles[kind]} healthy-three")


def test_where_there_is_only_a_backup_it_is_meant(desk: Desk) -> None:
    assert desk.type("backup", scenario="healthy-three").returncode == 0
    assert desk.ok("status")["kind"] == "backup"


def test_runs_are_named_by_their_beginning_and_the_known_ones_are_listed(desk: Desk) -> None:
    for _ in range(2):
        assert desk.type("run", "--yes", scenario="healthy-three").returncode == 0
    first, second = sorted(path.parent.name for path in desk.state.glob("*/*/journal.jsonl"))
    common = first[: next(n for n in range(99) if first[n] != second[n])]
    assert desk.ok("status", first[: len(common) + 1])["run"] == first
    for word, what in ((common, "2 runs begin with"), ("xx", 'no run "xx"')):
        for command in (["status"], ["abort"], ["resume"], ["node", "retry"]):
            more = ["ctm-1", "--reason", "x"] if command[0] == "node" else []
            scenario = "healthy-three" if command == ["resume"] else ""
            said = desk.type(*command, word, *more, scenario=scenario)
            assert said.returncode == 2 and what in said.stderr, (command, said.stderr)
            assert first in said.stderr and second in said.stderr and "healthy-three, upgrade" in said.stderr
            assert "ctmupgrade run " not in said.stderr.replace("ctmupgrade runs", "")


def test_runs_lists_all(stuck: Desk) -> None:
    (one,) = stuck.ok("runs")["runs"]
    assert (one["cluster"], one["kind"], one["outcome"]) == (STUCK, "upgrade", "failed")
    assert one["id"] == stuck.journal.parent.name and one["when"].startswith("2026-01-10T")
    said = stuck.type("runs").stdout
    assert one["id"] in said and STUCK in said and "upgrade (simulated)" in said
    stuck.journal.write_text("{}\n")
    assert stuck.ok("runs")["runs"][0]["outcome"] == "unreadable"
    stuck.state = stuck.folder / "empty"
    assert stuck.ok("runs") == {"schema": 1, "runs": []}


# -- dry runs, failures, files -----------------------------------------------------------------------------------


def test_a_dry_run_shows_what_would_be_done(stuck: Desk) -> None:
    said = stuck.type("run", "--dry-run", scenario="healthy-three").stdout
    assert "upgrade:ctm-3" in said and "things to confirm by hand" in said and "outcome" not in said
    before = stuck.journal.parent.parent
    said = stuck.type("resume", "--dry-run", scenario=STUCK).stdout
    assert "Left to do: 11 of 28 steps" in said and "nothing was changed" in said
    assert before.is_dir()


def test_a_failure_is_told_once(desk: Desk) -> None:
    """TRIAL B8: its cause stood eight times on one screen."""
    said = desk.type("run", "--yes", scenario=STUCK).stdout
    told = [line for line in said.splitlines() if "cannot migrate the database" in line]
    failed = [line for line in told if " waits (" not in line]  # the log's last line, while it was waited for
    assert len(failed) == 1, said
    assert said.count("do not reboot ctm-2") + said.count("Do not reboot ctm-2") == 1
    assert "to go on:" not in said, "its remedy says how to go on, after a decision"


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["report"], "x.pdf"),
        (["report"], "x"),
        (["runbook", "--simulate", str(SCENARIOS / "healthy-three")], "book.json"),
        (["plan", "--simulate", str(SCENARIOS / "healthy-three")], "plan.md"),
    ],
)
def test_what_a_suffix_cannot_hold_is_refused(stuck: Desk, words: list[str], file: str) -> None:
    said = stuck.type(*words, "-o", file)
    assert said.returncode == 2 and file in said.stderr and not (stuck.folder / file).exists()


def test_a_backup_is_stopped_only_by_what_concerns_it(desk: Desk) -> None:
    assert desk.type("stage", scenario="low-disk").returncode == 3
    assert desk.type("backup", scenario="low-disk").returncode == 0
    assert desk.type("stage", scenario="wrong-signer").returncode == 3
    assert desk.type("backup", scenario="wrong-signer").returncode == 0


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 2),
        (["check", "-c", "nowhere.yaml"], 2),
        (["check", "--frmat", "x"], 2),
        (["nonsense"], 2),
        (["node", "retry", "x"], 2),
        (["run", "--stop-after", "nobody", "--simulate", str(SCENARIOS / "healthy-three")], 2),
    ],
)
def test_errors_are_documents_too(desk: Desk, words: list[str], code: int) -> None:
    said = desk.type(*words, "--format", "json")
    assert said.returncode == code
    document = json.loads(said.stdout.splitlines()[-1] if words[0] == "run" else said.stdout)
    assert document["schema"] == 1 and set(document["error"]) == {"brief", "details", "remedy", "exit_code"}
    assert document["error"]["exit_code"] == code and document["error"]["brief"]
    assert said.stderr, "a person sees it too"


def test_usage_errors_point_to_the_command_s_own_help(desk: Desk) -> None:
    assert "-> ctmupgrade check --help" in desk.type("check", "--nonsense").stderr
    assert "-> ctmupgrade node retry --help" in desk.type("node", "retry", "x").stderr
    assert "-> ctmupgrade --help" in desk.type("nonsense").stderr


@pytest.mark.parametrize("words", [["-h"], ["check", "-h"], ["node", "skip", "-h"], ["recover", "-h"]])
def test_h_is_help(desk: Desk, words: list[str]) -> None:
    said = desk.type(*words)
    assert said.returncode == 0 and "Usage: ctmupgrade" in said.stdout


# -- printed commands --------------------------------------------------------------------------------------------


def _commands(text: str) -> list[str]:
    return re.findall(r"ctmupgrade (?:resume|status|backup|check|run|abort|node)[^\n;#()]*", text)


def test_every_printed_command_says_where_the_files_are(desk: Desk) -> None:
    """TRIAL B2: copied as they were printed they led to a cluster.yaml that is not there."""
    place = ("--state-dir", str(desk.state), "--simulate", str(SCENARIOS / STUCK))
    texts = [desk.type("check", *place), desk.type("run", *place, "--yes"), desk.type("status", *place[:2])]
    texts += [desk.type("node", "retry", "latest", "ctm-2", "--reason", "x", *place[:2])]
    texts += [desk.type("report", *place[:2]), desk.type("run", "--stop-after", "ctm-1", *place)]
    found = [command for said in texts for command in _commands(said.stdout + said.stderr)]
    assert len(found) > 5
    lacking = [c for c in found if "--simulate" not in c or "--state-dir" not in c]
    assert lacking == []


@pytest.mark.parametrize(
    "text",
    [
        "ctmupgrade check; ctmupgrade abort 20261130T110258-3843495; then: ctmupgrade recover   # or: ctmupgrade run",
        "ctmupgrade resume 20261130T110258-3843495   or   ctmupgrade abort 20261130T110258-3843495",
        "look with `ctmupgrade check`, then `ctmupgrade abort x`",
        "ctmupgrade watch   # shows it\nctmupgrade pause   # stops it; or: ctmupgrade abort",
    ],
)
def test_each_of_several_commands_has_its_place(text: str) -> None:
    place = Common(cluster=Path("prod.yaml"), state_dir=Path("/s"))
    said = placed(text, place)
    assert said.count("-c prod.yaml --state-dir /s") == text.count("ctmupgrade ")
    assert said.replace(" -c prod.yaml --state-dir /s", "") == text
    assert placed(said, place) == said


def test_a_sentence_about_the_program_is_no_command() -> None:
    place = Common(cluster=Path("prod.yaml"))
    assert placed("ctmupgrade runs on ctm-1 itself", place) == "ctmupgrade runs on ctm-1 itself"
    assert placed("ctmupgrade runs", place) == "ctmupgrade runs -c prod.yaml"


def test_no_printed_command_is_followed_by_a_comma() -> None:
    """Its options come last: the comma would be a part of the last one's value."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if "pages" in file.parts:  # of the catalogue: no options are put there
            continue
        for text in re.findall(r'"[^"\n]*"', file.read_text(encoding="utf-8")):
            found += re.findall(rf"\bctmupgrade (?:{COMMANDS})(?: \{{[^}}]*\}})?,.*", text)
    assert found == []


class _Interrupted(io.StringIO):
    """A terminal that is told of Ctrl-C while it is written to."""

    whole = 0

    def flush(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # another thread takes the signal
        self.whole += 1


def test_a_question_is_written_whole_whichever_thread_takes_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the middle of it, it would be written twice."""
    ours, theirs = pty.openpty()
    out, ended = _Interrupted(), threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        with os.fdopen(ours), os.fdopen(theirs) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "stdout", out)
            with pytest.raises(KeyboardInterrupt):
                ask("Go on?")
    finally:
        ended.set()
        other.join()
    assert out.whole == 1 and out.getvalue().count("[y/N]:") == 1
