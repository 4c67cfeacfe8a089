"""The secrets manager without internet access stays in error after the upgrade (docs/appliance.md 4.2): the run stops, names the
way out, and goes on where a person accepts that error by name and with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.core.looks.facts import Services
from ctmupgrade.core.looks.secrets_manager import is_csm, without_csm
from ctmupgrade.core.model import Options, Skip
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.ticks import Tick
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.golden import call
from tests.support.world_run import Drive, make_world, write_fixture

WAY_OUT = "ksctl products disable --name csm"
ACCEPTED = Options(skips=(("internet_for_csm", "CHG-4711"),))
FOR_EVER = datetime(2099, 1, 1, tzinfo=UTC)
NAMES = ("secrets-manager", "csm", "Secrets Manager", "secretsManagement", "ciphertrust_secrets_manager")


def drive_of(
    folder: Path,
    options: Options | None = None,
    *,
    bad: tuple[str, ...] = ("secrets-manager",),
    strategy: StrategyName = StrategyName.IN_PLACE,
    at: str = "await",
) -> Drive:
    """All nodes have the secrets manager started; it is in error on each from its reboot on, and serves clients all the same."""
    states = {"web": "started", **dict.fromkeys(bad, "started")}
    world = make_world(
        3, defaults={"times": TIMES, "services": states}, archive={"size": 200_000, "generated": True}
    )
    drive = Drive(world, folder, strategy=strategy, settings=SETTINGS, options=options or Options())

    def breaks(step: str, event: Event | None, _tick: Tick | None) -> None:
        kind, _, name = step.partition(":")
        if kind == at and isinstance(event, journal.StepStarted):
            node = world.nodes[name]
            node.services = {**node.services, **dict.fromkeys(bad, "error")}
            world.touch()

    drive.hook = breaks
    return drive


def stuck_remedy(drive: Drive, step: str) -> str:
    [(failed, held)] = drive.stuck
    assert failed == step
    return held.remedy


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_stops_for_it_names_the_way_out(tmp_path: Path, name: str) -> None:
    drive = drive_of(tmp_path, bad=(name,))
    assert drive.start() == 5
    remedy = stuck_remedy(drive, "await:ctm-1")
    assert WAY_OUT in remedy and "skip internet_for_csm" in remedy and "resume" in remedy
    assert drive.resume() == 5 and WAY_OUT in stuck_remedy(drive, "await:ctm-1")
    drive.decide("ctm-1", "done")
    assert drive.resume() == 5 and WAY_OUT in stuck_remedy(drive, "settle:ctm-1")


def test_what_the_remedy_names_helps(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    assert drive.start() == 5
    drive.hook = lambda _step, _event, _tick: None
    for node in drive.world.nodes.values():
        node.services = {**node.services, "secrets-manager": "disabled"}
    drive.world.touch()
    assert drive.resume() == 0


def test_a_gate_that_stops_for_it_names_the_way_out(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, at="gate")
    assert drive.start() == 5
    assert WAY_OUT in stuck_remedy(drive, "gate:ctm-1")


def test_the_last_proof_that_fails_for_it_names_the_way_out(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, at="never")
    world = drive.world

    def breaks(step: str, event: Event | None, _tick: Tick | None) -> None:
        if step == "settle:ctm-3" and isinstance(event, journal.StepDone):
            node = world.nodes["ctm-1"]
            node.services = {**node.services, "secrets-manager": "error"}
            world.touch()

    drive.hook = breaks
    assert drive.start() == 5
    assert WAY_OUT in stuck_remedy(drive, "settle:ctm-1")


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.REBUILD])
@pytest.mark.parametrize("name", ["secrets-manager", "csm"])
def test_an_accepted_error_of_it_stops_nothing_and_is_told(
    tmp_path: Path, strategy: StrategyName, name: str
) -> None:
    drive = drive_of(tmp_path, ACCEPTED, bad=(name,), strategy=strategy)
    assert drive.start() == 0, drive.stuck
    _told(drive, name)


def _told(drive: Drive, name: str) -> None:
    """In the proof of the node, and as a warning of its comparison, with the reason."""
    lines = {one.id: one for one in make_report(drive.state).steps}
    assert f"{name} in error, which is accepted: CHG-4711" in lines["await:ctm-1"].evidence["services"]
    compared = lines["compare-settings:ctm-1"]
    assert name in compared.evidence["services"]
    assert any("WARNING" in note and name in note and "CHG-4711" in note for note in compared.notes)


def test_it_is_accepted_in_the_cluster_file_before_the_resume(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    assert drive.start() == 5
    ended = Skip("internet_for_csm", "CHG-4711", drive.world.clock.now())
    drive.cluster = replace(drive.cluster, skips=(ended,))
    assert drive.resume() == 5, "a skip that has ended accepts nothing"
    drive.cluster = replace(drive.cluster, skips=(replace(ended, until=FOR_EVER),))
    assert drive.resume() == 0, drive.stuck
    _told(drive, "secrets-manager")


@pytest.mark.parametrize("bad", [("web",), ("secrets-manager", "web"), ("cosmos",)])
def test_no_other_service_is_accepted_with_it(tmp_path: Path, bad: tuple[str, ...]) -> None:
    drive = drive_of(tmp_path, ACCEPTED, bad=bad)
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == "await:ctm-1" and all(f"{name} error" in held.error for name in bad)


def test_nor_is_it_before_the_upgrade(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, ACCEPTED, at="gate")
    assert drive.start() == 5
    assert stuck_remedy(drive, "gate:ctm-1")
    world = make_world(3, defaults={"services": {"web": "started", "csm": "error"}})
    found = check.check(Drive(world, tmp_path, options=ACCEPTED).setup()).findings
    assert any(f.check == "services_started" and f.stops and WAY_OUT in f.remedy for f in found)


@pytest.mark.parametrize("name", NAMES)
def test_the_check_before_the_run_knows_each_spelling(tmp_path: Path, name: str) -> None:
    world = make_world(3, defaults={"services": {"web": "started", name: "started"}})
    found = check.check(Drive(world, tmp_path).setup()).findings
    assert any(f.check == "internet_for_csm" and f.verdict == "warn" for f in found)


@pytest.mark.parametrize(
    "name", ["csmx", "cosmos", "secrets", "manager", "key-manager", "secrets-manager-db"]
)
def test_no_other_name_is_taken_for_it(name: str) -> None:
    assert not is_csm(name)


def test_it_is_left_out_only_in_error_and_alone() -> None:
    for states in (
        {"csm": "error"},
        {"csm": "starting", "web": "started"},
        {"csm": "error", "web": "starting"},
    ):
        services = Services("error", states)
        assert without_csm(services) == services and not services.started
    states = {"csm": "error", "web": "started", "nae": "disabled"}
    assert without_csm(Services("error", states)).started
    assert not without_csm(Services("starting", states)).started, "it may end in another error yet"


def _typed(folder: Path, place: Path, *words: str) -> tuple[int, str]:
    command, *rest = words
    return call(command, "--simulate", str(place), "--state-dir", str(folder / "state"), *rest)


def test_as_it_is_typed(tmp_path: Path) -> None:
    """The stranger's way: the run stops, a skip is written into cluster.yaml, and the resume goes on. The report warns."""
    states = {"web": "started", "secrets-manager": "started"}
    broken = [
        {"kind": "services_after_reboot", "node": f"ctm-{n}", "state": "error", "names": ["secrets-manager"]}
        for n in (1, 2)
    ]
    nodes = [{"name": f"ctm-{n}", "services": states} for n in (1, 2)]
    place = write_fixture(tmp_path, "in-place", nodes, 2, faults=broken)
    code, said = _typed(tmp_path, place, "run", "--yes")
    assert code == 5 and WAY_OUT in said and "skip internet_for_csm" in said, said
    assert "1 on 2.21.0" in _typed(tmp_path, place, "status")[1]
    config = json.loads((place / "cluster.yaml").read_text(encoding="utf-8"))
    config["checks"] = {"skip": [{"check": "internet_for_csm", "reason": "CHG-4711", "until": "2099-01-01"}]}
    (place / "cluster.yaml").write_text(json.dumps(config), encoding="utf-8")
    code, said = _typed(tmp_path, place, "resume", "--yes")
    assert code == 0, said
    report = json.loads(_typed(tmp_path, place, "report", "--format", "json")[1])
    assert [node["version_after"].partition("+")[0] for node in report["nodes"]] == ["2.21.0", "2.21.0"]
    [worse, *_] = [f for f in report["findings"] if f["check"] == "services"]
    assert "secrets-manager was started, is error" in worse["summary"] and WAY_OUT in worse["remedy"]


def test_recover_names_the_way_out_beside_its_restart(tmp_path: Path) -> None:
    """A restart of the services alone does not help where the node does not reach the internet."""
    states = {"web": "started", "secrets-manager": "error"}
    place = write_fixture(tmp_path, "in-place", [{"name": f"ctm-{n}", "services": states} for n in (1, 2)], 2)
    code, said = _typed(tmp_path, place, "recover")
    assert code == 3 and WAY_OUT in said, said
