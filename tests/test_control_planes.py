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
DISTRUSTED = {
    AUTHORITY: "SSL_CERT_FILE",
    "tls: failed to verify certificate: x509: certificate is valid for kylo.local, not ctm-1.sim": "a url with a name or address",
    "x509: cannot validate certificate for 10.0.0.11 because it doesn't contain any IP SANs": "a url with a name or address",
    "x509: certificate has expired or is not yet valid: current time 2026-11-29T06:00:00Z is after 2026-01-01T00:00:00Z": "renew it",
    "tls: first record does not look like a TLS handshake": "check the host and the port",
}  # fmt: skip


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


@pytest.mark.parametrize("said", DISTRUSTED)
def test_a_certificate_that_is_not_trusted_is_told_once_with_how_to_trust_it(
    live: Live, config: Path, said: str
) -> None:
    text = f'Get "$KSCTL_URL/api/v1/system/info": {said}'
    wrapped(live, config, f'echo "Error: {text.replace(chr(34), chr(39))}" >&2; exit 1')
    checked = live.run("check")
    assert checked.returncode == 3, checked.stdout + checked.stderr
    assert checked.stdout.count(said[:60]) == 2, "once a node"
    assert "delete" not in checked.stdout
    found = json.loads(live.run("check", "--format", "json").stdout)["findings"]
    (told, _other) = [f for f in found if f["check"] == "control_plane_reachable"]
    assert told["verdict"] == "block" and DISTRUSTED[said] in told["remedy"]
    assert ("nosslverify: true under ksctl" in told["remedy"]) is ("handshake" not in said)
    others = [f for f in found if f["verdict"] == "unknown" and said[:60] in f["summary"]]
    assert others and {f["remedy"] for f in others} == {
        "make its certificate trusted first: see control_plane_reachable"
    }
    assert "delete" not in live.run("recover").stdout


def test_two_urls_that_lead_to_one_appliance_are_told(live: Live, config: Path) -> None:
    config.write_text(config.read_text().replace("https://ctm-2.sim", "https://ctm-1.sim:8443"))
    said = live.run("check")
    assert said.returncode == 3
    assert "the urls of ctm-1 and ctm-2 lead to one appliance (id " in said.stdout
    assert "delete" not in said.stdout and "does not list" not in said.stdout


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
        assert "that cluster.yaml lacks" not in said.stdout
        config.write_text(before.replace(f"cluster_host: {address}", "cluster_host: 10.9.9.9"))
        said = live.run("check", "-v")
        assert "it may be ctm-2, whose id is not known now" in said.stdout
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
    assert (
        "ksctl.auth_domain (where the user is kept in a domain other than root)" in live.run("check").stdout
    )
    config.write_text(config.read_text().replace("timeout: 30", "timeout: 30, auth_domain: users"))
    assert "login as admin of the authentication domain users is refused" in live.run("check").stdout
