"""State that somebody else owns, may write to, or left there is not used (SECURITY M8, M9)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.disk.journal_file import JournalFile, read_journal, verify_chain
from ctmupgrade.adapters.disk.lock import ClusterLock
from ctmupgrade.adapters.disk.ownership import exposed
from ctmupgrade.adapters.disk.requests import write_request
from ctmupgrade.adapters.disk.run_store import FileRecord, Requests, RunFolder, folders
from ctmupgrade.commands.runs import new_run_id
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, NodeDecided, RequestRefused, StopAsked
from ctmupgrade.errors import ForeignStateError
from tests.support.golden import call
from tests.support.live import Live, signing_key, start_live
from tests.support.world_run import Drive, make_world

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with a journal, and a folder for requests."""
    folder = RunFolder(tmp_path / "state" / "evil" / "20260110T210000-000abcd")
    plan = Drive(make_world(1), tmp_path / "drive", StrategyName.STANDALONE).plan()
    file = JournalFile.create(folder.journal)
    start = journal.RunStarted(folder.run, "evil", Mode.LIVE, plan, "me@here", 1, "0")
    FileRecord(file).append(start, datetime(2026, 1, 10, tzinfo=UTC))
    file.close()
    (folder.path / "requests").mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with signing_key() as signing:
        made = start_live(tmp_path_factory.mktemp("mode"), signing, nodes=1, size=5_000,
                          more={"clustered": False}, extra="strategy: standalone")  # fmt: skip
        yield made
        made.close()


def _refused(run: RunFolder) -> None:
    home = run.path.parent
    uses: list[Callable[[], object]] = [
        lambda: read_journal(run.journal),
        lambda: verify_chain(run.journal),
        lambda: JournalFile.open(run.journal),
        run.state,
        lambda: [folder.state() for folder in folders(home)],
    ]
    for use in uses:
        with pytest.raises(ForeignStateError) as refused:
            use()
        assert refused.value.exit_code == 3
        assert refused.value.remedy


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_journal_that_others_may_write_is_refused(run: RunFolder, mode: int) -> None:
    run.state()
    run.journal.chmod(mode)
    _refused(run)


@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_is_refused(run: RunFolder, levels: int, mode: int) -> None:
    [run.path, *run.path.parents][levels].chmod(mode)
    _refused(run)


def test_a_state_folder_may_be_one_like_tmp(run: RunFolder) -> None:
    run.path.parents[1].chmod(0o1777)
    run.state()


@pytest.mark.parametrize(("mode", "told"), [(0o666, True), (0o602, True), (0o664, False), (0o600, False)])
def test_a_cluster_yaml_that_all_may_write_to_is_told(live: Live, mode: int, told: bool) -> None:
    """It names programs that run here."""
    live.cluster.chmod(mode)
    said = live.run("check")
    assert said.returncode == 0, said.stderr
    assert (f"others can write to {live.cluster}" in said.stderr) is told, said.stderr


def test_a_folder_above_where_anybody_can_move_ours_away_is_told(tmp_path: Path) -> None:
    """What is put in their place is refused by its owner; so it is told, not refused."""
    shared, ours = tmp_path / "shared", tmp_path / "shared" / "deep" / "ours"
    ours.mkdir(parents=True)
    store = BackupStore(ours, "c")
    ours.chmod(0o700)
    for mode, told in ((0o777, True), (0o757, True), (0o1777, False), (0o775, False), (0o755, False)):
        shared.chmod(mode)
        for said in (
            exposed(ours),
            exposed(ours / "not-there-yet"),
            exposed(shared / "new"),
            store.warning(),
        ):
            assert (f"chmod +t {shared}" in said) is told, (oct(mode), said)
    assert exposed(shared) == ""


@needs_root
@pytest.mark.parametrize("levels", [-1, 0, 1, 2])
def test_what_belongs_to_another_user_is_refused(run: RunFolder, levels: int) -> None:
    os.chown([run.path, *run.path.parents][levels] if levels >= 0 else run.journal, NOBODY, NOBODY)
    _refused(run)


@needs_root
def test_a_new_run_does_not_begin_in_another_users_folder(tmp_path: Path) -> None:
    home = tmp_path / "evil"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    for begin in (
        lambda: JournalFile.create(home / "run" / "journal.jsonl"),
        lambda: ClusterLock(home / "lock").acquire({"run": "x"}),
        lambda: new_run_id(home),
    ):
        with pytest.raises(ForeignStateError):
            begin()


def test_no_link_is_followed(run: RunFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    run.journal.rename(victim)
    run.journal.symlink_to(victim)
    _refused(run)
    lock = run.path.parent / "lock"
    victim.write_text("mine")
    lock.symlink_to(victim)
    with pytest.raises(ForeignStateError):
        ClusterLock(lock).acquire({"run": "x"})
    assert victim.read_text() == "mine"


def test_a_pipe_in_its_place_hangs_nobody(run: RunFolder) -> None:
    run.journal.unlink()
    os.mkfifo(run.journal)
    _refused(run)


@pytest.mark.parametrize("what", ["a folder", "a pipe", "a link"])
@pytest.mark.parametrize("words", ["status", "runs", "report", "watch", "pause", "abort"])
def test_a_lock_that_is_no_file_is_named(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, what: str, words: str
) -> None:
    lock = run.path.parent / "lock"
    lock.unlink(missing_ok=True)
    match what:
        case "a folder":
            lock.mkdir()
        case "a pipe":
            os.mkfifo(lock)
        case _:
            lock.symlink_to("/dev/zero")
    code, said = _said(monkeypatch, run, [words])
    assert code in ((0, 2, 3) if words in ("runs", "report") else (2, 3)), (code, said)
    if words not in ("runs", "report"):
        assert "lock" in said


LOOKS = (
    ["status"],
    ["report"],
    ["status", "latest"],
    ["status", "2026"],
    ["runs"],
    ["pause"],
    ["watch"],
    ["abort"],
)


def _said(monkeypatch: pytest.MonkeyPatch, run: RunFolder, words: list[str]) -> tuple[int, str]:
    """What a command says where no cluster.yaml is at hand."""
    monkeypatch.chdir(run.path.parents[3] if len(run.path.parents) > 3 else "/")
    return call(*words, "--state-dir", str(run.path.parents[1]), "--format", "json")


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
@pytest.mark.parametrize("levels", [-1, 1, 2])
def test_what_is_passed_over_is_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, words: list[str], levels: int
) -> None:
    """`no run yet` was said of a journal that others may write; there it leads to a new run beside it."""
    place = [run.path, *run.path.parents][levels] if levels >= 0 else run.journal
    place.chmod(0o777)
    code, said = _said(monkeypatch, run, words)
    assert code == 2, said
    assert "is not used" in said
    assert f"{place}: others than its owner may write to it" in said
    assert "chmod go-w" in said
    for wrong in ("no run", "ctmupgrade run", "Traceback"):
        assert wrong not in said


@pytest.mark.parametrize("words", [["status"], ["runs"]], ids=" ".join)
def test_a_state_folder_without_runs_that_others_may_write_is_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    run.path.parent.rename(run.path.parents[2] / "elsewhere")
    run.path.parents[1].chmod(0o777)
    code, said = _said(monkeypatch, run, words)
    assert code == 2
    assert "others than its owner may write to it" in said


def test_another_users_runs_hide_none_of_ours(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    other = run.path.parents[1] / "zother"
    shutil.copytree(run.path.parent, other)
    other.chmod(0o777)
    for words in (["status"], ["runs"], ["status", run.run]):
        code, said = _said(monkeypatch, run, words)
        assert code == 0, said
        assert run.run in said


# -- requests ----------------------------------------------------------------------------------------------


def _events(requests: Requests) -> list[Event]:
    return requests.look()


STOP: dict[str, object] = {"kind": "stop-asked", "what": "pause", "by": "x"}
DECISION: dict[str, object] = {
    "kind": "node-decided",
    "node": "ctm-1",
    "decision": "skip",
    "reason": "x",
    "by": "x",
}
WRONG: dict[str, tuple[str, dict[str, object]]] = {
    "a step that is done": ("pause", {"kind": "step-done", "step": "upgrade:ctm-1", "evidence": {}}),
    "a step that is not there": ("pause", {"kind": "step-done", "step": "nope", "evidence": {}}),
    "the end of the run": ("abort", {"kind": "run-ended", "outcome": "done"}),
    "another kind than it says": ("abort", STOP),
    "another decision than it says": ("node-done", DECISION),
    "another node": ("node-skip", {**DECISION, "node": "ctm-9"}),
    "no reason": ("node-skip", {**DECISION, "reason": " "}),
    "nothing": ("pause", {}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_request_that_is_none_is_set_aside_and_told(run: RunFolder, what: str) -> None:
    """SECURITY M9: it ended the run with exit 70, and no run of the cluster began again."""
    kind, payload = WRONG[what]
    written = write_request(run.path, kind, payload)
    good = write_request(run.path, "pause", STOP)
    requests = Requests(run, ("ctm-1",))
    told = _events(requests)
    assert [event.kind for event in told] == ["stop-asked", "request-refused"]
    assert isinstance(told[1], RequestRefused)
    assert Path(told[1].file).is_file()
    assert not written.exists()
    assert good.exists(), "it goes once the journal has it"
    assert _events(requests) == []
    assert not good.exists()


def test_what_a_request_says_has_bounds(run: RunFolder) -> None:
    write_request(run.path, "pause", {**STOP, "by": "b" * 5_000})
    write_request(run.path, "node-skip", {**DECISION, "by": "b" * 5_000, "reason": "r" * 9_000})
    stop, decision = _events(Requests(run, ("ctm-1",)))
    assert isinstance(stop, StopAsked) and stop.by == "b" * 200
    assert isinstance(decision, NodeDecided)
    assert (decision.by, decision.reason) == ("b" * 200, "r" * 1_000)


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 30_000, '{"kind": "pause"}', "x" * 100_000, '{"a": ' + "9" * 6000 + "}"]
)
def test_a_file_of_anything_is_set_aside(run: RunFolder, text: str) -> None:
    file = run.path / "requests" / "00000000000000000001-pause-1.json"
    file.write_text(text)
    assert [event.kind for event in _events(Requests(run, ()))] == ["request-refused"]
    assert not file.exists()


@pytest.mark.parametrize("mode", [0o666, 0o620])
def test_a_request_that_others_may_have_written_is_refused(run: RunFolder, mode: int) -> None:
    write_request(run.path, "pause", STOP).chmod(mode)
    assert [event.kind for event in _events(Requests(run, ()))] == ["request-refused"]


@needs_root
def test_another_users_request_is_refused(run: RunFolder) -> None:
    os.chown(write_request(run.path, "abort", {**STOP, "what": "abort"}), NOBODY, NOBODY)
    assert [event.kind for event in _events(Requests(run, ()))] == ["request-refused"]


def test_a_folder_that_others_may_write_gives_no_requests_and_is_told_once(run: RunFolder) -> None:
    write_request(run.path, "pause", STOP)
    (run.path / "requests").chmod(0o777)
    requests = Requests(run, ())
    assert [event.kind for event in _events(requests)] == ["request-refused"]
    assert _events(requests) == []


def test_what_cannot_be_folded_in_is_never_written(tmp_path: Path) -> None:
    """The loop itself applies an event before it writes it, whoever hands it over."""
    drive = Drive(make_world(1), tmp_path, StrategyName.STANDALONE)
    drive.requests = lambda: [journal.StepDone("nope", {})]
    with pytest.raises(KeyError):
        drive.start()
    assert not any('"nope"' in text for text, _ in drive.journal.lines)
    drive.requests = list
    drive.state  # noqa: B018 - it can be read


def test_runs_sort_by_their_order_where_the_clock_was_set_back(run: RunFolder) -> None:
    home = run.path.parent
    earlier = datetime(2025, 1, 1, tzinfo=UTC)
    made = new_run_id(home, earlier)
    assert made > run.run
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert new_run_id(home, later).startswith("20270101T000000-000")
    assert json.loads(run.journal.read_text())["seq"] == 1
