"""A real browser: Debian's Chromium, driven by Playwright. `scripts/test --browser` installs both and says where."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.failed_run import FailedRun, failed_run

PLACE = os.environ.get("CTMUPGRADE_BROWSER", "")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@dataclass
class Seen:
    """A page as somebody has it open, and what it did meanwhile."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def axe(self) -> list[str]:
        """What axe-core finds wrong, of WCAG 2.2 A and AA and its best practices."""
        source = next(Path(PLACE).glob("axe_playwright_python/axe.min.js")).read_text(encoding="utf-8")
        self.page.evaluate(source)
        wanted = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run({runOnly: tags})", wanted)
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


@dataclass
class Browser:
    """Opens pages, each in a profile of its own."""

    chromium: Any
    contexts: list[Any] = field(default_factory=list)

    def open(self, address: str, *, width: int = 1280, scheme: str = "light") -> Seen:
        """A page at a width, in the light or the dark theme."""
        context = self.chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.contexts.append(context)
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.console.append(message.text))
        seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(address)
        return seen


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not PLACE or not CHROMIUM:
        pytest.skip("scripts/test --browser installs the browser")
    sys.path.append(PLACE)
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as started:
        # As root there is no sandbox; what is opened is what these tests made.
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    made = Browser(chromium)
    yield made
    for context in made.contexts:
        context.close()


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    """A run that stands still after a failure."""
    return failed_run(tmp_path_factory.mktemp("failed"))


@pytest.fixture(scope="session")
def retried(failed: FailedRun, tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    """A run whose failed node was tried again, with success."""
    run = FailedRun(Path(shutil.copytree(failed.state, tmp_path_factory.mktemp("retried") / "state")))
    assert run.decided("retry") == 0
    return run


@pytest.fixture(scope="session")
def of_twenty(tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    """A run of twenty nodes in which nothing failed."""
    from tests.support import golden

    state = tmp_path_factory.mktemp("twenty")
    scenario = golden.SCENARIOS / "healthy-twenty"
    assert golden.call("run", "--yes", "--state-dir", str(state), "--simulate", str(scenario))[0] == 0
    return FailedRun(state)
