"""A control plane behind a node's SSH connection: real sshd, a real server behind it, ksctl that really connects."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.local import peers
from ctmupgrade.adapters.local.ksctl import KsctlControl
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.adapters.ssh.through import ThroughSsh
from ctmupgrade.core import manual_commands
from ctmupgrade.core.model import KsctlSettings, Node
from ctmupgrade.errors import ConnectionLostError, ForwardingRefusedError, NodeError, UnreachableError
from tests.adapters.conftest import Sshd, StartSshd, free_port
from tests.support.control_plane import Plane, Said, certificate, ksctl_bytes, start_plane

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a name that no url here has: only the host key can prove this server."""
    return certificate(tmp_path_factory.mktemp("tls"), "nobody.example")


@pytest.fixture
def plane(pem: Path) -> Iterator[Plane]:
    made = start_plane(pem, lambda argv, _answer: (0, f"[{argv[0]}]", "", {}))
    yield made
    made.close()


@pytest.fixture
def ksctl(tmp_path: Path) -> Path:
    path = tmp_path / "ksctl"
    path.write_bytes(ksctl_bytes())
    path.chmod(0o755)
    return path


def node_of(server: Sshd, plane_port: int, command: object, **ssh: object) -> Node:
    settings = KsctlSettings(command=str(command), through_ssh=True, password_env="PW", timeout=20.0)
    return replace(server.node(**ssh), url=f"https://127.0.0.1:{plane_port}", ksctl=settings)


def control_of(node: Node) -> tuple[KsctlControl, SshShell]:
    shell = SshShell(node)
    reach = ThroughSsh(node, shell.tcp)
    return KsctlControl(node, environ={**os.environ, "PW": "secret-4711"}, reach=reach), shell


def listening() -> set[int]:
    """Ports that this process listens at; other tests, beside this one, have their own."""
    found = psutil.Process().net_connections(kind="inet")
    return {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}


def test_ksctl_reaches_the_url_as_the_node_sees_it(
    sshd: Sshd, plane: Plane, ksctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # not for a port of this machine
    before = listening()
    control, shell = control_of(node_of(sshd, plane.port, ksctl))
    shell.read("true")
    for _ in range(3):
        assert control.read("cluster", "info").out == "[cluster]"
    assert sshd.logins() == 1, "looks and control plane share the connection"
    assert listening() - before == set(), "no port stays open"
    shell.disconnect()
    control.close()


def test_through_a_jump_host(start_sshd: StartSshd, plane: Plane, ksctl: Path, tmp_path: Path) -> None:
    target, jump = start_sshd(), start_sshd()
    known = tmp_path / "both"
    known.write_text(
        "".join(s.settings.known_hosts.read_text() for s in (target, jump) if s.settings.known_hosts)
    )
    way = {"known_hosts": known, "proxy_jump": f"{target.settings.user}@127.0.0.1:{jump.port}"}
    control, shell = control_of(node_of(target, plane.port, ksctl, **way))
    assert control.read("cluster", "info").out == "[cluster]"
    assert jump.logins() == target.logins() == 1
    shell.disconnect()


@pytest.mark.parametrize("line", ["AllowTcpForwarding no", "PermitOpen 127.0.0.1:9", "DisableForwarding yes"])
def test_a_server_that_forbids_forwarding_is_named(start_sshd: StartSshd, plane: Plane, line: str) -> None:
    server = start_sshd(line)
    control, shell = control_of(node_of(server, plane.port, "/bin/false"))
    assert shell.read("echo", "up").out == "up\n"
    with pytest.raises(
        ForwardingRefusedError, match=r"ctm-1 .*forbids forwarding to 127\.0\.0\.1:\d+"
    ) as error:
        control.read("cluster", "info")
    assert "AllowTcpForwarding, PermitOpen" in error.value.remedy
    assert shell.read("echo", "still").out == "still\n"
    assert plane.asked == []
    shell.disconnect()


def test_a_control_plane_that_is_down_is_no_server_that_forbids(sshd: Sshd) -> None:
    control, shell = control_of(node_of(sshd, free_port(), "/bin/false"))
    with pytest.raises(UnreachableError, match=r"SSH works, but nothing answers the node at 127\.0\.0\.1"):
        control.read("cluster", "info")
    assert shell.read("echo", "up").out == "up\n"
    assert sshd.logins() == 1
    shell.disconnect()


def test_a_node_that_is_down_is_dialled_once_for_many_looks(sshd: Sshd) -> None:
    calls: list[float] = []
    node = node_of(sshd, 443, "/bin/false", port=free_port())
    shell = SshShell(node)

    def tcp(host: str, port: int):  # type: ignore[no-untyped-def]
        calls.append(time.monotonic())
        return shell.tcp(host, port)

    control = KsctlControl(node, environ={"PW": "x"}, reach=ThroughSsh(node, tcp))
    for _ in range(5):
        with pytest.raises(UnreachableError, match="no SSH connection"):
            control.read("cluster", "info")
    assert len(calls) == 1


def test_a_connection_that_is_cut_under_ksctl_is_lost_and_the_next_call_makes_a_new_one(
    sshd: Sshd, pem: Path, ksctl: Path
) -> None:
    asked, cut = threading.Event(), threading.Event()

    def answer(argv: tuple[str, ...], _answer: object) -> Said:
        asked.set()
        cut.wait(20)
        return 0, f"[{argv[0]}]", "", {}

    plane = start_plane(pem, answer)
    control, shell = control_of(node_of(sshd, plane.port, ksctl))
    found: list[object] = []

    def call() -> None:
        try:
            found.append(control.change("backup", "create"))
        except ConnectionLostError as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(20)
    assert sshd.cut()
    thread.join(20)
    cut.set()
    assert isinstance(found[0], ConnectionLostError)
    assert "check before you repeat it" in found[0].remedy
    assert control.read("cluster", "info").out == "[cluster]"
    shell.disconnect()
    plane.close()


LOCAL = """#!{python} -IS
import os, re, sys, time
open({note!r}, "w").write(os.environ["KSCTL_URL"])
while not os.path.exists({end!r}): time.sleep(0.01)
"""


def test_no_other_user_gets_through(sshd: Sshd, pem: Path, tmp_path: Path) -> None:
    """As another user where the tests may become one; what tells them apart is asked alone below."""
    plane = start_plane(pem, tls=False)
    note, end, fake = tmp_path / "url", tmp_path / "end", tmp_path / "slow"
    fake.write_text(LOCAL.format(python=sys.executable, note=str(note), end=str(end)))
    fake.chmod(0o755)
    control, shell = control_of(node_of(sshd, plane.port, fake))
    thread = threading.Thread(target=control.read, args=("cluster", "info"))
    thread.start()
    try:
        while not (note.exists() and note.read_text()):
            time.sleep(0.01)
        port = int(note.read_text().rsplit(":", 1)[1])
        code = (
            "import socket, sys\n"
            f"s = socket.create_connection(('127.0.0.1', {port}), 10)\n"
            "try: s.sendall(b'hello'); print(len(s.recv(100)))\n"
            "except OSError: print(0)"
        )
        own = subprocess.run([sys.executable, "-ISc", code.replace("hello", "GET / HTTP/1.0\\r\\n\\r\\n")], capture_output=True, text=True, check=True, timeout=20)  # fmt: skip
        assert own.stdout.strip() != "0", "ours is led to the server, which answers"
        if os.geteuid() == 0:
            become = "import encodings.idna, os, socket, sys\nos.setgid(65534); os.setuid(65534)\n"  # it may not read this Python's folder
            other = subprocess.run([sys.executable, "-ISc", become + code], capture_output=True, text=True, check=True, timeout=20)  # fmt: skip
            assert other.stdout.strip() == "0"
        with socket.create_connection(("127.0.0.1", port)):
            pass
    finally:
        end.touch()
        thread.join(20)
    assert port not in listening()
    shell.disconnect()
    plane.close()


def test_whose_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
            with socket.socket(family) as client:
                client.connect((address, place[1]))
                seen, _ = server.accept()
                with seen:
                    assert peers.owner(seen) == os.geteuid()
                    assert peers.is_ours(seen)
                    client.close()
                    assert peers.owner(seen) is None, "nobody has it any more: it may have been anybody's"


def test_a_ksctl_of_another_user_is_told(sshd: Sshd, plane: Plane, ksctl: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    wrapper = ksctl.with_name("as-nobody")
    wrapper.write_text(
        ksctl.read_text().replace(
            "url = ", "import encodings.idna\nos.setgid(65534); os.setuid(65534)\nurl = ", 1
        )
    )
    wrapper.chmod(0o755)
    control, shell = control_of(node_of(sshd, plane.port, wrapper))
    with pytest.raises(NodeError, match="ksctl came as another user"):
        control.read("cluster", "info")
    assert plane.asked == []
    shell.disconnect()


def test_the_login_file_of_a_join_leads_through_ssh_too(sshd: Sshd, plane: Plane) -> None:
    control, shell = control_of(node_of(sshd, plane.port, "/bin/false"))
    with control.login() as login:
        text = login.reveal()
        found = re.search(r'KSCTL_URL: "https://127\.0\.0\.1:(\d+)"', text)
        assert found and int(found[1]) != plane.port
        assert int(found[1]) in listening()
        assert "KSCTL_NOSSLVERIFY: true" in text
    assert int(found[1]) not in listening()
    shell.disconnect()


def test_what_ksctl_says_has_the_url_and_not_the_port_of_the_moment(
    sshd: Sshd, plane: Plane, tmp_path: Path
) -> None:
    fake = tmp_path / "complains"
    fake.write_text('#!/bin/sh\necho "Error: Get $KSCTL_URL/api/v1: EOF" >&2; exit 1\n')
    fake.chmod(0o755)
    control, shell = control_of(node_of(sshd, plane.port, fake))
    assert control.read("cluster", "info").err == f"Error: Get https://127.0.0.1:{plane.port}/api/v1: EOF\n"
    shell.disconnect()


def test_the_printed_command_works_as_it_is_printed(sshd: Sshd, plane: Plane, ksctl: Path) -> None:
    """Twice, as from a runbook, and where another program has the port: then nobody else is asked."""
    node = node_of(sshd, plane.port, ksctl)
    folder = Path(tempfile.mkdtemp(prefix="ctm-"))  # a short path: a socket's name is limited
    line = manual_commands.ksctl(node, "cluster", "info").replace("~/.ssh/ctm-%C", f"{folder}/%C")
    port = int(re.findall(r"KSCTL_URL=https://127\.0\.0\.1:(\d+) ", line)[0])

    def typed(text: str) -> tuple[int, str]:
        # Not its standard error, which the connection that stays open holds.
        said = subprocess.run(
            ["bash", "-c", text], env={**os.environ, "KSCTL_PASSWORD": "x"}, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, timeout=30, check=False,
        )  # fmt: skip
        return said.returncode, said.stdout

    try:
        assert [typed(line), typed(line)] == [(0, "[cluster]")] * 2
        assert sshd.logins() == 1
    finally:
        typed(line.split(" && ")[0].replace(" -L ", " -O exit -L "))
    with socket.create_server(("127.0.0.1", port)):
        assert typed(line)[0] != 0
    assert len(plane.asked) == 2
    shutil.rmtree(folder)
