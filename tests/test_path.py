"""``ctmupgrade path``: asks no node, needs no cluster.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.golden import call


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_hop_has_its_rules_and_sources() -> None:
    code, printed = call("path", "2.17.1", "2.22.0", "--format", "json")
    document = json.loads(printed)
    assert code == 0 and document["schema"] == 1 and document["verdict"] == "manual"
    assert [hop["to"] for hop in document["hops"]] == ["2.18.0", "2.19.0", "2.20.0", "2.21.0", "2.22.0"]
    for hop in document["hops"]:
        assert hop["source"] and hop["rule"]["source"] and hop["disk"]["formula"]
        assert all(hop["to"] in name for name in hop["archives"])
    assert document["hops"][0]["tested_from"] and document["hops"][1]["tested_from"] is None
    assert "2380" in document["hops"][-1]["changes"][0]["text"]
    assert document["unlisted"] == ["2.19.0", "2.20.0", "2.21.0", "2.22.0"]


def test_what_is_not_published_is_said_once() -> None:
    code, printed = call("path", "2.18.0", "2.21.0")
    assert code == 0 and printed.count("no list of tested versions is published") == 1
    assert printed.count("the vendor's general rule") == 1


def test_no_way_is_3_and_names_the_way_by_a_rebuild() -> None:
    code, printed = call("path", "2.11.4", "2.16.0")
    assert code == 3 and "--force-path" in printed and "2.11.4 -> 2.14.0 -> 2.16.0" in printed
    code, printed = call("path", "2.11.4", "2.16.0", "--format", "json")
    document = json.loads(printed)
    assert code == 3 and document["hops"] == [] and document["verdict"] == "block" and document["why"]
    assert [hop["force_path"] for hop in document["instead"]["hops"]] == [True, False]


def test_the_same_version_needs_no_hop() -> None:
    assert call("path", "2.21.0", "2.21.0+15451")[0] == 0


def test_another_build_of_the_same_version_is_one_hop_and_never_back() -> None:
    code, printed = call("path", "2.21.0+15440", "2.21.0+15451")
    assert code == 0 and "1 hop: 2.21.0+15440 -> 2.21.0+15451" in printed and "vendor support" in printed
    code, printed = call("path", "2.21.0+15451", "2.21.0+15440")
    assert code == 3 and "older build" in printed


@pytest.mark.parametrize("words", [("2.17", "2.21.0"), ("2.17.1", "Development"), ("latest", "2.21.0")])
def test_what_is_no_version_is_2(words: tuple[str, str]) -> None:
    code, printed = call("path", *words, "--format", "json")
    assert code == 2 and json.loads(printed)["error"]["exit_code"] == 2
