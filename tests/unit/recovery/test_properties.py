"""Whatever is seen, said by the operator or known from journals: the diagnosis never gives up the last copy."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Services, SystemInfo, Unit
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, RemoveNode, ResetNode
from ctmupgrade.core.recovery.diagnose import diagnose
from ctmupgrade.core.recovery.result import Diagnosis
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

NAMES = ("ctm-1", "ctm-2", "ctm-3")
CODES = st.sampled_from(("r", "r", "r", "d", "k", "c", "o", "m", "", "?"))
STATES = ("member", "member", "apart", "silent", "mute", "sick", "failed", "waits", "busy", "locked out")


@st.composite
def seen_clusters(draw: st.DrawFn) -> Facts:
    """Any three nodes, each in a state of its own, with a list of members that may lack some."""
    listed = tuple(make.member(i, draw(CODES), "state") for i in (1, 2, 3) if draw(st.booleans()))
    return make.facts(*(_node(draw, i, listed) for i in (1, 2, 3)))


def _node(draw: st.DrawFn, number: int, listed: tuple[Member, ...]) -> NodeFacts:
    version = draw(st.sampled_from((make.OLD, make.OLD, make.NEW)))
    state = draw(st.sampled_from(STATES))
    if state == "silent":
        return make.silent(number)
    found = make.node(number, () if state == "apart" else listed, version)
    changes: dict[str, dict[str, object]] = {
        "mute": {"system": make.GONE, "membership": make.GONE, "members": make.GONE, "summary": make.GONE},
        "sick": {"unit": Unit("failed"), "services": Services("error", {"web": "error"})},
        "failed": {"logs": (make.failed_log(),)},
        "waits": {"logs": (make.done_log(),)},
        "busy": {"processes": ("ks_upgrade.sh",)},
        "locked out": {"shell": make.GONE},
    }
    named: dict[str, object] = changes.get(state, {})
    return replace(found, **named)  # type: ignore[arg-type] # by name


SOME = st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names)))
ONE = st.sampled_from(("", *NAMES))
KNOWN = st.builds(OperatorInput, gone=SOME, rejoin=SOME, survivor=ONE).filter(
    lambda k: not {*k.gone} & {*k.rejoin}
)
PAST = st.builds(
    RunHistory, run=st.sampled_from(("", "R1")), survivor=ONE, hurt=st.booleans(), held_back=ONE,
    emptied=SOME.map(frozenset), alone=SOME.map(frozenset), stuck=SOME.map(frozenset),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(seen_clusters(), KNOWN, PAST)
def test_the_last_copy_is_never_given_up(seen: Facts, known: OperatorInput, past: RunHistory) -> None:
    found = diagnose(seen, make.cluster(), known, past)
    _the_base_has_data(found, past)
    erased = [s.node for s in found.steps if isinstance(s.action, ResetNode | JoinNode)]
    through = {s.action.via for s in found.steps if isinstance(s.action, JoinNode | RemoveNode)}
    assert not through & {*erased}, "what is joined to is not erased"
    for name in erased:
        assert name not in (past.held_back, *past.alone) or name in known.rejoin, (
            "it stays apart until it is named"
        )
        assert isinstance(seen.nodes[name].system, SystemInfo), "it answers"
    removed = [s.node for s in found.steps if isinstance(s.action, RemoveNode) and s.action.force]
    assert {*removed} <= {*known.gone}, "a silent node is given up only by name"
    busy = any(node.processes for node in seen.nodes.values() if isinstance(node.processes, tuple))
    assert not (busy and found.steps), "nothing is done while an upgrade runs"
    assert bool(found.wrong) or not found.steps, "nothing is done where nothing is wrong"
    assert found.headline and (not found.wrong or found.if_left)


def _the_base_has_data(found: Diagnosis, past: RunHistory) -> None:
    for step in found.steps:
        if isinstance(step.action, NewCluster):
            assert step.node not in past.emptied


@settings(max_examples=30, deadline=None)
@given(seen_clusters(), KNOWN, PAST)
def test_a_run_is_named_only_where_there_is_one(seen: Facts, known: OperatorInput, past: RunHistory) -> None:
    found = diagnose(seen, make.cluster(), known, replace(past, run="", survivor="", hurt=False))
    commands = [command for advice in found.advice for command in advice.commands]
    assert not any(c.startswith(("ctmupgrade resume", "ctmupgrade node")) for c in commands), commands
    for command in commands:
        gone, rejoin = _listed(command, "--gone"), _listed(command, "--rejoin")
        assert not {*gone} & {*rejoin} and "--survivor" not in rejoin, command


def _listed(command: str, option: str) -> list[str]:
    words = command.split()
    return words[words.index(option) + 1].split(",") if option in words else []
