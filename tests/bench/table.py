"""The results as Markdown, with what they were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench import looks
from tests.bench.measure import Result, Took

BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"


def row(result: Result) -> str:
    """One line of the table."""
    low, high = min(result.ratios), max(result.ratios)
    cells = [
        result.name, result.beside, result.wanted, f"**{result.median:.2f}** ({low:.2f} to {high:.2f})",
        "yes" if result.reached else "**no**", _seconds(result.ours), _seconds(result.theirs), f"{result.peak:.0f}", result.note,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _seconds(took: Sequence[Took]) -> str:
    if not took:
        return ""
    return f"{statistics.median(t.wall for t in took):.2f} / {statistics.median(t.cpu for t in took):.2f}"


def machine() -> str:
    """Processor, system and versions, in a sentence each."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    others = [_first_line("ssh", "-V"), _first_line("gpg", "--version")]
    if shutil.which("rsync"):
        others.append(" ".join(_first_line("rsync", "--version").split()[:3]))
    if looks.PROGRAM.exists():  # a line that is not measured installs nothing
        said = _first_line(str(looks.PROGRAM), "--version")  # "ansible-playbook [core 2.19.14]"
        others.append(f"ansible-core {said.partition('core ')[2].rstrip(']')}")
    names = ("paramiko", "python-gnupg", "typer", "rich", "pydantic", "cryptography")
    ours = ", ".join(f"{name} {version(name)}" for name in names)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, Python {sys.version.split()[0]}. "
        f"{'; '.join(others)}; {ours}. Load average at the end: {load:.1f}."
    )


def _first_line(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def document(results: Sequence[Result], size: int, runs: int) -> str:
    """The part of docs/performance.md that is measured."""
    head = [
        "what",
        "beside",
        "wanted",
        "ratio (spread)",
        "reached",
        "ours, s wall / cpu",
        "theirs",
        "peak MiB",
        "note",
    ]
    lines = [
        f"Size {size >> 20} MiB, medians of {runs} pairs that take turns; spread is smallest to largest. {machine()}",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *map(row, results),
    ]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Replaces the measured part of a page, or begins the page."""
    old = path.read_text() if path.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
