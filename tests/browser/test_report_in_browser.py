"""The report as a person sees it (issue 19): content, no outside requests, accessibility, keyboard, phone, print."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Browser
from tests.support.failed_run import FailedRun

KINDS = ("failed", "retried", "of_twenty")

# Words that are broken inside themselves: parts of one word, between blanks and the usual places to break, in two lines.
BROKEN = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.checkVisibility() || node.parentElement.closest('pre, code, script, style')) continue;
    for (const word of node.data.matchAll(/[^\\s\\-\\/?]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(one => Math.round(one.top)));
      if (lines.size > 1) found.push(word[0]);
    }
  }
  return found;
}"""
# What is beyond the right edge, or cut by what it is in.
CUT = """() => [...document.querySelectorAll('body *')].filter(one => {
  if (!one.checkVisibility() || one.closest('.skip, .unseen, script, style, defs, thead')) return false;
  const box = one.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth + 1 || box.left < -1 ||
    (one.tagName !== 'svg' && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible');
}).map(one => one.outerHTML.slice(0, 120))"""


def address(run: FailedRun) -> str:
    file = run.state / f"{run.state.parent.name}.html"  # a copied state folder has the other run's
    if not file.exists():
        run.written(file.name)
    return file.as_uri()


def run_of(kind: str, request: pytest.FixtureRequest) -> FailedRun:
    found: FailedRun = request.getfixturevalue(kind)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, kind: str, request: pytest.FixtureRequest
) -> None:
    run = run_of(kind, request)
    seen = browser.open(address(run))
    assert seen.console == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert (
        seen.page.title() == run.report()["title" if "title" in run.report() else "run"]
        or "Upgrade of" in seen.page.title()
    )
    assert run.report()["headline"] in seen.page.inner_text("body")
    assert seen.page.locator("svg[role=img]").count() > 3


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["failed", "retried"])
def test_everybody_can_use_it(
    browser: Browser, kind: str, scheme: str, width: int, request: pytest.FixtureRequest
) -> None:
    seen = browser.open(address(run_of(kind, request)), width=width, scheme=scheme)
    assert seen.axe() == []
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert seen.axe() == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_is_broken_and_none_is_cut(
    browser: Browser, kind: str, request: pytest.FixtureRequest
) -> None:
    run = run_of(kind, request)
    wide = browser.open(address(run)).page
    wide.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert wide.evaluate(BROKEN) == []
    assert wide.evaluate(CUT) == []
    phone = browser.open(address(run), width=390).page
    phone.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.evaluate(CUT) == []


def test_the_keyboard_is_enough(browser: Browser, retried: FailedRun) -> None:
    page = browser.open(address(retried)).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0, "it is seen once it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    summary = "document.activeElement.parentElement.open"
    assert page.evaluate(summary) is False
    page.keyboard.press("Enter")
    assert page.evaluate(summary) is True
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_it_is_read_without_colour(browser: Browser, retried: FailedRun) -> None:
    """What was planned, real, out of service and failed differs in its form too."""
    page = browser.open(address(retried)).page

    def style(kind: str, name: str) -> Any:
        return page.evaluate(f"getComputedStyle(document.querySelector('.times .{kind}'))['{name}']")

    assert style("plan", "strokeDasharray") != "none"
    assert "hatch" in style("failed", "fill")
    assert style("calm", "fill") != style("away", "fill")
    words = page.locator(".legend").inner_text()
    for word in (
        "planned",
        "served its clients",
        "out of service",
        "failed",
        "F failure",
        "D decision",
        "L database",
    ):
        assert word in words


def test_printed_pages_have_heads(browser: Browser, of_twenty: FailedRun, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("poppler-utils reads the PDF")
    page = browser.open(address(of_twenty)).page
    page.pdf(path=tmp_path / "r.pdf", prefer_css_page_size=True)
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    pages = text.rstrip("\f\n").split("\f")
    assert len(pages) > 3
    for number, one in enumerate(pages, 1):
        assert "Upgrade of healthy-twenty to 2.21.0" in one.strip().splitlines()[0]
        assert of_twenty.run in one.strip().splitlines()[0]
        assert f"Page {number} of {len(pages)}" in one
    steps = [one for one in pages if "settle:ctm-" in one and "come back" not in one and "Planned" in one]
    assert len(steps) > 1, "a table's heads are repeated on each page"
    assert of_twenty.report()["steps"][0]["evidence"]["sha256"] in "".join(text.split()), (
        "what is folded away is printed"
    )
