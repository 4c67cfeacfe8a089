"""Each check with facts in which it passes and facts in which it does not: values in, verdicts out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from ctmupgrade.collect.ask import ask
from ctmupgrade.core.checks.catalogue import examine
from ctmupgrade.core.checks.findings import Verdict, overall
from ctmupgrade.core.ksctl import certificate_trouble
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.boot import BootMark, Unbooted
from ctmupgrade.core.looks.cluster_views import Member, Membership, PeerView, SummaryReport
from ctmupgrade.core.looks.facts import (
    ClockReading,
    Facts,
    Mount,
    Ntp,
    PortState,
    Rights,
    Services,
    SystemInfo,
    Unit,
    Unknown,
)
from ctmupgrade.core.looks.node_state import BackupJob
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import Options, Skip
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version
from ctmupgrade.ports import Reader, Reply
from tests.unit.values import (
    AT,
    GIB,
    OLD,
    cluster,
    facts,
    manifest,
    member_list,
    node_facts,
    node_id,
    reports,
)

NOT_ASKED = Unknown("not asked")
SILENT = Unknown("no answer", unreachable=True)


def changed(**what: object) -> Facts:
    """A healthy cluster in which ``ctm-2`` differs."""
    return facts(ctm_2=replace(node_facts(2), **what))  # type: ignore[arg-type]


def everywhere(summary: tuple[SummaryReport, ...]) -> Facts:
    """Every node gives this summary."""
    return facts(3, **{f"ctm_{n}": replace(node_facts(n), summary=summary) for n in (1, 2, 3)})


def verdict(check: str, seen: Facts, options: Options | None = None) -> Verdict:
    """The worst finding of one check."""
    return overall(examine(seen, cluster(), options or Options(), only=[check]))


def _stale() -> tuple[SummaryReport, ...]:
    return tuple(replace(report, updated=AT - timedelta(minutes=37)) for report in reports(3))


def _disconnected() -> tuple[SummaryReport, ...]:
    first, *rest = reports(3)
    peers = {**first.peers, node_id(3): PeerView("d", "BAD", False, "10.0.0.3")}
    return (replace(first, peers=peers), *rest)


def _behind() -> tuple[SummaryReport, ...]:
    """Ready, connected and GOOD, and the first node reports that the third takes no changes any more."""
    first, *rest = reports(3)
    peers = {**first.peers, node_id(3): replace(first.peers[node_id(3)], link={"replicationBlocked": True})}
    return (replace(first, peers=peers), *rest)


LOG = UpgradeLog("/home/ksadmin/ks_upgrade_2026-01-01-120000.log", 100, LogVerdict.SUCCEEDED, "2.21.0+15451")
NO_PORT = facts(
    3,
    **{
        f"ctm_{n}": replace(
            node_facts(n), summary=(), ports={**node_facts(n).ports, "ctm-2": PortState(False, "nc")}
        )
        for n in (1, 2, 3)
    },
)
BLOCKED = {
    "node_reachable": changed(shell=Unknown("Permission denied")),
    "control_plane_reachable": changed(system=Unknown("401", login=True)),
    "cluster_members_match": changed(members=member_list(2, 2)),
    "every_node_ready": changed(members=(*member_list(2, 3)[:2], Member(node_id(3), "10.0.0.3", "d"))),
    "replication_connected": everywhere(_disconnected()),
    "services_started": changed(services=Services("error", {"nae": "error"})),
    "versions_equal": changed(system=SystemInfo(Version.parse("2.19.0"))),
    "upgrade_path_known": changed(system=SystemInfo(Version.parse("2.18.1"))),
    "free_space_sufficient": changed(mounts=(Mount("/", 20 * GIB, 100 * GIB),)),
    "backup_downloaded_with_key": replace(facts(), backups_possible="no folder"),
    "ntp_synchronised": changed(ntp=Ntp(False)),
    "clocks_agree": changed(clock=ClockReading(4.0, 0.1)),
    "port_5432_open": NO_PORT,
    "sudo_allows_upgrade": changed(rights=Rights(True, False)),
    "no_upgrade_running": changed(processes=("ks_upgrade.sh -f x",)),
    "no_reboot_pending": changed(logs=(LOG,)),
    "reboot_needs_no_person": changed(attended_boot=True),
    "archive_signature_good": replace(facts(), archive=Unknown("bad signature")),
    "fresh_instances_ready": replace(
        facts(), fresh={"ctm-3": replace(node_facts(3), membership=Membership(node_id(3), "r", 3))}
    ),
}
UNKNOWN = {
    "node_reachable": changed(shell=SILENT),
    "control_plane_reachable": changed(system=SILENT),
    "cluster_members_match": changed(members=NOT_ASKED),
    "every_node_ready": changed(members=NOT_ASKED),
    "services_started": changed(unit=NOT_ASKED),
    "versions_equal": changed(system=NOT_ASKED),
    "upgrade_path_known": changed(system=NOT_ASKED),
    "free_space_sufficient": changed(mounts=NOT_ASKED),
    "ntp_synchronised": changed(ntp=NOT_ASKED),
    "clocks_agree": changed(clock=NOT_ASKED),
    "sudo_allows_upgrade": changed(rights=NOT_ASKED),
    "no_upgrade_running": changed(processes=NOT_ASKED),
    "no_reboot_pending": changed(logs=NOT_ASKED),
    "reboot_needs_no_person": changed(attended_boot=SILENT),
}


def test_a_healthy_cluster_only_needs_a_backup_and_the_release_notes() -> None:
    found = examine(facts(), cluster(), Options())
    odd = {f.check: f.verdict for f in found if f.verdict is not Verdict.PASS}
    assert odd.pop("backup_downloaded_with_key") is Verdict.WARN
    assert odd.pop("upgrade_path_known") is Verdict.MANUAL
    assert odd.pop("old_version_at_hand") is Verdict.MANUAL
    assert odd.pop("restored_once") is Verdict.WARN, "no drill yet"
    assert not odd


@pytest.mark.parametrize("check", sorted(BLOCKED))
def test_what_is_wrong_blocks(check: str) -> None:
    assert verdict(check, BLOCKED[check]) is Verdict.BLOCK


@pytest.mark.parametrize("check", sorted(UNKNOWN))
def test_what_is_not_known_blocks_as_unknown(check: str) -> None:
    assert verdict(check, UNKNOWN[check]) is Verdict.UNKNOWN


def test_a_report_of_37_minutes_ago_proves_no_connection() -> None:
    assert verdict("replication_connected", everywhere(_stale())) in (Verdict.BLOCK, Verdict.UNKNOWN)


@pytest.mark.parametrize(("count", "expected"), [(1, Verdict.PASS), (20, Verdict.PASS), (21, Verdict.BLOCK)])
def test_a_cluster_has_up_to_twenty_nodes(count: int, expected: Verdict) -> None:
    found = examine(facts(count), cluster(count), Options(), only=["node_count_supported"])
    assert overall(found) is expected


def test_only_equal_versions_below_the_target_are_equal() -> None:
    done = changed(system=SystemInfo(Version.parse("2.21.0+15451")))
    assert verdict("versions_equal", done) is Verdict.WARN, "one is at the target: upgrade the others"


def test_a_whole_fresh_backup_of_each_node_passes() -> None:
    whole = replace(facts(), manifests=tuple(manifest(n) for n in (1, 2, 3)))
    assert verdict("backup_downloaded_with_key", whole) is Verdict.PASS


@pytest.mark.parametrize(
    "bad",
    [
        manifest(2, created=AT - timedelta(hours=25)), manifest(2, problem="its hash is another"), manifest(3),
    ],
    ids=["old", "damaged", "another node's"],
)  # fmt: skip
def test_one_bad_backup_is_no_backup(bad: object) -> None:
    seen = replace(facts(), manifests=(manifest(1), bad, manifest(3)))  # type: ignore[arg-type]
    assert verdict("backup_downloaded_with_key", seen) is Verdict.WARN


@pytest.mark.parametrize(
    ("boot", "expected"),
    [(BootMark("same"), Verdict.BLOCK), (BootMark("other"), Verdict.PASS), (BootMark(), Verdict.UNKNOWN)],
    ids=["same boot", "another boot", "not comparable"],
)
def test_a_reboot_that_an_earlier_run_left_out_is_told_by_the_boot(boot: BootMark, expected: Verdict) -> None:
    left = Unbooted("RUN", Version.parse("2.21.0"), BootMark("same"), proven=True)
    seen = replace(changed(boot=boot), unbooted={"ctm-2": left})
    assert verdict("no_reboot_pending", seen) is expected


@pytest.mark.parametrize(
    ("boot", "log", "expected"),
    [
        (BootMark("other"), "/home/ksadmin/" + LOG.path, Verdict.PASS),
        (BootMark("other"), f"terminal; {LOG.path}", Verdict.PASS),
        (BootMark("other"), "ks_upgrade_of_another_time.log", Verdict.BLOCK),
        (BootMark("same"), LOG.path, Verdict.BLOCK),
        (BootMark(since=5.0), LOG.path, Verdict.BLOCK),
    ],
    ids=["another boot", "told by the terminal", "another log", "same boot", "no id"],
)
def test_a_log_of_an_earlier_boot_waits_for_nothing_though_times_say_so(
    boot: BootMark, log: str, expected: Verdict
) -> None:
    """Its boot's id tells; a clock that was set makes the log newer than the boot."""
    waits = replace(LOG, version="2.21.0+15451", in_this_boot=True)
    seen = changed(boot=boot, logs=(waits,), system=SystemInfo(Version.parse("2.21.0+15451")))
    seen = seen.with_boots({"ctm-2": (log, BootMark("same")), "gone": (log, BootMark("x"))})
    assert verdict("no_reboot_pending", seen) is expected


def test_a_person_at_the_console_is_accepted_only_by_name() -> None:
    attended = changed(attended_boot=True)
    accepted = Options(accept_attended_boot=True)
    assert verdict("reboot_needs_no_person", attended, accepted) is Verdict.MANUAL


def test_a_clock_that_may_be_right_is_not_called_wrong() -> None:
    assert verdict("clocks_agree", changed(clock=ClockReading(1.5, 1.0))) is Verdict.PASS


def test_a_disabled_service_is_a_choice() -> None:
    services = Services("started", {"nae": "started", "csm": "disabled"})
    assert verdict("services_started", changed(services=services)) is Verdict.PASS


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (BackupJob("", "", False), Verdict.WARN),  # never made one: "wait until it ends" would never end
        (BackupJob("backup", "", False), Verdict.BLOCK),
        (BackupJob("", "InProgress", False), Verdict.BLOCK),
        (BackupJob("", "", None), Verdict.PASS),
        (BackupJob("restore", "Completed", False), Verdict.PASS),
    ],
)
def test_a_backup_that_nothing_names_is_not_waited_for(job: BackupJob, expected: Verdict) -> None:
    assert verdict("no_backup_or_restore_running", changed(backup_job=job)) is expected


@pytest.mark.parametrize("active", ["failed", "inactive", "activating"])
def test_keysecure_must_be_active(active: str) -> None:
    assert verdict("services_started", changed(unit=Unit(active))) is Verdict.BLOCK


def test_a_waiver_marks_findings_and_never_a_pass() -> None:
    options = Options(skips=(("ntp_synchronised", "CHG-1"),))
    found = examine(changed(ntp=Ntp(False)), cluster(), options, only=["ntp_synchronised"])
    assert {f.node: f.verdict for f in found} == {
        "ctm-1": Verdict.PASS, "ctm-2": Verdict.SKIPPED, "ctm-3": Verdict.PASS,
    }  # fmt: skip
    assert "CHG-1" in next(f.summary for f in found if f.node == "ctm-2")


def test_standalone_is_for_unclustered_appliances() -> None:
    alone = cluster(1, StrategyName.STANDALONE)
    member = replace(facts(1), nodes={"ctm-1": node_facts(1, 1)})
    apart = replace(facts(1), nodes={"ctm-1": replace(node_facts(1, 1), membership=Membership("", "none"))})
    only = ["cluster_members_match"]
    assert overall(examine(member, alone, Options(), only=only)) is Verdict.BLOCK
    assert overall(examine(apart, alone, Options(), only=only)) is Verdict.PASS


WARNS = ("control_plane_verified", "window_fits")  # the window in tests/test_windows.py


def test_a_node_that_is_behind_stops_everything() -> None:
    assert verdict("replication_caught_up", everywhere(_behind())) is Verdict.BLOCK


def test_a_release_that_reports_no_delay_is_not_waited_for() -> None:
    """Before a removal it must be known; no waiting brings the numbers, and a person can compare by hand."""
    rebuild = cluster(3, StrategyName.REBUILD)
    silent = tuple(
        replace(report, peers={key: replace(peer, link={}) for key, peer in report.peers.items()})
        for report in reports(3)
    )
    found = [
        f for f in examine(everywhere(silent), rebuild, Options(), only=["replication_caught_up"]) if f.stops
    ]
    assert len(found) == 6 and all(f.verdict is Verdict.UNKNOWN for f in found)
    for finding in found:
        assert "ksctl keys list" in finding.remedy and "--skip replication_caught_up=REASON" in finding.remedy
        assert "wait," not in finding.remedy


def test_a_control_plane_that_is_not_verified_is_a_warning() -> None:
    made = cluster()
    open_one = replace(made.nodes[0], ksctl=replace(made.nodes[0].ksctl, nosslverify=True))
    clear_one = replace(made.nodes[1], url="http://127.0.0.1:8080")
    found = examine(
        facts(), replace(made, nodes=(open_one, clear_one, made.nodes[2])), Options(), only=WARNS[:1]
    )
    assert [(f.node, f.verdict) for f in found] == [("ctm-1", Verdict.WARN), ("ctm-2", Verdict.WARN)]
    assert "nosslverify" in found[0].summary and "clear text" in found[1].summary
    assert [f.verdict for f in examine(facts(), made, Options(), only=WARNS[:1])] == [Verdict.PASS]


DISTRUSTED = {
    "x509: certificate signed by unknown authority": ("authority", "SSL_CERT_FILE"),
    "tls: failed to verify certificate: x509: certificate signed by unknown authority": ("authority", "nosslverify: true"),
    "SSL: CERTIFICATE_VERIFY_FAILED self-signed certificate in chain": ("authority", "SSL_CERT_FILE"),
    "x509: certificate is valid for kylo.local, not 10.0.0.2": ("name", "a name or address that its certificate"),
    "x509: cannot validate certificate for 10.0.0.2 because it doesn't contain any IP SANs": ("name", "nosslverify: true"),
    "x509: certificate has expired or is not yet valid: current time is after 2026-01-01": ("expired", "renew it"),
    "tls: first record does not look like a TLS handshake": ("no TLS", "check the host and the port"),
    "http: server gave HTTP response to HTTPS client": ("no TLS", "check the host and the port"),
}  # fmt: skip


class Distrusts:
    """A control plane that ksctl does not trust, and says so whatever it is asked."""

    def __init__(self, said: str) -> None:
        self.said = said

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        return Reply(1, "", self.said)


@pytest.mark.parametrize("said", DISTRUSTED)
def test_a_certificate_that_is_not_trusted_is_told_as_that(said: str) -> None:
    kind, remedy = DISTRUSTED[said]
    assert certificate_trouble(said) == kind
    fact = ask(cast(Reader, Distrusts(said)), ksctl_probes.SYSTEM)
    assert isinstance(fact, Unknown) and fact.certificate == kind
    found = [
        f for f in examine(changed(system=fact, members=fact), cluster(), Options()) if f.node == "ctm-2"
    ]
    (told,) = [f for f in found if f.check == "control_plane_reachable"]
    assert told.verdict is Verdict.BLOCK and not told.unreachable and remedy in told.remedy
    assert told.summary.count(said) == 1
    others = [f for f in found if said in f.summary and f is not told]
    assert others and {f.remedy for f in others} == {
        "make this machine trust its certificate first: see control_plane_reachable"
    }


@pytest.mark.parametrize(
    "said", ["connection refused", "401 Unauthorized", "net/http: TLS handshake timeout", "EOF", ""]
)
def test_other_troubles_are_none_of_the_certificates(said: str) -> None:
    assert certificate_trouble(said) == ""


def test_a_skip_of_the_file_that_has_ended_counts_no_more_and_says_so() -> None:
    ended = Skip("ntp_synchronised", "CHG-1", AT)
    found = examine(
        changed(ntp=Ntp(False)), replace(cluster(), skips=(ended,)), Options(), only=["ntp_synchronised"]
    )
    told = next(f for f in found if f.node == "ctm-2")
    assert told.verdict is Verdict.BLOCK and "its skip in cluster.yaml ended 2026-01-10" in told.summary
    assert all("ended" not in f.summary for f in found if f.verdict is Verdict.PASS)


@pytest.mark.parametrize("order", [Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN])
def test_the_worst_verdict_counts(order: Verdict) -> None:
    healthy = examine(facts(), cluster(), Options())[0]
    found = [replace(healthy, verdict=v) for v in (Verdict.PASS, order, Verdict.SKIPPED)]
    assert overall(found) is order


def test_the_version_before_is_in_no_list_of_an_unlisted_target() -> None:
    assert OLD.startswith("2.20.0") and verdict("upgrade_path_known", facts()) is Verdict.MANUAL
