"""``demo``: the cluster that comes with the program, put where a simulation finds it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ctmupgrade.adapters.disk.private_file import write_private
from ctmupgrade.errors import UsageError

FOLDER = "demo-cluster"
PACE = "120x"
FAULT = "cut@upgrade:ctm-2+8m"
_FILES = ("cluster.yaml", "world.yaml")


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """Where a demo plays. :ivar temporary: nobody named it, so whoever is done with it may remove it."""

    state: Path
    temporary: bool

    @property
    def fixture(self) -> Path:
        """Return the folder of the simulated cluster."""
        return self.state / FOLDER


def demo_place(state: Path | None) -> DemoPlace:
    """Put the cluster's files in place.

    :param state: the state folder; None: a new one among the temporary files, which stays, so that its runs can be
        looked at afterwards.
    :raises UsageError: it cannot be written to.
    """
    try:
        place = DemoPlace(state or Path(tempfile.mkdtemp(prefix="ctmupgrade-demo-")), state is None)
        place.fixture.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _FILES:
            data = resources.files("ctmupgrade.sim").joinpath(f"demo_{name}").read_bytes()
            write_private(place.fixture / name, data)
    except OSError as error:
        raise UsageError(
            f"{error.filename or state}: cannot be written: {error.strerror or error}",
            remedy="--state-dir DIR",
        ) from None
    return place
