"""What a scenario's folder keeps of a run: its plan, its report and its exit code, without what changes each time."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from ctmupgrade.cli import app

SCENARIOS = Path(__file__).parents[2] / "fixtures" / "scenarios"
FILES = ("plan.json", "report.json", "report.md", "exit_code")
CHANGING = (
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{7}\b"), "RUN"),
    (re.compile(r"/[^\s\"'`;,]*ctmupgrade-private-[^/\s\"'`;,]+"), "SCRATCH"),
    (re.compile(r"(\"by\": \")[^\"]+(\")"), r"\1USER@HOST\2"),
    (re.compile(r"(\"lines\": |- lines: )\d+"), r"\g<1>0"),
    (re.compile(r"(head(?:\": \"|: `| ))[0-9a-f]{64}"), r"\1HEAD"),
    (re.compile(r"(\"digest\": \")[0-9a-f]{64}"), r"\1DIGEST"),
    (re.compile(r"(\"pid\": )\d+"), r"\g<1>0"),
    (re.compile(r"(\"passed\": )\d+"), r"\g<1>0"),
    (re.compile(r"\b\d+ (findings of the checks passed)"), r"N \1"),
    (re.compile(r"\b\d+ of \d+ (checks pass)"), r"N of M \1"),  # else each new check changes them all
)


def scenarios() -> list[Path]:
    """All folders with a world, by name."""
    return sorted(path.parent for path in SCENARIOS.glob("*/world.yaml"))


def normal(text: str) -> str:
    """The text without run ids, temporary paths, process ids and user@host."""
    from ctmupgrade.commands.wiring import whoami

    text = text.replace(whoami(), "USER@HOST").replace(str(Path(__file__).resolve().parents[2]), "REPO")
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return text


def call(*argv: str) -> tuple[int, str]:
    """The installed program, in this process: (exit code, standard output)."""
    out, err = io.StringIO(), io.StringIO()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("CTM", "KSCTL"))}
    with (
        patch.object(sys, "argv", ["ctmupgrade", *argv]), patch.dict(os.environ, environ, clear=True),
        redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        code = int(app.main())
    return code, out.getvalue()


def options(folder: Path) -> list[str]:
    """What the scenario adds to the command line."""
    file = folder / "options"
    return file.read_text(encoding="utf-8").split() if file.is_file() else []


def produce(folder: Path, state_dir: Path) -> dict[str, str]:
    """The golden files' texts, as a run of today makes them."""
    common = ["--state-dir", str(state_dir), "--simulate", str(folder)]
    _, planned = call("plan", "--format", "json", *common, *options(folder))
    code, printed = call("run", "--yes", "--format", "json", *common, *options(folder))
    last = json.loads(printed.splitlines()[-1])
    texts = {
        "plan.json": planned,
        "report.json": json.dumps(last, indent=2) + "\n",
        "exit_code": f"{code}\n",
        "report.md": _markdown(folder, state_dir, last),
    }
    place = re.compile(re.escape(str(state_dir)).replace("_", r"\\?_"))  # Markdown escapes some, not all
    return {name: normal(place.sub("STATE", text)) for name, text in texts.items()}


def _markdown(folder: Path, state_dir: Path, last: dict[str, object]) -> str:
    """The report; for a run that the checks did not let begin, the screen that a person gets then."""
    if last.get("run"):
        _, text = call("report", str(last["run"]), "--state-dir", str(state_dir))
        return text
    words = ("--format", "plain", "--state-dir", str(state_dir), "--simulate", str(folder))
    _, text = call("run", "--yes", *words, *options(folder))
    return f"```\n{text}```\n"
