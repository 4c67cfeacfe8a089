"""What every kind of node must do alike: looks, files, an upgrade with its reboot, backups, marks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from ctmupgrade.collect.ask import ask, every_page
from ctmupgrade.commands import node_marks
from ctmupgrade.commands.node_marks import MARK, Owner
from ctmupgrade.core.looks import file_probes, ksctl_probes, shell_probes, state_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import PortState, Unknown
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.core.looks.upgrade_log import UpgradeLog
from ctmupgrade.core.model import Secret
from ctmupgrade.errors import CtmUpgradeError, LockedError
from tests.contract.conftest import Kind

ENOUGH = 600  # looks until something that must come is given up


def until(kind: Kind, seen: Callable[[], bool]) -> None:
    for _ in range(ENOUGH):
        if seen():
            return
        kind.wait()
    raise AssertionError("never came")


def test_every_probe_of_a_shell_tells(kind: Kind) -> None:
    shell = kind.fleet.shell("ctm-1")
    told: dict[str, Any] = {p.name: ask(shell, p) for p in shell_probes.OF_A_SHELL}
    assert {name: value for name, value in told.items() if isinstance(value, Unknown)} == {}
    assert told["keysecure unit"].active == "active"
    assert told["running upgrades"] == ()
    assert told["upgrade logs"] == ()
    rights = told["sudo rights"]
    assert rights.upgrade and rights.reboot
    assert all(mount.free > 12 * 2**30 for mount in told["free space"])
    assert ask(shell, file_probes.staged(kind.archive.name)) == 0
    opened = ask(shell, shell_probes.port(kind.hosts["ctm-2"]))
    assert isinstance(opened, PortState) and opened.open is True


@pytest.mark.parametrize(
    "probe",
    [shell_probes.BOOT, shell_probes.MOUNTS, shell_probes.UNIT, shell_probes.CLOCK, shell_probes.PROCESSES],
)
def test_every_way_of_a_look_that_the_node_offers_agrees(kind: Kind, probe: Probe[object]) -> None:
    """A node without the better ways is asked by the others, and they say the same."""
    shell = kind.fleet.shell("ctm-1")
    told = [ask(shell, replace(probe, ways=(way,))) for way in probe.ways]
    known = [value for value in told if not isinstance(value, Unknown)]
    assert len(known) >= 1
    assert {type(value) for value in known} == {type(known[0])}
    for first in range(len(probe.ways)):
        if any(not isinstance(v, Unknown) for v in told[first:]):
            fallen = ask(shell, replace(probe, ways=probe.ways[first:]))
            assert not isinstance(fallen, Unknown)


def test_every_probe_of_a_control_plane_tells(kind: Kind) -> None:
    control = kind.fleet.control("ctm-1")
    told: dict[str, Any] = {
        p.name: ask(control, p) for p in (*ksctl_probes.OF_A_CONTROL_PLANE, state_probes.DISK_ENCRYPTION)
    }
    assert [(name, value) for name, value in told.items() if isinstance(value, Unknown)] == []
    assert str(told["version"].version) == "2.20.0+15016"
    assert sorted(m.host for m in told["cluster members"]) == sorted(kind.hosts.values())
    assert every_page(control, ksctl_probes.backups) == ()


def test_an_upload_is_whole_goes_on_and_gets_its_name(kind: Kind) -> None:
    shell, data, part = kind.fleet.shell("ctm-1"), kind.archive.read_bytes(), ".x.part"
    sent = [piece.done for piece in shell.upload(kind.archive, part)]
    assert sent == sorted(sent)
    assert sent[-1] == len(data)
    assert ask(shell, file_probes.staged(part)) == len(data)
    assert shell.change("truncate", "-s", str(2**20), part).ok
    assert ask(shell, file_probes.file_hash(part)) == hashlib.sha256(data[: 2**20]).hexdigest()
    list(shell.upload(kind.archive, part, offset=2**20))
    wanted = hashlib.sha256(data).hexdigest()
    hashed = file_probes.file_hash(part)
    told = [ask(shell, replace(hashed, ways=(way,))) for way in hashed.ways]
    assert {value for value in told if not isinstance(value, Unknown)} == {wanted}
    assert hashlib.sha256(b"".join(shell.stream("cat", part))).hexdigest() == wanted
    assert shell.change("mv", "-f", part, kind.archive.name).ok
    assert ask(shell, file_probes.staged(part)) == 0
    assert ask(shell, file_probes.file_hash(kind.archive.name)) == wanted


def test_an_upgrade_on_a_terminal_and_its_reboot(kind: Kind) -> None:
    shell = kind.fleet.shell("ctm-1")
    before = ask(shell, shell_probes.BOOT)
    list(shell.upload(kind.archive, kind.archive.name))
    terminal = shell.terminal("sudo", "-n", shell_probes.UPGRADE_SCRIPT, "-f", kind.archive.name)
    said = []

    def ended() -> bool:
        screen = terminal.look()
        said.append(screen.text)
        return screen.ended

    until(kind, lambda: bool(ask(shell, shell_probes.PROCESSES)))
    until(kind, ended)
    terminal.close()
    assert "Upgrade to 2.21.0+15451 succeeded" in "".join(said)
    [log] = ask(shell, shell_probes.LOG_LIST)  # type: ignore[misc]
    tail, boot = ask(shell, shell_probes.log_tail(log)), ask(shell, shell_probes.BOOT)
    assert isinstance(tail, UpgradeLog) and tail.version == "2.21.0+15451"
    assert isinstance(before, BootMark) and isinstance(boot, BootMark)
    assert not boot.differs_from(before)
    with suppress(CtmUpgradeError):
        shell.change("sudo", "-n", "reboot")
    shell.disconnect()  # an open session may hold the shutdown up

    def back() -> bool:
        now = ask(shell, shell_probes.BOOT)
        shell.disconnect()
        return isinstance(now, BootMark) and now.differs_from(before) is True

    until(kind, back)
    control = kind.fleet.control("ctm-1")
    until(
        kind,
        lambda: (
            not isinstance(found := ask(control, ksctl_probes.SYSTEM), Unknown) and found.version.minor == 21
        ),
    )


def test_a_backup_and_its_key_are_downloaded(kind: Kind) -> None:
    control = kind.fleet.control("ctm-1")
    assert control.change("backup", "create", "--scope", "system").ok
    until(kind, lambda: "completed" in control.read("backup", "status").out)
    [entry] = every_page(control, ksctl_probes.backups)  # type: ignore[misc]
    keys = every_page(control, ksctl_probes.backup_keys)
    assert not isinstance(keys, Unknown)
    folder = kind.archive.parent
    assert control.change("backup", "download", "--id", entry.id, "--file", str(folder / "b")).ok
    key = ("backupkeys", "download", "--id", keys[0].id, "--file", str(folder / "k"))
    assert control.change(*key, answer=Secret("a-Passw0rd-1234")).ok
    assert (folder / "b").stat().st_size > 0
    assert (folder / "k").stat().st_size > 0


@pytest.mark.parametrize("name", ["run-2__$(touch x)@`id` y__2026", "x y__you@there __ now"])
def test_a_mark_with_blanks_in_its_name_is_somebodys(kind: Kind, name: str) -> None:
    """Only one without a name, which a killed process left, is free to take."""
    shell, mine = kind.fleet.shell("ctm-1"), Owner("run-1", "me@here\u00a0x", "now")
    assert not any(char.isspace() for char in mine.folder)
    assert shell.change("mkdir", MARK).ok and shell.change("mkdir", f"{MARK}/{name}").ok
    with pytest.raises(LockedError, match="ctm-1"):
        node_marks.claim(kind.fleet, ["ctm-1"], mine, over=lambda _run: False, say=lambda _line: None)
    node_marks.claim(kind.fleet, ["ctm-1"], mine, over=lambda _run: True, say=lambda _line: None)
    assert [owner.run for _, owner in node_marks.standing(kind.fleet, ["ctm-1"])] == ["run-1"]
    node_marks.release(kind.fleet, ["ctm-1"], mine)


def test_marks_are_made_respected_and_taken_away(kind: Kind) -> None:
    names, mine, theirs = (
        ["ctm-1", "ctm-2"],
        Owner("run-1", "me@here", "now"),
        Owner("run-2", "you@there", "now"),
    )
    other = kind.second()

    def claim(fleet: object, owner: Owner, *over: str) -> None:
        node_marks.claim(fleet, names, owner, over=lambda run: run in over, say=lambda _line: None)  # type: ignore[arg-type]

    claim(kind.fleet, mine)
    claim(kind.fleet, mine)  # a run that goes on finds its own
    assert [(node, owner.run) for node, owner in node_marks.standing(other, names)] == [
        ("ctm-1", "run-1"),
        ("ctm-2", "run-1"),
    ]
    with pytest.raises(LockedError, match="run-1 by me@here"):
        claim(other, theirs)
    node_marks.release(other, names, theirs)  # not its own: left alone
    assert len(node_marks.standing(kind.fleet, names)) == 2
    claim(other, theirs, "run-1")  # taken over
    assert {owner.run for _, owner in node_marks.standing(kind.fleet, names)} == {"run-2"}
    node_marks.release(other, names, theirs)
    assert node_marks.standing(kind.fleet, names) == []
    kind.fleet.shell("ctm-2").change("mkdir", MARK)  # its maker was killed before it gave its name
    claim(kind.fleet, mine)
    node_marks.release(kind.fleet, names, mine)
    assert node_marks.standing(kind.fleet, names) == []
    other.close()
