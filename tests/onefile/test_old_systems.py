"""The one file under C libraries of 2012 to 2025, in root file systems that hold nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.onefile.test_narrow import SCENARIO
from tests.support.gpg_ring import Ring, flip
from tests.support.live import PROGRAM
from tests.support.old_roots import library_root

Done = subprocess.CompletedProcess[str]


class System:
    """A root with one folder that can be written to, /work; the program is in it, /tmp is read-only too."""

    def __init__(self, root: Path, work: Path, *, proc: bool = True) -> None:
        self.root, self.work, self.proc = root, work, proc
        shutil.copy(PROGRAM, work / "ctmupgrade")
        shutil.copytree(SCENARIO, work / "scenario")
        for part in (work, *work.rglob("*")):
            os.chown(part, 1500, 1500, follow_symlinks=False)

    def run(self, *words: str) -> Done:
        """As uid 1500, in mount and PID namespaces of its own."""
        script = (
            'mount --make-rprivate /; mount --bind "$1" "$1"; mount --bind "$2" "$1/work"; mount --bind /dev "$1/dev"; mount -o remount,bind,ro "$1"; '
            + ('mount -t proc proc "$1/proc"; ' if self.proc else "")
            + 'root=$1; shift 2; exec chroot --userspec=1500:1500 --groups= "$root" /work/ctmupgrade "$@"'
        )
        argv = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "/bin/sh",
            "-c",
            script,
            "sh",
            str(self.root),
            str(self.work),
            *words,
        ]
        return subprocess.run(
            argv, env={"CTM_BACKUP_KEY_PASSWORD": "x", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/work"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.mark.parametrize("glibc", ["2.17", "2.31", "2.36", "2.41"])
def test_it_runs_where_there_is_a_c_library_and_nothing_else(glibc: str, folder: Path, ring: Ring) -> None:
    try:
        root = library_root(glibc)
    except LookupError as error:
        pytest.skip(str(error))
    assert re.search(
        rb"GNU C Library.*version " + re.escape(glibc.encode()), (root / "lib64" / "libc.so.6").read_bytes()
    )
    path = ring.sign(folder / "a_v2.21.0.tar.gz.gpg")
    (folder / "keys.asc").write_bytes(ring.public.read_bytes())
    system = System(root, folder)
    assert system.run("--version").stdout.startswith("ctmupgrade ")
    done = system.run(
        "run", "--yes", "--simulate", "/work/scenario", "--state-dir", "/work/state", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "done"
    words = [
        "verify",
        "/work/a_v2.21.0.tar.gz.gpg",
        "--signer",
        ring.fpr["ours"],
        "--keyring",
        "/work/keys.asc",
    ]
    good = system.run(*words)
    assert good.returncode == 0 and ring.fpr["ours"] in good.stdout, good.stderr
    flip(path, 150_000)
    for _ in range(5):  # threads that still run as it ends want libgcc_s.so.1 of an old library, now and then
        bad = system.run(*words)
        assert bad.returncode == 3, bad.stderr
    assert {p.name for p in folder.iterdir()} == {
        "ctmupgrade",
        "scenario",
        "a_v2.21.0.tar.gz.gpg",
        "keys.asc",
        "state",
    }


def test_it_says_what_it_needs_where_there_is_no_proc(folder: Path) -> None:
    """Six libraries are then unpacked into a folder that allows programs, and removed at the end."""
    try:
        root = library_root("2.36")
    except LookupError as error:
        pytest.skip(str(error))
    system = System(root, folder, proc=False)
    done = system.run("check", "--simulate", "/work/scenario")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in folder.iterdir()} == {"ctmupgrade", "scenario"}


def test_on_a_shell_that_has_no_command_at_all_it_says_what_is_missing(folder: Path, ring: Ring) -> None:
    """An appliance of our fears: `host: local`, no ksctl, no gpg, no coreutils."""
    try:
        root = library_root("2.17")
    except LookupError as error:
        pytest.skip(str(error))
    ring.sign(folder / "a_v2.21.0.tar.gz.gpg")
    (folder / "keys.asc").write_bytes(ring.public.read_bytes())
    (folder / "cluster.yaml").write_text(
        f"""cluster: alone
strategy: standalone
target: {{archive: ./a_v2.21.0.tar.gz.gpg, signer: {ring.fpr["ours"]}, keyring: ./keys.asc}}
ksctl: {{command: ksctl, password_file: ./password}}
backup: {{directory: ./backups, key_password_env: CTM_BACKUP_KEY_PASSWORD}}
nodes:
  - {{name: ctm-1, host: local, url: 'https://127.0.0.1'}}
"""
    )
    (folder / "password").write_text("x\n")
    (folder / "password").chmod(0o600)
    system = System(root, folder)
    done = system.run("check", "-c", "/work/cluster.yaml", "--state-dir", "/work/state", "--format", "json")
    assert done.returncode in (3, 4), done.stdout + done.stderr
    findings = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["archive_signature_good"]["verdict"] == "pass"
    assert not list(folder.glob("ctmupgrade-*"))
