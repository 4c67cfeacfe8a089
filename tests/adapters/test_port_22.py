"""The installed program where nothing but port 22 is open: a jump host (a real sshd), urls that only the nodes know, and
no ksctl here beforehand."""

from __future__ import annotations

import getpass
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctmupgrade.sim import Fault
from tests.adapters.conftest import Sshd, StartSshd
from tests.support.live import KEY_PASSWORD, PASSWORD, Live
from tests.support.port_22 import Port22, only_port_22

GoLive = Callable[..., Live]


@pytest.fixture
def jump(start_sshd: StartSshd) -> Sshd:
    return start_sshd()


@pytest.fixture
def behind(go_live: GoLive, jump: Sshd, tmp_path: Path) -> Iterator[Callable[..., Port22]]:
    """A cluster behind a jump host."""
    made: list[Port22] = []

    def start(**wishes: object) -> Port22:
        live = go_live(size=20_000, **wishes)
        known = jump.settings.known_hosts
        assert known
        ssh = (
            f"proxy_jump: '{getpass.getuser()}@127.0.0.1:{jump.port}', "
            f"jump: {{identity_file: {jump.settings.identity_file}, known_hosts: {known}}}, "
        )
        made.append(only_port_22(live, tmp_path, ssh=ssh))
        return made[-1]

    yield start
    for one in made:
        one.close()


def nothing_told(live: Live, *said: str) -> None:
    for text in (*said, *(p.read_text(errors="replace") for p in live.state.rglob("*") if p.is_file())):
        assert PASSWORD not in text and KEY_PASSWORD not in text


def test_check_and_backup_through_port_22_alone(behind: Callable[..., Port22], jump: Sshd) -> None:
    """Also: nodes that serve different files are told, and what is in both is taken from each."""
    made = behind(nodes=2)
    live = made.live
    zipped = made.planes["ctm-2"].zipped
    assert zipped
    made.planes["ctm-2"].zipped = zipped.replace(b"config_example", b"config_exbmple")
    checked = live.run("check", "-v")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "or behind SSH the host keys" in checked.stdout
    assert "offer different files as ksctl_images.zip" in " ".join(checked.stdout.split())
    programs = list(live.state.glob("live/ksctl/program-*"))
    assert len(programs) == 1 and stat.S_IMODE(programs[0].stat().st_mode) == 0o700
    assert [plane.downloads for plane in made.planes.values()] == [1, 1], "from each node, to compare them"
    saved = live.run("backup", "--yes")
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert [plane.downloads for plane in made.planes.values()] == [1, 1], "and kept"
    assert len(list((live.folder / "backups").glob("*.backup"))) == 2
    assert jump.logins() > 0
    nothing_told(live, checked.stdout, checked.stderr, saved.stdout, saved.stderr)


def test_forbidden_forwarding_and_a_node_that_is_down_are_told_apart(behind: Callable[..., Port22]) -> None:
    made = behind()
    live = made.live
    live.fleet.places.pop(("ctm-2", "ctm-2.sim", 443))
    with live.fleet.lock:
        live.world.inject(Fault("refused", "ctm-3"))
    made.planes["ctm-1"].zipped = b"<html>login</html>"
    checked = live.run("check")
    text = " ".join((checked.stdout + checked.stderr).split())
    assert checked.returncode == 3, text
    assert "ctm-2 (127.0.0.1:" in text and "its SSH server forbids forwarding to ctm-2.sim:443" in text
    assert "AllowTcpForwarding, PermitOpen or DisableForwarding in the node's sshd_config" in text
    assert "ctm-3: no SSH connection to" in text
    assert "ctm-1: ksctl_images.zip of https://ctm-1.sim is not used: it is damaged" in text


@pytest.mark.slow
def test_a_whole_run_through_port_22_alone_with_kills_and_cuts(
    behind: Callable[..., Port22], jump: Sshd
) -> None:
    made = behind()
    live = made.live
    process = live.start("run", "--yes")
    live.until_step(process, "backup:ctm-2")
    live.kill(process)
    process = live.start("resume", "--yes")
    live.until_step(process, "upgrade:ctm-1")
    assert jump.cut()
    live.until_step(process, "upgrade:ctm-2")
    live.kill(process)
    done = live.run("resume", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert live.report()["outcome"] == "done"
    assert {node.version.partition("+")[0] for node in live.world.nodes.values()} == {"2.21.0"}
    assert all(plane.asked for plane in made.planes.values())
    assert [plane.downloads for plane in made.planes.values()] == [2, 2, 2], "again after each upgrade"
    nothing_told(live, done.stdout, done.stderr)
