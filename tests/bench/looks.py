"""``check`` of twenty nodes beside ansible-core that asks the same nodes the same."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from ctmupgrade.core import probes
from tests.bench.measure import Result, compare, run
from tests.bench.nodes import ROOT, Nodes, Server

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ctmupgrade-bench" / "ansible"
PLAYBOOK = ROOT / "tests" / "support" / "facts_playbook.yml"
ANSWERS = {
    "system info get": {"version": "2.20.0+15016", "model": "k170v", "name": "ctm"},
    "services status": {"status": "started", "services": [{"name": "web", "status": "started"}]},
    "cluster nodes list": {"resources": [], "total": 0},
    "cluster info": {"nodeID": "", "status": {"code": "none"}, "nodeCount": 1},
    "cluster summary": {"resources": {}},
    "ntp status": {"ntpq": "*10.0.0.1 .GPS. 1 u 1 64 377 0.1 0.1 0.1"},
    "backup list": {"resources": [], "total": 0},
    "backupkeys list": {"resources": [], "total": 0},
    "diskenc status": {"attended_boot": False},
}


def ansible() -> Path:
    """ansible-playbook of a virtual environment of its own, which is made when it is missing."""
    program = CACHE / "bin" / "ansible-playbook"
    if not program.exists():
        venv.create(CACHE, with_pip=True)
        subprocess.run([CACHE / "bin" / "python", "-m", "pip", "install", "-q", "ansible-core"], check=True)
    return program


def twenty(nodes: Nodes, runs: int) -> Result:
    """Both with twenty nodes at a time; ansible with pipelining and its shared connections."""
    servers, ksctl = nodes.start(20), _ksctl(nodes.folder)
    cluster = _cluster(nodes, servers, ksctl)
    launcher = [sys.executable, str(ROOT / "scripts" / "ctmupgrade")]
    ours = [
        *launcher,
        "check",
        "-c",
        str(cluster),
        "--state-dir",
        str(nodes.folder / "state"),
        "--format",
        "json",
    ]
    theirs = _playbook(nodes, servers, ksctl)
    env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "20", "ANSIBLE_LOCALHOST_WARNING": "0",
           "ANSIBLE_HOME": str(nodes.folder / "ansible"), "KSCTL_PASSWORD": "x", "CTM_BACKUP_KEY_PASSWORD": "x",
           "PYTHONPATH": str(ROOT)}  # fmt: skip
    return compare(
        "check of 20 nodes", "ansible-core, the same looks", 10.0, lambda: run(ours, env=env, ok=(0, 3)),
        lambda: run(theirs, env=env), runs, faster=True, note=f"{len(_shell_looks())} looks over ssh, {len(_ksctl_looks())} by ksctl a node",
    )  # fmt: skip


def _shell_looks() -> list[str]:
    return ["ls", *(" ".join(probe.ways[0].argv) for probe in probes.OF_A_SHELL), "ls -ln archive"]


def _ksctl_looks() -> list[str]:
    return list(ANSWERS)


def _ksctl(folder: Path) -> Path:
    """A control plane that answers at once, the same for both."""
    answers = folder / "answers"
    answers.mkdir()
    for words, body in ANSWERS.items():
        (answers / words.replace(" ", "-")).write_text(json.dumps(body))
    program = folder / "ksctl"
    program.write_text(
        '#!/bin/sh\nname=\nfor word; do case $word in -*|[0-9]*) ;; *) name="${name:+$name-}$word" ;; esac; done\n'
        f'exec cat "{answers}/$name"\n'
    )
    program.chmod(0o755)
    return program


def _cluster(nodes: Nodes, servers: list[Server], ksctl: Path) -> Path:
    archive = nodes.folder / "small_v2.21.0.tar.gz.gpg"
    archive.write_bytes(b"\x1f\x8b")  # refused at once: its signature is another line's matter
    common = {
        "user": getpass.getuser(),
        "identity_file": str(nodes.key),
        "known_hosts": str(nodes.known_hosts),
    }
    document = {
        "cluster": "bench",
        "target": {"archive": str(archive), "signer": "0" * 40},
        "ssh": common,
        "ksctl": {"command": str(ksctl), "password_env": "KSCTL_PASSWORD"},
        "backup": {"directory": str(nodes.folder / "backups"), "key_password_env": "CTM_BACKUP_KEY_PASSWORD"},
        "nodes": [
            {"name": one.name, "host": "127.0.0.1", "port": one.port, "url": f"https://127.0.0.1:{one.port}",
             "cluster_host": f"127.0.0.{n + 2}"}
            for n, one in enumerate(servers)
        ],
    }  # fmt: skip
    path = nodes.folder / "cluster.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def _playbook(nodes: Nodes, servers: list[Server], ksctl: Path) -> list[str]:
    inventory = nodes.folder / "inventory"
    options = f"-F none -o UserKnownHostsFile={nodes.known_hosts} -o IdentitiesOnly=yes"
    rows = [
        f"{one.name} ansible_host=127.0.0.1 ansible_port={one.port} ansible_user={getpass.getuser()}"
        f" ansible_ssh_private_key_file={nodes.key}"
        for one in servers
    ]
    inventory.write_text("\n".join(["[nodes]", *rows]) + "\n")
    extra = {
        "shell_looks": _shell_looks(), "ksctl_looks": _ksctl_looks(), "ksctl": str(ksctl),
        "ansible_ssh_common_args": options + " -o ControlMaster=auto -o ControlPersist=60s",
    }  # fmt: skip
    return [str(ansible()), "-i", str(inventory), "-e", json.dumps(extra), str(PLAYBOOK)]
