"""What scripts begin with: their help, and the Python that has what they import."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("cyclonedx", "hypothesis", "paramiko", "pydantic", "ruamel", "typer")


def show_help(text: str | None) -> None:
    """End the script with its help where that is asked for. Without this a script may take the word for a name."""
    if {"-h", "--help"} & {*sys.argv[1:]}:
        print((text or "").strip())
        sys.exit(0)


def run_in_it() -> None:
    """Start the script again in .venv, which is made where it is missing, unless all that it needs can be imported:
    whoever calls it may have another Python in the path."""
    if all(importlib.util.find_spec(name) for name in NEEDED):
        return
    subprocess.run([ROOT / "scripts" / "prepare"], check=True)
    python = str(ROOT / ".venv" / "bin" / "python")
    os.execv(python, [python, *sys.argv])
