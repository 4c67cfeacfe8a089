"""The texts of ``--help`` and of each exit code, as golden files: what a person reads who is in doubt or in trouble."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from ctmupgrade.cli import app
from ctmupgrade.cli.opening import registry
from tests.support.golden import SCENARIOS, normal

HELP = SCENARIOS.parent / "help"
MESSAGES = SCENARIOS.parent / "messages"
COLUMNS = "80"
LAST = 8  # lines of standard output that are kept of a run
# What a program of ours that raises ends with: no other way makes a bug, or presses Ctrl-C, at a moment of its own.
_RAISES = "import sys\nfrom ctmupgrade.cli.funnel import funnel\ndef program():\n raise {}\nsys.exit(funnel(program))"


def commands() -> list[str]:
    """Every command as it is typed; "" for the program itself."""
    app.fill_registry()
    names = [name for _panel, rows in registry.listing for name, _text in rows]
    inner = [f"{name} {one}" for name in names if (below := registry.inner(name)) for one in below.names]
    return ["", *names, *inner]


def typed(*words: str, folder: Path | None = None) -> tuple[int, str, str]:
    """The installed program, in this process: exit code, standard output, standard error."""
    out, err, environ = io.StringIO(), io.StringIO(), {"COLUMNS": COLUMNS}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CTM", "KSCTL"))}
    before = Path.cwd()
    os.chdir(folder or before)
    try:
        with (
            patch.object(sys, "argv", ["ctmupgrade", *words]), patch.dict(os.environ, kept | environ, clear=True),
            redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            code = int(app.main())
    finally:
        os.chdir(before)
    return code, out.getvalue(), err.getvalue()


def helps(_folder: Path) -> dict[str, str]:
    """The golden files of fixtures/help."""
    texts = {}
    for name in commands():
        code, said, _err = typed(*name.split(), "--help")
        assert code == 0, name
        texts[f"{name.replace(' ', '-') or 'ctmupgrade'}.txt"] = "".join(
            f"{line.rstrip()}\n" for line in said.strip("\n").split("\n")
        )
    return texts


def _place(folder: Path, scenario: str) -> list[str]:
    return ["--simulate", str(SCENARIOS / scenario), "--state-dir", str(folder / scenario)]


def _raised(error: str) -> tuple[int, str, str]:
    made = subprocess.run(
        [sys.executable, "-c", _RAISES.format(error)], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for log in re.findall(r"traceback: (\S+)", made.stderr):
        Path(log).unlink()
    return made.returncode, made.stdout, re.sub(r"traceback: \S+", "traceback: LOG", made.stderr)


def _locked(folder: Path) -> tuple[int, str, str]:
    from ctmupgrade.commands.runs import hold

    shutil.rmtree(folder / "upgrade-fails-on-node-2", ignore_errors=True)
    place = _place(folder, "upgrade-fails-on-node-2")
    typed("run", "--yes", *place)
    run = next((folder / "upgrade-fails-on-node-2").glob("*/*/journal.jsonl")).parent
    with hold(run, run.name):
        code, out, err = typed("resume", *place)
    err = re.sub(r"since \S+ ?\S*|\(pid \d+\)|pid \d+", "SINCE", err)
    return code, out, err


def _partial(folder: Path) -> tuple[int, str, str]:
    place = _place(folder / "partial", "upgrade-fails-on-node-2")
    typed("run", "--yes", *place)
    typed("node", "skip", "latest", "ctm-2", "--reason", "CHG-4711", "--yes", *place)
    return typed("resume", "--yes", *place)


def messages(folder: Path) -> dict[str, str]:
    """The golden files of fixtures/messages: what is said with each exit code, to a person and to a program."""
    said = {
        "0": typed("run", "--yes", *_place(folder, "healthy-three")),
        "2": typed("check", "--nonsense", "--format", "json"),
        "3": typed("check", "--only", "free_space_sufficient", *_place(folder, "low-disk")),
        "4": typed("check", "--only", "node_reachable", *_place(folder, "one-node-down")),
        "5": typed("run", "--yes", *_place(folder, "upgrade-fails-on-node-2")),
        "6": typed("recover", *_place(folder, "one-node-down")),
        "7": typed("run", "--yes", "--stop-after", "ctm-1", *_place(folder / "7", "healthy-three")),
        "8": _locked(folder / "8"),
        "9": _partial(folder),
        "70": _raised("KeyError('x')"),
        "130": _raised("KeyboardInterrupt"),
    }
    texts = {}
    for number, (code, out, err) in said.items():
        assert code == int(number), (number, code, out, err)
        last = (
            out.splitlines()[-LAST:]
            if "{" not in out[:1]
            else json.dumps(json.loads(out), indent=2).splitlines()
        )
        text = "\n".join(
            ["standard output, its last lines:", *last, "", "standard error:", *err.splitlines()]
        )
        text = normal(text.replace(str(folder), "STATE"))
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+(?:[+-]\d\d:\d\d|Z)?", "TIME", text)
        texts[f"{number}.txt"] = "".join(f"{line.rstrip()}\n" for line in text.split("\n"))
    return texts
