"""``ksctl.command: fetch``: from a real server over real TLS, into a real folder; the zip is somebody else's."""

from __future__ import annotations

import io
import json
import os
import resource
import socket
import stat
import struct
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.adapters.local.ksctl import KsctlControl
from ctmupgrade.adapters.local.reach import DirectReach
from ctmupgrade.adapters.vendor_cli import images as zips
from ctmupgrade.adapters.vendor_cli import web
from ctmupgrade.adapters.vendor_cli.fetch import NodeProgram, VendorCli
from ctmupgrade.adapters.vendor_cli.shelf import Shelf
from ctmupgrade.core.ksctl import certificate_trouble
from ctmupgrade.core.looks.served import Served, different
from ctmupgrade.core.model import FETCH, KsctlSettings, Node, SshSettings
from ctmupgrade.errors import ForeignStateError, NodeError, ProgramError, UnreachableError
from ctmupgrade.ports import Reply
from tests.support.control_plane import Plane, certificate, images, ksctl_bytes, start_plane

LINUX = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 62) + b"a program of linux"
GOOD = images(linux=LINUX, darwin=b"\xcf\xfa\xed\xfe\x07\x00\x00\x01 mac", win=b"MZ windows")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "elsewhere.example")


@pytest.fixture
def plane(pem: Path) -> Iterator[Plane]:
    made = start_plane(pem)
    made.zipped = GOOD
    yield made
    made.close()


@pytest.fixture(autouse=True)
def this_is_amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of these tests are for it; they are not run."""
    monkeypatch.setattr("ctmupgrade.adapters.vendor_cli.fetch.this_machine", lambda: ("linux", "amd64"))


def node_of(plane: Plane, **ksctl: object) -> Node:
    settings = KsctlSettings(command=FETCH, password_env="PW", timeout=20.0, **ksctl)  # type: ignore[arg-type]
    return Node("ctm-1", "127.0.0.1", f"https://127.0.0.1:{plane.port}", "127.0.0.1", SshSettings(), settings)


def program_of(node: Node, home: Path, pem: Path | None, said: list[str] | None = None) -> NodeProgram:
    environ = {"SSL_CERT_FILE": str(pem)} if pem else {}
    return NodeProgram(
        node, DirectReach(node), Shelf(home), say=(said if said is not None else []).append, environ=environ
    )


def version_is(program: NodeProgram, version: str) -> None:
    program.heard(("system", "info", "get"), Reply(0, json.dumps({"version": version}), ""))


# -- taken, kept, taken again ----------------------------------------------------------------------


def test_it_is_taken_once_and_private(plane: Plane, pem: Path, tmp_path: Path) -> None:
    path = program_of(node_of(plane), tmp_path / "home", pem).path()
    assert path.read_bytes() == LINUX
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir() if p != path} == {0o600}
    assert sorted(p.name for p in path.parent.iterdir()) == ["ctm-1.json", path.name], "nothing is left over"
    again = program_of(node_of(plane), tmp_path / "home", pem)
    assert (again.path(), again.path(), plane.downloads) == (path, path, 1)


def test_it_is_taken_again_when_the_version_changed(plane: Plane, pem: Path, tmp_path: Path) -> None:
    program = program_of(node_of(plane), tmp_path, pem)
    first = program.path()
    version_is(program, "2.20.0+1")
    assert (program.path(), plane.downloads) == (first, 1)
    plane.zipped = images(linux=LINUX + b" of 2.21")
    version_is(program, "2.21.0+5")
    second = program.path()
    assert second.read_bytes().endswith(b"2.21")
    later = program_of(node_of(plane), tmp_path, pem)  # another process, to which the node says the same
    version_is(later, "2.21.0+5")
    assert (later.path(), plane.downloads) == (second, 2)
    plane.zipped, said = None, list[str]()
    offline = program_of(node_of(plane), tmp_path, pem, said)
    version_is(offline, "2.22.0")
    assert offline.path() == offline.path() == second
    assert len(said) == 1 and "going on with the one taken before" in said[0] and "404" in said[0]


def test_a_kept_one_that_the_node_does_not_understand_is_taken_again_once(
    plane: Plane, pem: Path, tmp_path: Path
) -> None:
    """Else the version that would tell that it is too old is never known."""
    program_of(node_of(plane), tmp_path, pem).path()
    later = program_of(node_of(plane), tmp_path, pem)
    for said in (
        "connection refused",
        "NCERRInternalServerError",
        "401 Unauthorized",
        "x509: unknown authority",
    ):
        later.heard(("system", "info", "get"), Reply(1, "", said))
        later.path()
    assert plane.downloads == 1
    for _ in range(3):
        later.heard(("system", "info", "get"), Reply(1, "", "Error: unsupported API version"))
        later.path()
    assert plane.downloads == 2


@pytest.mark.parametrize(
    "damage", ["other bytes", "a link", "mode", "gone", "record", "platform", "record is a list"]
)
def test_what_was_changed_on_disk_is_not_run(plane: Plane, pem: Path, tmp_path: Path, damage: str) -> None:
    path = program_of(node_of(plane), tmp_path, pem).path()
    record = path.with_name("ctm-1.json")
    match damage:
        case "other bytes":
            path.write_bytes(LINUX + b"!")
        case "a link":
            path.rename(tmp_path / "real")
            path.symlink_to(tmp_path / "real")
        case "mode":
            path.chmod(0o755)
        case "gone":
            path.unlink()
        case "record":
            record.write_text('{"program": "../../x"}')
        case "record is a list":
            record.write_text("[1]")
        case _:
            record.write_text(record.read_text().replace("linux-amd64", "darwin-arm64"))
    again = program_of(node_of(plane), tmp_path, pem)
    if damage == "a link":
        with pytest.raises(ForeignStateError, match="link"):
            again.path()
    else:
        assert again.path().read_bytes() == LINUX
        assert plane.downloads == 2


def test_a_folder_that_others_can_write_to_is_not_used(plane: Plane, pem: Path, tmp_path: Path) -> None:
    program_of(node_of(plane), tmp_path, pem).path().parent.chmod(0o777)
    with pytest.raises(ForeignStateError):
        program_of(node_of(plane), tmp_path, pem).path()


def test_it_is_really_run(plane: Plane, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.zipped = images(linux=ksctl_bytes())
    node = node_of(plane, nosslverify=True)
    control = KsctlControl(node, environ={"PW": "x"}, program=program_of(node, tmp_path, None))
    assert control.read("cluster", "info").out == "{}"
    control.close()
    noexec = KsctlControl(node, environ={"PW": "x"}, program=_Unusable(tmp_path / "ctm-1.json"))
    (tmp_path / "ctm-1.json").touch()
    with pytest.raises(NodeError, match=r"cannot be started.*ermission denied") as error:
        noexec.read("cluster", "info")
    assert "--state-dir" in error.value.remedy


class _Unusable:
    """As on a file system that allows no programs."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def path(self) -> Path:
        return self.place

    def heard(self, argv: object, reply: object) -> None: ...


# -- who is trusted --------------------------------------------------------------------------------


def test_only_from_who_is_proven(plane: Plane, pem: Path, others: Path, tmp_path: Path) -> None:
    for trusted, kind in ((None, "authority"), (others, "authority")):
        with pytest.raises(ProgramError, match=r"ksctl_images\.zip") as error:
            program_of(node_of(plane), tmp_path, trusted).path()
        assert certificate_trouble(error.value.details) == kind
        assert "SSL_CERT_FILE" in error.value.remedy and "through_ssh" in error.value.remedy
    for wrong in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(ProgramError, match=f"{wrong.name} cannot be used to verify TLS"):
            program_of(node_of(plane), tmp_path, wrong).path()
    assert plane.downloads == 0
    assert program_of(node_of(plane, nosslverify=True), tmp_path, None).path().read_bytes() == LINUX


def test_the_name_and_the_time_of_a_certificate_count(others: Path, tmp_path: Path) -> None:
    old = certificate(tmp_path, "127.0.0.1", days=-1)
    for pem, kind in ((others, "name"), (old, "expired")):
        plane = start_plane(pem)
        plane.zipped = GOOD
        with pytest.raises(ProgramError) as error:
            program_of(node_of(plane), tmp_path, pem).path()
        assert certificate_trouble(error.value.details) == kind, error.value.details
        plane.close()


def test_http_proves_nobody(pem: Path, tmp_path: Path) -> None:
    plane = start_plane(pem, tls=False)
    plane.zipped = GOOD
    plain = replace(node_of(plane), url=f"http://127.0.0.1:{plane.port}")
    with pytest.raises(ProgramError, match="http proves nobody"):
        program_of(plain, tmp_path, pem).path()
    said_so = replace(plain, ksctl=replace(plain.ksctl, nosslverify=True))
    assert program_of(said_so, tmp_path, pem).path().read_bytes() == LINUX
    with pytest.raises(ProgramError, match="TLS does not prove") as error:
        program_of(replace(said_so, url=f"https://127.0.0.1:{plane.port}"), tmp_path / "other", pem).path()
    assert certificate_trouble(error.value.details) == "no TLS"
    plane.close()


def test_a_proxy_of_the_environment_is_not_asked(
    plane: Plane, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert program_of(node_of(plane), tmp_path, pem).path().read_bytes() == LINUX


def test_redirects_lead_to_nobody_else(plane: Plane, pem: Path, tmp_path: Path) -> None:
    for target in ("https://elsewhere.example/x.zip", f"http://127.0.0.1:{plane.port}/x", f"https://127.0.0.1:{plane.port}1/", "//elsewhere/x"):  # fmt: skip
        plane.redirect = target
        with pytest.raises(ProgramError, match="redirects to another place"):
            program_of(node_of(plane), tmp_path, pem).path()
    plane.redirect = "/downloads/ksctl_images.zip"
    with pytest.raises(ProgramError, match="redirects more than"):
        program_of(node_of(plane), tmp_path, pem).path()


# -- what does not come whole ----------------------------------------------------------------------


def test_a_missing_or_cut_download_is_named(plane: Plane, pem: Path, tmp_path: Path) -> None:
    plane.broken_after = 100
    with pytest.raises(
        UnreachableError, match=rf"ksctl_images\.zip .*it ended after 100 of {len(GOOD)} bytes"
    ):
        program_of(node_of(plane), tmp_path, pem).path()
    plane.zipped = None
    program = program_of(node_of(plane), tmp_path, pem)
    with pytest.raises(
        ProgramError, match=r"ksctl_images\.zip of https://\S+ is not used: the appliance answers 404"
    ):
        program.path()
    plane.zipped = GOOD
    with pytest.raises(ProgramError, match="404"):
        program.path()  # many looks come one after the other: it is not asked again for each
    assert plane.downloads == 1
    plane.close()
    with pytest.raises(UnreachableError, match=r"no ksctl_images\.zip from https://127"):
        program_of(node_of(plane), tmp_path, pem).path()
    assert not list((tmp_path / "ksctl").iterdir())


def served_raw(answer: bytes, *, slowly: float = 0.0) -> tuple[web.Source, socket.socket]:
    """A server of plain HTTP that says exactly this."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.recv(65536)
            for number in range(len(answer)):
                if not slowly:
                    client.sendall(answer)
                    break
                try:
                    client.sendall(answer[number : number + 1])
                except OSError:
                    break
                over.wait(slowly)

    threading.Thread(target=serve, daemon=True).start()
    place = f"http://127.0.0.1:{server.getsockname()[1]}"
    return web.Source(f"{place}/x", place, None), server


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "it has 99999999999 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(3000), "it is longer than 2000 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "it ended in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "another encoding, gzip"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n", "answers 503"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "not HTTP"),
        (b"", "the connection broke"),
    ],
)
def test_answers_that_are_none(answer: bytes, why: str) -> None:
    source, server = served_raw(answer)
    with server, pytest.raises(web.DownloadError, match=why):
        web.download(source, io.BytesIO(), most=2000)


def test_a_download_that_drips_ends() -> None:
    source, server = served_raw(b"HTTP/1.1 200 OK\r\nX-" + b"a" * 100_000, slowly=0.02)
    with server, pytest.raises(web.DownloadError, match="takes too long"):
        web.download(source, io.BytesIO(), seconds=0.3)


# -- the zip ---------------------------------------------------------------------------------------

Made = Callable[[zipfile.ZipFile], object]


def zipped(*steps: Made) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for step in steps:
            step(archive)
    made.seek(0)
    return made


def entry(name: str, data: bytes = LINUX, mode: int = 0) -> Made:
    def add(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data, zipfile.ZIP_DEFLATED)

    return add


@pytest.mark.parametrize(
    "names",
    [
        ("ksctl-linux-amd64", "ksctl-darwin-amd64", "ksctl-win-amd64.exe", "config_example.yaml"),
        ("ksctl_images/ksctl-linux-amd64", "ksctl_images/ksctl-linux-arm64", "ksctl_images/README.txt"),
        ("linux/amd64/ksctl", "darwin/amd64/ksctl", "windows/amd64/ksctl.exe"),
        ("KSCTL_Linux_x86_64", "KSCTL_Darwin_arm64", "ksctl_windows_x86_64.exe"),
        ("ksctl-linux", "ksctl-mac", "ksctl-win.exe"),
        ("ksctl-linux64", "ksctl.exe", "ksctl-linux-amd64.sha256"),
        ("./ksctl-linux-amd64", "__MACOSX/._ksctl-linux-amd64"),
        ("ksctl",),
    ],
)
def test_the_right_program_is_found_by_many_names(names: tuple[str, ...]) -> None:
    first, *more = names
    out = io.BytesIO()
    made = zipped(entry(first), *(entry(name, b"MZ other") for name in more))
    assert zips.take_out(made, out, "linux", "amd64") == first
    assert out.getvalue() == LINUX


def test_other_platforms() -> None:
    arm = LINUX[:18] + struct.pack("<H", 183) + LINUX[20:]
    mac = b"\xcf\xfa\xed\xfe\x07\x00\x00\x01 intel"
    made = zipped(
        entry("ksctl-linux-arm64", arm), entry("ksctl-darwin-amd64", mac), entry("ksctl-linux-amd64")
    )
    for system, machine, found in (
        ("linux", "arm64", arm),
        ("darwin", "arm64", mac),
        ("linux", "amd64", LINUX),
    ):
        out = io.BytesIO()
        zips.take_out(made, out, system, machine)
        assert out.getvalue() == found
    with pytest.raises(zips.ZipError, match="no ksctl for linux riscv64 is in it; it has ksctl-linux-arm64"):
        zips.take_out(made, io.BytesIO(), "linux", "riscv64")
    with pytest.raises(zips.ZipError, match="is a program for linux arm64, and this machine is linux amd64"):
        zips.take_out(zipped(entry("ksctl-linux-amd64", arm)), io.BytesIO(), "linux", "amd64")


NAME = "ksctl-linux-amd64"


def _renamed(old: bytes, new: bytes) -> io.BytesIO:
    return io.BytesIO(zipped(entry(NAME), entry(old.decode())).getvalue().replace(old, new))


def _encrypted() -> io.BytesIO:
    data = bytearray(zipped(entry(NAME)).getvalue())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + place] |= 1
    return io.BytesIO(bytes(data))


def _says_less() -> io.BytesIO:
    """An entry that is longer than its own size says."""
    data = bytearray(zipped(entry(NAME, LINUX * 50)).getvalue())
    for mark, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        data[data.index(mark) + place : data.index(mark) + place + 4] = struct.pack("<I", 40)
    return io.BytesIO(bytes(data))


BAD: dict[str, tuple[Callable[[], io.BytesIO], str]] = {
    "no zip": (lambda: io.BytesIO(b"<html>login</html>"), "damaged: File is not a zip"),
    "empty": (io.BytesIO, "damaged"),
    "cut": (lambda: io.BytesIO(GOOD[:-40]), "damaged"),
    "a bit": (lambda: io.BytesIO(zipped(entry(NAME, LINUX * 9)).getvalue().replace(b"PK\3\4", b"PK\3\5", 1)), "damaged"),
    "none": (lambda: zipped(entry("README.md")), "no ksctl for linux amd64 is in it; it has README.md"),
    "nothing": (zipped, "it has nothing"),
    "two": (lambda: zipped(entry(NAME), entry("old/" + NAME)), "more than one"),
    "up": (lambda: zipped(entry("../" + NAME)), "as none of an honest zip is"),
    "up behind": (lambda: zipped(entry(NAME), entry("a/../../../etc/cron.d/x")), "as none of an honest"),
    "up on windows": (lambda: _renamed(b"..x..x", b"..\\..x"), "as none of an honest"),
    "absolute": (lambda: zipped(entry(NAME), entry("/etc/x")), "as none of an honest"),
    "drive": (lambda: zipped(entry(NAME), entry("C:/x")), "as none of an honest"),
    "nul": (lambda: _renamed(b"a-zero-b", b"a-\0ero-b"), "as none of an honest"),
    "link": (lambda: zipped(entry(NAME, b"/bin/sh", 0o120777)), "is a link or a device"),
    "device": (lambda: zipped(entry(NAME, LINUX, 0o020666)), "is a link or a device"),
    "bomb": (lambda: zipped(entry(NAME, LINUX + bytes(30_000_000))), "no program does"),
    "many": (lambda: zipped(*(entry(f"x{i}", b"") for i in range(501))), "has 501 entries"),
    "list": (lambda: zipped(*(entry(f"{i:05}" + "x" * 60_000, b"") for i in range(20))), "list of entries has more"),
    "encrypted": (_encrypted, "is encrypted"),
    "longer": (_says_less, "damaged|longer than the zip says"),
    "empty program": (lambda: zipped(entry(NAME, b"")), "is empty"),
    "a page": (lambda: zipped(entry(NAME, b"<html>")), "is no program"),
    "of windows": (lambda: zipped(entry(NAME, b"MZ")), "is a program for win"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_dishonest_or_damaged_zip_is_refused(name: str) -> None:
    make, why = BAD[name]
    with pytest.raises(zips.ZipError, match=why):
        zips.take_out(make(), io.BytesIO(), "linux", "amd64")


def test_a_bad_zip_is_named_and_leaves_nothing(plane: Plane, pem: Path, tmp_path: Path) -> None:
    plane.zipped = BAD["cut"][0]().getvalue()
    with pytest.raises(
        ProgramError, match=r"ksctl_images\.zip of https://\S+ is not used: it is damaged"
    ) as error:
        program_of(node_of(plane), tmp_path, pem).path()
    assert error.value.exit_code == 3
    assert not list((tmp_path / "ksctl").iterdir())


def test_a_disk_that_does_not_take_it_is_told(plane: Plane, pem: Path, tmp_path: Path) -> None:
    program = program_of(node_of(plane), tmp_path, pem)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(ProgramError, match=r"ksctl_images\.zip .*cannot be kept: File too large"):
            program.path()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "ksctl").iterdir())


def test_a_place_that_allows_no_programs_is_refused_first(
    plane: Plane, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    noexec = os.statvfs_result((*real[:8], real.f_flag | os.ST_NOEXEC, *real[9:]))
    monkeypatch.setattr("ctmupgrade.adapters.vendor_cli.shelf.os.statvfs", lambda _path: noexec)
    with pytest.raises(ProgramError, match=r"ksctl_images\.zip .*allows no programs \(noexec\)") as error:
        program_of(node_of(plane), tmp_path / "x" / "y", pem).path()
    assert "--state-dir" in error.value.remedy and plane.downloads == 0


def test_what_is_no_nodes_any_more_is_removed(plane: Plane, pem: Path, tmp_path: Path) -> None:
    """Not while another node has it, and not what another process has just put there."""
    first = program_of(node_of(plane), tmp_path, pem)
    second = program_of(replace(node_of(plane), name="ctm-2"), tmp_path, pem)
    old = first.path()
    assert second.path() == old
    version_is(first, "2.20.0+1")
    version_is(second, "2.20.0+1")
    os.utime(old, (1.0, 1.0))
    fresh = old.with_name("program-" + "0" * 64)
    fresh.write_bytes(b"")
    plane.zipped = images(linux=LINUX + b" of the next version")
    version_is(first, "2.21.0+1")
    new = first.path()
    assert new != old and old.exists()
    version_is(second, "2.21.0+1")
    assert second.path() == new and not old.exists() and fresh.exists()
    new.unlink()
    assert first.path() == new, "one that another process removed is taken again"


# -- nodes of one version --------------------------------------------------------------------------


def test_nodes_of_one_version_with_other_bytes_are_told(plane: Plane, pem: Path, tmp_path: Path) -> None:
    cli = VendorCli(tmp_path, lambda _line: None)
    served: dict[str, Served] = {}
    for name, data, version in (("a", GOOD, "2.20.0+1"), ("b", GOOD, "2.20.0+1"), ("c", images(linux=LINUX + b"!"), "2.20.0+1")):  # fmt: skip
        plane.zipped = data
        node = replace(node_of(plane, nosslverify=True), name=name)
        program = cli.of(node, DirectReach(node))
        assert cli.served() == served
        program.path()
        version_is(program, version)
        served = dict(cli.served())
    assert [(version, [line.split(":")[0] for line in lines]) for version, lines in different(served)] == [
        ("2.20.0+1", ["a and b", "c"])
    ]
    assert list(different({"a": Served("2.20.0", "x"), "b": Served("2.21.0", "y")})) == []


def test_this_machine_is_known() -> None:
    system, machine = zips.this_machine()
    assert system == {"linux": "linux", "darwin": "darwin"}.get(sys.platform, "win")
    assert machine
