"""What ``--version`` and ``--help`` load: counted, never timed. Each runs the installed launcher's file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctmupgrade import __version__
from ctmupgrade.cli.opening import registry

ROOT = Path(__file__).parents[1]
LAUNCHER = ROOT / "scripts" / "ctmupgrade"
HEAVY = {
    "paramiko",
    "gnupg",
    "psutil",
    "pydantic",
    "pydantic_core",
    "ruamel",
    "asyncio",
    "markdown_it",
    "pygments",
}
COMMANDS = [[name] for name in registry.names] + [["node", name] for name in ("retry", "skip", "done")]
SHOW = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: sys.stderr.write("\\n".join(set(sys.modules) - before)))
sys.argv = sys.argv[1:]
exec(open(sys.argv[0]).read())
"""


def _run(*words: str, columns: int = 100) -> tuple[str, set[str]]:
    """Standard output and the modules that were loaded beyond those of a bare Python."""
    argv = [sys.executable, "-c", SHOW, str(LAUNCHER), *words]
    done = subprocess.run(
        argv, env={**os.environ, "COLUMNS": str(columns)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.split())


def test_the_launcher_is_what_installers_expect() -> None:
    assert LAUNCHER.read_bytes().startswith(b"#!python\n")
    assert os.access(LAUNCHER, os.X_OK), "pip makes a script executable only where the wheel's file is"
    assert '"scripts/ctmupgrade" = "ctmupgrade"' in (ROOT / "pyproject.toml").read_text()


def test_version_loads_the_package_alone() -> None:
    said, loaded = _run("--version")
    assert said == f"ctmupgrade {__version__}\n"
    assert {name for name in loaded if name.startswith("ctmupgrade")} == {"ctmupgrade", "ctmupgrade.__main__"}
    # `re` alone is half of what the script costs that installers generate for an entry point.
    assert not loaded & {"re", "enum", "typing", "pathlib", "dataclasses", "typer", "rich"}


@pytest.mark.parametrize("words", [[], *COMMANDS], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    said, loaded = _run(*words, "--help")
    assert " ".join(["Usage: ctmupgrade", *words]) in said and "╭─ Options" in said
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    assert "rich.panel" in loaded and not loaded & {"rich.markdown", "rich.syntax", "rich.traceback"}
    ours = {name for name in loaded if name.startswith("ctmupgrade.")}
    assert not {
        name
        for name in ours
        if name.startswith(("ctmupgrade.commands", "ctmupgrade.adapters", "ctmupgrade.core."))
    } - {"ctmupgrade.core.modes"}


def test_help_builds_no_command_that_it_only_lists() -> None:
    said, _ = _run("--help")
    for name in registry.names:
        assert f"│ {name} " in said
    made = [name for name in registry.names if registry.make(name) is None]
    assert not made


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_nothing_is_cut_off_where_the_terminal_is_narrow(columns: int) -> None:
    said, _ = _run("check", "--help", columns=columns)
    flat = "".join(word for word in said.replace("│", " ").split())
    for text in ("--strategy", "--accept-attended-boot", "apersontypesthepassphraseateachboot"):
        assert text in flat or columns == 40
    assert "…" not in said and max(map(len, said.splitlines())) <= columns


def test_options_before_and_after_the_name_are_one() -> None:
    folder = ROOT / "fixtures" / "scenarios" / "healthy-three"
    for words in (["--dry-run", "run", "--simulate"], ["run", "--dry-run", "--simulate"]):
        said, _ = _run(*words, str(folder))
        assert said.startswith("DRY-RUN: healthy-three")


IMPATIENT = """
import sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
sys.argv = sys.argv[1:]
exec(open(sys.argv[0]).read())
"""


def test_ctrl_c_while_it_loads_is_no_traceback() -> None:
    """On a busy machine that takes seconds."""
    argv = [sys.executable, "-c", IMPATIENT, str(LAUNCHER), "status"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
