"""Every check has a page that is current, a scenario in which it passes, and one in which it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check as looking
from ctmupgrade.core.checks.catalogue import CHECKS, by_group, check_of
from ctmupgrade.core.checks.explain import PAGES
from ctmupgrade.core.checks.page import sections
from ctmupgrade.core.looks import state_probes
from tests.support import golden
from tests.support.check_scenarios import FOLDER, findings, scenario
from tests.support.world_run import Drive, make_world

IDS = [check.id for check in CHECKS]
ROOT = FOLDER.parents[1]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is found in the healthy cluster."""
    return findings({}, tmp_path_factory.mktemp("healthy") / "of")


SIMULATED = [identity for identity in IDS if "shown_by" not in scenario(identity)]


@pytest.mark.parametrize("identity", sorted({*IDS} - {*SIMULATED}))
def test_what_is_about_this_machine_is_shown_by_a_test(identity: str) -> None:
    shown = scenario(identity)["shown_by"]
    assert f"def {shown['test']}(" in (ROOT / shown["file"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("identity", SIMULATED)
def test_it_does_not_pass_where_it_should_not(identity: str, tmp_path: Path) -> None:
    case = scenario(identity)["fails"]
    found = findings(case, tmp_path / "of", identity)
    worst = [f for f in found if f["verdict"] == case["verdict"] and f["node"] == case.get("node", f["node"])]
    assert worst, found
    assert any(case.get("says", "") in f["summary"] for f in worst), found
    assert all(f["remedy"] for f in worst), "what to do is missing"


@pytest.mark.parametrize("identity", SIMULATED)
def test_it_passes_where_it_should(identity: str, healthy: list[dict[str, Any]], tmp_path: Path) -> None:
    case = scenario(identity).get("passes")
    found = healthy if case is None else findings(case, tmp_path / "of", identity)
    assert {f["verdict"] for f in found if f["check"] == identity} == {"pass"}


def test_no_scenario_is_of_a_check_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(IDS)
    assert set(PAGES) == set(IDS)


@pytest.mark.parametrize("identity", IDS)
def test_each_has_a_page_without_an_empty_part(identity: str) -> None:
    check = check_of(identity)
    assert check and all(text.strip() for _, text in sections(check, PAGES[identity]))
    assert (ROOT / "docs" / "checks" / f"{identity}.md").is_file(), "scripts/pages writes it"


def test_the_pages_in_docs_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pages"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_list_has_every_check_once_in_its_group() -> None:
    code, printed = golden.call("check", "--list", "--format", "json")
    document = json.loads(printed)
    assert (code, document["schema"]) == (0, 1)
    assert sorted(row["id"] for row in document["checks"]) == sorted(IDS)
    assert all({"id", "title", "group", "waivable"} <= row.keys() for row in document["checks"])
    _, text = golden.call("check", "--list")
    assert [line for line in text.splitlines() if line.endswith(":")] == [f"{group}:" for group in by_group()]


def test_a_finding_carries_the_address_of_its_page_and_the_harm(healthy: list[dict[str, Any]]) -> None:
    for finding in healthy:
        check = check_of(finding["check"])
        assert check and finding["doc"] == f"ctmupgrade check --explain {check.id}"
        assert finding["harm"] == check.harm.value
    code, text = golden.call(*healthy[0]["doc"].split()[1:])
    assert code == 0 and "What breaks otherwise" in text and healthy[0]["check"] in text


def test_an_explanation_of_no_check_names_the_nearest() -> None:
    code, _ = golden.call("check", "--explain", "port_5432_opne")
    assert code == 2
    code, printed = golden.call("check", "--explain", "port_5432_opne", "--format", "json")
    assert code == 2 and "port_5432_open" in json.loads(printed)["error"]["remedy"]


# -- an appliance of a release that does not know a look ---------------------------------------------------

LATER_LOOKS = {
    f"ksctl {' '.join(w for w in probe.ways[0].argv if not w.startswith('--') and not w.isdigit())}"
    for probe in state_probes.OF_A_CONTROL_PLANE
} | {
    "ksctl interfaces certificate get",
    *(" ".join(way.argv) for probe in state_probes.OF_A_SHELL for way in probe.ways),
}
SAYS_NOTHING_OF_USE = {
    "unknown command": 'Error: unknown command for "ksctl"',
    "nothing": "",
    "error body": '{"code": 16, "codeDesc": "NCERRResourceNotFound: Resource not found"}',
    "prose": "Usage: ksctl [command]",
    "another object": '{"a": 1}',
}


@pytest.mark.parametrize("answer", SAYS_NOTHING_OF_USE.values(), ids=SAYS_NOTHING_OF_USE)
def test_what_cannot_be_looked_up_is_told_and_stops_nothing(answer: str, tmp_path: Path) -> None:
    """An older release, or a restricted account: `check` of a healthy cluster still ends well."""
    says = dict.fromkeys(LATER_LOOKS, answer)
    found = findings({"world": {"defaults": {"says": says}}}, tmp_path / "of")
    assert [f for f in found if f["verdict"] in ("block", "unknown")] == [], (
        "a probe whose check blocks where nothing is known belongs to shell_probes or ksctl_probes, not to state_probes"
    )
    told = {f["check"] for f in found if "could not be looked up" in f["summary"]}
    assert told >= {
        "cluster_errors_empty", "control_plane_up", "no_builtin_alarm_on", "cluster_cert_lasts", "interface_certs_last",
        "licences_last", "no_job_in_window", "no_backup_or_restore_running", "backup_key_can_be_had", "hsm_answers", "inodes_free",
        "root_writable", "diskenc_at_rest", "address_is_static", "same_time_servers", "account_lasts",
    }  # fmt: skip


def test_a_control_plane_that_refuses_the_login_is_not_asked_for_more(tmp_path: Path) -> None:
    """Each further attempt may lock the account."""
    drive = Drive(make_world(3), tmp_path)
    drive.world.nodes["ctm-2"].times.login_s, drive.world.nodes["ctm-2"].changed_at = 600.0, drive.world.now
    looking.check(drive.setup())
    asked = {event.detail for event in drive.world.of_kind("login_refused", "ctm-2")}
    assert asked and not asked & {words.removeprefix("ksctl ") for words in LATER_LOOKS} - {
        "diskenc status",
        "cluster info",
    }


OWN = """cluster: lab
target: {archive: ./610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v2.21.0_RevA.tar.gz.gpg, signer: 0123456789ABCDEF0123456789ABCDEF01234567}
checks:
  own:
    - {name: lb-drained, run: [./lb-drained.sh, "{node}", --password, hunter2x]}
    - {name: dns-ok, run: [cat, /etc/resolv.conf], on: node, when: [check, after_node]}
nodes: [{name: ctm-1, host: 10.0.0.11}]
"""


def test_the_operators_own_checks_are_in_the_list_and_have_pages(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(OWN)
    (tmp_path / "lb-drained.sh").write_text("#!/bin/sh\n")
    code, printed = golden.call("check", "--list", "--format", "json", "-c", str(file))
    mine = [row for row in json.loads(printed)["checks"] if row["group"] == "the operator's own"]
    assert code == 0 and [(row["id"], row["waivable"]) for row in mine] == [
        ("lb-drained", True),
        ("dns-ok", True),
    ]
    _, text = golden.call("check", "--list", "-c", str(file))
    assert "the operator's own:" in text and "hunter2x" not in text
    code, text = golden.call("check", "--explain", "dns-ok", "-c", str(file))
    assert code == 0 and "cat /etc/resolv.conf" in text and "after each node" in text
    code, printed = golden.call("check", "--explain", "lb-draned", "--format", "json", "-c", str(file))
    assert code == 2 and "lb-drained" in printed
    file.write_text("cluster: [broken")
    code, text = golden.call("check", "--list", "-c", str(file))
    assert code == 0 and "the operator's own:" not in text, "a broken file hides no check of ours"


def test_the_vendors_own_sample_of_a_dead_node_blocks_and_its_old_view_is_told(tmp_path: Path) -> None:
    """Three nodes, of which one is dead and keeps a last view that says GOOD (vendor page Clusters and Nodes)."""
    sample = json.loads((ROOT / "tests" / "support" / "vendor_summary.json").read_text(encoding="utf-8"))
    ids = (
        "2dda1a9e4de4438b9fab1c7efc95bea8",
        "f374bb3eab384692843e8dc60a9c2da2",
        "f50adf6919c047f0b83c2bf73553f962",
    )
    hosts = ("54.224.193.194", "54.144.33.167", "18.234.75.110")
    rows = [{"name": f"ctm-{n}", "host": host} for n, host in enumerate(hosts, 1)]
    told = {"says": {"ksctl cluster summary": sample}}
    nodes = {
        row["name"]: {"node_id": one, "host": row["host"], **told} for one, row in zip(ids, rows, strict=True)
    }
    world = {
        "start": "2022-08-24T06:21:10Z",
        "nodes": nodes,
        "faults": [{"kind": "refused", "node": "ctm-1"}],
    }
    found = findings({"world": world, "cluster": {"nodes": rows}}, tmp_path / "of", "replication_connected")
    dead = [f for f in found if f["node"] == "ctm-1"]
    assert {f["verdict"] for f in dead} >= {"block"}
    said = " ".join(f["summary"] for f in dead if f["verdict"] == "block")
    assert "BAD:node is inactive" in said and "its own view of the cluster is 37 minutes old" in said, dead
