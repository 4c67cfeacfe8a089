"""What the table says it was measured with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.bench import looks, table


@pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("ssh") and shutil.which("gpg")),
    reason="the bench cannot run here",
)
def test_the_versions_name_those_who_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ansible-playbook"
    monkeypatch.setattr(looks, "PROGRAM", program)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert "ansible" not in table.machine() and "rsync" not in table.machine()
    program.write_text("#!/bin/sh\necho 'ansible-playbook [core 2.19.14]'\necho '  config file = None'\n")
    program.chmod(0o755)
    assert "; ansible-core 2.19.14; paramiko " in table.machine()
