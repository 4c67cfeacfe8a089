"""``check`` of twenty nodes beside ansible-core that asks the same nodes the same."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Result, Took, compare, run
from tests.bench.nodes import ROOT, Nodes
from tests.bench.standins import ARCHIVE, Asked, StandIns

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ctmupgrade-bench" / "ansible"
PROGRAM = CACHE / "bin" / "ansible-playbook"
PLAYBOOK = ROOT / "tests" / "support" / "facts_playbook.yml"
BLOCKED = 3  # check's exit code: the stand-in's archive is not signed
FAILED = (2, 4)  # ansible-playbook's: a look failed, a node was unreachable
APART = 1  # by so many looks the two may differ at a node
SLOW_S, SLOWEST_S = 0.5, 1.0  # an answer of a control plane: of most, and of the slowest


def ansible() -> Path:
    """ansible-playbook of a virtual environment of its own, which is made when it is missing."""
    if not PROGRAM.exists():
        venv.create(CACHE, with_pip=True)
        subprocess.run([CACHE / "bin" / "python", "-m", "pip", "install", "-q", "ansible-core"], check=True)
    return PROGRAM


class Both:
    """The two sides, and what is wrong with what they asked and got."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.stand_ins = nodes, StandIns(nodes)
        self.wrong: dict[str, None] = {}  # a reason once, in the order they came
        self.asked: dict[str, list[Asked]] = {}
        self.cluster = _cluster(nodes, self.stand_ins, self.stand_ins.names)
        self.env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": str(len(self.stand_ins.servers)),
                    "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_HOME": str(nodes.folder / "ansible"),
                    "KSCTL_PASSWORD": "x", "CTM_BACKUP_KEY_PASSWORD": "x", "PYTHONPATH": str(ROOT)}  # fmt: skip

    def ours(self) -> Took:
        """One `check`."""
        said = self.nodes.folder / "check.json"
        argv = [sys.executable, str(ROOT / "scripts" / "ctmupgrade"), "check", "-c", str(self.cluster), "--state-dir",
                str(self.nodes.folder / "state"), "--format", "json"]  # fmt: skip
        self.stand_ins.renew()
        took = run(argv, env=self.env, ok=(0, BLOCKED), out=said)
        self._heard("check", answers(said.read_text(), len(self.stand_ins.servers)))
        return took

    def alone(self, name: str) -> Took:
        """One `check` of one of the nodes; it blocks, because the others are not in its cluster.yaml."""
        cluster = _cluster(self.nodes, self.stand_ins, [name], "alone.yaml")
        argv = [sys.executable, str(ROOT / "scripts" / "ctmupgrade"), "check", "-c", str(cluster), "--state-dir",
                str(self.nodes.folder / "state"), "--format", "json"]  # fmt: skip
        self.stand_ins.renew()
        said = self.nodes.folder / "alone.json"
        took = run(argv, env=self.env, ok=(0, BLOCKED), out=said)
        self.wrong |= dict.fromkeys(answers(said.read_text(), 1))
        return took

    def theirs(self) -> Took:
        """One playbook; it fails where a look does not end with 0 or says nothing."""
        argv = self._playbook(self.asked["check"][0])
        self.stand_ins.renew()
        took = run(argv, env=self.env, ok=(0, *FAILED))
        self._heard("ansible", ["ansible got no answer to some looks"] if took.code else [])
        return took

    def _heard(self, who: str, wrong: Sequence[str]) -> None:
        self.asked[who] = self.stand_ins.asked()
        self.wrong |= dict.fromkeys(wrong)
        if len(self.asked) == 2:
            self.wrong |= dict.fromkeys(differences(self.asked["check"], self.asked["ansible"]))

    def _playbook(self, looks: Asked) -> list[str]:
        """:param looks: what ansible puts to every node."""
        inventory = self.nodes.folder / "inventory"
        options = f"-F none -o UserKnownHostsFile={self.nodes.known_hosts} -o IdentitiesOnly=yes"
        rows = [
            f"{one.name} ansible_host=127.0.0.1 ansible_port={one.port} ansible_user={getpass.getuser()}"
            f" ansible_ssh_private_key_file={self.nodes.key} ksctl_url={self.stand_ins.url(one)}"
            for one in self.stand_ins.servers
        ]
        inventory.write_text("\n".join(["[nodes]", *rows]) + "\n")
        extra = {
            "shell_looks": looks.shell, "ksctl_looks": looks.ksctl, "ksctl": str(self.stand_ins.ksctl),
            "ansible_ssh_common_args": options + " -o ControlMaster=auto -o ControlPersist=60s",
        }  # fmt: skip
        return [str(ansible()), "-i", str(inventory), "-e", json.dumps(extra), str(PLAYBOOK)]


def twenty(nodes: Nodes, runs: int) -> Result:
    """Both with twenty nodes at a time; ansible with pipelining and its shared connections."""
    both = Both(nodes)
    both.ours()  # not measured: what it asks is what ansible is given
    ansible()  # not measured either: installs it where it is missing
    name, beside = "check of 20 nodes", "ansible-core, the same looks"
    result = compare(name, beside, 10.0, both.ours, both.theirs, runs, faster=True)
    return result.noting(counted(both.asked["check"], both.asked["ansible"])).missed(*both.wrong)


def slowest(nodes: Nodes, runs: int) -> Result:
    """Twenty nodes at a time beside the slowest of them alone, which sets the time where all are asked at once."""
    both = Both(nodes)
    for server in both.stand_ins.servers[:-1]:
        both.stand_ins.slow(server, SLOW_S)
    both.stand_ins.slow(both.stand_ins.servers[-1], SLOWEST_S)
    last = both.stand_ins.names[-1]
    name, beside = "check of 20 nodes", "check of the slowest of them alone"
    result = compare(name, beside, 1.5, both.ours, lambda: both.alone(last), runs)
    note = f"an answer of a control plane takes {SLOW_S} s, of the slowest {SLOWEST_S} s"
    return result.noting(note).missed(*both.wrong)


def counted(ours: Sequence[Asked], theirs: Sequence[Asked]) -> str:
    """The looks at all nodes together, for the note."""
    shell, ksctl = (
        [sum(len(getattr(one, kind)) for one in side) for side in (ours, theirs)]
        for kind in ("shell", "ksctl")
    )
    return f"counted at the nodes: {shell[0]} looks over ssh and {ksctl[0]} by ksctl, ansible {shell[1]} and {ksctl[1]}"


def differences(ours: Sequence[Asked], theirs: Sequence[Asked]) -> list[str]:
    """What is wrong with their counts: a node that one of them asked more."""
    apart = [
        (mine.count, other.count)
        for mine, other in zip(ours, theirs, strict=True)
        if abs(mine.count - other.count) > APART
    ]
    return [f"not the same looks: {a} of ours at a node, {b} of ansible's" for a, b in apart[:1]]


def answers(document: str, count: int) -> list[str]:
    """What is wrong with the JSON of `check`: a node that it did not reach, or whose version it did not learn."""
    try:
        nodes = json.loads(document)["nodes"]
    except (ValueError, KeyError, TypeError):
        return ["check wrote no document"]
    good = [node for node in nodes if node["reachable"] and node["version"]]
    return [] if len(good) == len(nodes) == count else [f"check learned of {len(good)} nodes of {count}"]


def _cluster(nodes: Nodes, stand_ins: StandIns, wanted: Sequence[str], file: str = "cluster.yaml") -> Path:
    archive = nodes.folder / ARCHIVE
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
        "ksctl": {"command": str(stand_ins.ksctl), "password_env": "KSCTL_PASSWORD"},
        "backup": {"directory": str(nodes.folder / "backups"), "key_password_env": "CTM_BACKUP_KEY_PASSWORD"},
        "nodes": [
            {"name": name, "host": "127.0.0.1", "port": server.port, "url": stand_ins.url(server),
             "cluster_host": stand_ins.world.nodes[name].cluster_host}
            for name, server in zip(stand_ins.names, stand_ins.servers, strict=True)
            if name in wanted
        ],
    }  # fmt: skip
    path = nodes.folder / file
    path.write_text(json.dumps(document))  # JSON is YAML
    return path
