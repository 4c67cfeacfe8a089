"""``ssh.jump`` and ``ssh.config`` of cluster.yaml: the jump hosts' own settings, and whose SSH configuration is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.jumps import JumpSettings
from tests.test_config_values import HEAD, complaint

FILE = (
    HEAD
    + """ssh:
  proxy_jump: bastion
  config: ./ssh_config
  jump: {user: ops, port: 2200, identity_file: ./jump_key, known_hosts: ./jump_hosts, passphrase_env: JUMP}
nodes:
  - {name: ctm-1, host: 10.0.0.1}
  - {name: ctm-2, host: 10.0.0.2, jump: {user: other}, config: none}
  - {name: ctm-3, host: 10.0.0.3, ssh: {jump: {identity_file: ./third_key}, config: "None"}}
"""
)


def test_each_node_has_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE)
    one, two, three = (node.ssh for node in load_cluster(path, simulated=True).nodes)
    assert one.jump == JumpSettings("ops", 2200, tmp_path / "jump_key", "JUMP", tmp_path / "jump_hosts")
    assert one.config == tmp_path / "ssh_config"
    assert two.jump.user == "other"
    assert two.jump.identity_file == tmp_path / "jump_key"  # key by key
    assert two.config == three.config == Path(os.devnull)
    assert three.jump.identity_file == tmp_path / "third_key"
    assert three.jump.user == "ops"


def test_nothing_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"{HEAD}nodes:\n  - {{name: ctm-1, host: 10.0.0.1}}\n")
    [node] = load_cluster(path, simulated=True).nodes
    assert node.ssh.jump == JumpSettings()
    assert node.ssh.config is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("port: 2200", "port: 0", "ssh.jump.port"),
        ("user: ops", "user: -x", "ssh.jump.user"),
        ("user: ops", "usr: ops", "did you mean user"),
        ("config: ./ssh_config", "config: true", "ssh.config"),
        ("jump: {user: other}", "jump: bastion", "keys and values are expected"),
        ("jump: {user: other}", "jump: {host_key: x}", "unknown key"),
        ("known_hosts: ./jump_hosts", "known_hosts: '~nobody-here/x'", "no home folder"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FILE
    told = complaint(tmp_path, FILE.replace(old, new))
    assert says in told
    assert "cluster.yaml:" in told


def test_a_jump_key_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE)
    (tmp_path / "third_key.pub").write_text("ssh-ed25519 AAAA")  # names a key of the agent
    with pytest.raises(Exception, match="there is no file") as caught:
        load_cluster(path)
    said = f"{caught.value.brief}\n{caught.value.details}"  # type: ignore[attr-defined]
    assert "jump_key" in said
    assert "third_key" not in said
