"""``restore``: a lost cluster comes back from a backup, and a cluster that is not lost is left alone. In the simulator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.core.run.journal import Status
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.errors import BlockedError, ExitCode, UsageError
from ctmupgrade.sim import Fault
from tests.support.lost_cluster import RestoreDrive, living, lose, lost, whole
from tests.support.promises import check_promises
from tests.support.world_run import PASSWORD


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
        (_without_key, "all are damaged"),
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
