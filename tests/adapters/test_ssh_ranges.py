"""Several connections into one file: it is whole, and what is reported is there without a hole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.ssh import parallel_upload
from ctmupgrade.adapters.ssh.connect import Link, connect
from ctmupgrade.adapters.ssh.node_file import BLOCK, NodeFile, UnusableError
from ctmupgrade.adapters.ssh.parallel_upload import send_by_ranges
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import ConnectionLostError, HostKeyError, NodeError, UnreachableError
from tests.adapters.conftest import Sshd

SIZE = 11 * BLOCK + 4711


@pytest.fixture
def source(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parallel_upload, "CHUNK", BLOCK)
    monkeypatch.setattr(parallel_upload, "AHEAD", 4 * BLOCK)
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def opened(source: Path) -> Iterator[OpenFile]:
    with OpenFile.at(source) as file:
        yield file


@pytest.mark.parametrize("offset", [0, 3 * BLOCK, 3 * BLOCK + 5, SIZE])
def test_the_file_is_whole_and_progress_has_no_holes(
    sshd: Sshd, source: Path, opened: OpenFile, tmp_path: Path, offset: int
) -> None:
    node, target, dialled = sshd.node(), tmp_path / "target", []
    target.write_bytes(source.read_bytes()[:offset])

    def dial() -> Link:
        dialled.append(1)
        return connect(node)

    shell = SshShell(node)
    seen = []
    for sent in send_by_ranges(
        NodeFile(shell, "ctm-1", str(target)), dial=dial, source=opened, offset=offset, size=SIZE, limits=()
    ):
        seen.append(sent.done)
        assert target.read_bytes()[: sent.done] == source.read_bytes()[: sent.done]
    shell.disconnect()
    assert target.read_bytes() == source.read_bytes()
    assert seen == sorted(seen) and len(dialled) == (4 if offset < SIZE - 4 * BLOCK else 1)


def test_holes_after_a_cut_lie_in_the_last_bytes_only(
    sshd: Sshd, source: Path, opened: OpenFile, tmp_path: Path
) -> None:
    node, target = sshd.node(), tmp_path / "target"
    shell, links = SshShell(node), list[Link]()

    def dial() -> Link:
        links.append(connect(node))
        return links[-1]

    with pytest.raises(ConnectionLostError):
        for sent in send_by_ranges(
            NodeFile(shell, "ctm-1", str(target)), dial=dial, source=opened, offset=0, size=SIZE, limits=()
        ):
            if sent.done:
                links[0].transport.close()
                sshd.cut()
    whole = max(0, target.stat().st_size - parallel_upload.AHEAD) // BLOCK * BLOCK
    assert target.read_bytes()[:whole] == source.read_bytes()[:whole]
    shell.disconnect()


def test_a_node_that_cannot_write_says_so(sshd: Sshd, opened: OpenFile) -> None:
    shell = SshShell(sshd.node())
    file = NodeFile(shell, "ctm-1", "/nowhere/target")
    with pytest.raises(NodeError):
        list(
            send_by_ranges(
                file, dial=lambda: connect(sshd.node()), source=opened, offset=0, size=SIZE, limits=()
            )
        )
    shell.disconnect()


def test_loopback_is_too_near_for_several_connections(sshd: Sshd, home: Path) -> None:
    big = home / "big"
    with big.open("wb") as file:
        file.truncate(2 * parallel_upload.CHUNK)
    said: list[str] = []
    shell = SshShell(sshd.node(), log=said.append)
    list(shell.upload(big, str(home / "near")))
    shell.disconnect()
    why = next(line for line in said if "no upload by several connections" in line)
    away = re.search(r"(\d+) ms away", why)
    assert away and int(away[1]) < parallel_upload.FAR * 1000, why


@pytest.mark.parametrize("let_in", [2, 0])
def test_where_the_node_lets_no_further_connections_in(
    sshd: Sshd, source: Path, opened: OpenFile, tmp_path: Path, let_in: int
) -> None:
    """MaxStartups, or a firewall that counts connections: those that came in do the work, else it is another way's."""
    node, target, dialled = sshd.node(), tmp_path / "target", []

    def dial() -> Link:
        dialled.append(1)
        if len(dialled) > let_in:
            raise UnreachableError("ctm-1: no SSH connection: banner or key exchange: closed")
        return connect(node)

    file = NodeFile(shell := SshShell(node), "ctm-1", str(target))
    sending = send_by_ranges(file, dial=dial, source=opened, offset=0, size=SIZE, limits=())
    if let_in:
        assert list(sending)[-1].done == SIZE
        assert target.read_bytes() == source.read_bytes()
    else:
        with pytest.raises(UnusableError, match="no second connection"):
            list(sending)
    shell.disconnect()


def test_another_host_key_on_a_further_connection_is_no_reason_to_go_on(
    sshd: Sshd, source: Path, opened: OpenFile, tmp_path: Path
) -> None:
    def dial() -> Link:
        raise HostKeyError("ctm-1: another host key")

    file = NodeFile(shell := SshShell(sshd.node()), "ctm-1", str(tmp_path / "target"))
    with pytest.raises(HostKeyError):
        list(send_by_ranges(file, dial=dial, source=opened, offset=0, size=SIZE, limits=()))
    shell.disconnect()
