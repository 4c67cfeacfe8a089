"""What is compared in the line about looks: the same questions, and answers to all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.bench.looks import Both, answers, counted, differences
from tests.bench.nodes import SSHD, Nodes
from tests.bench.standins import Asked

NODE = Asked(("ls", "date"), ("cluster info",))


def test_as_many_looks_on_both_sides_are_the_same_looks() -> None:
    assert differences([NODE, NODE], [NODE, NODE]) == []


def test_one_look_more_is_let_pass() -> None:
    assert differences([NODE], [Asked(("ls",), ("cluster info",))]) == []


@pytest.mark.parametrize("more", [("ntp status", "backup list"), ("ntp status",) * 3])
def test_two_more_at_one_node_of_all_are_not(more: tuple[str, ...]) -> None:
    greedy = Asked(NODE.shell, (*NODE.ksctl, *more))
    count = NODE.count + len(more)
    assert differences([NODE, NODE], [NODE, greedy]) == [
        f"not the same looks: 3 of ours at a node, {count} of ansible's"
    ]
    assert differences([NODE, greedy], [NODE, NODE]) == [
        f"not the same looks: {count} of ours at a node, 3 of ansible's"
    ]


def test_the_note_counts_all_nodes() -> None:
    assert counted([NODE, NODE], [NODE]) == (
        "counted at the nodes: 4 looks over ssh and 2 by ksctl, ansible 2 and 1"
    )


def document(*nodes: tuple[bool, str | None]) -> str:
    return json.dumps({"nodes": [{"reachable": there, "version": version} for there, version in nodes]})


def test_an_answer_names_every_node_with_its_version() -> None:
    assert answers(document((True, "2.20.0"), (True, "2.20.0")), 2) == []


@pytest.mark.parametrize("other", [[(False, "2.20.0")], [(True, None)], []])
def test_a_node_that_was_not_learned_of_is_missed(other: list[tuple[bool, str | None]]) -> None:
    assert answers(document((True, "2.20.0"), *other), 2) == ["check learned of 1 nodes of 2"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON"])
def test_no_document_is_no_answer(text: str) -> None:
    assert answers(text, 20) == ["check wrote no document"]


@pytest.mark.skipif(not (shutil.which(SSHD) and shutil.which("ssh-keygen")), reason="no sshd here")
def test_check_asks_every_node_the_same_and_hears_of_each(tmp_path: Path) -> None:
    with Nodes(tmp_path) as nodes:
        both = Both(nodes)
        both.ours()
        again = both.asked["check"]
        both.ours()
    assert both.wrong == {}
    assert both.asked["check"] == again
    assert {len(one.shell) for one in again} == {13}
    of_each = frozenset.intersection(*(frozenset(one.ksctl) for one in again))
    assert len(of_each) == 16
    shared = [words for one in again for words in one.ksctl if words not in of_each]
    assert len(shared) == len({*shared}) == 7, "asked of one node each"
