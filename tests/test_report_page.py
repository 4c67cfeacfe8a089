"""The report as a page, and that Markdown and JSON say the same (issue 19, item 3). A browser sees it in tests/browser."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.run.report_lines import (
    ClientPortLine,
    ClientsLine,
    ComparedLine,
    FindingLine,
    NoNodeLine,
    OutageLine,
)
from ctmupgrade.render.html import report_html
from ctmupgrade.render.web_page import css_string
from tests.support import golden
from tests.support.failed_run import REASON, FailedRun, failed_run
from tests.support.page_parser import Parsed, parsed
from tests.support.world_run import Drive, make_world

CAUSE = "cannot migrate the database"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    return failed_run(tmp_path_factory.mktemp("failed"))


@pytest.fixture(scope="module")
def retried(failed: FailedRun, tmp_path_factory: pytest.TempPathFactory) -> FailedRun:
    state = tmp_path_factory.mktemp("retried") / "state"
    run = FailedRun(Path(shutil.copytree(failed.state, state)))
    assert run.decided("retry") == 0
    return run


@pytest.fixture(scope="module")
def page(retried: FailedRun) -> Parsed:
    return parsed(retried.written("report.html"))


# -- what it says ------------------------------------------------------------------------------------------


def test_a_failure_that_was_retried_is_all_there(retried: FailedRun, page: Parsed) -> None:
    """The failure, its time, its cause once, the decision and the resume; both attempts in the timeline."""
    report = retried.report()
    assert report["outcome"] == "done"
    kinds = [one["kind"] for one in report["incidents"]]
    assert kinds == ["failure", "pause", "decision", "resume"]
    assert sum(CAUSE in one["text"] for one in report["incidents"]) == 1
    upgrade = next(step for step in report["steps"] if step["id"] == "upgrade:ctm-2")
    assert [one["how"] for one in upgrade["attempts"]] == ["failed", "done"]
    assert upgrade["attempts"][0]["began"] < upgrade["attempts"][1]["began"]
    for text in (page.text, retried.written("report.md")):
        assert text.count(CAUSE) == 1
        assert REASON in text
        assert report["headline"] in text
    assert "failed, or not known how it ended" in page.text
    assert [CAUSE in one.text for one in page.all("article")] == [True, False, False, False]
    assert len({one.text for one in page.all("time")}) > 10


def test_the_outcome_is_one_sentence(failed: FailedRun, retried: FailedRun) -> None:
    assert re.fullmatch(
        r"Simulated, on no real node: 3 of 3 nodes of upgrade-fails-on-node-2 were upgraded from 2\.20\.0 to 2\.21\.0 in "
        r"\d h \d\d min; no node was out of service for longer than \d+ min \(ctm-2\); "
        r"no client port was away for longer than \d+ min at a time \(ctm-1 443\); "
        r"4 incidents \(1 failure, 1 pause, 1 decision, 1 resume\); no check waived\.",
        retried.report()["headline"],
    )
    said = failed.report()["headline"]
    assert "1 of 3 nodes" in said
    assert "the run is stopped, because this failed: run ks_upgrade.sh on ctm-2" in said
    assert "ctm-2 has been out of service for 10 min, and is not proven to be back" in said


def test_a_skipped_node_is_not_done(failed: FailedRun, tmp_path: Path) -> None:
    run = FailedRun(Path(shutil.copytree(failed.state, tmp_path / "state")))
    assert run.decided("skip") == 9
    report = run.report()
    assert report["headline"].startswith("Simulated, on no real node: 2 of 3 nodes")
    assert "not every node of the plan is at its target" in report["headline"]
    assert CAUSE in run.written("report.html")


@pytest.mark.parametrize(
    ("command", "title", "headline"),
    [
        (("backup",), "Backup of healthy-three", "backups of 3 of 3 nodes of healthy-three were made"),
        (("stage",), "Staging for healthy-three", "was uploaded to 3 of 3 nodes of healthy-three"),
        (("run", "--dry-run"), "Dry run for healthy-three", "nothing was changed"),
    ],
)
def test_the_title_says_what_it_was(
    tmp_path: Path, command: tuple[str, ...], title: str, headline: str
) -> None:
    state = ("--state-dir", str(tmp_path))
    assert (
        golden.call(*command, "--yes", *state, "--simulate", str(golden.SCENARIOS / "healthy-three"))[0] == 0
    )
    golden.call("report", "latest", *state, "-o", str(tmp_path / "r.html"))
    page = parsed((tmp_path / "r.html").read_text())
    assert [one.text for one in page.all("title", "h1")][:2] == [title, title]
    assert headline in page.text


def test_markdown_and_json_say_the_same(retried: FailedRun, page: Parsed) -> None:
    report, text = retried.report(), retried.written("report.md")
    told = [*report["changes"], *(one["summary"] for one in report["checks"]["told"])]
    assert told
    for line in (*told, *(step["words"] for step in report["steps"])):
        assert line.replace("`", "") in page.text.replace("`", "")
        assert line.split("`")[0] in text
    away = {one["node"]: one["seconds"] for one in report["away"]}
    assert set(away) == {"ctm-1", "ctm-2", "ctm-3"}
    assert report["longest_away"] == {"node": "ctm-2", "seconds": max(away.values())}
    assert report["journal"]["head"] in page.text
    assert f"--verify --head {report['journal']['head']}" in page.text


def test_hashes_are_folded_away(page: Parsed) -> None:
    folded = "".join(one.text for one in page.all("details"))
    hashes = set(re.findall(r"\b[0-9a-f]{64}\b", folded))
    assert hashes
    rest = page.text
    for one in page.all("details"):
        rest = rest.replace(re.sub(r"\s+", " ", one.text), "")
    assert not any(one in rest for one in hashes)


# -- how it is made ----------------------------------------------------------------------------------------


def test_it_is_a_page_that_stands_alone(retried: FailedRun) -> None:
    text = retried.written("report.html")
    page = parsed(text)
    assert not re.search(
        r"https?://|url\((?!#hatch)|@import|<script|<img|<iframe|<object| style=| on[a-z]+=", text
    )
    assert {one.attributes["href"] for one in page.all("a")} >= {"#content", "#timeline", "#incidents"}
    assert [one.attributes["href"] for one in page.all("link")] == ["data:,"]
    policy = next(one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    style = page.all("style")[0].text
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    for rule in (
        "prefers-color-scheme:dark",
        "@media print",
        "table-header-group",
        "@page",
        "max-width:640px",
    ):
        assert rule in style


def test_a_screen_reader_finds_its_way(page: Parsed) -> None:
    html = page.all("html")[0]
    assert html.attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "main", "header", "nav", "footer")] == [1, 1, 1, 1, 1]
    levels = [int(one.tag[1]) for one in page.all("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert {one.attributes["href"][1:] for one in page.all("a")} <= set(ids)
    assert all(one.attributes["aria-labelledby"] in ids for one in page.all("section"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in one.attributes for one in page.all("th"))
    pictures = [one for one in page.all("svg") if "aria-hidden" not in one.attributes]
    assert pictures
    assert all(one.attributes["role"] == "img" and one.attributes["aria-label"] for one in pictures)
    assert any("upgrade failed 21:31:37 to 21:41:52" in one.attributes["aria-label"] for one in pictures)


def test_a_run_at_any_moment_has_a_page(tmp_path: Path) -> None:
    """After each event of a run the page can be made, and says how far it is."""
    drive = Drive(make_world(2), tmp_path)
    assert drive.start() == 0
    import json

    from ctmupgrade.codec import event_from_json
    from ctmupgrade.core.run.journal import replay

    events = [(event_from_json(json.loads(text)), at) for text, at in drive.journal.lines]
    for length in range(1, len(events) + 1, 3):
        report = make_report(replay(events[:length]))
        page = parsed(report_html(report))
        assert report.account is not None
        assert report.account.headline in page.text
        for bar in page.all("rect"):
            x, width = (bar.attributes.get(name, "") for name in ("x", "width"))
            if x.endswith("%"):
                assert 0 <= float(x[:-1]) <= 100
                assert 0 < float(width[:-1]) <= 100


@pytest.mark.parametrize("text", ['a"b', "</style><script>", "a\\b", "é" * 200, "x\n@page{}", "'; }"])
def test_a_title_is_only_a_string_in_the_style_sheet(text: str) -> None:
    made = css_string(text)
    assert re.fullmatch(r'"([A-Za-z0-9 \-_.,:]|\\[0-9a-f]+ )*"', made)


def test_what_clients_saw_and_what_is_worse(retried: FailedRun) -> None:
    """The page of what the run's looks found: each port, each moment without a node, what is worse."""
    folder = RunFolder(retried.journal.parent)
    outage = OutageLine("2026-01-10T21:03:00+00:00", "2026-01-10T21:05:00+00:00", 120)
    clients = ClientsLine(
        2,
        (
            ClientPortLine("ctm-1", "web", "10.0.0.1", 443, True, "", 120, 120, True, (outage,)),
            ClientPortLine("ctm-2", "kmip", "10.0.0.2", 5696, False, "it did not answer before the run"),
        ),
        (NoNodeLine("web", "2026-01-10T21:03:00+00:00", "2026-01-10T21:03:04+00:00", 4),),
    )
    worse = FindingLine("alarms", "warn", "ctm-1", "one alarm more", "ksctl alarms list", "end", "")
    compared = (
        ComparedLine("ctm-1", "alarms", "none", "one", "worse", "one more", "end", ""),
        ComparedLine("", "counts", "7 keys", "7 keys", "same", "", "end", ""),
    )
    made = make_report(*folder.state_and_head())
    page = parsed(report_html(replace(made, findings=(worse,), before_after=compared, clients=clients)))
    for words in (
        "Worse: alarms of ctm-1", "one alarm more", "ksctl alarms list", "worse: one more", "the cluster counts 7 keys",
        "443 (web) 2 min 2 min 1 answered", "No node answered clients of web for 4 s: 2026-01-10 21:03:00 to 21:03:04",
        "ctm-2 5696 (kmip): it did not answer before the run", "as before: 1 of 2 comparisons",
    ):  # fmt: skip
        assert words in page.text, words


def test_notes_are_in_the_past_tense_once_all_is_done(failed: FailedRun, retried: FailedRun) -> None:
    """What a plan says of the future is said of the past in the report of a run that is over, and only there."""
    assert (
        "during the upgrade of the first node the database was locked for up to 30 s: all nodes may have answered with errors"
        in retried.report()["notes"]
    )
    assert any(note.startswith("each node is out of service") for note in failed.report()["notes"])
    assert not any(" is out of service" in note for note in retried.report()["notes"])
