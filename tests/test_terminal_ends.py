"""A terminal that ends with this process is told where everybody sees it, not with -v only."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctmupgrade.core.run import journal
from ctmupgrade.sim.shell import SimTerminal
from tests.support.world_run import Drive, make_world


@pytest.mark.parametrize("why", ["", "no ssh program here"])
def test_the_journal_says_that_the_terminal_ends_with_ctmupgrade(
    tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimTerminal, "ends_with_us", why)
    drive = Drive(make_world(2), tmp_path)
    assert drive.start() == 0
    noted = [
        event.text
        for _, event in _events(drive)
        if isinstance(event, journal.StepNoted) and "keep" in event.text
    ]
    assert noted == (
        [f"keep ctmupgrade running: the terminal of ks_upgrade.sh ends with it ({why})"] * 2 if why else []
    )


def _events(drive: Drive) -> list[tuple[int, journal.Event]]:
    import json

    from ctmupgrade.codec import event_from_json

    return [(n, event_from_json(json.loads(text))) for n, (text, _) in enumerate(drive.journal.lines)]
