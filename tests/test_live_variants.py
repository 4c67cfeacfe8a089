"""Appliances of another kind than the usual, each upgraded by the installed program over SSH: what the shell
has, how ksctl prints, how the script behaves on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ctmupgrade.sim import Fault
from tests.support.live import Live

ALONE = {"nodes": 1, "more": {"clustered": False}, "extra": "strategy: standalone"}
SLOW = pytest.mark.slow  # a shorter one of its kind stays
HASHERS = ["openssl", "sha256sum", "shasum", "gpg", "python3"]
ALL = [*HASHERS, "pgrep", "screen", "awk", "nc", "tail", "find", "truncate", "uptime", "who", "stat", "grep"]


def upgraded(live: Live) -> None:
    """It ends well, with one script and one boot a node."""
    said = live.run("run", "--yes")
    assert said.returncode == 0, said.stdout + said.stderr
    for name, node in live.world.nodes.items():
        assert node.version == live.world.archive.version
        assert (len(live.kinds("upgrade_started", name)), len(live.kinds("reboot", name))) == (1, 1)
    assert live.kinds("repeated_upgrade") == []


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param({"missing": ["sha256sum"]}, marks=SLOW), pytest.param({"missing": ["openssl"]}, marks=SLOW),
        pytest.param({"missing": ["pgrep"]}, marks=SLOW), pytest.param({"missing": ["ps"]}, marks=SLOW),
        pytest.param({"missing": ["screen"]}, marks=SLOW), pytest.param({"missing": ["awk"]}, marks=SLOW),
        pytest.param({"sftp": False}, marks=SLOW), pytest.param({"missing": HASHERS}, marks=SLOW),
        {"missing": ALL, "sftp": False, "restricted": True},
    ],
    ids=["sha256sum", "openssl", "pgrep", "ps", "screen", "awk", "sftp", "no hashes", "all at once"],
)  # fmt: skip
def test_a_shell_without(go_live: Callable[..., Live], shell: dict[str, Any]) -> None:
    upgraded(go_live(**ALONE, shell=shell))


@pytest.mark.slow
def test_a_cluster_whose_shells_have_next_to_nothing(go_live: Callable[..., Live]) -> None:
    upgraded(go_live(nodes=2, shell={"missing": ALL, "sftp": False, "restricted": True}))


@pytest.mark.parametrize(
    "ksctl",
    [
        {"format": "old", "null_lists": True, "errors_on": "stdout", "error_exit": 0},
        pytest.param(
            {"format": "new", "null_lists": True, "errors_on": "stderr", "error_exit": 0}, marks=SLOW
        ),
        pytest.param({"format": "old", "errors_on": "stderr", "error_exit": 42}, marks=SLOW),
    ],
    ids=["old and lying", "new and lying", "old and strange"],
)
def test_a_ksctl_that_prints_in_another_way(go_live: Callable[..., Live], ksctl: dict[str, Any]) -> None:
    upgraded(go_live(nodes=2, ksctl=ksctl))


@pytest.mark.parametrize(
    "upgrade",
    [
        pytest.param({"tty_mode": "foreground"}, marks=SLOW), pytest.param({"tty_mode": "background"}, marks=SLOW),
        pytest.param({"tty_mode": "foreground", "exit_code": 1}, marks=SLOW), {"tty_mode": "background", "log_folder": "/var/log"},
        pytest.param({"tty_mode": "screen", "exit_code": 255}, marks=SLOW),
        {"tty_mode": "screen", "log_folder": "/opt/keysecure/logs"},
    ],
    ids=lambda u: " ".join(str(v) for v in u.values()),
)  # fmt: skip
def test_a_script_that_behaves_in_another_way(go_live: Callable[..., Live], upgrade: dict[str, Any]) -> None:
    upgraded(go_live(**ALONE, upgrade=upgrade))


def test_a_server_that_runs_no_command_for_a_while_after_the_boot(go_live: Callable[..., Live]) -> None:
    """sshd is up before the node can start anything: that is booting, not a "no"."""
    live = go_live(**ALONE)
    with live.fleet.lock:
        live.world.inject(Fault("commands_refused", when="booted + 0s", for_s=30.0))
    upgraded(live)
    assert live.kinds("fault")
