"""Places to run the one file in: mount namespaces and root file systems of other systems. Needs root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gpg_ring import Ring, made_ring
from tests.support.live import Signing, signing_key

collect_ignore_glob = [] if os.environ.get("CTMUPGRADE_PROGRAM") else ["test_*.py"]


@pytest.fixture(scope="session")
def signing() -> Iterator[Signing]:
    with signing_key() as made:
        yield made


@pytest.fixture(scope="session")
def ring() -> Iterator[Ring]:
    with made_ring() as made:
        yield made


@pytest.fixture(autouse=True)
def root() -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root, and unshare of util-linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that the ordinary user may enter."""
    for part in (tmp_path, *tmp_path.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(part.stat().st_mode | 0o055)
    return tmp_path
