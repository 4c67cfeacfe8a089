"""The runbook as a page: what it has, in Markdown and in HTML; hostile texts in it; what clients notice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from ctmupgrade.commands import check
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.looks.node_state import Interface, Interfaces
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.clients import WHOLE, clients_notice
from ctmupgrade.render.page import Bullets, Heading, Lines, Mono, Page, Said, Strong, Table, Ticks
from ctmupgrade.render.page_html import page_html
from ctmupgrade.render.page_markdown import page_markdown
from tests.hostile import corpus
from tests.support.golden import SCENARIOS, call
from tests.support.world_run import Drive, make_world

PARTS = (
    "What clients notice", "Roles and contacts", "Prerequisites", "Go or no-go", "Point of no return", "Timeline", "Logins",
    "Steps", "The way back", "Verification", "Sign-off",
)  # fmt: skip
WINDOW = "window: {start: 2026-03-29T00:30:00+01:00, finish_by: 2026-03-29T06:00:00+02:00}"
CONTACTS = 'contacts: [{name: Storage on call, phone: "+00 000"}]'


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.comments = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.found if tag == name]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Any]:
    """Writes a runbook of a scenario, with more in its cluster.yaml: exit code and text."""

    def write(name: str, *words: str, more: str = "", scenario: str = "healthy-three") -> tuple[int, str]:
        folder = tmp_path / scenario
        folder.mkdir(exist_ok=True)
        (folder / "world.yaml").write_bytes((SCENARIOS / scenario / "world.yaml").read_bytes())
        text = (SCENARIOS / scenario / "cluster.yaml").read_text(encoding="utf-8")
        (folder / "cluster.yaml").write_text(f"{text}{more}\n")
        file = tmp_path / name
        code, _ = call("runbook", "-o", str(file), "--simulate", str(folder), *words)
        return code, file.read_text(encoding="utf-8") if file.exists() else ""

    return write


def test_the_suffix_decides_and_an_unknown_one_is_refused(written: Callable[..., Any]) -> None:
    more = f"{WINDOW}\n{CONTACTS}"
    html = written("a.html", "--change", "CHG-4711", "--author", "A. Person", more=more)[1]
    text = written("a.md", "--change", "CHG-4711", "--author", "A. Person", more=more)[1]
    for part in PARTS:
        assert f"\n## {part}\n" in text and f">{part}</h2>" in html
    for word in ("CHG-4711", "A. Person", "Storage on call", "from 2.20.0+15016 to 2.21.0", "610-000611-034"):
        assert word in text and word in html
    assert re.search(r"\| SHA-256 \| `[0-9a-f]{64}` \|", text)
    assert written("a.pdf") == (2, "")


def test_the_page_asks_nothing_of_anybody_and_can_be_ticked(written: Callable[..., Any]) -> None:
    text = written("a.html")[1]
    page = Tags(text)
    policy = next(str(one["content"]) for one in page.of("meta") if "http-equiv" in one)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not {"script", "img", "iframe", "form"} & {tag for tag, _ in page.found}
    assert [one["href"] for one in page.of("link")] == ["data:,"]
    assert not re.search(r"url\(|@import", text)
    ids = {str(attrs["id"]) for _, attrs in page.found if "id" in attrs}
    assert all(str(a["href"]).removeprefix("#") in ids for a in page.of("a"))
    boxes = [attrs["id"] for attrs in page.of("input")]
    assert len(boxes) > 20 and sorted(map(str, boxes)) == sorted(str(a["for"]) for a in page.of("label"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
    assert (
        page.of("html")[0]["lang"] == "en" and "prefers-color-scheme:dark" in text and "@media print" in text
    )
    assert "@top-right{content:" in text and "counter(page)" in text


def test_the_same_finding_stands_once(written: Callable[..., Any]) -> None:
    """Also where it names its node, and where its remedy has the node's own URL."""
    text = written("a.md", scenario="healthy-twenty")[1]
    found = text.partition("## Go or no-go")[2].partition("## Point of no return")[0]
    assert found.count("upgrade_path_known") == 1 and "all 20 nodes" in found
    assert found.count("- [ ]") < 12


def test_the_timeline_has_the_windows_clock(written: Callable[..., Any]) -> None:
    """Over the night in which the clocks change: all times have the offset of the window's end."""
    text = written("a.md", more=WINDOW)[1]
    rows = text.partition("## Timeline")[2].partition("## Logins")[0]
    assert "| 2 | before the window | before the window | back up ctm-1 | nothing |" in rows
    first = re.search(r"\| 12 \| (2026-03-29 01:\d\d\+02:00) \| 2026-03-29 0\d:\d\d\+02:00 \| run ks", rows)
    assert first, "the window begins at 00:30+01:00, which is 01:30+02:00"
    assert f"Step 12, upgrade:ctm-1, at {first[1]}." in text


def test_two_of_three_that_fit_are_told_where_one_decides(written: Callable[..., Any]) -> None:
    short = "window: {start: 2026-01-10T22:00:00+01:00, finish_by: 2026-01-10T23:25:00+01:00}"
    text = written("a.md", more=short)[1]
    window = text.partition("## Maintenance window")[2].partition("## Prerequisites")[0]
    assert "2 of 3 nodes fit" in window and "two versions" in window
    go = text.partition("## Go or no-go")[2].partition("## Point of no return")[0]
    assert "2 of 3 nodes fit" in go and "accepts that it is left with two versions" in go


@pytest.mark.parametrize(
    ("scenario", "turning", "words"),
    [
        ("healthy-three", "upgrade:ctm-1", ("It cannot be undone", "ctmupgrade restore --on ctm-1 --backup", "backup restore --id")),
        ("rebuild-three", "upgrade:ctm-2", ("It can be undone, without what clients wrote", "keep the old data", "cluster new --host")),
        ("standalone", "upgrade:ctm-1", ("ARCHIVE-OF-THE-OLD-VERSION", "ctmupgrade restore --on ctm-1")),
    ],
)  # fmt: skip
def test_the_way_back_is_that_of_the_strategy(
    written: Callable[..., Any], scenario: str, turning: str, words: tuple[str, ...]
) -> None:
    text = written("a.md", scenario=scenario)[1]
    assert re.search(rf"Step \d+, {turning}, at", text.partition("## Point of no return")[2])
    assert all(word in text for word in words), words


def test_a_held_back_node_is_the_way_back_to_the_end(written: Callable[..., Any]) -> None:
    text = written("a.md", "--hold-back", "ctm-3", scenario="rebuild-three")[1]
    end = text.partition("## The way back")[2].partition("## Verification")[0].rpartition("\n### ")[2]
    assert "Only ctm-3 still" in end and "held back" in end and "cluster new --host 10.0.0.13" in end


@pytest.mark.parametrize("text", corpus.TEXTS.values(), ids=corpus.TEXTS.keys())
def test_a_page_shows_texts_of_others_as_data(text: str) -> None:
    def page(word: str) -> Page:
        words = ("before ", Mono(word), word, Strong(word), f" {word} ")
        parts = (
            Heading(1, word), Heading(2, f"1. {word}"), Said((word,)), Said(words, warning=True), Bullets((words, (word,))),
            Ticks((words, (word,))), Table(word, (word, "b"), ((words, (word,)),)), Lines((word, f"ls # {word}")),
            Lines((word,), shown=True),
        )  # fmt: skip
        return Page(word, parts)

    html, plain = page_html(page(text)), page_html(page(corpus.MARK))
    assert corpus.harmful(html) == [] and Tags(html).comments == 0
    assert _without_names(html) == _without_names(plain)
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert style.count('"') == plain.partition("<style>")[2].partition("</style>")[0].count('"')
    shown, usual = page_markdown(page(text)), page_markdown(page(corpus.MARK))
    kinds = MarkdownIt("gfm-like", {"linkify": False})
    assert [t.type for t in kinds.parse(shown)] == [t.type for t in kinds.parse(usual)], shown
    assert corpus.harmful(shown) == []


def _without_names(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attrs)) for tag, attrs in Tags(text).found]


# -- what clients notice -----------------------------------------------------------------------------------------


def facts_of(tmp_path: Path, count: int = 3, **more: Any) -> tuple[Drive, Facts]:
    drive = Drive(make_world(count, **more), tmp_path)
    return drive, check.check(drive.setup()).facts


def told(drive: Drive, facts: Facts) -> Any:
    from ctmupgrade.core.model import Options
    from ctmupgrade.core.plan.strategies import steps_for

    return clients_notice(steps_for(facts, drive.cluster, Options()), facts, drive.cluster)


def test_only_what_the_facts_say_is_told(tmp_path: Path) -> None:
    drive, facts = facts_of(tmp_path)
    kmip = Interfaces((Interface("web", port=443), Interface("kmip", port=5696), Interface("ssh", port=22)))
    web = Interfaces((Interface("web", port=443),))
    nodes = {
        "ctm-1": replace(facts.nodes["ctm-1"], interfaces=kmip),
        "ctm-2": replace(facts.nodes["ctm-2"], interfaces=web),
        "ctm-3": replace(facts.nodes["ctm-3"], interfaces=web, services=Unknown("no answer")),
    }
    facts = replace(facts, nodes=nodes)
    said = told(drive, facts)
    assert re.sub(r"about \d+ min", "about N", said["ctm-1"]).startswith(
        "While ctm-1 is out of service (about N), its clients lose it, on 443 (web), 5696 (kmip); ctm-2 goes on serving, "
        "whether ctm-3 serves is not known. No other node offers 5696 (kmip): its clients have nothing meanwhile."
    )
    assert "22" not in said["ctm-1"] and "No other node" not in said["ctm-2"]
    unknown = replace(
        facts, nodes={**nodes, "ctm-1": replace(nodes["ctm-1"], interfaces=Unknown("no answer"))}
    )
    assert "on ports that are not known" in told(drive, unknown)["ctm-1"]
    balanced = replace(
        facts, shared=replace(facts.shared, properties={"LOAD_BALANCER_ADDRESS": "lb.example"})
    )
    assert "through the load balancer lb.example" in told(drive, balanced)[WHOLE]
    many = replace(facts, shared=replace(facts.shared, cte_clients=120))
    assert "120 CTE clients are registered" in told(drive, many)[WHOLE]
    silent = replace(facts, shared=replace(facts.shared, cte_clients=Unknown("no answer")))
    assert "How many CTE clients there are is not known" in told(drive, silent)[WHOLE]


def test_alone_everybody_loses_everything(tmp_path: Path) -> None:
    drive, facts = facts_of(tmp_path, 1, clustered=False)
    drive.cluster = replace(drive.cluster, strategy=StrategyName.STANDALONE)
    assert "nothing else serves: all its clients lose everything" in told(drive, facts)[WHOLE]


def test_a_rebuild_says_when_nobody_serves(tmp_path: Path) -> None:
    drive, facts = facts_of(tmp_path)
    drive.cluster = replace(drive.cluster, strategy=StrategyName.REBUILD)
    assert "no node does: all clients lose everything" in told(drive, facts)[WHOLE]


def test_plan_and_document_have_the_sentence(tmp_path: Path) -> None:
    place = ["--simulate", str(SCENARIOS / "healthy-three")]
    assert (
        "clients: While each of ctm-1, ctm-2 and ctm-3 is out of service in its turn"
        in call("plan", *place)[1]
    )
    assert set(json.loads(call("plan", "--format", "json", *place)[1])["clients"]) == {
        "",
        "ctm-1",
        "ctm-2",
        "ctm-3",
    }


# -- what a person lacked who followed it by hand in the lab -----------------------------------------------------


def steps_of(text: str) -> dict[str, str]:
    """The steps of a runbook by their ids."""
    parts = text.partition("\n## Steps\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    return {part.split()[1]: part for part in parts}


@pytest.mark.parametrize(
    ("scenario", "words", "first"),
    [
        ("rebuild-three", ("--hold-back", "ctm-3"), "gate:ctm-1"),
        ("healthy-three", ("--order", "ctm-2,ctm-3,ctm-1"), "gate:ctm-2"),
    ],
)
def test_a_run_is_typed_once_and_makes_this_plan(
    written: Callable[..., Any], scenario: str, words: tuple[str, ...], first: str
) -> None:
    """Not at a step before the window; and not without the options of the plan, or another node would lose its data."""
    steps = steps_of(written("a.md", *words, scenario=scenario)[1])
    commands = {id: re.findall(r"`ctmupgrade (run[^`]*)`", part) for id, part in steps.items()}
    assert [id for id, found in commands.items() if found] == [first]
    number = list(steps).index(first) + 1
    for id in steps:
        if id.startswith("record-settings:"):
            assert f"nothing to type: the command of step {number} does it." in steps[id]
    typed = re.sub(r"--stop-after \S+", "", commands[first][0]).split()[1:]
    again = json.loads(call("plan", "--format", "json", *typed)[1])
    assert [step["id"] for step in again["steps"]] == list(steps)


def test_every_command_of_ours_works_from_any_folder(written: Callable[..., Any]) -> None:
    text = written("a.md")[1]
    for command in re.findall(r"`(ctmupgrade [^`]+)`", text):
        assert command.startswith("ctmupgrade path ") or "--simulate /" in command, command
    (archive,) = re.findall(r"`ctmupgrade verify (\S+)", text)
    assert Path(archive).is_absolute()


def test_a_held_back_node_is_not_verified_and_still_has_the_old_state(written: Callable[..., Any]) -> None:
    text = written("a.md", "--hold-back", "ctm-3", scenario="rebuild-three")[1]
    turning = text.partition("## Point of no return")[2].partition("## Timeline")[0]
    assert "after it only ctm-3, which is held back, and the backups have it" in turning
    end = text.partition("## Verification")[2]
    assert "Not in this plan, and as before: ctm-3 (2.20.0" in end and "10.0.0.13" not in end
    assert "**ctm-1:**" in end and "**ctm-2:**" in end


def test_a_person_is_told_what_else_is_shown(written: Callable[..., Any]) -> None:
    steps = steps_of(written("a.md")[1])
    assert "not certified with a trusted signature" in steps["verify-archive"]
    assert "sha256sum " in steps["verify-archive"].partition("Expected")[0]
    assert "Do not type Ctrl-C" in steps["upgrade:ctm-1"]
    assert "closed.      (or: closed by remote host)" in steps["reboot:ctm-1"]
    assert '9 "summary": "GOOD"' in steps["await:ctm-1"] and "less than 5 minutes ago" in steps["await:ctm-1"]
    assert "| tee ./ctm-1-before.txt" in steps["record-settings:ctm-1"]
    assert "diff ./ctm-1-before.txt ./ctm-1-after.txt" in steps["compare-settings:ctm-1"]


def test_logins_are_complete_and_every_way_in_is_tried(written: Callable[..., Any]) -> None:
    text = written("a.md", scenario="healthy-twenty")[1]
    logins = text.partition("\n## Logins\n")[2].partition("\n## Steps\n")[0]
    for word in (
        "umask 077",
        "export KSCTL_USERNAME=admin",
        "read -rs KSCTL_PASSWORD",
        "setopt interactivecomments",
    ):
        assert word in logins
    assert logins.count("ksctl system info get") == logins.count("df -h /") == 20
    assert "ksctl asks before it removes, resets or joins" in text
