"""The operator's password program: once for all nodes, within its time, and not again and again where it fails."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ctmupgrade.adapters.fleet import LiveFleet
from ctmupgrade.adapters.local.password_once import PasswordOnce
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.model import Secret
from ctmupgrade.errors import UsageError
from tests.test_config_strict import SIGNER


def test_a_program_is_run_once_for_all_nodes_at_once(tmp_path: Path) -> None:
    ksctl, asked = tmp_path / "ksctl", tmp_path / "asked"
    ksctl.write_text('#!/bin/sh\ntest "$KSCTL_PASSWORD" = pw1 && echo {}\n')
    program = tmp_path / "pass.sh"
    program.write_text(f"#!/bin/sh\necho x >> {asked}\nsleep 0.1\necho pw1\n")
    ksctl.chmod(0o755)
    program.chmod(0o755)
    nodes = "".join(f"  - {{name: n{i}, host: 10.0.0.{i}}}\n" for i in range(1, 9))
    (tmp_path / "cluster.yaml").write_text(
        f"cluster: c\ntarget: {{archive: ./a.gpg, version: 2.21.0, signer: {SIGNER}}}\n"
        f"ksctl: {{command: {ksctl}, password_command: {program}}}\nnodes:\n{nodes}"
    )
    cluster = load_cluster(tmp_path / "cluster.yaml", simulated=True)
    fleet, said = LiveFleet(cluster, lambda _line: None), []
    try:
        threads = [
            threading.Thread(target=lambda n=n: said.append(fleet.control(n.name).read("x").out.strip()))
            for n in cluster.nodes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        fleet.close()
    assert said == ["{}"] * 8
    assert asked.read_text().split() == ["x"]


def test_one_that_fails_is_not_asked_again_by_the_next_node() -> None:
    once, asked = PasswordOnce(), []

    def fail() -> Secret:
        asked.append(1)
        raise UsageError("no password", remedy="unlock it")

    for _ in range(3):
        with pytest.raises(UsageError, match="no password") as caught:
            once.of("pass show x", fail)
        assert caught.value.remedy == "unlock it"
    assert len(asked) == 1
    assert once.of("another", lambda: Secret("a")).reveal() == "a"
    once.forget()
    assert once.of("pass show x", lambda: Secret("b")).reveal() == "b"


def test_a_password_of_another_kind_is_read_as_ever() -> None:
    once = PasswordOnce()
    assert once.of(None, lambda: Secret("a")).reveal() == "a"
    assert once.of(None, lambda: Secret("b")).reveal() == "b"
