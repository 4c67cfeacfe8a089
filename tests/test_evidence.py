"""What an auditor holds on to: incidents, the journal's head, signed reports, honest endings (SECURITY M5, TRIAL A2, A3)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.adapters.local import system_log
from ctmupgrade.adapters.local.signing import ReportSignatureError, sign, signature_of, verify
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.report import make_report
from ctmupgrade.errors import UsageError
from ctmupgrade.render import documents, html, markdown
from tests.support import golden
from tests.support.live import Signing, signing_key
from tests.support.world_run import Drive, make_world

FAILS = golden.SCENARIOS / "upgrade-fails-on-node-2"
CAUSE = "cannot migrate the database"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a run that failed on its second node."""
    state = tmp_path_factory.mktemp("failed")
    code, _ = golden.call("run", "--yes", "--state-dir", str(state), "--simulate", str(FAILS))
    assert code == 5
    return state


@pytest.fixture
def state(failed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(failed, tmp_path / "state"))


def _journal(state: Path) -> Path:
    return next(state.glob("*/*/journal.jsonl"))


def _run(state: Path) -> str:
    return _journal(state).parent.name


def _typed(state: Path, *words: str) -> tuple[int, str]:
    return golden.call(*words, "--state-dir", str(state))


def _report(state: Path) -> Any:
    return json.loads(_typed(state, "report", _run(state), "--format", "json")[1])


def _resumed(state: Path) -> int:
    return _typed(state, "resume", "--simulate", str(FAILS))[0]


# -- endings and incidents ---------------------------------------------------------------------------------


def test_a_node_that_is_left_behind_ends_in_partial(state: Path) -> None:
    """TRIAL A2: exit 0 and "done" with a node on the old version."""
    assert _typed(state, "node", "skip", _run(state), "ctm-2", "--reason", "vendor case 4711")[0] == 0
    assert _resumed(state) == 9
    report = _report(state)
    assert (report["state"], report["outcome"], report["exit_code"]) == ("done", "partial", 9)
    assert any("NOT at 2.21.0: ctm-2" in note for note in report["notes"])
    code, said = _typed(state, "resume", "--simulate", str(FAILS))
    assert code == 2, said
    assert "not seen yet" not in _only_what_works_is_advised(state, "skipped: vendor case 4711"), (
        "a gate has seen it"
    )


def test_an_aborted_run_advises_nothing_that_is_refused(state: Path) -> None:
    assert _typed(state, "abort", _run(state))[0] == 0
    page = _only_what_works_is_advised(state, CAUSE)
    assert "not seen yet" in page, "no look has seen it since the upgrade failed"


def _only_what_works_is_advised(state: Path, why: str) -> str:
    """The run is over: no decision and no resume is left, but what to do on the node still holds. Returns its page."""
    step = next(one for one in _report(state)["steps"] if one["id"] == "upgrade:ctm-2")
    assert "do not reboot ctm-2" in step["remedy"] and "then: ctmupgrade run --" in step["remedy"]
    assert "node retry" not in step["remedy"] and "resume" not in step["remedy"]
    page = state / "over.html"
    assert _typed(state, "report", _run(state), "-o", str(page))[0] == 0
    todo = page.read_text().split('id="todo"')[1].split("<section")[0]
    assert why in todo and "node retry" not in todo and "ctmupgrade resume" not in todo
    return page.read_text()


@pytest.mark.parametrize("decision", ["retry", "skip"])
def test_no_incident_is_lost_by_what_comes_later(state: Path, decision: str) -> None:
    """TRIAL A3: the failure, the pause, the decision and the resume stay, with time, text and who."""
    reason = "vendor gave a hotfix"
    _typed(state, "node", decision, _run(state), "ctm-2", "--reason", reason)
    _resumed(state)
    found = {one["kind"]: one for one in reversed(_report(state)["incidents"])}
    assert {"failure", "pause", "decision", "resume"} <= set(found)
    assert CAUSE in found["failure"]["text"]
    assert sum(CAUSE in one["text"] for one in _report(state)["incidents"]) == 1, "and its cause once"
    assert (found["failure"]["node"], found["failure"]["step"]) == ("ctm-2", "upgrade:ctm-2")
    assert found["failure"]["remedy"]
    assert reason in found["decision"]["text"]
    assert found["decision"]["who"] == found["resume"]["who"] != ""
    assert all(datetime.fromisoformat(one["time"]) for one in found.values())
    for name in ("r.md", "r.html"):
        written = state / name
        _typed(state, "report", _run(state), "-o", str(written))
        assert CAUSE in written.read_text()
        assert reason in written.read_text()


def _drive(folder: Path) -> Drive:
    return Drive(make_world(1), folder, StrategyName.STANDALONE)


def test_a_finished_step_never_ends_before_it_began(tmp_path: Path) -> None:
    """PUBLIC 27: this machine's clock is set back in the middle of a step; the report says so."""
    plan = _drive(tmp_path).plan()
    begun = datetime(2026, 1, 10, 21, tzinfo=UTC)
    state = journal.start(journal.RunStarted("r", "test", Mode.LIVE, plan, "me", 1, "0"), begun)
    step = plan.steps[0].id
    back = begun - timedelta(hours=2)
    for event in (journal.StepStarted(step, {}), journal.StepDone(step, {})):
        state = journal.apply(state, event, begun if isinstance(event, journal.StepStarted) else back)
    held = state.steps[step]
    assert held.started is not None
    assert held.finished is not None
    assert held.finished >= held.started
    assert [one.kind for one in state.incidents] == ["clock"]
    assert "set back by about 2 h" in state.incidents[0].text


@pytest.mark.parametrize("render", [markdown.report_markdown, html.report_html])
def test_a_report_of_nothing_special_has_no_incidents(render: Callable[[Any], str], tmp_path: Path) -> None:
    drive = _drive(tmp_path)
    assert drive.start() == 0
    report = make_report(drive.state)
    assert report.incidents == ()
    assert "Incidents" not in render(report)


def test_a_journal_of_an_earlier_version_is_replayed() -> None:
    """Its ``done`` stays; nothing of what is new is asked of it."""
    old = json.dumps({"kind": "run-ended", "outcome": "done", "versions": {}, "why": ""})
    from ctmupgrade.codec import event_from_json

    assert event_from_json(json.loads(old)) == journal.RunEnded("done")


# -- the head ----------------------------------------------------------------------------------------------


def _head(state: Path) -> str:
    return hashlib.sha256(_journal(state).read_bytes().splitlines()[-1]).hexdigest()


def test_every_report_has_the_journals_head(state: Path) -> None:
    lines = len(_journal(state).read_bytes().splitlines())
    expected = {"lines": lines, "head": _head(state)}
    assert _report(state)["journal"] == expected
    assert json.loads(_typed(state, "status", "--format", "json")[1])["journal"] == expected
    assert _head(state) in _typed(state, "status", "--format", "plain")[1]
    assert _head(state) in _typed(state, "report")[1]
    assert _head(state) in html.report_html(make_report(*RunFolder(_journal(state).parent).state_and_head()))


def test_the_end_of_a_run_prints_it(tmp_path: Path) -> None:
    scenario = golden.SCENARIOS / "standalone"
    _, said = _typed(tmp_path, "run", "--yes", "--format", "plain", "--simulate", str(scenario))
    assert (
        f"journal: {len(_journal(tmp_path).read_bytes().splitlines())} lines, head {_head(tmp_path)}" in said
    )


def _edited(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1].replace('"code":5', '"code":7')]


def _cut(lines: list[str]) -> list[str]:
    return lines[:-1]


def _only_first(lines: list[str]) -> list[str]:
    return lines[:1]


def _chained_again(lines: list[str]) -> list[str]:
    """All is written again, with another reason for the pause."""
    made: list[str] = []
    for text in lines:
        value = json.loads(text)
        value["prev"] = hashlib.sha256(made[-1].encode()).hexdigest() if made else "0" * 64
        value["event"].pop("error", None) if value["event"]["kind"] == "run-paused" else None
        if value["event"]["kind"] == "run-started":
            value["event"]["by"] = "somebody@else"
        made.append(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    return made


@pytest.mark.parametrize("change", [_edited, _cut, _only_first, _chained_again])
def test_a_journal_that_does_not_end_in_its_head_is_named(
    state: Path, change: Callable[[list[str]], list[str]]
) -> None:
    """SECURITY M5: all of these were "the journal's chain is intact"."""
    head, file = _head(state), _journal(state)
    assert _typed(state, "report", "--verify", "--head", head)[0] == 0
    assert _typed(state, "report", "--verify", "--head", head.upper())[0] == 0
    file.write_text("".join(f"{line}\n" for line in change(file.read_text().splitlines())))
    code, said = _typed(state, "report", "--verify", "--head", head)
    assert code == 5
    assert "does not end in" in said
    document = json.loads(_typed(state, "report", "--verify", "--head", head, "--format", "json")[1])
    assert (document["intact"], document["ends_in_head"]) == (True, False)


@pytest.mark.parametrize("head", ["", "x", "0" * 64, "deadbeef"])
def test_verify_says_up_to_where_and_by_what(state: Path, head: str) -> None:
    words = ("--head", head) if head else ()
    code, said = _typed(state, "report", "--verify", *words)
    assert code == (5 if head else 0)
    if not head:
        assert "nothing vouches for the last line" in said
        assert _head(state) in said


def test_lines_behind_a_head_are_named(state: Path) -> None:
    head = _head(state)
    _typed(state, "node", "retry", _run(state), "ctm-2", "--reason", "x")
    code, said = _typed(state, "report", "--verify", "--head", head)
    assert code == 5
    assert "lines came behind it" in said


def test_a_journal_that_cannot_be_used_does_not_lock_out_for_ever(state: Path) -> None:
    """SECURITY M9: `abort RUN` sets it aside, and keeps it."""
    file, run = _journal(state), _run(state)
    lines = file.read_text().splitlines()
    file.write_text("".join(f"{line}\n" for line in [lines[0], *lines[2:]]))
    assert _typed(state, "status", run)[0] != 0
    code, said = _typed(state, "abort", run)
    assert code == 0, said
    assert not file.exists()
    assert len(list(file.parent.glob("journal.broken-*"))) == 1
    assert _typed(state, "status")[0] == 2, "there is no run any more"


def test_the_system_log_is_told_the_head(state: Path) -> None:
    found, head = RunFolder(_journal(state).parent).state_and_head()
    line = system_log.line_of(replace(found, by="me\n\x1b[2J@here"), head)
    assert f"{head.lines} lines, head {head.head}" in line
    assert found.run in line
    assert line.isprintable()
    system_log.tell(found, head)


# -- signatures --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpg() -> Iterator[Signing]:
    with signing_key() as made:
        yield made


@pytest.fixture
def keys(tmp_path: Path, gpg: Signing, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str, str]]:
    """Of each kind: what signs, what verifies, and another key that verifies nothing of it."""
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    for name in ("mine", "other"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(argv, check=True)
    return {
        "ssh": (str(tmp_path / "mine"), str(tmp_path / "mine.pub"), str(tmp_path / "other.pub")),
        "gpg": (gpg.fingerprint, gpg.fingerprint.lower(), "0" * 40),
    }


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_a_signed_report(state: Path, keys: dict[str, tuple[str, str, str]], kind: str) -> None:
    signer, public, other = keys[kind]
    file = state / "report.json"
    assert _typed(state, "report", "-o", str(file), "--sign", signer)[0] == 0
    check = ("report", "--verify-signature", str(file), "--signed-by")
    assert _typed(state, *check, public)[0] == 0
    assert _typed(state, *check, other)[0] == 5, "another key has not signed it"
    signature = signature_of(file, signer)
    whole = signature.read_bytes()
    file.write_bytes(file.read_bytes().replace(b"ctm-2", b"ctm-3", 1))
    assert _typed(state, *check, public)[0] == 5, "it was changed"
    signature.write_bytes(whole[: len(whole) // 2])
    assert _typed(state, *check, public)[0] == 5
    signature.unlink()
    assert _typed(state, *check, public)[0] == 2


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_who_signs_gets_no_secret(
    keys: dict[str, tuple[str, str, str]], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KSCTL_PASSWORD", "OPS_WORD"):
        monkeypatch.setenv(name, "s3cr3t-of-ours")
    program = tmp_path / {"ssh": "ssh-keygen", "gpg": "gpg"}[kind]
    program.write_text(f'#!/bin/sh\nenv > {tmp_path}/seen\nexec {shutil.which(program.name)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert sign(b"report", keys[kind][0])
    assert "PATH=" in (tmp_path / "seen").read_text() and "s3cr3t" not in (tmp_path / "seen").read_text()


def test_a_report_that_is_a_pipe_is_not_waited_for(
    state: Path, keys: dict[str, tuple[str, str, str]], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "r.md")
    check = ("report", "--verify-signature", str(tmp_path / "r.md"), "--signed-by", keys["ssh"][1])
    assert _typed(state, *check)[0] == 2


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_pipes_and_endless_files_in_place_of_a_signature(
    state: Path, keys: dict[str, tuple[str, str, str]], kind: str
) -> None:
    signer, public, _ = keys[kind]
    file = state / "r.json"
    signature = signature_of(file, signer)
    os.mkfifo(signature)
    assert _typed(state, "report", "-o", str(file), "--sign", signer)[0] == 0
    check = ("report", "--verify-signature", str(file), "--signed-by", public)
    assert signature.is_file() and _typed(state, *check)[0] == 0
    with signature.open("ab") as more:
        more.truncate(1 << 22)
    assert _typed(state, *check)[0] == 2


def test_a_report_into_a_pipe_is_signed(state: Path, keys: dict[str, tuple[str, str, str]]) -> None:
    """What is signed is what was written, never what stands in the file by then."""
    pipe = state / "pipe.md"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert _typed(state, "report", "-o", str(pipe), "--sign", keys["ssh"][0])[0] == 0
        assert reader.stdout
        data = reader.stdout.read()
    verify(data, signature_of(pipe, keys["ssh"][0]), keys["ssh"][1])


def test_a_signature_for_another_purpose_is_none(
    keys: dict[str, tuple[str, str, str]], tmp_path: Path
) -> None:
    private, public, _ = keys["ssh"]
    file = tmp_path / "r.md"
    file.write_text("report")
    argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", private, str(file)]
    subprocess.run(argv, check=True, capture_output=True)
    with pytest.raises(ReportSignatureError):
        verify(b"report", tmp_path / "r.md.sig", public)


@pytest.mark.parametrize("key", ["/nowhere/key", "0" * 40, ""])
def test_a_key_that_cannot_sign_is_named(keys: dict[str, tuple[str, str, str]], key: str) -> None:
    with pytest.raises(UsageError):
        sign(b"report", key)


def test_options_that_belong_together(state: Path) -> None:
    assert _typed(state, "report", "--sign", "x")[0] == 2
    assert _typed(state, "report", "--signed-by", "x")[0] == 2
    assert _typed(state, "report", "--verify-signature", "x")[0] == 2


def _states(state: Path) -> RunState:
    return RunFolder(_journal(state).parent).state()


def test_the_document_keeps_its_fields(state: Path) -> None:
    document = documents.report_document(make_report(_states(state)))
    assert document["journal"] is None
    assert {"decisions", "incidents", "nodes", "steps", "outcome"} <= set(document)
