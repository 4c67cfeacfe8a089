"""The one file where little is there and little is allowed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctmupgrade import __version__
from tests.adapters.conftest import agent, keygen
from tests.support.gpg_ring import Ring, flip
from tests.support.live import PROGRAM, Live, Signing, start_live
from tests.support.narrow import Place, left

SCENARIO = Path(__file__).parents[2] / "fixtures" / "scenarios" / "healthy-three"
BARE = {"PATH": "/nonexistent", "CTM_BACKUP_KEY_PASSWORD": "x"}


def simulated(*words: str) -> list[str]:
    return [str(PROGRAM), *words, "--simulate", str(SCENARIO)]


# -- surroundings ----------------------------------------------------------------------------------

SURROUNDINGS: dict[str, dict[str, str]] = {
    "no HOME, no user, no locale": {},
    "a HOME that cannot be written": {"HOME": "/root"},
    "a HOME that is not there": {"HOME": "/nowhere"},
    "LANG=C": {"LANG": "C"},
    "LC_ALL=POSIX": {"LC_ALL": "POSIX"},
    "a locale that is not there": {"LC_ALL": "xx_YY.ISO-8859-15"},
    "variables of some Python": {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONSTARTUP": "/nowhere", "LD_LIBRARY_PATH": "/nowhere"},
}  # fmt: skip


@pytest.mark.parametrize("umask", ["022", "077"])
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_whole_run_writes_to_its_state_folder_alone(folder: Path, name: str, umask: str) -> None:
    """As a user without an entry, with noexec everywhere, 64 MiB, and everything else read-only."""
    state = folder / "state"
    state.mkdir()
    place = Place([state], umask=umask, environ={**BARE, **SURROUNDINGS[name]})
    done = place.run(*simulated("run", "--yes", "--state-dir", str(state), "--format", "json"))
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "done"
    assert left(done) == ""
    assert all(p.stat().st_mode & 0o077 == 0 for p in state.glob("*/*/journal.jsonl"))
    for words in (["report", "--verify"], ["status"]):
        assert (
            place.run(PROGRAM, *words, "-c", SCENARIO / "cluster.yaml", "--state-dir", state).returncode == 0
        )


def test_without_a_folder_for_the_state_it_says_what_to_name(folder: Path) -> None:
    (folder / "x").mkdir()
    done = Place([folder / "x"], environ={**BARE, "HOME": "/root"}).run(*simulated("run", "--yes"))
    assert done.returncode == 5 and "--state-dir DIR" in done.stderr and left(done) == ""


@pytest.mark.parametrize("name", ["mit Leerzeichen", "Åsa 日本", "quo'te\"d $HOME;x"])
def test_names_with_blanks_and_other_letters(folder: Path, name: str) -> None:
    """Of the program, of the state folder and of cluster.yaml; in the C locale."""
    here, state = folder / name, folder / f"state {name}"
    shutil.copytree(SCENARIO, here / "scenario")
    shutil.copy(PROGRAM, here / "ctm upgrade é")
    state.mkdir()
    place = Place([state], runnable=[here], environ={**BARE, "LC_ALL": "C"}, cwd=here)
    words = ["--simulate", str(here / "scenario"), "--state-dir", str(state)]
    done = place.run(here / "ctm upgrade é", "run", "--yes", *words)
    assert done.returncode == 0 and left(done) == "", done.stderr
    assert list(state.glob("*/*/journal.jsonl"))


def test_in_a_restricted_shell_it_is_no_way_to_other_programs(folder: Path) -> None:
    """What runs programs is cluster.yaml alone; no word on the command line is a Python or a shell."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "ctmupgrade").symlink_to(PROGRAM)
    env = {"PATH": str(bin_), "HOME": str(folder)}

    def typed(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", "-r", "-c", line], env=env, capture_output=True, text=True, check=False
        )

    assert typed("ctmupgrade --version").stdout == f"ctmupgrade {__version__}\n"
    assert typed("/bin/echo x").returncode != 0
    for line in (
        "ctmupgrade -c 'print(6*7)'", "ctmupgrade -I -S -c 'print(6*7)'", "ctmupgrade -m this",
        "ctmupgrade --hold-terminal '' /bin/echo 42", "ctmupgrade --on-terminal /bin/echo 42",
    ):  # fmt: skip
        done = typed(line)
        assert done.returncode == 2 and "42" not in done.stdout, line


def test_the_licences_are_in_it() -> None:
    said = subprocess.run(
        [PROGRAM, "--licenses"], env=BARE, capture_output=True, text=True, check=True
    ).stdout
    for part in (
        "python3.11",
        "openssl",
        "zlib",
        "bzip2",
        "gpgv-static",
        "paramiko",
        "GNU GENERAL PUBLIC LICENSE",
        "gnupg2_",
    ):
        assert part in said
    assert said == PROGRAM.with_name("ctmupgrade.LICENSES").read_text(encoding="utf-8")


def test_without_proc_the_libraries_go_through_a_folder_that_is_gone_afterwards(folder: Path) -> None:
    (folder / "runs").mkdir()
    more = f"mount -t tmpfs -o mode=1777 runs {folder}/runs; umount -l /proc"
    place = Place([folder / "runs"], more=more, environ={**BARE, "TMPDIR": str(folder / "runs")})
    done = place.run(*simulated("check"))
    assert done.returncode == 0, done.stderr


# -- the signature, without gpg --------------------------------------------------------------------


def test_an_archive_is_verified_where_there_is_no_gpg(ring: Ring, folder: Path) -> None:
    path, keys = ring.sign(folder / "a_v2.21.0.tar.gz.gpg"), folder / "keys.asc"
    keys.write_bytes(ring.public.read_bytes())
    words = ["verify", str(path), "--signer", ring.fpr["ours"], "--keyring", str(keys)]
    kept = Place([folder], environ=BARE)
    good = kept.run(PROGRAM, *words)
    assert good.returncode == 0 and ring.fpr["ours"] in good.stdout and left(good) == "", good.stderr
    flip(path, 150_000)
    bad = kept.run(PROGRAM, *words)
    assert bad.returncode == 3 and "altered" in bad.stderr and left(bad) == ""
    # A machine whose clock is a day behind
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    ring.sign(path, "--faked-system-time", tomorrow.strftime("%Y%m%dT%H%M%S"))
    late = kept.run(PROGRAM, *words)
    assert late.returncode == 3 and "clock" in late.stderr


def test_what_is_killed_while_it_verifies_leaves_nothing(ring: Ring, folder: Path) -> None:
    path, keys = folder / "a_v2.21.0.tar.gz.gpg", folder / "keys.asc"
    keys.write_bytes(ring.public.read_bytes())
    path.write_bytes(ring.gpg("-z0", "-u", ring.fpr["ours"], "-s", data=bytes(300_000_000)))
    place = Place([folder], size="8m", environ=BARE, meanwhile="sleep 0.4; kill -9 $child")
    done = place.run(PROGRAM, "verify", path, "--signer", ring.fpr["ours"], "--keyring", keys)
    assert done.returncode == 137 and left(done) == ""


# -- over the network ------------------------------------------------------------------------------


@contextmanager
def over_ipv6(port: int) -> Iterator[int]:
    """A port of ::1 that leads to one of 127.0.0.1."""
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)

    def carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                node = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, node), (node, client)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


@pytest.fixture
def live(folder: Path, signing: Signing) -> Iterator[Live]:
    made = start_live(folder / "live", signing, nodes=2)
    yield made
    made.close()


def narrow(live: Live, **more: str) -> Place:
    """Nothing may be written but the state, the backups and what the simulated nodes write themselves."""
    for name in ("state", "backups"):
        (live.folder / name).mkdir(mode=0o700, exist_ok=True)
    env = {k: v for k, v in live.environ.items() if k not in ("HOME", "PATH")}
    # The stand-in for ksctl is a script, for a Python that only root can reach where the tests' own is below /root.
    return Place(
        [live.state, live.folder / "backups"], runnable=[live.folder], environ={**env, "PATH": "/nonexistent", **more},
        umask="077", cwd=live.folder, user=0,
    )  # fmt: skip


def words(live: Live, *first: str) -> list[str]:
    return [str(PROGRAM), *first, "-c", str(live.cluster), "--state-dir", str(live.state)]


def test_a_whole_upgrade_over_ssh_without_gpg_ssh_or_home(live: Live) -> None:
    done = narrow(live).run(*words(live, "run", "--yes", "--format", "json"))
    assert done.returncode == 0, done.stdout[-800:] + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["outcome"] == "done"
    assert all(n["version_after"].startswith("2.21.0") for n in report["nodes"])
    assert left(done) == ""


def test_a_run_that_is_killed_leaves_nothing_but_its_state_and_goes_on(live: Live) -> None:
    place = narrow(live)
    place.meanwhile = (
        f"until grep -q upgrade:ctm-1 {live.state}/live/*/journal.jsonl; do sleep 0.1; done; kill -9 $child"
    )
    done = place.run(*words(live, "run", "--yes"))
    assert done.returncode == 137 and left(done) == "", done.stderr
    place.meanwhile = ""
    done = place.run(*words(live, "resume", "--yes"))
    assert done.returncode == 0 and left(done) == "", done.stdout[-800:] + done.stderr


def test_a_node_over_ipv6_at_a_port_of_its_own(live: Live) -> None:
    with over_ipv6(live.fleet.ports["ctm-1"]) as port:
        text = live.cluster.read_text().replace(
            f"host: 127.0.0.1, port: {live.fleet.ports['ctm-1']}", f"host: '::1', port: {port}"
        )
        live.cluster.write_text(text)
        known = live.fleet.known_hosts.read_text()
        of_first = next(line for line in known.splitlines() if f":{live.fleet.ports['ctm-1']} " in line)
        live.fleet.known_hosts.write_text(known + f"[::1]:{port} {of_first.split(' ', 1)[1]}\n")
        done = narrow(live).run(*words(live, "check", "--format", "json"))
    document = json.loads(done.stdout)
    assert {n["name"]: n["reachable"] for n in document["nodes"]} == {"ctm-1": True, "ctm-2": True}, (
        done.stderr
    )


def test_an_agent_with_a_dozen_keys(live: Live, folder: Path) -> None:
    """Only the key that is named is offered: servers hang up after six."""
    key = live.fleet.client_key_path
    others = [keygen(folder / f"k{n}") for n in range(12)]
    with agent(*others, key) as sock:
        place = narrow(live, SSH_AUTH_SOCK=sock)
        place.runnable = [*place.runnable, Path(sock).parent]
        done = place.run(*words(live, "check", "--format", "json"))
    document = json.loads(done.stdout)
    assert all(n["reachable"] for n in document["nodes"]), done.stdout + done.stderr
