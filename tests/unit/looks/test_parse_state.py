"""Answers about a node's alarms, licences, interfaces, jobs and disks: real shapes in, values out; anything else is not understood."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ctmupgrade.core.looks import parse_state, x509
from ctmupgrade.core.looks.cron import next_run
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.node_state import Alarm, BackupJob, DiskEncryption, HsmServer, Inodes, MountedAs
from ctmupgrade.core.looks.shared_state import Account, ClusterError, QuorumPolicy
from ctmupgrade.sim.answers import CERTIFICATE

PARSERS = (
    parse_state.alarms, parse_state.licences, parse_state.interfaces, parse_state.certificate_chain, parse_state.hsm_servers,
    parse_state.disk_encryption, parse_state.backup_job, parse_state.raft_status, parse_state.time_servers,
    parse_state.cluster_errors, parse_state.schedules, parse_state.quorum_policies, parse_state.properties, parse_state.accounts,
    parse_state.inodes, parse_state.mounted, parse_state.addresses_by_dhcp,
)  # fmt: skip
NONE_OF_THEM = (
    "null", "{", '{"a":', "Segmentation fault", '{"code":5,"codeDesc":"NCERRUnauthorizedAccess: no"}', "<html>login</html>", '"text"',
    'Error: unknown command "x" for "ksctl"', "{}",
)  # fmt: skip


def listed(*rows: dict[str, Any], bare: bool = False, total: int | None = None) -> str:
    """A listing as ksctl prints it."""
    return json.dumps(
        list(rows) if bare else {"skip": 0, "limit": 10, "total": total or len(rows), "resources": list(rows)}
    )


@pytest.mark.parametrize("text", NONE_OF_THEM)
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_what_is_no_answer_is_not_understood(parser: Any, text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parser(text)


@pytest.mark.parametrize("bare", [False, True], ids=["listing", "bare array"])
def test_listings_in_both_forms(bare: bool) -> None:
    alarm = {"name": "Disk Full", "state": "On", "severity": "critical"}
    assert parse_state.alarms(listed(alarm, bare=bare)) == (Alarm("Disk Full", "on", "critical"),)
    assert parse_state.time_servers(listed({"host": "B"}, {"host": "a"}, bare=bare)) == ("a", "b")
    policy = {"operation": ["DownloadBackupKey"], "active": True, "profile": "p"}
    assert parse_state.quorum_policies(listed(policy, bare=bare)) == (
        QuorumPolicy(("DownloadBackupKey",), active=True),
    )
    user = {"username": "admin", "account_lockout_at": None, "failed_logins_count": 2}
    assert parse_state.accounts(listed(user, bare=bare)) == (Account("admin", "", 2),)
    assert parse_state.properties(listed({"name": "A", "value": "1"}, bare=bare)) == {"A": "1"}


@pytest.mark.parametrize(
    "parser", [parse_state.alarms, parse_state.licences, parse_state.schedules, parse_state.quorum_policies]
)
def test_a_first_page_is_not_the_whole(parser: Any) -> None:
    with pytest.raises(NotUnderstoodError, match="only 1 of 12"):
        parser(listed({"name": "x"}, total=12))


def test_an_empty_list_is_an_answer() -> None:
    assert parse_state.hsm_servers('{"total": 0, "resources": []}') == ()
    assert parse_state.alarms('{"total": 0, "resources": null}') == ()


def test_a_trial_counts_its_seconds_and_has_no_expiration() -> None:
    rows = listed(
        {"feature": "CTE", "type": "trial", "state": "active", "expiration": "no expiration", "trial_seconds_remaining": "86400"},
        {"type": "virtual", "state": "active", "expiration": "2027-01-01T00:00:00Z", "trial_seconds_remaining": 0},
    )  # fmt: skip
    trial, licence = parse_state.licences(rows)
    assert (trial.name, trial.expires, trial.trial_s) == ("CTE", None, 86400)
    assert (licence.name, licence.expires, licence.trial_s) == (
        "virtual",
        datetime(2027, 1, 1, tzinfo=UTC),
        None,
    )


def test_an_hsm_is_told_in_its_configuration_or_beside_it() -> None:
    config = {"host": "hsm1.example.com", "partition_name": "part1", "serial": "1000000000001"}
    assert parse_state.hsm_servers(listed({"id": "5", "type": "luna", "config": config})) == (
        HsmServer("luna", "hsm1.example.com", "part1", "1000000000001"),
    )
    assert parse_state.hsm_servers(listed({"id": "5", "hostname": "h"})) == (HsmServer(host="h"),)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"encryptionStatus": "not encrypted", "hasDEK": False, "attendedBoot": False}, DiskEncryption(False, "not encrypted")),
        ({"encrypted": True, "attendedBoot": "true"}, DiskEncryption(True)),
        ({"status": "Encrypting..."}, DiskEncryption(False)),
    ],
)  # fmt: skip
def test_disk_encryption(body: dict[str, object], expected: DiskEncryption) -> None:
    assert parse_state.disk_encryption(json.dumps(body)) == expected


def test_other_single_answers() -> None:
    assert parse_state.backup_job('{"operation":"backup","status":"Completed","finished":true}') == BackupJob(
        "backup", "Completed", True
    )
    assert parse_state.backup_job('{"operation":"","status":"","finished":"2026-01-01"}').finished is None
    assert parse_state.raft_status('{"nodeID":"1","status":{"code":"r"},"raftStatus":"up"}') == "up"
    assert parse_state.raft_status('{"nodeID":"1","status":{"code":"r"}}') == ""
    (error,) = parse_state.cluster_errors(
        '[{"nodeID":"1","clusterErrors":[{"errorMessage":"no leader","errorTime":"2026-01-01T00:00:00Z"}]},{"clusterErrors":null}]'
    )
    assert error == ClusterError("no leader", datetime(2026, 1, 1, tzinfo=UTC))
    (job,) = parse_state.schedules(
        listed({"name": "n", "operation": "o", "run_at": "@daily", "start_date": "", "retentionCount": 3})
    )
    assert (job.run_at, job.start, job.kept, job.disabled) == ("@daily", None, 3, False)


def test_file_systems_and_addresses() -> None:
    table = "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/sda2 100 10 90 10% /\nbtrfs 0 0 0 - /home\n"
    assert parse_state.inodes(table) == (Inodes("/", 90, 100), Inodes("/home", 0, 0))
    mounts = "rootfs / rootfs rw 0 0\n/dev/sda2 / ext4 ro,relatime 0 0\nproc /proc proc ro 0 0\n/dev/sdb /var xfs rw 0 0\n"
    assert parse_state.mounted(mounts) == (MountedAs("/", "ext4", True), MountedAs("/var", "xfs", False))
    said = "GENERAL.DEVICE:ens160\nGENERAL.TYPE:ethernet\nDHCP4.OPTION[1]:x = y\nDHCP4.OPTION[2]:x = y\n\nGENERAL.DEVICE:kylo0\n"
    assert parse_state.addresses_by_dhcp(said) == ("ens160",)


# -- certificates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [CERTIFICATE, json.dumps({"certificates": CERTIFICATE}), f"notice\n{CERTIFICATE}"]
)
def test_until_when_a_certificate_is_valid(text: str) -> None:
    (one,) = parse_state.certificate_chain(text)
    assert one.not_after == datetime(2049, 12, 31, tzinfo=UTC)
    assert one.fingerprint.startswith("80085e36f25d")  # as openssl x509 -fingerprint -sha256 prints it


def test_a_chain_has_several_and_a_cut_one_is_not_understood() -> None:
    assert len(x509.chain(CERTIFICATE * 2)) == 2
    lines = CERTIFICATE.splitlines()
    for cut in ("\n".join([*lines[:2], lines[-1]]), "\n".join([lines[0], "AAAA", lines[-1]]), ""):
        with pytest.raises(NotUnderstoodError):
            x509.chain(cut)


# -- cron ----------------------------------------------------------------------------------------------

FROM, TO = (
    datetime(2026, 1, 10, 22, 0, 30, tzinfo=UTC),
    datetime(2026, 1, 11, 4, 0, tzinfo=UTC),
)  # Saturday to Sunday


@pytest.mark.parametrize(
    ("run_at", "hour", "minute"),
    [
        ("0 3 * * *", 3, 0), ("*/20 * * * *", 22, 20), ("15,45 1-2 * * *", 1, 15), ("@daily", 0, 0), ("0 0 3 * * *", 3, 0),
        ("30 23 * * sat", 23, 30), ("0 1 * * 7", 1, 0), ("0 2 11 JAN ?", 2, 0), ("0 2 1 * sun", 2, 0), ("@every 5m", 22, 0),
        ("5/30 22 * * *", 22, 5),
    ],
)  # fmt: skip
def test_a_job_that_runs_in_the_window(run_at: str, hour: int, minute: int) -> None:
    found = next_run(run_at, FROM, TO)
    assert found is not None and (found.hour, found.minute) == (hour, minute)


@pytest.mark.parametrize(
    "run_at", ["0 5 * * *", "0 3 * * mon", "0 3 12 * *", "0 3 * feb *", "0 22 * * *", "0 3 1 * mon"]
)
def test_a_job_that_does_not(run_at: str) -> None:
    assert next_run(run_at, FROM, TO) is None


@pytest.mark.parametrize(
    "run_at",
    ["", "any", "1 2 3", "60 * * * *", "* 25 * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "-1 * * * *"],
)
def test_what_is_no_time_of_cron(run_at: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        next_run(run_at, FROM, TO)
