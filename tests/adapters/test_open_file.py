"""What is uploaded is the file that was verified, whatever is put under its name meanwhile (SECURITY H1)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes, Recorder
from ctmupgrade.adapters.local.shell import LocalShell
from ctmupgrade.adapters.ssh.connect import connect
from ctmupgrade.adapters.ssh.node_file import BLOCK, NodeFile
from ctmupgrade.adapters.ssh.parallel_upload import send_by_ranges
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import NodeError
from tests.adapters.conftest import Sshd
from tests.adapters.test_ssh_upload import WAYS, only

pytestmark = pytest.mark.usefixtures("home")
SIZE = 3_000_001


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    place = tmp_path / "cur" / "archive"
    place.parent.mkdir()
    place.write_bytes(os.urandom(SIZE))
    return place


def verified(archive: Path) -> PrefixHashes:
    """As gpg's verification leaves it."""
    hashes, recorder = PrefixHashes(), Recorder()
    recorder.update(archive.read_bytes())
    with OpenFile.at(archive) as file:
        hashes.keep(archive, archive.stat(), recorder, file.descriptor)
    return hashes


def swap(archive: Path) -> None:
    """Another file stands under its name, of the same size; that one is moved with its folder."""
    archive.parent.rename(archive.parent.with_name("aside"))
    archive.parent.mkdir()
    archive.write_bytes(b"evil" * (SIZE // 4) + b"!")


@pytest.fixture(params=[False, True], ids=["a descriptor each", "by position"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system gives no second descriptor of an open file."""
    if request.param:
        own = OpenFile.reader
        monkeypatch.setattr(OpenFile, "reader", lambda self: own(self, shared=True))
    return bool(request.param)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_swapped_before_and_during_its_upload(
    sshd: Sshd, archive: Path, tmp_path: Path, way: str
) -> None:
    genuine, hashes, target = archive.read_bytes(), verified(archive), tmp_path / "target"
    shell = only(SshShell(sshd.node(), opened=hashes.opened), way)
    try:
        for number, _sent in enumerate(shell.upload(archive, str(target))):
            if number == 0:
                swap(archive)
        assert target.read_bytes() == genuine
        target.write_bytes(genuine[: 2 * BLOCK])  # an upload that was cut goes on, in another attempt
        assert list(shell.upload(archive, str(target), offset=2 * BLOCK))[-1].done == SIZE
        assert target.read_bytes() == genuine
    finally:
        shell.disconnect()
        hashes.close()


@pytest.mark.usefixtures("shared")
def test_over_several_connections(sshd: Sshd, archive: Path, tmp_path: Path) -> None:
    genuine, hashes, target = archive.read_bytes(), verified(archive), tmp_path / "target"
    shell = SshShell(sshd.node())
    with hashes.opened(archive) as file:
        swap(archive)
        node_file = NodeFile(shell, "ctm-1", str(target))
        sending = send_by_ranges(
            node_file, dial=lambda: connect(sshd.node()), source=file, offset=0, size=SIZE, limits=()
        )
        assert list(sending)[-1].done == SIZE
    shell.disconnect()
    hashes.close()
    assert target.read_bytes() == genuine


@pytest.mark.usefixtures("shared")
def test_onto_this_very_machine(sshd: Sshd, archive: Path, home: Path) -> None:
    genuine, hashes = archive.read_bytes(), verified(archive)
    shell = LocalShell(sshd.node(), opened=hashes.opened)
    for number, _sent in enumerate(shell.upload(archive, "copy")):
        if number == 0:
            swap(archive)
    assert (home / "copy").read_bytes() == genuine
    hashes.close()


def test_what_was_not_verified_or_has_changed_is_not_uploaded(archive: Path) -> None:
    hashes = verified(archive)
    with pytest.raises(NodeError, match="was not verified by this process"):
        hashes.opened(archive.with_name("other"))
    with archive.open("r+b") as file:
        file.write(b"evil")
    with pytest.raises(NodeError, match="has changed since it was verified"):
        hashes.opened(archive)
    hashes.close()
    with pytest.raises(NodeError, match="was not verified by this process"):
        hashes.opened(archive)
