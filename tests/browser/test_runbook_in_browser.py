"""The runbook's page as a person sees it: accessible, nothing asked of the network, no word broken, none cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Browser
from tests.browser.test_report_in_browser import BROKEN, CUT
from tests.support import golden


@pytest.fixture(scope="module", params=["healthy-three", "rebuild-three"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("runbook")
    file, scenario = folder / "runbook.html", golden.SCENARIOS / str(request.param)
    words = ("--simulate", str(scenario), "--state-dir", str(folder))
    assert golden.call("runbook", "-o", str(file), *words)[0] == 0
    return file.as_uri()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_everybody_can_use_the_runbook(browser: Browser, address: str, width: int, scheme: str) -> None:
    seen = browser.open(address, width=width, scheme=scheme)
    assert seen.axe() == []
    assert seen.console == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert seen.page.evaluate(CUT) == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1280:
        assert seen.page.evaluate(BROKEN) == []
