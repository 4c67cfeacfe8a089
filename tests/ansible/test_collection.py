"""contrib/ansible with real ansible-core: the module and the role against the installed program and a live cluster.

Run by ``scripts/test --ansible``, which installs ansible-core into a folder of its own; skipped without it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Lab
from tests.lab.network import inside
from tests.support.in_lab import site
from tests.support.live import KEY_PASSWORD, PASSWORD, PROGRAM, Live

HERE = os.environ.get("CTMUPGRADE_ANSIBLE", "")  # its bin folder
SOURCE = Path(__file__).parents[2] / "contrib" / "ansible"
pytestmark = pytest.mark.skipif(not HERE, reason="scripts/test --ansible runs them")
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - role: ctmupgrade.ctmupgrade.cluster_upgrade
"""


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, where ansible looks for it."""
    base = tmp_path_factory.mktemp("collections")
    shutil.copytree(SOURCE, base / "ansible_collections" / "ctmupgrade" / "ctmupgrade")
    return base


def environ(collections: Path, folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{HERE}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_HOME": str(folder / ".ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    }  # fmt: skip


Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def play(collections: Path, tmp_path: Path) -> Play:
    """Runs the role for a cluster."""

    def run(
        live: Live | None, *words: str, inside: Sequence[str] = (), **more: Any
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "play.yml").write_text(PLAYBOOK)
        of_live = live and {
            "ctmupgrade_cluster": str(live.cluster), "ctmupgrade_state_dir": str(live.state),
            "ctmupgrade_environment": dict(live.environ),
        }  # fmt: skip
        given = {"ctmupgrade_executable": str(PROGRAM), **(of_live or {}), **more}
        argv = [*inside, f"{HERE}/ansible-playbook", "play.yml", "-e", json.dumps(given), *words]
        return subprocess.run(
            argv, env=environ(collections, tmp_path), cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("nodes", [1, 3])
def test_check_mode_then_for_real_then_again(go_live: Callable[..., Live], play: Play, nodes: int) -> None:
    alone = {"more": {"clustered": False}, "extra": "strategy: standalone"}
    live = go_live(nodes=nodes, **(alone if nodes == 1 else {}))
    names = [f"ctm-{n + 1}" for n in range(nodes)]
    said = play(live, "--check", "--diff")
    shows_the_plan(said, names)
    assert live.changes() == [], "check mode changes nothing"
    said = play(live, "--diff")
    has_upgraded(said, names)
    assert len(live.kinds("reboot")) == nodes
    said = play(live)
    has_left_alone(said)
    assert len(live.kinds("reboot")) == nodes, "a cluster at its target is left alone"
    assert PASSWORD not in said.stdout and KEY_PASSWORD not in said.stdout


def shows_the_plan(said: subprocess.CompletedProcess[str], names: Sequence[str]) -> None:
    assert said.returncode == 0, said.stdout + said.stderr
    assert "changed=1" in said.stdout
    for name in names:
        assert f"upgrade:{name}: " in said.stdout
        assert f"-{name}: 2.20.0" in said.stdout and f"+{name}: 2.21.0" in said.stdout


def has_upgraded(said: subprocess.CompletedProcess[str], names: Sequence[str]) -> None:
    assert said.returncode == 0, said.stdout + said.stderr
    assert "changed=1" in said.stdout
    for name in names:
        assert f"{name}: 2.20.0+15016 -> 2.21.0" in said.stdout


def has_left_alone(said: subprocess.CompletedProcess[str]) -> None:
    assert said.returncode == 0 and "changed=0" in said.stdout and "failed=0" in said.stdout, said.stdout


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.xdist_group("lab")
@pytest.mark.skipif(not Lab.available()[0], reason=f"no lab here: {Lab.available()[1]}")
def test_a_cluster_of_the_lab(tmp_path: Path, play: Play) -> None:
    """Real sshd, sudo and systemd; ansible runs where it reaches the nodes and nothing else."""
    with site(tmp_path / "lab") as made:
        where = {
            "inside": inside(made.lab.layout.hub), "ctmupgrade_environment": made.lab.environment,
            "ctmupgrade_cluster": str(made.lab.layout.cluster_file), "ctmupgrade_state_dir": str(made.state),
        }  # fmt: skip
        shows_the_plan(play(None, "--check", "--diff", **where), made.lab.names)
        assert made.changes() == [], "check mode changes nothing"
        has_upgraded(play(None, **where), made.lab.names)
        made.ended_well()
        has_left_alone(play(None, **where))
        made.ended_well()


def test_what_blocks_is_told_and_a_paused_run_is_gone_on_with(
    go_live: Callable[..., Live], play: Play
) -> None:
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone")
    text = live.cluster.read_text()
    live.cluster.write_text(text + "\nchecks: {own: [{name: calendar, run: ['false']}]}\n")
    said = play(live)
    assert said.returncode == 2 and "calendar" in said.stdout and "rc: 3" in said.stdout, said.stdout
    live.cluster.write_text(text + "\nhooks: {before_run: ['false']}\n")
    said = play(live)
    assert said.returncode == 2 and "before_run failed" in said.stdout and "rc: 7" in said.stdout
    assert live.kinds("upload") == live.kinds("upgrade_started") == []
    live.cluster.write_text(text)
    said = play(live, "--check")
    assert said.returncode == 0 and "changed=1" in said.stdout, said.stdout
    assert live.kinds("upload") == live.kinds("upgrade_started") == []
    said = play(live)
    assert said.returncode == 0 and "changed=1" in said.stdout, said.stdout
    runs = json.loads(live.run("runs", "--format", "json").stdout)["runs"]
    assert [run["outcome"] for run in runs] == ["done"], "it went on with the run that was there"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ctmupgrade_executable": "/nowhere/ctmupgrade"}, "Failed to find required executable"),
        ({"ctmupgrade_executable": "/bin/true"}, "is it ctmupgrade?"),
        ({"ctmupgrade_cluster": "/nowhere/cluster.yaml"}, "/nowhere/cluster.yaml"),
        ({"ctmupgrade_environment": "text"}, "ctmupgrade_environment"),
    ],
)
def test_what_cannot_be_run_fails_with_its_reason(
    tmp_path: Path, play: Play, more: dict[str, Any], words: str
) -> None:
    live = Live(tmp_path, None, None, tmp_path / "state")  # type: ignore[arg-type]
    said = play(live, **more)
    assert said.returncode == 2 and words in said.stdout, said.stdout + said.stderr


def test_its_documentation_is_read(collections: Path, tmp_path: Path) -> None:
    argv = [f"{HERE}/ansible-doc", "--json", "ctmupgrade.ctmupgrade.cluster_upgrade"]
    said = subprocess.run(
        argv, env=environ(collections, tmp_path), capture_output=True, text=True, check=True
    )
    doc = json.loads(said.stdout)["ctmupgrade.ctmupgrade.cluster_upgrade"]["doc"]
    assert {"cluster", "executable", "state_dir"} <= set(doc["options"])
    assert doc["attributes"]["check_mode"]["support"] == doc["attributes"]["diff_mode"]["support"] == "full"


def test_sanity(collections: Path, tmp_path: Path) -> None:
    """Ansible's own tests, where they run: what they need besides is installed by the lane."""
    place = collections / "ansible_collections" / "ctmupgrade" / "ctmupgrade"
    argv = [f"{HERE}/ansible-test", "sanity", "--color", "no", "--requirements"]
    tried = subprocess.run(
        argv, env=environ(collections, tmp_path), cwd=place, capture_output=True, text=True, timeout=900,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if any(why in tried.stdout + tried.stderr for why in ("No matching distribution", "Download failed")):
        pytest.skip("what ansible-test needs cannot be installed here")
    assert tried.returncode == 0, tried.stdout + tried.stderr
