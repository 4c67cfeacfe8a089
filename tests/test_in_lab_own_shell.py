"""The one file on an appliance's own shell, on real systemd: it dies with the reboot, and a resume proves the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cluster import Lab
from tests.support.in_lab_own_shell import HOME, ONE_FILE, OwnShell, made_images, own_shell

_OK, _WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}"),
    pytest.mark.skipif(not ONE_FILE.is_file(), reason="scripts/build first, or scripts/test --own-shell"),
]
Go = Callable[..., OwnShell]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def go(tmp_path: Path, images: Path) -> Iterator[Go]:
    with ExitStack() as stack:
        yield lambda nodes, **k: stack.enter_context(own_shell(tmp_path / "lab", images, nodes, **k))


@pytest.mark.parametrize("nodes", [3, 1])
def test_it_dies_with_the_reboot_and_a_resume_proves_the_node(go: Go, nodes: int) -> None:
    made = go(nodes)
    assert made.programs() == []
    assert "noexec" in made.lab.node("ctm-1", "findmnt", "-no", "OPTIONS", "/tmp").stdout.split("\n")[-2]
    archive = f"{HOME}/{next(made.lab.directory.glob('610-*.gpg')).name}"
    verified = made.lab.ssh("ctm-1", f"./ctmupgrade verify {archive} -c cluster.yaml")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    code, said = made.on_own_shell("check")
    assert code == 0, said
    process = made.start_there("run", "--yes")
    made.until(made.has("ctm-1", "reboot"), "the reboot of ctm-1", process)
    assert process.wait(60) != 0
    order = [line["node"] for line in made.lines() if line["kind"] == "upgrade-start"]
    assert order == [*(f"ctm-{n}" for n in range(2, nodes + 1)), "ctm-1"]
    made.lab.wait_ready()
    assert "this shell ends with the reboot of ctm-1" in made.said_there()
    assert f"{HOME}/ctmupgrade resume " in made.said_there()
    code, said = made.on_own_shell("resume")
    assert code == 0, said
    made.ended_well()
    evidence = {step["id"]: step["evidence"] for step in made.report()["steps"]}
    assert evidence["reboot:ctm-1"]["boot"] and evidence["upgrade:ctm-1"]["success_line"]
    assert ("ready_and_connected" in evidence["settle:ctm-1"]) == (nodes > 1)


@pytest.mark.parametrize("what", ["the program", "the operator's connection"])
def test_killed_in_its_own_upgrade_and_by_its_reboot(go: Go, what: str) -> None:
    made = go(1, behave={"upgrade_seconds": 4.0})
    process = made.start_there("run", "--yes", terminal=True)
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade", process)
    if what == "the program":
        made.kill_there()
    else:
        assert made.lab.kill_sessions("ctm-1")
    process.wait(60)
    assert made.kinds("ctm-1")["upgrade-end"] == 0, "the script went with the program"
    process = made.start_there("resume")
    made.until(made.has("ctm-1", "reboot"), "the reboot", process)
    process.wait(60)
    made.lab.wait_ready()
    code, said = made.on_own_shell("resume")
    assert code == 0, said
    made.ended_well()
