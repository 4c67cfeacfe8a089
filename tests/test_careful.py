"""A control plane is asked no more often than it can bear: what a `ksctl` that refuses or never answers is asked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.live import Live

GoLive = Callable[..., Live]
REFUSES = """echo '{"code": 5, "codeDesc": "NCERRUnauthorizedAccess: Unauthorized access", "message": "bad"}'
exit %d"""
ASKS = "printf 'password: '; exit 1"
OTHER_WORDS = "echo 'Error: Wrong username or password.' >&2; exit 1"
LOCKED = """echo '{"code":121,"codeDesc":"NCERRAccountLocked: Account is locked out"}'"""


def with_ksctl(live: Live, body: str, *urls: str) -> Callable[[], list[list[str]]]:
    """ksctl is replaced by a program that does ``body`` for these URLs (none: for all) and writes its calls down.

    :returns: the calls so far, as [URL, its time-out, words...].
    """
    calls, program = live.folder / "calls", live.folder / "ksctl"
    before = live.cluster.read_text(encoding="utf-8")
    real = before.split("ksctl: {command: ")[1].split(",")[0]
    condition = " || ".join(f'[ "$KSCTL_URL" = "{url}" ]' for url in urls) or "true"
    program.write_text(
        f'#!/bin/sh\nif {condition}; then\necho "$KSCTL_URL $KSCTL_TIMEOUT $*" >> {calls}\n{body}\nfi\n'
        f'exec {real} "$@"\n'
    )
    program.chmod(0o755)
    live.cluster.write_text(before.replace(f"command: {real}", f"command: {program}"))
    calls.touch()
    return lambda: [line.split() for line in calls.read_text().splitlines()]


@pytest.mark.parametrize(
    "body", [REFUSES % 1, REFUSES % 0, ASKS, OTHER_WORDS, LOCKED],
    ids=["refuses", "with exit 0", "asks", "other words", "locked"],
)  # fmt: skip
def test_a_wrong_password_does_not_lock_the_account(go_live: GoLive, body: str) -> None:
    """The appliance locks accounts after failed logins: two nodes are asked once each, the others not at all."""
    live = go_live(nodes=5)
    calls = with_ksctl(live, body)
    said = live.run("check")
    assert said.returncode == 3, said.stdout + said.stderr
    assert len(calls()) == 2, calls()
    assert len({call[0] for call in calls()}) == 2
    assert "login as admin is refused" in said.stdout
    assert "ksctl.username" in said.stdout
    assert "LIVE_KSCTL" in said.stdout
    assert said.stdout.count("every_node_ready") == 0, "what follows from it is not repeated"


def test_a_login_that_one_node_refuses_is_tried_there_once(go_live: GoLive) -> None:
    """A node that was reset has other passwords; the others are looked at in full."""
    live = go_live(nodes=3)
    calls = with_ksctl(live, REFUSES % 1, live.fleet.urls["ctm-1"])
    said = live.run("check", "--format", "json")
    assert said.returncode == 3, said.stdout + said.stderr
    assert len(calls()) == 1, calls()
    found = json.loads(said.stdout)
    reachable = {
        f["node"]: f["verdict"] for f in found["findings"] if f["check"] == "control_plane_reachable"
    }
    assert reachable == {"ctm-1": "block", "ctm-2": "pass", "ctm-3": "pass"}


def test_a_control_plane_that_never_answers_is_waited_for_once(go_live: GoLive) -> None:
    """With ksctl's time-out of five minutes, nine looks would take the best part of an hour."""
    live = go_live(nodes=2)
    live.cluster.write_text(live.cluster.read_text().replace("timeout: 30", "timeout: 2"))
    away = 'sleep "$KSCTL_TIMEOUT"; echo "dial tcp 10.0.0.2:443: i/o timeout" >&2; exit 1'
    calls = with_ksctl(live, away, live.fleet.urls["ctm-2"])
    said = live.run("check")
    assert said.returncode == 4, said.stdout + said.stderr
    assert len(calls()) == 2, calls()
    assert "dial tcp 10.0.0.2:443: i/o timeout" in said.stdout


def test_an_answer_that_is_away_at_once_keeps_nothing_else_from_being_asked(go_live: GoLive) -> None:
    live = go_live(nodes=2)
    calls = with_ksctl(live, 'echo "503 Service Unavailable" >&2; exit 1', live.fleet.urls["ctm-2"])
    assert live.run("check").returncode == 4
    assert len(calls()) > 5, calls()


def test_a_host_that_is_down_gets_short_looks(go_live: GoLive) -> None:
    """Where its SSH does not answer either, nothing is given the whole time."""
    live = go_live(nodes=2)
    port = live.fleet.ports["ctm-2"]
    text = live.cluster.read_text().replace("timeout: 30", "timeout: 300").replace(f"port: {port}", "port: 1")
    live.cluster.write_text(text)
    calls = with_ksctl(live, 'echo "i/o timeout" >&2; exit 1', live.fleet.urls["ctm-2"])
    said = live.run("check")
    assert said.returncode == 4, said.stdout + said.stderr
    assert {call[1] for call in calls()} == {"30"}
