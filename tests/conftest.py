"""What several test files share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.core import redact
from tests.support.live import Live, Signing, signing_key, start_live

# Where a shell without job control has put the tests in the background, Ctrl-C is ignored, also by what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def signing() -> Iterator[Signing]:
    """A key that signs archives; making one takes a while."""
    with signing_key() as made:
        yield made


@pytest.fixture
def go_live(tmp_path: Path, signing: Signing) -> Iterator[Callable[..., Live]]:
    """Starts clusters for the installed program; all end with the test."""
    made: list[Live] = []

    def start(**wishes: Any) -> Live:
        made.append(start_live(tmp_path / f"live-{len(made)}", signing, **wishes))
        return made[-1]

    yield start
    for live in made:
        live.close()


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """What a test's program learned is not hidden in the next one's output."""
    before = list(redact._known)
    yield
    redact._known[:] = before
