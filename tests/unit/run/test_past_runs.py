"""What this machine's journals tell of the nodes, as values."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctmupgrade.core.model import Mode, Options
from ctmupgrade.core.plan.plan import plan_of
from ctmupgrade.core.plan.steps import JoinNode, MakeBackup, RecordSettings, ResetNode, RunUpgrade, Step, step
from ctmupgrade.core.recovery.result import in_order
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.past_runs import past_of
from tests.support import recovery_facts as make

RESET = step(ResetNode(), "ctm-3", "", 1)
JOIN = step(JoinNode("ctm-1"), "ctm-3", "", 1)
UPGRADE = step(RunUpgrade(), "ctm-2", "", 1)
BACKUP = step(MakeBackup(), "ctm-1", "", 1)


def _run(name: str, steps: tuple[Step, ...], *events: journal.Event) -> RunState:
    plan = plan_of(in_order(steps), make.healthy(), make.cluster(), Options(), ())
    state = journal.start(journal.RunStarted(name, "test", Mode.LIVE, plan, "me", 1, "0"), make.AT)
    for minute, event in enumerate(events, 1):
        state = journal.apply(state, event, make.AT + timedelta(minutes=minute))
    return state


def _began(one: str) -> journal.StepStarted:
    return journal.StepStarted(one, {})


def test_a_join_that_did_not_end_is_known_with_its_time() -> None:
    hangs = _run(
        "R1", (RESET, JOIN), _began("reset:ctm-3"), journal.StepDone("reset:ctm-3", {}), _began("join:ctm-3")
    )
    assert past_of([hangs]).joins == {"ctm-3": make.AT + timedelta(minutes=3)}
    failed = journal.apply(hangs, journal.StepFailed("join:ctm-3", "time-out", "", 5), make.AT)
    assert "ctm-3" in past_of([failed]).joins
    assert past_of([journal.apply(hangs, journal.StepDone("join:ctm-3", {}), make.AT)]).joins == {}
    again = _run("R2", (RESET, JOIN), _began("reset:ctm-3"))
    assert past_of([failed, again]).joins == {}


def test_what_was_refused_for_good_has_erased_nothing() -> None:
    no = journal.StepFailed("join:ctm-3", "NCERRBadRequest", "", 5, refused=True)
    refused = _run("R1", (JOIN,), _began("join:ctm-3"), no)
    assert past_of([refused]).emptied == frozenset() and past_of([refused]).joins == {}
    failed = journal.StepFailed("join:ctm-3", "time-out", "", 5)
    assert past_of([_run("R1", (JOIN,), _began("join:ctm-3"), failed)]).emptied == {"ctm-3"}
    twice = _run("R1", (JOIN,), _began("join:ctm-3"), _began("join:ctm-3"), no)
    assert past_of([twice]).emptied == {"ctm-3"}, "the first may have been taken"
    retried = _run(
        "R1", (JOIN,), _began("join:ctm-3"), failed, journal.NodeDecided("ctm-3", "retry", "", "me"),
        _began("join:ctm-3"), no,
    )  # fmt: skip
    assert past_of([retried]).emptied == {"ctm-3"}
    reset = _run("R1", (RESET, JOIN), _began("reset:ctm-3"), _began("join:ctm-3"), no)
    assert past_of([reset]).emptied == {"ctm-3"}, "its reset has"


def test_how_many_keys_there_were_is_what_the_latest_run_wrote_down_of_nodes_with_data() -> None:
    def wrote(name: str, node: str, keys: int, *more: Step) -> RunState:
        before = {"settings": f'{{"keys": {{"count": {keys}}}}}'}
        one = step(RecordSettings(), node, "", 1)
        begun = (_began(s.id) for s in more)
        return _run(name, (one, *more), journal.StepStarted(one.id, before), *begun)

    first = wrote("R1", "ctm-1", 100, JOIN)
    assert past_of([first]).keys == {"ctm-1": 100} and past_of([first]).emptied == {"ctm-3"}
    assert past_of([first, wrote("R2", "ctm-2", 90)]).keys == {"ctm-2": 90}
    for node, keys in (("ctm-3", 60), ("ctm-2", 0)):
        assert past_of([first, wrote("R2", node, keys)]).keys == {"ctm-1": 100}, (
            "what a join brought, or nothing"
        )


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "5", '{"keys": 5}', '{"keys": {"count": "many"}}', '{"keys": {"count": true}}', '{"keys": {"count": -1}}',
     '{"keys": ' + "[" * 100_000, '{"keys": {"count": 1e999}}'],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_number_of_keys_in_a_journal_tells_nothing(text: str) -> None:
    one = step(RecordSettings(), "ctm-1", "", 1)
    assert past_of([_run("R1", (one,), journal.StepStarted(one.id, {"settings": text}))]).keys == {}


def test_a_stuck_node_is_one_of_the_unfinished_run() -> None:
    failed = _run("R1", (UPGRADE,), _began("upgrade:ctm-2"), journal.StepFailed("upgrade:ctm-2", "no", "", 5))
    past = past_of([failed])
    assert past.run == "R1" and past.stuck == {"ctm-2"}
    ended = journal.apply(failed, journal.RunEnded("aborted"), make.AT)
    assert past_of([ended]).run == "" and past_of([ended]).stuck == frozenset()


def test_a_recovery_that_stopped_finishes_no_upgrade() -> None:
    assert not past_of([_run("R1", (RESET, JOIN), _began("reset:ctm-3"))]).upgrades
    assert past_of([_run("R1", (UPGRADE,), _began("upgrade:ctm-2"))]).upgrades


def test_a_later_backup_is_not_the_run_that_stopped() -> None:
    """A paused `backup` or `stage` is no upgrade that resume would finish."""
    upgrade, backup = _run("R1", (UPGRADE,)), _run("R2", (BACKUP,))
    assert past_of([upgrade, backup]).run == "R1"
    assert past_of([backup]).run == "" and past_of([backup]).any_run
    assert not past_of([]).any_run
