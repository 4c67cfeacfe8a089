"""``restore``: a lost cluster comes back from a backup, and a cluster that is not lost is left alone. In the simulator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import recover as recovering
from ctmupgrade.commands import restore as restoring
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.same_cluster import refuse_missing_archive
from ctmupgrade.core.kept_backups import with_needs
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.journal import RunEnded, RunStarted, Status
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.remaining import clients_still_notice
from ctmupgrade.core.run.report import make_report
from ctmupgrade.errors import BlockedError, ConfigError, ExitCode, UsageError
from ctmupgrade.render.markdown import report_markdown
from ctmupgrade.sim import Fault
from tests.support.lost_cluster import RestoreDrive, living, lose, lost, whole
from tests.support.promises import check_promises
from tests.support.world_run import PASSWORD, Killed, dies_at


def refused(drive: RestoreDrive, **asked: Any) -> BlockedError:
    """Why nothing is restored; nothing was changed."""
    before = len(drive.world.changes())
    with pytest.raises(BlockedError) as caught:
        drive.restore(**asked)
    assert len(drive.world.changes()) == before
    assert caught.value.exit_code is ExitCode.BLOCKED and caught.value.remedy
    return caught.value


# -- what it brings back -----------------------------------------------------------------------------


def test_a_lost_cluster_comes_back_with_its_data_its_users_and_each_nodes_own_settings(
    tmp_path: Path,
) -> None:
    drive = lost(tmp_path)
    outcome = drive.restore()
    assert outcome.code == 0 and outcome.state is not None, outcome
    assert whole(drive.world) == []
    assert kind_of(outcome.state) is RunKind.RESTORE and outcome.state.outcome == "done"
    assert not check_promises(drive.world, changes_expected=True, in_place=False)
    order = [
        (e.kind, e.node)
        for e in drive.world.events
        if e.kind in ("restored", "cluster_new", "reset", "join_done")
    ]
    assert order == [
        ("restored", "ctm-1"), ("cluster_new", "ctm-1"),
        ("reset", "ctm-2"), ("join_done", "ctm-2"), ("reset", "ctm-3"), ("join_done", "ctm-3"),
    ]  # fmt: skip
    (proven,) = [m for m in drive.setup().tools.store.manifests() if m.proven]
    assert proven.node == "ctm-1", "the backup that was restored in earnest is a proven one"


def test_what_only_a_person_can_put_back_is_told_with_its_command(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    for node in drive.world.nodes.values():
        node.licences, node.lock_code = [], "*another"
    assert drive.start() == 0
    notes = [note for held in drive.state.steps.values() for note in held.notes]
    for name in ("ctm-1", "ctm-2", "ctm-3"):
        mine = drive.state.steps[f"compare-settings:{name}"]
        assert mine.evidence["fewer"] == "licenses 1 -> 0", mine
    assert any("TO DO by hand: the licence: ksctl licensing licenses add" in note for note in notes)
    assert any("ask the vendor for a licence for the new one" in note for note in notes)


def test_the_plan_tells_which_backup_and_what_is_lost(tmp_path: Path) -> None:
    plan = lost(tmp_path).plan()
    said = "\n".join(plan.notes)
    assert "made by ctm-1 on 2.20.0+15016 at 2026-01-10 09:00 UTC" in said and "1200 keys, 3 users" in said
    assert "LOST: what clients wrote in the 10 h" in said
    assert "onto ctm-1 first: the backup was made on it" in said
    assert {s.id for s in plan.steps if s.holders == 0} >= {"restore:ctm-1", "prove-restore:ctm-1"}


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    made = drive.setup()
    made.request = replace(made.request, dry_run=True)
    from ctmupgrade.commands import restore as restoring
    from ctmupgrade.commands.run import RunOptions

    outcome = restoring.restore(made, RunOptions(), drive.asked)
    assert outcome.code == 0 and outcome.state is not None and outcome.state.outcome == "dry-run"
    assert not drive.world.changes()


def test_the_node_that_is_named_is_first(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    assert drive.restore(on="ctm-3").code == 0
    assert [e.node for e in drive.world.of_kind("restored")] == ["ctm-3"]
    assert whole(drive.world) == []


def test_the_newest_whole_backup_is_taken_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    file = next((tmp_path / "backups").glob("*ctm-1*.backup"))
    file.write_bytes(file.read_bytes() + b"x")
    assert "made by ctm-2" in drive.plan().notes[0]
    why = refused(drive, backup=file)
    assert "not what was downloaded" in why.brief


def test_a_backup_in_another_folder_is_restored_with_its_manifest(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (tmp_path / "backups").glob("*ctm-2-backup*"):
        path.rename(elsewhere / path.name)
    file = next(elsewhere.glob("*.backup"))
    assert drive.restore(backup=file).code == 0
    assert drive.world.of_kind("restored")[0].detail.startswith("backup-0002") and whole(drive.world) == []
    (elsewhere / file.name.replace(".backup", ".manifest.json")).unlink()
    lose(drive.world)
    assert "no manifest" in refused(drive, backup=file).brief
    with pytest.raises(UsageError, match="no such file"):
        drive.restore(backup=elsewhere / "other.backup")


def test_one_appliance_alone_needs_no_cluster(tmp_path: Path) -> None:
    from ctmupgrade.core.modes import StrategyName

    drive = lost(tmp_path, 1, clustered=False)
    drive.world.keys["data-ctm-1"] = 1200
    drive = RestoreDrive(living(1, clustered=False), tmp_path / "one", StrategyName.STANDALONE)
    drive.world.keys["data-ctm-1"] = 7
    lose(drive.back_up().world)
    outcome = drive.restore()
    assert outcome.code == 0 and not drive.world.of_kind("cluster_new")
    assert drive.world.nodes["ctm-1"].data == "data-ctm-1"


# -- a cluster that is not lost ----------------------------------------------------------------------


def test_a_living_cluster_is_not_overwritten_whoever_is_named(tmp_path: Path) -> None:
    drive = RestoreDrive(living(), tmp_path).back_up()
    assert "ctm-1 has data: it is in a cluster with" in refused(drive).brief
    why = refused(drive, on="ctm-2", gone=("ctm-1", "ctm-2", "ctm-3"))
    assert "cannot be restored onto a member of a cluster" in why.brief, why.brief
    assert "member" in refused(drive, gone=("ctm-1", "ctm-2", "ctm-3")).brief
    with pytest.raises(UsageError, match="no such node"):
        drive.restore(gone=("ctm-9",))


@pytest.mark.parametrize("away", ["reboot_never_ends", ""])
def test_one_living_node_among_dead_ones_keeps_its_data(away: str, tmp_path: Path) -> None:
    drive = RestoreDrive(living(), tmp_path).back_up()
    lose(drive.world, "ctm-1", "ctm-3")
    if away:
        drive.world.inject(Fault(away, "ctm-3"), Fault("power_loss", "ctm-3"))
    why = refused(drive, gone=("ctm-3",) if away else ())
    assert "ctm-2 has data: it is in a cluster" in why.brief and "--gone ctm-2" in why.remedy


def test_a_node_that_does_not_answer_is_given_up_only_by_name(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    drive.world.inject(Fault("unreachable", "ctm-3"))
    why = refused(drive)
    assert "ctm-3: it does not answer" in why.brief and "--gone ctm-3" in why.remedy
    outcome = drive.restore(gone=("ctm-3",))
    assert outcome.code == 0 and whole(drive.world, "ctm-1", "ctm-2") == []
    assert outcome.state is not None and any(
        "ctm-3 takes no part" in note for note in outcome.state.plan.notes
    )
    assert not [e for e in drive.world.changes() if e.node == "ctm-3"]


def test_a_removed_node_with_the_old_data_is_no_empty_one(tmp_path: Path) -> None:
    """In no cluster, and yet the whole old data is on it; given up by name it is erased, and then joins."""
    drive = lost(tmp_path)
    old = drive.world.nodes["ctm-2"]
    old.data, old.users = "data-main", ["admin", "ops"]
    why = refused(drive)
    assert "it is in no cluster, and has 1200 keys and 2 users" in why.brief
    plan = replace_asked(drive, gone=("ctm-2",)).plan()
    assert any(
        "ctm-2 was given up by name and is ERASED" in note and "1200 keys" in note for note in plan.notes
    )
    assert "erase:ctm-2" in [s.id for s in plan.steps]
    assert drive.restore(gone=("ctm-2",)).code == 0 and whole(drive.world) == []


def test_the_first_node_is_erased_only_when_it_was_given_up_and_the_key_opens(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    drive.world.nodes["ctm-1"].data = "data-main"
    assert drive.restore(on="ctm-1", gone=("ctm-1",)).code == 0 and whole(drive.world) == []
    kinds = [
        e.kind
        for e in drive.world.events
        if e.node == "ctm-1" and e.kind in ("key_uploaded", "reset", "restored")
    ]
    assert kinds == ["key_uploaded", "reset", "key_uploaded", "restored"]


def replace_asked(drive: RestoreDrive, **asked: Any) -> RestoreDrive:
    drive.asked = replace(drive.asked, **asked)
    return drive


def test_a_node_that_does_not_tell_how_much_it_has_is_not_taken_for_empty(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    drive.world.inject(
        Fault("error", "ctm-2", times=0, params={"command": "ksctl keys list", "code": 15, "text": "NCERRNo"})
    )
    why = refused(drive)
    assert "ctm-2: how many keys it has cannot be read" in why.brief and "--gone ctm-2" in why.remedy


def test_an_unfinished_run_says_who_may_have_the_data(tmp_path: Path) -> None:
    """The backup's manifest does not tell how much there was, so that an empty node may be the whole cluster."""
    drive = lost(tmp_path, keys={})
    for path in (tmp_path / "backups").glob("*.manifest.json"):
        body = json.loads(path.read_text())
        path.write_text(json.dumps({**body, "counts": {}}))
    from ctmupgrade.core.modes import Mode
    from ctmupgrade.core.run import journal

    setup, state = drive.setup(), journal.RunStarted
    plan = _upgrade_plan(tmp_path)
    setup.runs.begin("20260101T000000-0000000", state("20260101T000000-0000000", "test", Mode.SIMULATED, plan, "me", 1, "t"),
                     drive.world.clock.now())  # fmt: skip
    why = refused(drive)
    assert "run 20260101T000000-0000000 is unfinished" in why.brief


def _upgrade_plan(folder: Path) -> Any:
    return RestoreDrive.__mro__[1](living(), folder / "other").plan()


# -- a backup that cannot be used --------------------------------------------------------------------


def _without_key(drive: RestoreDrive) -> None:
    for path in (drive.folder / "backups").glob("*.key"):
        path.unlink()


def _without_any(drive: RestoreDrive) -> None:
    for path in (drive.folder / "backups").iterdir():
        path.unlink()


def _older(drive: RestoreDrive) -> None:
    for node in drive.world.nodes.values():
        node.version = "2.19.1+14000"


def _much_newer(drive: RestoreDrive) -> None:
    for node in drive.world.nodes.values():
        node.version = "2.24.0+17000"


def _one_differs(drive: RestoreDrive) -> None:
    drive.world.nodes["ctm-3"].version = "2.21.0+15451"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_key, ".key is gone"),
        (_without_any, "there is none"),
        (_older, "2.19.1 is older: a backup is never restored on an older release"),
        (_much_newer, "2.24.0 is more than 3 minor releases later"),
        (_one_differs, "ctm-3 cannot join ctm-1: it has 2.21.0"),
    ],
    ids=["no key", "no backup", "older", "much newer", "one differs"],
)
def test_what_does_not_fit_is_refused_with_its_own_words(
    spoil: Callable[[RestoreDrive], None], words: str, tmp_path: Path
) -> None:
    drive = lost(tmp_path)
    spoil(drive)
    why = refused(drive)
    assert words in f"{why.brief}\n{why.details}", why


def test_force_is_for_newer_releases_only(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    _much_newer(drive)
    assert drive.restore(force=True).code == 0 and whole(drive.world) == []
    assert [e for e in drive.world.changes() if "backup restore" in e.detail and "--force" in e.detail]
    older = lost(tmp_path / "older")
    _older(older)
    assert "never restored on an older release" in refused(older, force=True).brief


def test_a_backup_that_is_tied_to_an_hsm_wants_the_same_partition(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    for path in (tmp_path / "backups").glob("*.manifest.json"):
        body = json.loads(path.read_text())
        path.write_text(json.dumps({**body, "tied_to_hsm": True, "hsm": ["luna-1"]}))
    assert "tied to an HSM, and ctm-1 uses none" in refused(drive, on="ctm-1").brief
    drive.world.nodes["ctm-1"].hsm = ["luna-2"]
    assert "tied to HSM partition luna-1, and ctm-1 uses luna-2" in refused(drive, on="ctm-1").brief
    drive.world.nodes["ctm-1"].hsm = ["luna-1"]
    assert any("HSM partition luna-1" in note for note in drive.plan().notes)


def test_a_wrong_password_is_known_before_anything_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = lost(tmp_path)
    drive.world.nodes["ctm-1"].data = "data-main"
    made = drive.setup()
    monkeypatch.setenv(PASSWORD, "not the password of that day")
    from ctmupgrade.commands import restore as restoring
    from ctmupgrade.commands.run import RunOptions

    outcome = restoring.restore(made, RunOptions(), replace(drive.asked, on="ctm-1", gone=("ctm-1",)))
    assert outcome.code == 5 and outcome.state is not None
    held = outcome.state.steps["upload-key:ctm-1"]
    assert held.status is Status.FAILED and PASSWORD in held.error and "export" in held.remedy
    assert not drive.world.of_kind("data_erased") and not drive.world.of_kind("reset")
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(BlockedError, match="the backup key cannot be opened"):
        restoring.planned(made, drive.asked)
    assert os.environ.get(PASSWORD) is None


# -- the end of the restore --------------------------------------------------------------------------


def test_nothing_joins_before_the_restore_has_ended(tmp_path: Path) -> None:
    drive = lost(tmp_path, defaults={"times": {"restore_s": 3000.0, "flap_s": 200.0, "start_s": 300.0}})
    assert drive.restore().code == 0
    assert not drive.world.of_kind("restore_disturbed") and whole(drive.world) == []


def test_a_restore_that_fails_stops_the_run(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    drive.world.inject(Fault("restore_fails", "ctm-1"))
    assert drive.start() == 5
    assert [step for step, _ in drive.stuck] == ["restore:ctm-1"] and "node retry" in drive.stuck[0][1].remedy
    assert not drive.world.of_kind("cluster_new")
    drive.decide("ctm-1", "retry")
    assert drive.resume() == 0 and whole(drive.world) == []


def test_fewer_keys_than_the_backup_had_prove_nothing(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    drive.world.keys["data-main"] = 400
    assert drive.start() == 5
    (stuck,) = drive.stuck
    assert stuck[0] == "prove-restore:ctm-1" and "400 of 1200 keys" in stuck[1].error
    assert not drive.world.of_kind("cluster_new")


def test_an_appliance_that_tells_no_operation_is_judged_by_what_it_has(tmp_path: Path) -> None:
    """Some releases may tell only of backups, or know no `backup status` (docs/appliance.md 3)."""
    silent = {"operation": "", "status": "", "finished": None}
    drive = lost(tmp_path)
    for node in drive.world.nodes.values():
        node.says = {"ksctl backup status": silent}
    assert drive.start() == 0, drive.stuck
    assert drive.state.steps["restore:ctm-1"].evidence["proven_by"] == "1200 keys, 3 users"
    untold = lost(tmp_path / "untold")
    for path in (tmp_path / "untold" / "backups").glob("*.manifest.json"):
        body = json.loads(path.read_text())
        path.write_text(json.dumps({**body, "counts": {}}))
    for node in untold.world.nodes.values():
        node.says = {"ksctl backup status": silent}
    assert untold.start() == 6, "only a person can tell"
    assert not untold.world.of_kind("cluster_new")
    untold.decide("ctm-1", "done")
    assert untold.resume() == 0 and whole(untold.world) == []


# -- a login that a reset has changed ----------------------------------------------------------------


def test_a_node_that_has_its_first_password_again_after_its_reset_is_reset_once(tmp_path: Path) -> None:
    """The vendor's `hsm setup --reset` brings back admin/admin. Each reset may: who resets anew at each resume never ends."""
    drive = lost(tmp_path)
    drive.world.inject(Fault("unauthorized", "ctm-2", "reset:ctm-2", times=0, params={"command": "ksctl"}))
    assert drive.start() == ExitCode.FAILED
    ((step, held),) = drive.stuck
    assert step == "reset:ctm-2" and "refuses the login" in held.error
    assert (
        "first password" in held.remedy
        and "admin, admin" in held.remedy
        and "ctmupgrade resume" in held.remedy
    )
    assert drive.resume() == ExitCode.FAILED, "nobody has changed the password yet"
    drive.world.faults.clear()
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", "ctm-2")) == 1
    assert "What to do" not in report_markdown(make_report(drive.state)), "it is done"


def test_a_node_that_is_not_as_new_is_reset_by_who_takes_the_run_up(tmp_path: Path) -> None:
    """Whether the reset was sent is not known then; what it has says that it was not."""
    drive = lost(tmp_path)
    drive.asked = replace(drive.asked, gone=("ctm-2",))
    drive.world.nodes["ctm-2"].data = "data-main"

    drive.hook = dies_at("erase:ctm-2")
    with pytest.raises(Killed):
        drive.start()
    assert not drive.world.of_kind("reset", "ctm-2")
    drive.hook = lambda *_seen: None
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", "ctm-2")) == 1


# -- what is told ------------------------------------------------------------------------------------


def test_one_command_gives_up_all_that_is_in_the_way(tmp_path: Path) -> None:
    """One for each node would be refused for the others, and what was typed besides must stand in it."""
    drive = lost(tmp_path)
    for name in ("ctm-1", "ctm-2"):
        drive.world.nodes[name].data = "data-main"
    why = refused(drive, on="ctm-3", gone=())
    told = f"{why.details}\n{why.remedy}"
    assert told.count("--gone") == 2, told
    assert "ctmupgrade restore --on ctm-3 --gone ctm-1 --gone ctm-2" in why.remedy
    assert drive.restore(on="ctm-3", gone=("ctm-1", "ctm-2")).code == 0


def test_nobody_is_told_to_give_up_a_living_cluster(tmp_path: Path) -> None:
    """It would be refused: a backup is restored onto no member."""
    drive = RestoreDrive(living(), tmp_path).back_up()
    why = refused(drive)
    assert "--gone" not in f"{why.details}\n{why.remedy}" and "ctmupgrade recover" in why.remedy


def test_one_command_leaves_out_all_that_cannot_join(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    for name in ("ctm-2", "ctm-3"):
        drive.world.nodes[name].version = "2.21.0+15451"
    why = refused(drive, on="ctm-1")
    assert f"{why.details}\n{why.remedy}".count("--gone") == 2
    assert "ctmupgrade restore --on ctm-1 --gone ctm-2 --gone ctm-3" in why.remedy


def test_a_newer_backup_that_is_not_used_is_told(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    manifests = sorted(drive.setup().tools.store.manifests(), key=lambda one: one.made_at)
    newest, oldest = manifests[-1], manifests[0]
    if newest.made_at == oldest.made_at:
        file = next((tmp_path / "backups").glob(f"*{newest.node}*.manifest.json"))
        body = json.loads(file.read_text())
        file.write_text(json.dumps({**body, "created": body["created"].replace("T09:00", "T09:30")}))
    whole_one = [note for note in drive.plan().notes if "NEWER" in note]
    assert not whole_one, "the newest is the one that is used"
    Path(newest.file).write_text("not what was downloaded", encoding="utf-8")
    (said,) = [note for note in drive.plan().notes if "NEWER" in note]
    assert newest.backup_id in said and "not what was downloaded" in said


def test_clients_are_told_that_nobody_serves_them_until_the_restore_is_proven(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    plan = drive.plan()
    said = " ".join(plan.clients.values())
    assert "no node serves" in said and "go on serving" not in said
    drive.plan = lambda: plan  # type: ignore[method-assign]

    drive.hook = dies_at("reset:ctm-2")
    with pytest.raises(Killed):
        drive.start()
    assert clients_still_notice(drive.state) == [plan.clients["ctm-2"], plan.clients["ctm-3"]], (
        "ctm-1 serves again"
    )


def test_a_restore_that_is_not_over_keeps_its_backup_however_old_it_is(tmp_path: Path) -> None:
    """`backup --prune` must not take it away between a crash and `resume`."""
    drive = lost(tmp_path)
    plan = drive.plan()
    drive.journal.append(
        RunStarted("run", "c", Mode.LIVE, plan, "me@here", 1, "test"), drive.world.clock.now()
    )
    (named,) = {step.action.backup_id for step in plan.steps if isinstance(step.action, RestoreBackup)}
    ages = timedelta(days=400)
    known = [replace(one, created=one.created - ages) for one in drive.setup().tools.store.manifests()]
    needs = {
        one.manifest.backup_id: " ".join(one.needed_by)
        for one in with_needs(known, [drive.state], timedelta(hours=1))
    }
    assert {identity for identity, needed in needs.items() if "which is not over" in needed} == {named}


def test_an_archive_is_missed_by_those_plans_alone_that_need_it(tmp_path: Path) -> None:
    """On the night on which everything is lost, on a new laptop, there are gigabytes that nobody needs."""
    drive = lost(tmp_path)
    made = drive.setup()
    made.request = replace(made.request, simulate=None)
    made.cluster = replace(
        made.cluster, target=replace(made.cluster.target, archive=tmp_path / "none.tar.gz.gpg")
    )
    refuse_missing_archive(made, drive.plan().steps)
    with pytest.raises(ConfigError, match=r"target\.archive: there is no file") as caught:
        refuse_missing_archive(made, _upgrade_plan(tmp_path).steps)
    assert caught.value.exit_code == 2 and caught.value.remedy


def test_recover_offers_no_new_appliance_as_the_one_whose_data_counts(tmp_path: Path) -> None:
    """They look like nodes with data, and serve; but the backup has keys, and they have none."""
    drive = lost(tmp_path)
    said = "\n".join(str(one) for one in recovering.look(drive.setup(), OperatorInput()).diagnosis.advice)
    assert (
        "the only way left is a restore" in said and "ctmupgrade restore" in said and "--survivor" not in said
    )
    drive.world.nodes["ctm-2"].data = "data-main"
    said = "\n".join(str(one) for one in recovering.look(drive.setup(), OperatorInput()).diagnosis.advice)
    assert "--survivor ctm-2" in said and "--survivor ctm-1" not in said and "--survivor ctm-3" not in said


def test_the_way_to_another_backup_works_as_it_is_told(tmp_path: Path) -> None:
    """The run is in its way, and so is what is on the node since."""
    drive = lost(tmp_path)
    drive.world.inject(Fault("restore_fails", "ctm-1"))
    made = drive.setup()
    stopped = restoring.restore(made, RunOptions(), drive.asked)
    assert stopped.code == ExitCode.FAILED and stopped.state is not None
    told = stopped.state.steps["restore:ctm-1"].remedy
    assert f"ctmupgrade abort {stopped.state.run}" in told
    assert "ctmupgrade restore --on ctm-1 --gone ctm-1 --backup FILE" in told
    drive.world.nodes["ctm-1"].data = "data-main"
    made.runs.append(stopped.state.run, RunEnded("aborted", {}, "as told"), made.clock.now())
    named = next(iter(drive.setup().tools.store.manifests()))
    asked = replace(drive.asked, on="ctm-1", gone=("ctm-1",), backup=Path(named.file))
    assert restoring.restore(drive.setup(), RunOptions(), asked).code == 0 and whole(drive.world) == []
