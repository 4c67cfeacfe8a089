"""Completion in real shells: each asks the installed program, as a person's shell does at TAB."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ctmupgrade.cli.completion import FILE, FOLDER, candidates
from ctmupgrade.cli.shells import SCRIPTS
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import PROGRAM, clean_environ
from tests.support.terminal import on_terminal

RUNS = ("20260110T210000-0123abc", "20260111T210000-4567def")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a cluster.yaml, and two runs of its cluster besides one of another."""
    shutil.copy(SCENARIOS / "healthy-three" / "cluster.yaml", tmp_path)
    for place in (
        f"healthy-three/{RUNS[0]}",
        f"healthy-three/{RUNS[1]}",
        f"other/{RUNS[0]}x",
        f"other/{RUNS[0][:-1]}0",
    ):
        (tmp_path / "state" / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CTMUPGRADE_CLUSTER", raising=False)
    monkeypatch.setenv("CTMUPGRADE_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def offered(*words: str, splits: bool = False) -> list[str]:
    return [one.word for one in candidates(list(words), splits=splits)]


def test_commands_and_options(here: Path) -> None:
    assert offered("st") == ["stage", "status"]
    assert offered("--dry-run", "-c", "x.yaml", "resu") == ["resume"]
    assert offered("node", "") == ["retry", "skip", "done"]
    assert offered("check", "--on") == ["--only"]
    assert "--yes" not in offered("check", "--") and "--help" in offered("check", "--"), (
        "as its help shows them"
    )
    assert offered("check", "--format", "j") == ["json"] and offered("check", "--format=j") == [
        "--format=json"
    ]
    assert offered("run", "--strategy", "re") == ["rebuild"]


def test_names_of_nodes(here: Path) -> None:
    assert offered("run", "--stop-after", "") == ["ctm-1", "ctm-2", "ctm-3"]
    assert offered("run", "--order", "ctm-3,") == ["ctm-3,ctm-1", "ctm-3,ctm-2"]
    assert offered("run", "--fresh", "ctm-2") == ["ctm-2="]
    assert offered("node", "retry", "latest", "ctm-3") == ["ctm-3"]
    (here / "b.yaml").write_text(
        "cluster: b\nnodes:\n# name: no\n- {host: x, name: 'n-1'}\n- name: n-2\nchecks: {own: [{name: c}]}\n"
    )
    assert offered("run", "-c", "b.yaml", "--nodes", "") == ["n-1", "n-2"]
    assert offered("run", "--simulate", str(SCENARIOS / "standalone"), "--nodes", "") == ["ctm-1"]
    (here / "cluster.yaml").unlink()
    assert offered("run", "--nodes", "") == []


def test_runs(here: Path) -> None:
    assert offered("status", "") == ["latest", RUNS[1], RUNS[0]]
    assert offered("node", "done", "20260111") == [RUNS[1]]
    (here / "cluster.yaml").unlink()
    assert len(offered("resume", "2026")) == 3, "of all clusters, and nothing that is no run"
    assert offered("resume", "--state-dir", str(here / "none"), "") == []


def test_checks(here: Path) -> None:
    assert offered("check", "--explain", "ntp") == ["ntp_synchronised"]
    assert offered("check", "--only", "ntp_synchronised,free_s") == ["ntp_synchronised,free_space_sufficient"]
    assert offered("run", "--skip", "ntp") == ["ntp_synchronised="]
    assert offered("recover", "--pin", "") == []


def test_paths_are_the_shells_own(here: Path) -> None:
    assert offered("run", "--plan", "x") == [FILE] and offered("verify", "") == [FILE]
    assert offered("record", "") == [FOLDER] and offered("run", "--state-dir=") == [FOLDER]


def test_bash_takes_an_equals_sign_for_a_word(here: Path) -> None:
    assert offered("check", "--only", "=", "ntp", splits=True) == ["ntp_synchronised"]
    assert offered("run", "--stop-after", "=", splits=True) == ["ctm-1", "ctm-2", "ctm-3"]


@pytest.mark.parametrize("text", ["\0", "[", "nodes: [", "nodes:\n- {name: \x1b[2J}", "\ud800"])
def test_whatever_is_in_the_file_nothing_is_broken(here: Path, text: str) -> None:
    (here / "cluster.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    said = Desk(here).type("--complete", "fish", "run", "--nodes", "")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


# -- real shells -------------------------------------------------------------------------------------------------

needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name}") for name in SCRIPTS
}


def environ(folder: Path) -> dict[str, str]:
    program = folder / "bin" / "ctmupgrade"
    program.parent.mkdir()
    program.symlink_to(PROGRAM)
    return {
        **clean_environ(folder), "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "ready> ",
        "CTMUPGRADE_STATE_DIR": str(folder / "state"),
    }  # fmt: skip


TYPED = (
    ("ctmupgrade stat\t", "ctmupgrade status"), ("ctmupgrade node retry latest ctm-\t\t", "ctm-2"),
    ("ctmupgrade check --only ntp\t", "ntp_synchronised"), ("ctmupgrade resume 20260111\t", RUNS[1]),
    ("ctmupgrade run --plan clu\t", "cluster.yaml"), ("ctmupgrade run --stop-after=ctm-\t\t", "ctm-3"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "before"),
    [
        pytest.param(["bash", "--noprofile", "--norc", "-i"], "", marks=needs["bash"], id="bash"),
        pytest.param(
            ["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D;", marks=needs["zsh"], id="zsh"
        ),
    ],
)
def test_in_a_shell(here: Path, argv: list[str], before: str) -> None:
    (here / "completion").write_text(SCRIPTS[argv[0]])
    with on_terminal(argv, here, environ(here)) as terminal:
        terminal.type(f"{before} . ./completion; echo load''ed\n")
        terminal.until("loaded")
        for typed, shown in TYPED:
            terminal.type(typed)
            terminal.until(shown)
            terminal.type("\x15echo don''e\n")  # clears the line
            terminal.until("done")
        terminal.type("exit\n")
        terminal.ended()


@needs["fish"]
def test_fish(here: Path) -> None:
    (here / "completion").write_text(SCRIPTS["fish"])
    lines = [". ./completion"]
    asked = ("ctmupgrade stat", "ctmupgrade run --order ctm-3,", "ctmupgrade check --only ntp", "ctmupgrade resume 20260111",
             "ctmupgrade run --plan clu", "ctmupgrade run --stop-a", "ctmupgrade node ")  # fmt: skip
    lines += [f"complete -C '{one}'; echo ====" for one in asked]
    said = subprocess.run(
        ["fish", "--no-config"], input="\n".join(lines), env=environ(here), cwd=here, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    found = [[row.split("\t")[0] for row in part.split("\n") if row] for part in said.stdout.split("====\n")]
    assert found[:7] == [
        ["status"], ["ctm-3,ctm-1", "ctm-3,ctm-2"], ["ntp_synchronised"], [RUNS[1]], ["cluster.yaml"], ["--stop-after"],
        ["done", "retry", "skip"],
    ], said.stdout + said.stderr  # fmt: skip


@pytest.mark.parametrize("shell", SCRIPTS)
def test_it_is_installed_once(tmp_path: Path, shell: str) -> None:
    desk = Desk(tmp_path)
    home = tmp_path / "home"
    (home / ".bashrc").write_text("# mine, without a newline")
    desk.type("--install-completion", shell)
    said = desk.type("--install-completion", shell)
    assert said.returncode == 0, said.stderr
    place = Path(said.stdout.splitlines()[0].removeprefix("written: "))
    assert place.read_text() == SCRIPTS[shell] == desk.type("--show-completion", shell).stdout
    started = {"bash": ".bashrc", "zsh": ".zshrc"}.get(shell)
    if started:
        assert (home / started).read_text().count(str(place)) == 2, "one line, with its place twice"


def test_an_unknown_shell(tmp_path: Path) -> None:
    said = Desk(tmp_path).type("--show-completion", "tcsh")
    assert said.returncode == 2 and "bash, zsh, fish" in said.stderr
    assert Desk(tmp_path).type("--dry-run", "--show-completion", "bash", "check").returncode == 2
