"""Somebody who types a runbook: every line goes through a shell in which the programs only write down how they were
called."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

FAKES = ("ksctl", "other-ksctl", "ssh", "scp", "gpg", "sudo", "cp", "systemctl", "sha256sum", "ls")
FAKE = """#!{python} -IS
import json, os, sys
called = {{"program": os.path.basename(sys.argv[0]), "argv": sys.argv[1:]}}
called["env"] = {{k: v for k, v in os.environ.items() if k.startswith("KSCTL_")}}
if "--newnodeconfig" in sys.argv:
    path = sys.argv[sys.argv.index("--newnodeconfig") + 1]
    called["file"], called["mode"] = open(path).read(), oct(os.stat(path).st_mode & 0o777)
with open({log!r}, "a") as log:
    log.write(json.dumps(called) + "\\n")
"""
BLOCK = re.compile(r"^### \d+\. (\S+) .*?```sh\n(.*?)```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Called:
    """A program as it was called."""

    program: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(hash=False)
    file: str = ""
    mode: str = ""

    @property
    def url(self) -> str:
        return self.env.get("KSCTL_URL", "")


class Hand:
    """Types into a shell in a folder of its own."""

    def __init__(self, folder: Path, fakes: tuple[str, ...] = FAKES) -> None:
        self.folder, self.log = folder / "typed here", folder / "calls"
        self.folder.mkdir()
        programs = folder / "programs"
        programs.mkdir()
        for name in fakes:
            (programs / name).write_text(FAKE.format(python=sys.executable, log=str(self.log)))
            (programs / name).chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KSCTL_")}
        self.environ = {**clean, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}

    def type(self, block: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A block, which ends at its first failure."""
        return subprocess.run(
            ["bash", "-e", "-u", "-c", block], cwd=self.folder, env={**self.environ, **environ},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def calls(self, block: str) -> list[Called]:
        """What a block called; nothing in it may fail."""
        self.log.write_text("")
        done = self.type(block)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [Called(**{**one, "argv": tuple(one["argv"])}) for one in found]

    def through(self, book: str) -> dict[str, list[Called]]:
        """All of a runbook, by step."""
        return {step: self.calls(block) for step, block in blocks(book).items()}


def blocks(book: str) -> dict[str, str]:
    """The commands of each step of a runbook."""
    return dict(BLOCK.findall(book))
