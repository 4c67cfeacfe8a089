"""Answers of a node's shell as values."""

from __future__ import annotations

import pytest

from ctmupgrade.core.looks import parse_shell
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.upgrade_log import LogVerdict, failure_lines, log_verdict

GIB = 2**30


def test_df_in_blocks_of_1k() -> None:
    text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 104857600 1 83886080 20% /\n"
    [root] = parse_shell.mounts(text)
    assert (root.mount, root.free) == ("/", 80 * GIB)


def test_a_reason_on_the_terminal_and_in_the_log_is_told_once() -> None:
    line = "2026-01-10 21:01:37+0000: Upgrade failed: cannot migrate the database"
    assert failure_lines(f"starting\n{line}\n{line}") == line


def test_df_h_never_flatters() -> None:
    text = "Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 100G 20G 80G 20% /\n"
    assert parse_shell.mounts(text)[0].free < 80 * GIB


def test_a_long_device_name_has_a_line_of_its_own() -> None:
    text = "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/mapper/vg-root\n  100 10 90 10% /\n"
    assert parse_shell.mounts(text)[0].mount == "/"


@pytest.mark.parametrize(
    "header",
    [
        "Dateisystem    1K-Blöcke  Benutzt Verfügbar Verw% Eingehängt auf",
        "Sys. de fichiers blocs de 1K  Utilisé Disponible Uti% Monté sur",
        "ファイルシス   1K-ブロック    使用    使用可 使用% マウント位置",
        "hello\nS.ficheiros     blocos de 1K      Usado Disponível Uso% Montado em",
    ],
)
@pytest.mark.parametrize("device", ["/dev/sda1 ", "/dev/mapper/a--very--long--name\n   "])
def test_df_in_another_language(header: str, device: str) -> None:
    [root] = parse_shell.mounts(f"{header}\n{device}104857600 20971520 83886080 20% /\n")
    assert (root.mount, root.free, root.total) == ("/", 80 * GIB, 100 * GIB)


def test_df_in_another_language_tells_its_blocks() -> None:
    text = "Dateisystem 512-Blöcke Benutzt Verfügbar Kapazität Eingehängt auf\n/dev/sda1 200 40 160 20% /\n"
    assert parse_shell.mounts(text)[0].free == 160 * 512


@pytest.mark.parametrize(
    "text",
    [
        "/dev/sda1 104857600 1 83886080 20% /\n",
        "100 1 80 20% /\n",
        "",
        "df: not found",
        "Filesystem 1K-blocks Used Available Use% Mounted on\n",
    ],
)
def test_no_df(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse_shell.mounts(text)


def test_another_boot_id_is_another_boot() -> None:
    one = parse_shell.boot_id("3f1f0000-0000-4000-8000-000000000001\n")
    two = parse_shell.boot_id("3f1f0000-0000-4000-8000-000000000002\n")
    assert one.differs_from(two) is True and one.differs_from(one) is False


def test_times_of_boot_a_second_apart_are_one_boot() -> None:
    one, two = (
        parse_shell.uptime_since("2026-01-10 20:00:00"),
        parse_shell.uptime_since("2026-01-10 20:00:01"),
    )
    assert one.differs_from(two) is False
    assert one.differs_from(parse_shell.boot_id("3f1f0000-0000-4000-8000-000000000001")) is None


def test_a_clock_that_was_set_is_no_reboot() -> None:
    """The time of the boot moves with it; a boot of later is not older than the look before it."""
    day = 86_400.0
    before = BootMark(since=1000 * day, taken=1011 * day)
    assert BootMark(since=1000 * day + 45).differs_from(before) is None
    assert BootMark(since=1000 * day + 2).differs_from(before) is False
    assert BootMark(since=1011 * day + 60).differs_from(before) is True
    assert BootMark(since=1010.4 * day).differs_from(before) is True, "a time without its zone"
    assert BootMark(since=1000 * day + 45).differs_from(BootMark(since=1000 * day)) is True, (
        "an old journal's"
    )
    assert BootMark.of_text(before.text()) == before


@pytest.mark.parametrize(
    ("text", "active"),
    [("LoadState=loaded\nActiveState=active\nSubState=running\n", "active"),
     ("LoadState=not-found\nActiveState=inactive\nSubState=dead\n", "not-found")],
)  # fmt: skip
def test_a_unit_that_is_not_there_is_not_inactive(text: str, active: str) -> None:
    assert parse_shell.unit_show(text).active == active


@pytest.mark.parametrize(
    ("text", "verdict", "version"),
    [
        ("...\nUpgrade to 2.21.0+15451 succeeded\nPlease reboot\n", LogVerdict.SUCCEEDED, "2.21.0+15451"),
        ("status: error\nstatus: error\n", LogVerdict.NONE, ""),
        ("No space left on device\n", LogVerdict.FAILED, ""),
        ("", LogVerdict.NONE, ""),
        ("Upgrade to 2.21.0 succeeded\nERROR: rolled back\n", LogVerdict.DOUBTED, "2.21.0"),
        (
            "Upgrade to 2.21.0 succeeded\n10:09:43: cannot stop the old database\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        (
            "ERROR: once\nUpgrade to 2.21.0 succeeded\n10:09:43-0700: status: error\n0 errors\n",
            LogVerdict.SUCCEEDED,
            "2.21.0",
        ),
        ("Upgrade to 2.21.0 succeeded\nWARNING: cannot remove /tmp/x\n", LogVerdict.SUCCEEDED, "2.21.0"),
        ("Upgrade to 2.21.0 succeeded\nWARNING: the database failed\n", LogVerdict.DOUBTED, "2.21.0"),
        (
            "Upgrade to 2.21.0 succeeded\nwarning: failed to remove temporary directory\n",
            LogVerdict.SUCCEEDED,
            "2.21.0",
        ),
        ("Upgrade to 2.21.0 succeeded\nWARN: cleanup of old images failed\n", LogVerdict.SUCCEEDED, "2.21.0"),
        (
            "Upgrade to 2.21.0 succeeded\nERROR: cleanup of old images failed, ignored\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        (
            "Upgrade to 2.21.0 succeeded\nwarning: failed to remove the old database\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        (
            "Upgrade to 2.21.0 succeeded\nwarning: failed to remove x, migration failed\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        ("Upgrade to 2.21.0 succeeded\nwarning: failed to start a service\n", LogVerdict.DOUBTED, "2.21.0"),
        ("Upgrade to 2.21.0 succeeded\nwarning: failed to delete kylo_keys\n", LogVerdict.DOUBTED, "2.21.0"),
        (
            "Upgrade to 2.21.0 succeeded\nwarning: failed to remove the migration lock\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        (
            "Upgrade to 2.21.0 succeeded\nwarning: failed to clean up: could not start services\n",
            LogVerdict.DOUBTED,
            "2.21.0",
        ),
        ("Upgrade to 2.21.0 succeeded\ncleanup of old images failed\n", LogVerdict.DOUBTED, "2.21.0"),
        (
            "Upgrade to 2.21.0 succeeded\nERROR: x\nUpgrade to 2.21.0 succeeded\n",
            LogVerdict.SUCCEEDED,
            "2.21.0",
        ),
    ],
)
def test_only_the_vendor_s_line_is_success(text: str, verdict: LogVerdict, version: str) -> None:
    assert log_verdict(text)[:2] == (verdict, version)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1768078800.5\n", 1768078800.5), ("Welcome!\n1768078800\n", 1768078800.0)]
)
def test_a_clock_behind_a_banner(text: str, seconds: float) -> None:
    assert parse_shell.epoch(text)[0] == seconds


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        ("5 7 1733000000 1733000001\n", "5 7 1733000000 1733000001"),
        ("7 -rw------- 1 0 0 5 1733000000 ks_upgrade_1.log\n", "5 7 1733000000 1733000000"),
        ("7 -rw-r--r--. 1 0 0 5 -1 a b\n", "5 7 -1 -1"),
        ("7 drwxr-xr-x 1 0 0 5 1733000000 x.log\n", ""),
        ("7 lrwxrwxrwx 1 0 0 5 1733000000 x.log -> y\n", ""),
        ("7 -rw------- 1 0 0 5 Nov 29 2026 x.log\n", ""),
        ("-rw------- 1 0 0 5 1733000000 x.log\n", ""),
    ],
)
def test_the_state_of_a_file_by_stat_or_by_ls(said: str, mark: str) -> None:
    if mark:
        assert parse_shell.file_mark(said) == mark
    else:
        with pytest.raises(NotUnderstoodError):
            parse_shell.file_mark(said)
