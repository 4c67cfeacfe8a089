"""The journal on disk, its lock and the requests: what survives, and what is named when it does not."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.journal_file import FIRST_PREV, JournalFile, read_journal, verify_chain
from ctmupgrade.adapters.disk.lock import ClusterLock
from ctmupgrade.adapters.disk.requests import clear_requests, read_requests, write_request
from ctmupgrade.core.run.events import NodeDecided
from ctmupgrade.errors import ExitCode, JournalError, LockedError

AT = datetime(2026, 12, 5, 22, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def written(path: Path, count: int = 6) -> list[bytes]:
    book = JournalFile.create(path)
    for number in range(count):
        book.append({"kind": "step-noted", "text": f"ä {number}\u2028\n"}, AT + timedelta(seconds=number))
    book.close()
    return _rows(path)


def _rows(path: Path) -> list[bytes]:
    return [row + b"\n" for row in path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "prod" / "run-1" / "journal.jsonl"


def test_format_modes_and_reading_back(path: Path) -> None:
    rows = written(path, 3)
    first, second = json.loads(rows[0]), json.loads(rows[1])
    assert first["prev"] == FIRST_PREV and first["seq"] == 1
    assert second["prev"] == hashlib.sha256(rows[0][:-1]).hexdigest()
    assert datetime.fromisoformat(second["at"]).tzinfo is not None
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    book = JournalFile.open(path)
    assert [line.event["text"] for line in book.lines()] == [f"ä {n} \n" for n in range(3)]
    assert book.lines()[2].at == AT + timedelta(seconds=2)
    book.append({"kind": "x"}, AT)
    assert verify_chain(path) == [] and book.lines()[-1].seq == 4


def test_create_refuses_an_existing_journal(path: Path) -> None:
    written(path, 1)
    with pytest.raises(JournalError, match="already"):
        JournalFile.create(path)


def test_what_cannot_be_a_line_leaves_nothing(path: Path) -> None:
    book = JournalFile.create(path)
    with pytest.raises(ValueError, match="time zone"):
        book.append({}, datetime(2026, 1, 1))
    with pytest.raises(TypeError):
        book.append({"x": object()}, AT)
    with pytest.raises(ValueError):
        book.append({"x": float("nan")}, AT)
    assert path.read_bytes() == b""
    book.append({"ok": True}, AT)
    assert len(book.lines()) == 1


def test_torn_at_every_byte_of_the_last_line(path: Path) -> None:
    rows = written(path, 3)
    head, last = b"".join(rows[:2]), rows[2]
    for cut in range(len(last)):
        path.write_bytes(head + last[:cut])
        lines, torn = read_journal(path)
        assert len(lines) == 2 and (torn is None) == (cut == 0)
        assert path.read_bytes() == head + last[:cut], "reading must not change it"
        assert verify_chain(path) == ([f"line 3 is torn ({cut} bytes)"] if cut else [])
        book = JournalFile.open(path)
        book.append({"after": cut}, AT)
        book.close()
        assert verify_chain(path) == [] and len(read_journal(path)[0]) == 3
        kept = list(path.parent.glob("journal.torn-*"))
        assert [k.read_bytes() for k in kept] == ([last[:cut]] if cut else [])
        for file in kept:
            file.unlink()


def test_torn_pieces_are_numbered_and_zeros_count_as_torn(path: Path) -> None:
    written(path, 2)
    for tail in (b"half", b"\0" * 40 + b"\n"):
        with path.open("ab") as file:
            file.write(tail)
        JournalFile.open(path).close()
    assert (path.parent / "journal.torn-1").read_bytes() == b"half"
    assert (path.parent / "journal.torn-2").read_bytes() == b"\0" * 40 + b"\n"
    assert verify_chain(path) == []


def _changed(rows: list[bytes]) -> list[bytes]:
    return [*rows[:2], rows[2].replace(b'"text"', b'"TEXT"'), *rows[3:]]


def _not_json(rows: list[bytes]) -> list[bytes]:
    return [*rows[:2], b"{oops\n", *rows[3:]]


BREAKS: list[tuple[Callable[[list[bytes]], list[bytes]], str]] = [
    (_changed, "line 3 was changed"),
    (_not_json, "line 3 was changed"),
    (lambda r: [*r[:2], b"12\n", *r[3:]], "line 3 was changed"),
    (lambda r: [r[0].replace(FIRST_PREV.encode(), b"1" * 64), *r[1:]], "line 1 was changed"),
    (lambda r: [*r[:2], *r[3:]], "removed before line 3: seq 4 follows seq 2"),
    (lambda r: r[1:], "removed before line 1: seq 2 follows seq 0"),
    (lambda r: [*r[:1], *r[4:]], "removed before line 2: seq 5 follows seq 1"),
    (
        lambda r: [*r[:2], r[3], r[2], *r[4:]],
        "line 4 was reordered or repeated: its seq 3 comes after seq 4",
    ),
    (lambda r: [*r[:3], r[2], *r[3:]], "line 4 was reordered or repeated: its seq 3 comes after seq 3"),
    (lambda r: [*r[:-1], b'{"a":1}\n'], "line 6 was changed"),
]


@pytest.mark.parametrize(("damage", "what"), BREAKS)
def test_damage_is_named_and_nothing_is_appended(
    path: Path, damage: Callable[[list[bytes]], list[bytes]], what: str
) -> None:
    path_rows = damage(written(path))
    path.write_bytes(b"".join(path_rows))
    problems = verify_chain(path)
    assert what in problems[0]
    for opener in (JournalFile.open, read_journal):
        with pytest.raises(JournalError) as caught:
            opener(path)
        assert what in caught.value.brief and caught.value.remedy
    assert path.read_bytes() == b"".join(path_rows), "evidence must stay as it is"


def test_every_changed_line_but_the_last_is_named_alone(path: Path) -> None:
    rows = written(path, 5)
    for number in range(4):
        path.write_bytes(
            b"".join(
                r.replace(b"step-noted", b"step-done!") if i == number else r for i, r in enumerate(rows)
            )
        )
        assert [p.split(" was")[0] for p in verify_chain(path)] == [f"line {number + 1}"]


def test_missing_journal(path: Path) -> None:
    for reader in (read_journal, verify_chain, JournalFile.open):
        with pytest.raises(JournalError, match="cannot be read"):
            reader(path)


def test_somebody_else_wrote_or_replaced_it(path: Path) -> None:
    book = JournalFile.create(path)
    book.append({}, AT)
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(JournalError, match="somebody else"):
        book.append({}, AT)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(JournalError):
        book.append({}, AT)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_failed_sync_leaves_nothing_and_the_next_append_works(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    book = JournalFile.create(path)
    book.append({"n": 1}, AT)
    before = path.read_bytes()

    def fail(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(JournalError) as caught:
            book.append({"n": 2}, AT)
    assert os.strerror(code) in caught.value.brief and "ctmupgrade resume" in caught.value.remedy
    assert path.read_bytes() == before
    book.append({"n": 2}, AT)
    assert verify_chain(path) == [] and len(book.lines()) == 2


def test_failed_truncate_is_made_good_by_the_next_append(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = JournalFile.create(path)
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) < 30:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data[: len(data) - 20])

    def no(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "sick")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", no)
        with pytest.raises(JournalError):
            book.append({"n": 1}, AT)
    assert path.read_bytes() and read_journal(path)[0] == []
    book.append({"n": 2}, AT)
    assert [line.event for line in book.lines()] == [{"n": 2}]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    point = tmp_path / "tiny"
    point.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(point)], check=False
    ).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_full_disk_and_then_space_again(tiny: Path) -> None:
    ballast = tiny / "ballast"
    ballast.write_bytes(b"x" * 32768)
    path = tiny / "run" / "journal.jsonl"
    book = JournalFile.create(path)
    before = b""
    with pytest.raises(JournalError) as caught:
        for number in range(1000):
            before = path.read_bytes()
            book.append({"n": number, "text": "y" * 1500}, AT)
    assert "No space left" in caught.value.brief and "make space" in caught.value.remedy
    assert path.read_bytes() == before and len(before) > 4096
    with pytest.raises(JournalError):
        book.append({"text": "y" * 9000}, AT)
    assert path.read_bytes() == before
    ballast.unlink()
    book.append({"text": "goes on" + "y" * 9000}, AT)
    assert verify_chain(path) == []
    assert [line.seq for line in book.lines()] == list(range(1, len(book.lines()) + 1))


def test_a_reader_while_writing_sees_only_whole_lines(path: Path) -> None:
    book = JournalFile.create(path)
    done = threading.Event()

    def write() -> None:
        for number in range(300):
            book.append({"n": number, "text": "z" * (number % 50) * 100}, AT)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while not done.is_set():
        lines, _ = read_journal(path)
        assert [line.event["n"] for line in lines] == list(range(len(lines))) and len(lines) >= seen
        seen = len(lines)
    thread.join()
    assert len(read_journal(path)[0]) == 300


HOLDER = """
import sys, time
from pathlib import Path
from ctmupgrade.adapters.disk.lock import ClusterLock
lock = ClusterLock(Path(sys.argv[1])).acquire({"run": "run-7", "since": "2026-12-05T22:00:00+01:00"})
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path = tmp_path / "state" / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    yield path, child
    child.kill()
    child.wait()
    child.stdout.close()


def test_the_second_process_is_told_who_and_kill_9_frees(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, child = holder
    with pytest.raises(LockedError) as caught:
        ClusterLock(path).acquire({"run": "run-8"})
    assert caught.value.exit_code is ExitCode.LOCKED
    for part in (f"pid {child.pid}", "run-7", "2026-12-05T22:00:00+01:00", "@"):
        assert part in caught.value.brief
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert "run-7" in path.read_text(), "the dead one's text is still there, and must not count"
    with ClusterLock(path).acquire({"run": "run-8"}) as lock:
        assert lock.intact and json.loads(path.read_text())["run"] == "run-8"
        with pytest.raises(LockedError, match="run-8"):
            ClusterLock(path).acquire({"run": "run-9"})
    ClusterLock(path).acquire({"run": "run-9"}).release()


def test_a_dead_holders_text_is_not_shown(tmp_path: Path) -> None:
    """The new holder has the flock but has not written yet."""
    path = tmp_path / "lock"
    lock = ClusterLock(path).acquire({"run": "new"})
    new = path.read_text()
    dead = subprocess.Popen(["true"])
    dead.wait()
    path.write_text(json.dumps({**json.loads(new), "run": "old", "pid": str(dead.pid)}))
    timer = threading.Timer(0.15, path.write_text, [new])
    timer.start()
    with pytest.raises(LockedError, match="run new"):
        ClusterLock(path).acquire({})
    timer.join()
    lock.release()


def test_only_one_of_many_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = HOLDER.replace("time.sleep(60)", "time.sleep(3)")
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        for _ in range(5)
    ]  # fmt: skip
    outs = [child.communicate()[0] for child in children]
    assert outs.count("held\n") == 1


def test_the_file_is_deleted_between_open_and_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    path = tmp_path / "lock"
    real = fcntl.flock
    calls: list[int] = []

    def flock(fd: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(fd)
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = ClusterLock(path).acquire({"run": "a"})
    assert len(calls) == 2 and lock.intact
    with pytest.raises(LockedError):
        ClusterLock(path).acquire({"run": "b"})
    path.unlink()
    assert not lock.intact, "the holder can see that its lock protects nothing any more"
    lock.release()
    lock.release()


def _decided(node: str) -> dict[str, str]:
    return {"kind": "node-decided", "node": node, "decision": "skip", "reason": "looked", "by": "ops@host"}


def _stop(what: str) -> dict[str, str]:
    return {"kind": "stop-asked", "what": what, "by": "ops@host"}


def test_requests_come_in_order_and_only_read_ones_are_cleared(tmp_path: Path) -> None:
    nodes = ("ctm-1",)
    assert read_requests(tmp_path, nodes) == ([], [])
    ticks = iter([2_000_000_000, 1_000_000_000, 3_000_000_000])
    asked = {"pause": _stop("pause"), "node-skip": _decided("ctm-1"), "abort": _stop("abort")}
    for kind, payload in asked.items():
        write_request(tmp_path, kind, payload, clock=lambda: next(ticks))
    (tmp_path / "requests" / ".0-half.part").write_text("{")
    got, wrong = read_requests(tmp_path, nodes)
    assert [r.kind for r in got] == ["node-skip", "pause", "abort"]
    assert wrong == []
    assert got[0].event == NodeDecided("ctm-1", "skip", "looked", "ops@host", request=got[0].path.name)
    assert got[0].at.tzinfo is not None
    late = write_request(tmp_path, "pause", _stop("pause"))
    assert late.stat().st_mode & 0o777 == 0o600
    clear_requests(got)
    clear_requests(got)
    assert [r.path for r in read_requests(tmp_path, nodes)[0]] == [late]
    with pytest.raises(ValueError):
        write_request(tmp_path, "../pause", {})


def test_appending_writes_each_line_once_and_reads_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the journal has become: one write and one fsync a line, and no file is opened for it."""
    book, written_, synced, opened = JournalFile.create(path), list[int](), list[int](), list[object]()
    write, sync, opens = os.write, os.fsync, [True]

    def counted_write(fd: int, data: bytes) -> int:
        written_.append(write(fd, data))
        return written_[-1]

    def counted_sync(fd: int) -> None:
        synced.append(fd)
        sync(fd)

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and opens:
            opened.append(args[0])

    monkeypatch.setattr(os, "write", counted_write)
    monkeypatch.setattr(os, "fsync", counted_sync)
    sys.addaudithook(watch)  # which stays for good, and falls silent below
    try:
        for number in range(200):
            book.append({"n": number}, AT)
    finally:
        opens.clear()
    assert (len(written_), sum(written_)) == (200, path.stat().st_size)
    assert (len(synced), opened) == (200, [])
    assert len(book.lines()) == 200
