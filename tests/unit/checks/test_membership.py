"""Who is who: a member is a configured node by its id, its addresses, or what names stand for; else nothing destructive
is advised that is not proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ctmupgrade.core.checks.membership import membership_problems, name_at
from ctmupgrade.core.checks.problem import Problem
from ctmupgrade.core.looks.cluster_views import Member, Membership
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.model import BackupSettings, Cluster, KsctlSettings, Node, SshSettings, Target
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version

NAMES = ("n1", "n2", "n3")


class Table:
    """Names as a resolver knows them."""

    def __init__(self, **known: str) -> None:
        self.known = {name.replace("_", "-"): frozenset(text.split()) for name, text in known.items()}

    def addresses(self, hosts: Iterable[str]) -> Mapping[str, frozenset[str]]:
        return {host: self.known.get(host, frozenset({host} if host[:1].isdigit() else ())) for host in hosts}


def node(name: str, host: str, url: str = "", cluster_host: str = "") -> Node:
    return Node(name, host, url or f"https://{host}", cluster_host or host, SshSettings(), KsctlSettings())


def cluster(*nodes: Node, **known: str) -> Cluster:
    target = Target(Path("a.gpg"), Version(2, 21, 0), "A" * 40)
    return Cluster(
        "c",
        StrategyName.IN_PLACE,
        target,
        nodes,
        BackupSettings(Path("b"), max_age=timedelta(1)),
        names=Table(**known),
    )


def listed(*hosts: str, code: str = "r") -> tuple[Member, ...]:
    return tuple(Member(f"id-{i}", host, code) for i, host in enumerate(hosts, 1))


def facts(
    members: tuple[Member, ...], silent: Iterable[str] = (), names: Iterable[str] = NAMES
) -> dict[str, NodeFacts]:
    """What each node tells: node N's id is id-N; a silent one tells nothing."""
    return {
        name: NodeFacts(name)
        if name in silent
        else NodeFacts(name, membership=Membership(f"id-{name[1:]}", "r"), members=members)
        for name in names
    }


def problems(c: Cluster, f: dict[str, NodeFacts]) -> list[Problem]:
    return [p for p in membership_problems(f, c) if "not asked" not in p.text]


ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.mark.parametrize(
    "of",
    [
        lambda i: node(f"n{i}", f"127.0.0.{i}"),
        lambda i: node(f"n{i}", f"ctm-{i}", f"https://127.0.0.{i}"),
        lambda i: node(f"n{i}", f"ctm-{i}", f"https://127.0.0.{i}:8443"),
        lambda i: node(f"n{i}", f"ctm-{i}", "https://x", f"127.0.0.{i}"),
        lambda i: node(f"n{i}", f"name-{i}"),  # by what the name stands for
        lambda i: node(f"n{i}", f"NAME-{i}", f"https://u{i}"),
        lambda i: node(f"n{i}", f"h{i}", f"https://name-{i}"),
    ],
)
@pytest.mark.parametrize("silent", NAMES)
def test_a_silent_node_is_known_by_any_of_its_addresses(of: Callable[[int], Node], silent: str) -> None:
    made = cluster(
        *(of(i) for i in (1, 2, 3)), name_1="127.0.0.1", name_2="127.0.0.2 10.9.9.9", name_3="127.0.0.3"
    )
    assert problems(made, facts(listed(*ADDRESSES), [silent])) == []


def test_members_that_are_listed_by_name_are_known_too() -> None:
    made = cluster(
        *(node(f"n{i}", f"127.0.0.{i}") for i in (1, 2, 3)), a="127.0.0.1", b="127.0.0.2", c="127.0.0.3"
    )
    assert problems(made, facts(listed("a", "b", "C"), ["n3"])) == []


def test_a_silent_node_whose_address_is_not_known_is_presumably_the_strange_member() -> None:
    made = cluster(
        node("n1", "127.0.0.1"), node("n2", "127.0.0.2"), node("n3", "elsewhere", "https://nowhere")
    )
    found = problems(made, facts(listed(*ADDRESSES, code="d"), ["n3"]))
    assert [p.node for p in found] == ["n1", "n2"]
    for p in found:
        assert p.unknown and "it may be n3" in p.text
        assert "delete" not in p.remedy and "cluster_host" in p.remedy


def test_a_dead_member_that_none_of_ours_can_be_may_be_deleted_by_its_own_id() -> None:
    made = cluster(*(node(f"n{i}", f"127.0.0.{i}") for i in (1, 2, 3)))
    members = (*listed(*ADDRESSES), Member("id-9", "127.0.0.9", "d", "down"))
    found = problems(made, facts(members))
    assert len(found) == 3 and all(not p.unknown for p in found)
    assert all(p.remedy.endswith("ksctl cluster nodes delete --id id-9") for p in found)


@pytest.mark.parametrize("code", ["r", "creating", "b", "", "?", "m"])
def test_a_member_that_lives_is_never_advised_to_be_deleted(code: str) -> None:
    made = cluster(*(node(f"n{i}", f"127.0.0.{i}") for i in (1, 2, 3)))
    members = (*listed(*ADDRESSES), Member("id-9", "127.0.0.9", code))
    for silent in ([], ["n3"]):
        for p in problems(made, facts(members, silent)):
            assert ("delete" not in p.remedy and "add it to cluster.yaml" in p.remedy) or p.unknown


def test_a_list_that_cannot_be_read_says_to_read_it() -> None:
    made = cluster(*(node(f"n{i}", f"127.0.0.{i}") for i in (1, 2, 3)))
    f = {
        **facts(listed(*ADDRESSES)),
        "n2": NodeFacts("n2", members=Unknown("x509: no", certificate="authority")),
    }
    (told,) = (p for p in membership_problems(f, made) if p.node == "n2")
    assert "delete" not in told.remedy and "control_plane_reachable" in told.remedy
    f["n2"] = NodeFacts("n2", members=Unknown("cut short"))
    (told,) = (p for p in membership_problems(f, made) if p.node == "n2")
    assert told.remedy == "KSCTL_URL=https://127.0.0.2 ksctl cluster nodes list   # must answer"


def test_two_nodes_at_one_control_plane_are_told_and_nothing_is_to_be_deleted() -> None:
    made = cluster(node("n1", "127.0.0.1", "https://vip-a"), node("n2", "127.0.0.1", "https://vip-b"))
    members = listed("10.0.0.1", "10.0.0.2")
    own = NodeFacts("n1", membership=Membership("id-1", "r"), members=members)
    found = list(membership_problems({"n1": own, "n2": replace(own, name="n2")}, made))
    assert found[0].text == "the urls of n1 and n2 belong to one appliance (id id-1)"
    assert not found[0].unknown and "url" in found[0].remedy
    assert not [p for p in found if "delete" in p.remedy or "does not list" in p.text]


def test_a_node_that_answers_and_is_not_listed_is_told_without_orders_to_delete() -> None:
    made = cluster(*(node(f"n{i}", f"127.0.0.{i}") for i in (1, 2, 3)))
    found = problems(made, facts(listed(*ADDRESSES[:2])))
    assert {p.text for p in found} == {"does not list n3, which cluster.yaml names"}
    assert not [p for p in found if "delete" in p.remedy]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "n1"),
        ("CTM-1", "n1"),
        ("both", ""),
        ("10.0.0.9", ""),
        ("", ""),
        ("shared", ""),
        ("u1", "n1"),
        ("alias", "n2"),
    ],
)
def test_an_address_of_two_nodes_is_of_none(host: str, found: str) -> None:
    nodes = (
        node("n1", "ctm-1", "https://u1", "127.0.0.1"),
        node("n2", "ctm-2", "https://both"),
        node("n3", "ctm-3", "https://both"),
    )
    made = cluster(*nodes, ctm_2="10.0.0.2 10.0.0.7", ctm_3="10.0.0.7", shared="10.0.0.7", alias="10.0.0.2")
    assert name_at(host, made) == found
