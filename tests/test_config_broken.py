"""A cluster.yaml that is half edited, and surroundings without a home: what can be done all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ctmupgrade.commands.runs import to_go_on
from ctmupgrade.config.load import cluster_name
from ctmupgrade.config.source import read_text
from ctmupgrade.core.modes import Mode
from ctmupgrade.errors import ConfigError
from tests.support.desk import SCENARIOS, Desk
from tests.support.other_user import as_user
from tests.test_config_strict import document

BROKEN = {
    "an unknown key": "cluster: healthy-three\nstabel_for: 1s\n",
    "an unclosed bracket": "cluster: healthy-three\nnodes: [\n",
    "a quote in the middle": "cluster: 'healthy-three'   # ours\npoll: 'x\n",
    "no YAML at all": "cluster: healthy-three\n\t- x: [\n",
}


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a run that waits for its resume."""
    desk = Desk(tmp_path_factory.mktemp("paused"))
    desk.type("run", "--yes", "--stop-after", "ctm-1", scenario="healthy-three")
    assert desk.journal.is_file()
    return desk.folder


@pytest.fixture
def desk(paused: Path, tmp_path: Path) -> Desk:
    """The same, which a test may change."""
    shutil.copytree(paused / "state", tmp_path / "state")
    return Desk(tmp_path)


@pytest.mark.parametrize("what", ["FIFO", "folder", "/dev/zero"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    file = tmp_path / what if what[0] != "/" else Path(what)
    if what == "FIFO":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    with pytest.raises(ConfigError, match="not a file") as caught:
        read_text(file)
    assert "-c FILE" in caught.value.remedy


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_keeps_nobody_from_looking_at_a_run(desk: Desk, case: str) -> None:
    (desk.folder / "cluster.yaml").write_text(BROKEN[case])
    assert cluster_name(desk.folder / "cluster.yaml") == "healthy-three"
    said = desk.type("status")
    assert said.returncode == 0 and "ctm-1" in said.stdout, said.stderr


@pytest.mark.parametrize(
    "words",
    [["status"], ["report"], ["report", "--verify"], ["pause"], ["abort"], ["abort", "--dry-run"]],
    ids=" ".join,
)
def test_a_file_without_a_name_keeps_nobody_from_seeing_and_stopping_a_run(
    desk: Desk, words: list[str]
) -> None:
    (desk.folder / "cluster.yaml").write_text("cluster: [\n")
    said = desk.type(*words)
    assert said.returncode == 0, said.stderr
    assert "does not tell the cluster's name" in said.stderr


@pytest.mark.parametrize("what", ["pause", "abort"])
def test_no_run_of_another_cluster_is_stopped_by_a_guess(desk: Desk, what: str) -> None:
    shutil.copytree(desk.state / "healthy-three", desk.state / "another")
    (desk.folder / "cluster.yaml").write_text("cluster: [\n")
    said = desk.type(what)
    assert said.returncode == 2 and "which run is meant?" in said.stderr
    assert "(another)" in said.stderr and "(healthy-three)" in said.stderr
    (desk.folder / "cluster.yaml").write_text(BROKEN["an unclosed bracket"])
    assert desk.type(what).returncode == 0


def test_a_bundle_is_packed_without_a_right_file_whatever_it_is_called(desk: Desk) -> None:
    (desk.folder / "prod.yaml").write_text("cluster: [\n")
    said = desk.type("report", "--bundle", "b.tar.gz", "-c", "prod.yaml")
    assert said.returncode == 0, said.stderr
    assert (desk.folder / "b.tar.gz").is_file()


@pytest.mark.parametrize(
    "text", ["cluster: 12\n", "cluster: ../up\n", "cluster: a\ncluster: b\nx: [\n", "\0", "cluster: [a]\n"]
)
def test_what_is_no_name_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert cluster_name(tmp_path / "c.yaml") in (None, "12", "b")
    assert cluster_name(tmp_path) is None and cluster_name(tmp_path / "gone") is None


def test_the_lock_of_a_resume_names_its_run(desk: Desk) -> None:
    """``locked by ..., run resume`` named a command, not a run."""
    run = desk.journal.parent.name
    assert to_go_on(desk.state / "healthy-three", Mode.SIMULATED) == run
    assert (
        to_go_on(desk.state / "healthy-three", Mode.LIVE)
        == to_go_on(desk.state / "gone", Mode.LIVE)
        == "unknown"
    )


# -- surroundings ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_and_a_home(tmp_path: Path) -> None:
    folder = Path("/var/tmp") / "ctmupgrade-48213"
    desk = Desk(tmp_path)
    argv = as_user(48213)
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    for words in (["check"], ["run", "--yes", "--stop-after", "ctm-1"], ["status"]):
        said = _as_nobody(desk, argv, words)
        assert said[0] in (0, 7), said
        assert "Traceback" not in said[1]
    assert folder.is_dir() and folder.stat().st_uid == 48213 and folder.stat().st_mode & 0o077 == 0
    shutil.rmtree(folder)


def _as_nobody(desk: Desk, argv: list[str], words: list[str]) -> tuple[int, str]:
    import subprocess

    from tests.support.live import PROGRAM

    environ = {"PATH": os.environ["PATH"], "TMPDIR": "/var/tmp"}
    done = subprocess.run(
        [*argv, str(PROGRAM), *words, "--simulate", str(SCENARIOS / "healthy-three")], env=environ, cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_tilde_without_a_home_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctmupgrade.config.load import load_cluster
    from ctmupgrade.errors import UsageError

    (tmp_path / "cluster.yaml").write_text(document("ssh.identity_file", "~nosuchuser/key"))
    with pytest.raises(UsageError, match="there is no home folder here"):
        load_cluster(tmp_path / "cluster.yaml", simulated=True)


@pytest.mark.parametrize(
    ("name", "shown"), [("NOT_SET_HERE", True), ("hunter2secret", False), ("Hunter2", False)]
)
def test_a_variable_that_is_not_set_and_may_be_the_password_is_not_printed_back(
    tmp_path: Path, name: str, shown: bool
) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "a.gpg").write_bytes(b"x")
    (tmp_path / "cluster.yaml").write_text(document("ksctl.password_env", name))
    said = desk.type("check")
    assert said.returncode == 2 and "is not set" in said.stderr and "ksctl.password_env" in said.stderr
    assert (name in said.stderr) is shown
