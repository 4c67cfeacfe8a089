"""The way to the control planes: their certificates, one appliance behind two URLs, names, domains. By the installed
program, with a cluster within reach."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.sim import Fault
from tests.support.live import Live, signing_key, start_live

AUTHORITY = "x509: certificate signed by unknown authority"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with signing_key() as signing:
        made = start_live(tmp_path_factory.mktemp("planes"), signing, nodes=2, size=5_000)
        yield made
        made.close()


@pytest.fixture
def config(live: Live) -> Iterator[Path]:
    """cluster.yaml, which a test may change."""
    before = live.cluster.read_text()
    yield live.cluster
    live.cluster.write_text(before)


def wrapped(live: Live, config: Path, script: str) -> None:
    """Puts a program of the test's own in place of ksctl; ``$REAL`` is the usual one."""
    program = live.folder / "wrapper"
    program.write_text(f"#!/bin/sh\nREAL={shlex.quote(str(live.fleet.ksctl))}\n{script}\n")
    program.chmod(0o755)
    config.write_text(config.read_text().replace(str(live.fleet.ksctl), str(program)))


def test_a_certificate_of_an_unknown_authority_is_told_once_with_how_to_trust_it(
    live: Live, config: Path
) -> None:
    """The state of a fresh appliance; other troubles of certificates: tests/unit/checks."""
    wrapped(live, config, f"echo \"Error: Get '$KSCTL_URL/api/v1': {AUTHORITY}\" >&2; exit 1")
    checked = live.run("check")
    assert checked.returncode == 3, checked.stdout + checked.stderr
    assert checked.stdout.count(AUTHORITY) == 1, "once for both: their own addresses alone differ"
    assert "ctm-1, ctm-2: the certificate" in checked.stdout
    assert checked.stdout.count("SSL_CERT_FILE") == 1 and "nosslverify: true under ksctl" in checked.stdout
    assert "delete" not in checked.stdout + live.run("recover").stdout


def test_two_urls_that_lead_to_one_appliance_are_told(live: Live, config: Path) -> None:
    config.write_text(config.read_text().replace("https://ctm-2.sim", "https://ctm-1.sim:8443"))
    said = live.run("check")
    assert said.returncode == 3
    assert "the urls of ctm-1 and ctm-2 belong to one appliance (id " in said.stdout
    assert "delete" not in said.stdout and "does not list" not in said.stdout


def test_recover_says_of_no_node_that_it_is_apart_where_two_urls_lead_to_one_appliance(
    live: Live, config: Path
) -> None:
    """Both are healthy members: that one serves alone, or must not be used, would take a good node away from clients."""
    config.write_text(config.read_text().replace("https://ctm-2.sim", "https://ctm-1.sim:8443"))
    said = live.run("recover")
    assert said.returncode == 6, said.stdout + said.stderr
    assert "the urls of ctm-1 and ctm-2 belong to one appliance (id " in said.stdout
    assert "which of ctm-1, ctm-2 serves clients is not known" in said.stdout
    for wrong in ("alone", "outside the cluster", "must not use", "served by"):
        assert wrong not in said.stdout, said.stdout


def test_a_node_that_nobody_looked_at_is_not_at_the_target(live: Live, config: Path) -> None:
    """One node is at the target, and answers for the other one too."""
    config.write_text(config.read_text().replace("https://ctm-2.sim", "https://ctm-1.sim:8443"))
    one = live.world.nodes["ctm-1"]
    before, one.version = one.version, live.world.archive.version
    try:
        for words in (["run", "--yes"], ["run", "--yes", "--nodes", "ctm-2"], ["run", "--dry-run"]):
            said = live.run(*words)
            assert said.returncode == 3, said.stdout
            assert "belong to one appliance (id " in said.stdout + said.stderr
    finally:
        one.version = before


def test_urls_that_were_exchanged_are_told_and_nothing_is_done(live: Live, config: Path) -> None:
    """The cluster says at which address each id is: the url of one node must not lead to another one's."""
    text = config.read_text()
    config.write_text(
        text.replace("https://ctm-1.sim", "X").replace("https://ctm-2.sim", "https://ctm-1.sim").replace("X", "https://ctm-2.sim")
    )  # fmt: skip
    for name in ("ctm-1", "ctm-2"):
        live.world.nodes[name].version = live.world.archive.version
        for words, code in (
            (["check"], 3), (["run", "--yes"], 3), (["run", "--yes", "--nodes", name], 3), (["backup"], 3),
            (["recover"], 6), (["recover", "--rejoin", "ctm-2", "--yes"], 6),
        ):  # fmt: skip
            said = live.run(*words)
            assert said.returncode == code, (words, said.stdout, said.stderr)
            assert "leads to the appliance that the cluster lists at" in said.stdout + said.stderr, words
        live.world.nodes[name].version = "2.20.0+15016"
    assert not live.world.of_kind("removed") and not live.world.of_kind("backup_created")


def test_a_backup_of_one_appliance_is_none_of_two(live: Live, config: Path) -> None:
    config.write_text(config.read_text().replace("https://ctm-2.sim", "https://ctm-1.sim:8443"))
    said = live.run("backup")
    assert said.returncode == 3 and "belong to one appliance (id " in said.stdout + said.stderr


def test_a_node_that_is_off_is_known_by_what_its_name_stands_for(live: Live, config: Path) -> None:
    """The cluster lists it by a name (``127.2`` is one, for a resolver), and it does not tell its id."""
    address = live.world.nodes["ctm-2"].cluster_host
    before = config.read_text()
    with live.fleet.lock:
        live.world.nodes["ctm-2"].cluster_host = "127.2"
        live.world.inject(Fault("refused", "ctm-2"))
    try:
        config.write_text(before.replace(f"cluster_host: {address}", "cluster_host: 127.0.0.2"))
        said = live.run("check", "-v")
        assert said.returncode == 4, said.stdout
        assert "that is not in cluster.yaml" not in said.stdout
        config.write_text(before.replace(f"cluster_host: {address}", "cluster_host: 10.9.9.9"))
        said = live.run("check", "-v")
        assert "it may be ctm-2, whose id is not known" in said.stdout
        assert "delete" not in said.stdout
    finally:
        live.world.nodes["ctm-2"].cluster_host = address
        live.world.faults.clear()


def test_what_is_not_verified_is_a_warning_and_stands_in_plan_and_report(live: Live, config: Path) -> None:
    config.write_text(config.read_text().replace("timeout: 30", "timeout: 30, nosslverify: true"))
    found = json.loads(live.run("check", "--format", "json").stdout)["findings"]
    told = [f for f in found if f["check"] == "control_plane_verified"]
    assert {f["verdict"] for f in told} == {"warn"} and {f["node"] for f in told} == {"ctm-1", "ctm-2"}
    for words in (["plan"], ["runbook"]):
        said = live.run(*words).stdout
        assert said.count("ctm-1, ctm-2: nosslverify: whoever answers at its url is taken for it") >= 1, said
    live.run("run", "--dry-run", "--yes")
    assert "nosslverify: whoever answers" in live.run("report").stdout


def test_http_on_loopback_is_a_warning_too(live: Live, config: Path) -> None:
    config.write_text(config.read_text().replace("https://ctm-1.sim", "http://127.0.0.1:1"))
    found = json.loads(live.run("check", "--format", "json").stdout)["findings"]
    (told,) = [f for f in found if f["check"] == "control_plane_verified"]
    assert told["verdict"] == "warn" and "in clear text" in told["summary"]


@pytest.mark.parametrize(
    ("keys", "environ", "seen"),
    [
        ("", {}, ["", ""]),
        ("", {"KSCTL_AUTH_DOMAIN": "users", "KSCTL_DOMAIN": "prod"}, ["users", "prod"]),
        (", auth_domain: own, domain: 'other'", {"KSCTL_AUTH_DOMAIN": "users"}, ["own", "other"]),
    ],
)  # fmt: skip
def test_the_users_domain_is_passed_on(
    live: Live, config: Path, keys: str, environ: dict[str, Any], seen: list[str]
) -> None:
    out = live.folder / "domains"
    out.unlink(missing_ok=True)
    wrapped(
        live, config, f'echo "$KSCTL_AUTH_DOMAIN|$KSCTL_DOMAIN" >> {shlex.quote(str(out))}; exec "$REAL" "$@"'
    )
    config.write_text(config.read_text().replace("timeout: 30", f"timeout: 30{keys}"))
    assert live.run("check", **environ).returncode == 0
    assert set(out.read_text().split()) == {"|".join(seen)}


def test_a_refused_login_names_the_domain(live: Live, config: Path) -> None:
    body = '{"code":5,"codeDesc":"NCERRUnauthorizedAccess: Unauthorized","message":"no"}'
    wrapped(live, config, f"echo '{body}'; exit 1")
    assert "ksctl.auth_domain (if the user belongs to a domain other than root)" in live.run("check").stdout
    config.write_text(config.read_text().replace("timeout: 30", "timeout: 30, auth_domain: users"))
    assert "login as admin of the authentication domain users is refused" in live.run("check").stdout


def test_an_old_backup_that_a_list_left_out_is_not_the_new_one(tmp_path: Path) -> None:
    """The list is empty before the order, and shows the old one alone for two looks after it."""
    old = {"id": "old-1", "created": -2592000.0, "key_id": "key-default", "content": "data-main"}
    with signing_key() as signing:
        live = start_live(tmp_path, signing, nodes=1, size=5_000, more={"clustered": False},
                          extra="strategy: standalone", backups=[old])  # fmt: skip
        look = (
            "import json,sys; d=json.load(sys.stdin); "
            "d['resources']=[r for r in d['resources'] if r['id']=='old-1']; d['total']=1; print(json.dumps(d))"
        )
        wrapped(
            live,
            live.cluster,
            f"""case "$*" in
"backup create"*) touch {tmp_path}/ordered;;
"backup list"*)
  if [ ! -e {tmp_path}/ordered ]; then echo '{{"skip": 0, "limit": 100, "total": 0, "resources": null}}'; exit 0; fi
  echo x >> {tmp_path}/looks
  if [ $(wc -l < {tmp_path}/looks) -le 2 ]; then "$REAL" "$@" | python3 -c "{look}"; exit 0; fi;;
esac
exec "$REAL" "$@" """,
        )
        said = live.run("backup")
        kept = [json.loads(path.read_text()) for path in (tmp_path / "backups").glob("*.json")]
        live.close()
    assert said.returncode == 0, said.stdout + said.stderr
    assert (tmp_path / "looks").read_text().count("x") > 2
    made = next(one for one in kept if "system" not in one)
    assert "old-1" not in json.dumps(made) and "backup-0001" in json.dumps(made)
