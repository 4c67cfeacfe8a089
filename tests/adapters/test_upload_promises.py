"""What makes uploads fast, and what their progress may say: counted at the server, never timed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ctmupgrade.adapters.ssh import parallel_upload, upload
from ctmupgrade.adapters.ssh.node_file import BLOCK
from ctmupgrade.adapters.ssh.shell import SshShell
from tests.adapters.conftest import Sshd, StartSshd
from tests.adapters.test_ssh_upload import only, progress
from tests.support import filter_sftp
from tests.support.delay_proxy import Line, serve

pytestmark = pytest.mark.usefixtures("home")


def random_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


# -- ciphers ---------------------------------------------------------------------------------------


def negotiated(sshd: Sshd) -> list[tuple[str, str]]:
    """(client, cipher of what it sends) of every connection, from the server's own log."""
    found: list[tuple[str, str]] = []
    client = ""
    for line in (sshd.folder / "log").read_text().splitlines():
        if said := re.search(r"remote software version (\w+)", line):
            client = said[1].partition("_")[0]
        if said := re.search(r"kex: client->server cipher: (\S+)", line):
            found.append((client, said[1]))
    return found


def test_the_cipher_is_the_fast_one(start_sshd: StartSshd, tmp_path: Path) -> None:
    """AES-GCM is twice as fast as the others where the processor helps; a server left to itself would
    take what the client names first, and OpenSSH's clients name another."""
    sshd = start_sshd("LogLevel DEBUG1")
    source = random_file(tmp_path / "archive", BLOCK)
    for way in ("the ssh program", "an SSH channel"):
        progress(only(SshShell(sshd.node()), way), source, tmp_path / "target")
    fast = "aes128-gcm@openssh.com"
    # a connection for looks each, and one for each upload
    assert sorted(negotiated(sshd)) == [("OpenSSH", fast)] + [("paramiko", fast)] * 3


def test_without_the_fast_cipher_another_does(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd("LogLevel DEBUG1", "Ciphers aes256-ctr,aes256-gcm@openssh.com")
    progress(SshShell(sshd.node()), random_file(tmp_path / "archive", BLOCK), tmp_path / "target")
    assert {cipher for _, cipher in negotiated(sshd)} == {"aes256-gcm@openssh.com"}


# -- progress --------------------------------------------------------------------------------------

TAKEN = 3 * BLOCK  # what the node's writer takes before it stops
# What a server has handed to a writer that has not read it yet: the buffer of its pipe or socket.
UNREAD = 512 * 1024

STOPPING_DD = """#!/bin/sh
# A node's dd that takes {taken} bytes, and nothing more before there is a file {go}.
/bin/dd "$@" </dev/null || exit
for word; do case $word in of=*) file=${{word#of=}};; esac; done
head -c {taken} >>"$file"
[ "$(stat -c %s "$file")" -lt {taken} ] || until [ -e {go} ]; do sleep 0.05; done
exec cat >>"$file"
"""


@pytest.fixture
def stopping(start_sshd: StartSshd, tmp_path: Path) -> tuple[Sshd, Path]:
    """A node whose writer stops, and the file that lets it go on."""
    programs, go = tmp_path / "programs", tmp_path / "go"
    programs.mkdir()
    (programs / "dd").write_text(STOPPING_DD.format(taken=TAKEN, go=go))
    shell = tmp_path / "shell"
    shell.write_text(f'#!/bin/sh\nPATH={programs}:$PATH exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    for program in (programs / "dd", shell):
        program.chmod(0o755)
    return start_sshd(f"ForceCommand {shell}"), go


@pytest.mark.parametrize(("way", "unread"), [("the ssh program", 0), ("an SSH channel", UNREAD)])
def test_progress_is_what_the_node_has_taken(
    stopping: tuple[Sshd, Path], tmp_path: Path, way: str, unread: int
) -> None:
    """Megabytes are in windows and buffers when a node stops taking them: none of them may count."""
    sshd, go = stopping
    source, target = random_file(tmp_path / "archive", 24 * BLOCK), tmp_path / "target"
    reports = []
    for sent in only(SshShell(sshd.node()), way).upload(source, str(target)):
        # The file only grows: what it has after the report it had at most at the report.
        reports.append((sent.done, target.stat().st_size if target.exists() else 0))
        stands = [done for done, has in reports if has == TAKEN]
        if len(stands) == 3 or (unread and len(reports) == 3):
            # A channel reports after every 2 MiB it could give away: the third report is the last one
            # before the server's window is shut, with more given away than the writer will take.
            go.touch()
    assert go.exists(), "it never stood still"
    assert all(done <= has + unread for done, has in reports), reports
    assert reports[-1] == (24 * BLOCK, 24 * BLOCK)
    assert target.read_bytes() == source.read_bytes()


# -- several connections ---------------------------------------------------------------------------


@contextmanager
def far_away(sshd: Sshd, delay: float) -> Iterator[int]:
    """A port behind which the server is ``delay`` seconds further away, each way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there, back = Line(delay, 125e6), Line(delay, 125e6)
        threading.Thread(target=serve, args=(listener, sshd.port, there, back), daemon=True).start()
        yield int(listener.getsockname()[1])
        with suppress(OSError):  # not everywhere can a listener be shut down
            listener.shutdown(socket.SHUT_RDWR)


def test_a_far_node_gets_several_connections(
    start_sshd: StartSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (parallel_upload, upload):
        monkeypatch.setattr(module, "CHUNK", BLOCK)
    monkeypatch.setattr(parallel_upload, "AHEAD", parallel_upload.STREAMS * BLOCK)
    sshd, lines = start_sshd("LogLevel VERBOSE"), list[str]()
    source = random_file(tmp_path / "archive", 9 * BLOCK + 4711)
    with far_away(sshd, 0.6 * parallel_upload.FAR) as port:
        known = tmp_path / "known"
        assert sshd.settings.known_hosts
        known.write_text(sshd.settings.known_hosts.read_text().replace(f":{sshd.port}", f":{port}"))
        shell = SshShell(sshd.node(port=port, known_hosts=known), log=lines.append)
        progress(shell, source, tmp_path / "target")
        shell.disconnect()
    assert "ctm-1: uploads go by several connections" in lines
    assert sshd.logins() == 1 + parallel_upload.STREAMS  # that of the looks, and the streams


# -- SFTP ------------------------------------------------------------------------------------------


FILTERED_SFTP = """#!/bin/sh
case $SSH_ORIGINAL_COMMAND in
*/sftp-server) exec {python} -I {filter} {log} {wanted} "$SSH_ORIGINAL_COMMAND" ;;
*) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
"""


def test_sftp_has_four_mebibytes_under_way(start_sshd: StartSshd, tmp_path: Path) -> None:
    """Each write that waited for its answer would cost a round trip: 128 of 32 KiB wait together."""
    log, shell = tmp_path / "most", tmp_path / "shell"
    shell.write_text(
        FILTERED_SFTP.format(python=sys.executable, filter=filter_sftp.__file__, log=log, wanted=128)
    )
    shell.chmod(0o755)
    sshd = start_sshd(f"ForceCommand {shell}")
    if "internal-sftp" in (sshd.folder / "config").read_text():
        pytest.skip("no sftp-server of its own on this machine")
    source = random_file(tmp_path / "archive", 8 * BLOCK)  # two times 128 writes
    done = progress(only(SshShell(sshd.node()), "SFTP"), source, tmp_path / "target")
    assert log.read_text() == "128"
    assert done[:3] == [0, 4 * BLOCK, 8 * BLOCK]


# -- memory ----------------------------------------------------------------------------------------

SENDER = """
import re, sys
from pathlib import Path
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings

def peak():  # KiB of this program alone: wait4 would count its parent's before it was this program
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

user, port, key, known, source, target, way = sys.argv[1:]
ssh = SshSettings(user, int(port), Path(key), None, Path(known))
shell = SshShell(Node("ctm-1", "127.0.0.1", "https://x", "127.0.0.1", ssh, KsctlSettings()), rate_limit=1 << 40)
uploads = shell._uploads
uploads._ways = [pair for pair in uploads._ways if pair[0] == way]
shell.read("true")
before = peak()
for sent in shell.upload(Path(source), target):
    pass
assert sent.done == Path(source).stat().st_size
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("way", ["the ssh program", "an SSH channel"])
def test_a_limited_upload_needs_no_memory_for_its_file(sshd: Sshd, tmp_path: Path, way: str) -> None:
    source = tmp_path / "archive"
    with source.open("wb") as file:
        file.truncate(100 << 20)
    ssh = sshd.settings
    said = subprocess.run(
        [sys.executable, "-c", SENDER, ssh.user, str(ssh.port), str(ssh.identity_file), str(ssh.known_hosts),
         str(source), str(tmp_path / "target"), way],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) < 24 * 1024  # KiB more than before it, of a file of 100 MiB


# -- keys that only an agent has --------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent without a key; SSH_AUTH_SOCK names it."""
    if not shutil.which("ssh-agent"):
        pytest.skip("no ssh-agent on this machine")
    place = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.PIPE)
    try:
        assert running.stdout and running.stdout.readline()  # its variables: it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        yield
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize("named", [False, True], ids=["any key", "a locked identity_file"])
def test_the_ssh_program_uses_the_agents_key(
    start_sshd: StartSshd,
    agent: None,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: bool,
) -> None:
    """We cannot hand it a key that only the agent has: it is told which one, and asks the agent itself."""
    sshd = start_sshd("LogLevel VERBOSE")
    answer = tmp_path / "answer"
    answer.write_text("#!/bin/sh\necho open sesame 4711\n")
    answer.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(answer))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    subprocess.run(["ssh-add", "-q", str(keys / "stranger")], check=True)  # which this node does not let in
    subprocess.run(["ssh-add", "-q", str(keys / "locked")], check=True)
    monkeypatch.delenv("SSH_ASKPASS")
    lines: list[str] = []
    shell = SshShell(sshd.node(identity_file=keys / "locked" if named else None), log=lines.append)
    progress(shell, random_file(tmp_path / "archive", BLOCK), tmp_path / "target")
    assert "ctm-1: uploads go by the ssh program" in lines
    assert any("enters with agent key" in line for line in lines)
    assert sshd.logins() == 2
    refused = (sshd.folder / "log").read_text().count("Failed publickey")
    assert refused <= (0 if named else 1), "the child offers nothing but the key that let us in"
