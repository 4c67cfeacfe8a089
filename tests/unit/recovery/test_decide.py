"""Who forbids wins over who proposes, and a backup comes before anything is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.steps import (
    DeleteClusterConfig,
    MakeBackup,
    NewCluster,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    Step,
    VerifyArchive,
    step,
)
from ctmupgrade.core.recovery.decide import Circumstances, decide, keeps_own_data
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, advise
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

NONE = Circumstances()
RESET = step(ResetNode(), "ctm-3", "", 120)
RESTART = step(RestartServices(), "ctm-2", "", 120)
NEVER = Advice("never now")


def _apart(past: RunHistory | None = None, options: Options | None = None) -> Scene:
    listed = (make.member(1), make.member(2))
    seen = make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ()))
    return make.scene(seen, past=past, options=options)


def _kinds(found: Part) -> list[str]:
    return [f"{s.action.kind}:{s.node}" for s in found.steps]


def test_no_node_is_erased_where_a_part_forbids_it_but_services_are_restarted() -> None:
    found = decide(_apart(), Part(steps=(RESTART, RESET), forbids=(NEVER,)), NONE)
    assert _kinds(found) == ["restart-services:ctm-2"] and NEVER in found.advice


def test_what_is_forbidden_is_told_only_where_it_would_be_done() -> None:
    found = decide(_apart(), Part(steps=(RESTART,), forbids=(NEVER,)), NONE)
    assert _kinds(found) == ["restart-services:ctm-2"] and NEVER not in found.advice


def test_the_reboot_of_a_node_that_was_to_be_erased_is_not_left_over() -> None:
    reboot = step(Reboot(), "ctm-3", "", 300)
    assert decide(_apart(), Part(steps=(reboot, RESET), forbids=(NEVER,)), NONE).steps == ()


def test_a_backup_comes_before_anything_is_removed_or_erased() -> None:
    actions = (RemoveNode("ctm-1", "id-2"), DeleteClusterConfig(), NewCluster())
    for action in actions:
        found = decide(_apart(), Part(steps=(step(action, "ctm-2", "", 1),)), NONE)
        holder = "ctm-2" if isinstance(action, NewCluster) else "ctm-1"
        assert isinstance(found.steps[0].action, MakeBackup) and found.steps[0].node == holder


def test_a_fresh_backup_is_enough_and_an_old_one_is_not() -> None:
    removal = Part(steps=(step(RemoveNode("ctm-1", "id-2"), "ctm-2", "", 1),))
    seen = _apart()
    fresh = replace(seen, facts=replace(seen.facts, manifests=(make.manifest("ctm-1"),)))
    assert _kinds(decide(fresh, removal, NONE)) == ["remove:ctm-2"]
    stale = (make.manifest("ctm-1", timedelta(days=3)),)
    old = replace(seen, facts=replace(seen.facts, manifests=stale))
    assert _kinds(decide(old, removal, NONE))[0] == "backup:ctm-1"


def test_nothing_is_erased_where_no_backup_can_be_made_unless_it_is_waived() -> None:
    seen = _apart()
    barred = replace(seen, facts=replace(seen.facts, backups_possible="no password"))
    found = decide(barred, Part(steps=(RESET,)), NONE)
    assert found.steps == () and "no password" in found.advice[0].text
    waived = replace(barred, options=Options(skips=(("backup_downloaded_with_key", "CHG-1"),)))
    assert _kinds(decide(waived, Part(steps=(RESET,)), NONE)) == ["reset:ctm-3"]


def test_a_node_with_data_of_its_own_is_backed_up_before_it_is_erased() -> None:
    """TRIAL A7: writes made to nodes that are erased must not go without a backup."""
    assert _kinds(decide(_apart(), Part(steps=(RESET,)), NONE)) == [
        "backup:ctm-1",
        "backup:ctm-3",
        "reset:ctm-3",
    ]
    seen = _apart()
    made = tuple(make.manifest(name) for name in ("ctm-1", "ctm-3"))
    early = replace(seen, facts=replace(seen.facts, manifests=made))
    assert _kinds(decide(early, Part(steps=(RESET,)), NONE)) == ["backup:ctm-3", "reset:ctm-3"], (
        "one that is here may be from before it left the cluster: what was written since is on the node alone"
    )
    assert not keeps_own_data(_apart(RunHistory(emptied=frozenset({"ctm-3"}))), "ctm-3")
    assert keeps_own_data(_apart(), "ctm-1"), "a member's own data may be more than the others have"


def test_the_archive_is_verified_once() -> None:
    verify = step(VerifyArchive(), "", "", 10)
    found = decide(_apart(), Part(steps=(verify, RESTART, verify)), NONE)
    assert _kinds(found) == ["verify-archive:", "restart-services:ctm-2"]


def test_an_upgrade_is_not_finished_while_a_check_blocks_it() -> None:
    own = Step("gate:ctm-2", "ctm-2", RestartServices(), "", ("verify-archive",), 5)
    finishing = Part((Trouble("mixed"),), steps=(own,), finishing=True)
    assert decide(_apart(), finishing, NONE).steps == (own,), "it brings its own order"
    found = decide(_apart(), finishing, Circumstances(blocked="ctm-2 has no space"))
    assert found.steps == () and "ctm-2 has no space" in found.advice[0].text


def test_an_unfinished_run_is_told_once() -> None:
    around = Circumstances(unfinished="R1")
    ends = decide(_apart(), Part(steps=(RESTART,)), around).advice
    assert "ends it" in ends[0].text and ends[0].commands == ("ctmupgrade resume R1",)
    said = decide(_apart(), advise("go on", "ctmupgrade resume R1"), around).advice
    assert len(said) == 1


def test_nothing_is_proposed_beside_a_run_that_works_now() -> None:
    found = decide(_apart(), Part((Trouble("out"),), steps=(RESET,)), Circumstances("R1", running=True))
    assert found.steps == () and found.advice[0].commands == ("ctmupgrade watch R1",)


def test_vendor_support_is_told_what_restores_and_asked_with_what_is_there() -> None:
    seen = make.scene(make.facts(make.silent(1), make.silent(2), manifests=(make.manifest("ctm-1"),)))
    found = decide(seen, Part(), NONE)
    assert found.support
    assert found.advice[0].commands == ("ctmupgrade restore --dry-run", "ctmupgrade restore")
    assert found.advice[1].commands[0] == "ksctl backupkeys upload --file /b/ctm-1.key"
    assert found.advice[-1].commands == ("ctmupgrade record support-looks",)
