"""The live page and the live file in a browser: they change when the journal grows, and the reader keeps their place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands.live import Follower
from ctmupgrade.render.live import live_file
from tests.browser.conftest import Browser
from tests.support.failed_run import FailedRun

WAIT = 30_000  # milliseconds


@pytest.fixture
def run(failed: FailedRun, tmp_path: Path) -> FailedRun:
    return FailedRun(Path(shutil.copytree(failed.state, tmp_path / "state")))


@pytest.fixture
def address(run: FailedRun) -> Iterator[str]:
    """Of the page that the installed program serves."""
    argv = [sys.executable, "-u", "-m", "ctmupgrade", "serve", run.run, "--state-dir", str(run.state)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_changes_when_the_journal_grows(
    browser: Browser, run: FailedRun, address: str, width: int, scheme: str
) -> None:
    seen = browser.open(address, width=width, scheme=scheme)
    page = seen.page
    page.get_by_text("Last looked at").wait_for(timeout=WAIT)
    assert page.get_by_text("the vendor gave a hotfix").count() == 0
    page.locator("#all-steps > summary").click()
    page.locator("#hold").focus()
    run.typed("node", "retry", run.run, "ctm-2", "--reason", "the vendor gave a hotfix")
    page.get_by_text("the vendor gave a hotfix").first.wait_for(timeout=WAIT)
    assert page.evaluate("document.getElementById('all-steps').open") is True, "what was open stays open"
    assert page.evaluate("document.activeElement.id") == "hold"
    assert seen.axe() == []
    assert seen.console == []
    assert all(url.startswith((address, "data:")) for url in seen.requests)


def test_updates_can_be_paused(browser: Browser, run: FailedRun, address: str) -> None:
    page = browser.open(address).page
    page.get_by_text("Last looked at").wait_for(timeout=WAIT)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#hold").inner_text() == "Go on with updates"
    run.typed("node", "retry", run.run, "ctm-2", "--reason", "the vendor gave a hotfix")
    page.wait_for_timeout(3000)
    assert page.get_by_text("the vendor gave a hotfix").count() == 0
    page.keyboard.press("Enter")
    page.get_by_text("the vendor gave a hotfix").first.wait_for(timeout=WAIT)


def test_a_broken_journal_is_said_and_the_page_stays(browser: Browser, run: FailedRun, address: str) -> None:
    seen = browser.open(address)
    seen.page.get_by_text("Last looked at").wait_for(timeout=WAIT)
    run.journal.write_bytes(b"{}\n")
    seen.page.get_by_text(re.compile("The journal cannot be used now")).wait_for(timeout=WAIT)
    assert "1 of 3 nodes" in seen.page.inner_text(
        "main, header >> nth=0"
    ) or "1 of 3" in seen.page.inner_text("body")
    assert seen.console == []
    assert seen.axe() == []


def test_a_live_file_is_read_again(browser: Browser, run: FailedRun) -> None:
    follower = Follower(RunFolder(run.journal.parent))

    def write() -> None:
        report = follower.look().report
        assert report is not None
        part = run.state / "part"
        part.write_text(live_file(report), encoding="utf-8")
        part.replace(run.state / "live.html")

    write()
    seen = browser.open((run.state / "live.html").as_uri(), width=390)
    assert seen.axe() == []
    seen.page.locator("#all-steps > summary").click()
    run.typed("node", "retry", run.run, "ctm-2", "--reason", "the vendor gave a hotfix")
    write()
    seen.page.get_by_text("the vendor gave a hotfix").first.wait_for(timeout=WAIT)
    assert seen.page.evaluate("document.getElementById('all-steps').open") is True
    assert seen.console == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
