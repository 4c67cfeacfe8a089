"""The live page and the live file (issue 19, item 4): a real server, a real journal. A browser sees both in tests/browser."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.adapters.web import loopback
from ctmupgrade.adapters.web.loopback import LoopbackServer
from ctmupgrade.cli.serve import _site
from ctmupgrade.commands.live import Follower, keep_fresh
from ctmupgrade.core.run.report import Report
from ctmupgrade.errors import UsageError
from tests.support.failed_run import FailedRun, failed_run
from tests.support.page_parser import parsed


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    return failed_run(tmp_path_factory.mktemp("failed"))


@pytest.fixture
def run(failed: FailedRun, tmp_path: Path) -> FailedRun:
    return FailedRun(Path(shutil.copytree(failed.state, tmp_path / "state")))


@pytest.fixture
def server(run: FailedRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.setattr(loopback, "_LOOK_EVERY", 0.01)
    with served(Follower(RunFolder(run.journal.parent))) as made:
        yield made


@contextmanager
def served(follower: Follower) -> Iterator[LoopbackServer]:
    with LoopbackServer(_site(follower)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(
    server: LoopbackServer, path: str | None = None, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    """An answer: its status, its headers, its body."""
    url = urlsplit(server.url)
    connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=10)
    connection.putrequest(method, url.path if path is None else path, skip_host=True)
    for name, value in {"Host": url.netloc, **headers}.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


@contextmanager
def news(server: LoopbackServer) -> Iterator[Callable[..., dict[str, Any]]]:
    """What comes by server-sent events, one after another."""
    url = urlsplit(server.url)
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=10) as connection:
        connection.sendall(f"GET {url.path}events HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode())
        with connection.makefile("r", encoding="utf-8", newline="\n") as lines:

            def following(wanted: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
                for line in lines:
                    if line.startswith("data: {"):
                        found: dict[str, Any] = json.loads(line[6:])
                        if wanted(found):
                            return found
                raise AssertionError("the stream ended")

            yield following


# -- what is served, and to whom ---------------------------------------------------------------------------


def test_the_page_is_the_report(server: LoopbackServer, run: FailedRun) -> None:
    status, headers, body = asked(server)
    assert status == 200
    page = parsed(body)
    assert run.report()["headline"] in page.text
    nonce = page.all("style")[0].attributes["nonce"]
    assert page.all("script")[0].attributes["nonce"] == nonce
    policy = headers["Content-Security-Policy"]
    assert f"script-src 'nonce-{nonce}'" in policy
    for part in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert not re.search(r"https?://", body)
    assert asked(server)[2] != body, "the nonce is new each time"


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"]
)
def test_nothing_but_get(server: LoopbackServer, method: str) -> None:
    status, headers, _ = asked(server, method=method)
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "0.0.0.0",
        "[::2]",
        "localhost:x",
    ],
)
def test_a_name_of_another_does_not_lead_here(server: LoopbackServer, host: str) -> None:
    """DNS rebinding: a name that its owner points to loopback."""
    status, _, body = asked(server, Host=host)
    assert status == 403
    assert server.token not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LOCALHOST", "[::1]:8000", "127.0.0.1"])
def test_loopbacks_own_names_do(server: LoopbackServer, host: str) -> None:
    assert asked(server, Host=host)[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/events", "/x/", "/../etc/passwd", "//", "/%00", "/?{token}", "/{token}x/", "*"]
)
def test_nobody_guesses_the_path(server: LoopbackServer, path: str) -> None:
    status, _, body = asked(server, path.format(token=server.token))
    assert status == 404
    assert server.token not in body
    assert "upgrade" not in body.replace("ctmupgrade", "")


def test_its_path_is_another_each_time(run: FailedRun) -> None:
    follower = Follower(RunFolder(run.journal.parent))
    with served(follower) as one, served(follower) as two:
        assert one.token != two.token
        assert len(one.token) >= 32
        assert one.server_address[0] == "127.0.0.1"
        with pytest.raises(UsageError, match="cannot be used"):
            LoopbackServer(_site(follower), one.server_port)


def test_a_crowd_is_turned_away(server: LoopbackServer) -> None:
    """Connections that say nothing do not take all threads; what is there before goes on."""
    url = urlsplit(server.url)
    # Less than the server's own patience, after which it ends any silent connection.
    patience = loopback._SILENT / 2
    crowd = [socket.create_connection(("127.0.0.1", url.port or 0), timeout=patience) for _ in range(40)]
    turned_away = sum(one.recv(1) == b"" for one in crowd[33:])
    assert turned_away == len(crowd[33:])
    for one in crowd:
        one.close()


# -- it follows the journal --------------------------------------------------------------------------------


def test_news_come_when_the_journal_grows(server: LoopbackServer, run: FailedRun) -> None:
    with news(server) as following:
        assert "decision" not in following()["html"].split("Incidents")[1]
        assert run.typed("node", "retry", run.run, "ctm-2", "--reason", "zz9 <b>")[0] == 0
        found = following(lambda one: "retry: zz9 &lt;b&gt;" in one["html"])
        assert (found["title"], found["problem"]) == ("Upgrade of upgrade-fails-on-node-2 to 2.21.0", "")


def test_a_journal_may_break_and_come_back(server: LoopbackServer, run: FailedRun) -> None:
    journal, whole = run.journal, run.journal.read_bytes()
    with news(server) as following:
        assert following()["problem"] == ""
        for wrong in (b"", b"{}\n", whole.replace(b"ctm-2", b"ctm-9", 1), b"\xff\xfe\n{" + whole):
            part = journal.with_name("part")
            part.write_bytes(wrong)
            part.replace(journal)  # another file in its place
            found = following(lambda one: bool(one["problem"]))
            assert "1 of 3 nodes" in found["html"], "what was known stays"
            part.write_bytes(whole)
            part.replace(journal)
            following(lambda one: not one["problem"])
        journal.unlink()
        assert "cannot be read" in following(lambda one: bool(one["problem"]))["problem"]
        assert asked(server)[0] == 200


def test_a_page_before_any_report(run: FailedRun) -> None:
    run.journal.write_bytes(b"{}\n")
    with served(Follower(RunFolder(run.journal.parent))) as server:
        page = parsed(asked(server)[2])
    assert "No report yet" in page.text
    assert "The journal cannot be used now" in page.text


def test_the_command_prints_its_address_first_and_ends_by_ctrl_c(run: FailedRun) -> None:
    argv = [sys.executable, "-m", "ctmupgrade", "serve", run.run, "--state-dir", str(run.state)]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        url = urlsplit(address)
        assert (url.scheme, url.hostname) == ("http", "127.0.0.1")
        connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=20)
        connection.request("GET", url.path)
        assert run.run in connection.getresponse().read().decode()
        connection.close()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "Traceback" not in err


def test_serve_of_no_run_and_of_no_port(tmp_path: Path, run: FailedRun) -> None:
    assert FailedRun(tmp_path).typed("serve")[0] == 2
    assert run.typed("serve", "nonsense")[0] == 2
    assert run.typed("serve", "--port", "70000")[0] == 2


# -- the file ----------------------------------------------------------------------------------------------


def test_the_live_file_ends_as_a_report(run: FailedRun) -> None:
    """Nobody runs it: what is written is the last page, which is not read again."""
    file = run.state / "live.html"
    assert run.typed("report", "--live", str(file))[0] == 0
    text = file.read_text()
    assert "<script" not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert parsed(text).text == parsed(run.written("report.html")).text
    assert run.typed("report", "--live", str(run.state / "live.md"))[0] == 2
    assert run.typed("report", "--live", str(run.state / "no" / "live.html"))[0] == 2


def test_it_is_written_again_when_the_journal_has_grown(run: FailedRun) -> None:
    """The journal, line by line; each page is whole, and the last one says that it is the last."""
    journal, lines = run.journal, run.journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]))
    follower, written, grown = Follower(RunFolder(journal.parent)), [], 5

    def write(report: Report, last: bool) -> None:
        written.append((report.journal.lines if report.journal else 0, last))

    def sleep(_seconds: float) -> None:
        nonlocal grown
        grown = min(len(lines), grown + 7)
        journal.write_bytes(b"".join(lines[:grown]))

    with (journal.parent / "lock").open("w") as lock:  # as the process that runs it
        fcntl.flock(lock, fcntl.LOCK_EX)
        keep_fresh(follower, write, sleep)
    counts = [count for count, last in written if not last]
    assert counts == sorted(set(counts))
    assert written[-1] == (len(lines), True)
    assert len(written) > 5


def test_a_live_file_reads_itself_again(run: FailedRun) -> None:
    from ctmupgrade.render.live import live_file

    report = Follower(RunFolder(run.journal.parent)).look().report
    assert report is not None
    text = live_file(report)
    page = parsed(text)
    policy = next(one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", policy)
    assert "location.reload" in page.all("script")[0].text
    assert "refresh" not in {one.attributes.get("http-equiv") for one in page.all("meta")}
    assert [one.text for one in page.all("button")] == ["Pause updates"]
