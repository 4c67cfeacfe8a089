"""Promise 8 from end to end: whatever a node says, whatever is typed where, no secret is shown or kept."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ctmupgrade.adapters.local.shell import LocalShell
from ctmupgrade.adapters.transcripts import worth_keeping
from ctmupgrade.commands.known_secrets import known_secrets
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from ctmupgrade.errors import UsageError
from tests.support.desk import SCENARIOS, Desk, Done
from tests.support.live import signing_key, start_live

PASSWORD, KEY_PASSWORD = "Kp-S3cr3t&<x>'q", "bk-Pässw0rd/77+aa"
NODE = Node("n", "local", "https://h", "h", SshSettings(), KsctlSettings())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.environ |= {"KSCTL_PASSWORD": PASSWORD, "CTM_BACKUP_KEY_PASSWORD": KEY_PASSWORD}
    return made


def _said_by_a_node(folder: Path) -> Path:
    """A cluster whose upgrade fails and prints, in its own ways, what only we should know."""
    shutil.copytree(SCENARIOS / "healthy-three", folder)
    go = PASSWORD.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    said = f"Upgrade failed: login admin {PASSWORD} body {go} key {KEY_PASSWORD} curl -u root:Hunter-2 x"
    fault = f"faults:\n  - {{kind: upgrade_fails, node: ctm-2, text: {json.dumps(said)}}}\n"
    world = (folder / "world.yaml").read_text(encoding="utf-8")
    (folder / "world.yaml").write_text(world + fault, encoding="utf-8")
    return folder


def _parts() -> tuple[str, ...]:
    return ("S3cr3t", "Pässw0rd", "P\\u00e4ssw0rd", "Hunter-2")


def test_what_a_failed_upgrade_says_is_kept_without_what_is_known(desk: Desk) -> None:
    place = ["--simulate", str(_said_by_a_node(desk.folder / "fixture"))]
    done = desk.type("run", "--yes", *place)
    assert done.returncode == 5 and "body ***" in done.stdout + done.stderr
    for suffix in ("md", "html", "json"):
        assert desk.type("report", "-o", f"r.{suffix}", *place).returncode == 0
    assert desk.type("report", "--bundle", "b.tar.gz", *place).returncode == 0
    with tarfile.open(desk.folder / "b.tar.gz") as tar:
        tar.extractall(desk.folder / "unpacked")  # ours; 3.11.2 of Debian 12 knows no filter
    texts = {"terminal": done.stdout + done.stderr, "status": desk.type("status", *place).stdout}
    # What the simulated node itself remembers is the fixture's, not ours.
    files = [p for p in desk.folder.rglob("*") if p.is_file() and p.name not in ("world.yaml", "world.json")]
    texts |= {p.name: p.read_text(encoding="utf-8", errors="replace") for p in files}
    assert {"journal.jsonl", "r.md", "r.html", "r.json", "report.md"} <= set(texts)
    (world,) = desk.folder.rglob("world.json")
    assert stat.S_IMODE(world.stat().st_mode) == 0o600
    leaks = [(name, part) for name, text in texts.items() for part in _parts() if part in text]
    assert leaks == []


def test_what_was_typed_where_a_name_belongs_is_not_shown(desk: Desk) -> None:
    del desk.environ["KSCTL_PASSWORD"]
    (desk.folder / "k").write_text("")
    head = "cluster: c\ntarget: {archive: ./k, version: 2.21.0, signer: " + "A" * 40 + "}\n"
    nodes = "nodes: [{name: n1, host: 127.0.0.1, port: 1}]\n"
    typed = "hunter2-Hunter2"
    for keys in (
        f"ksctl: {{password_env: {typed}}}",
        "ksctl: {password_env: hunter2Hunter2}",
        f"ksctl: {{password_file: {typed}}}",
        f"ksctl: {{password_command: {typed}}}",
        f"ksctl: {{password_env: *{typed}}}",
        f"ksctl: {{password_env: [{typed}]}}",
        f"ksctl: {{password_env: {{{typed}: x}}}}",
        "ksctl: {password_file: 81726354}",
        f"ksctl: {{password: {typed}}}",
        f"ssh: {{passphrase_env: {typed}}}",
        f"backup: {{key_password_env: {typed}}}",
        "backup: {key_password_env: hunter2Hunter2}",
        f"nodes: [{{name: n1, host: h, url: 'https://admin:pa/{typed}@h'}}]",
    ):
        (desk.folder / "cluster.yaml").write_text(head + keys + "\n" + ("" if "nodes" in keys else nodes))
        only = ("--only", "backup_downloaded_with_key") if "backup:" in keys else ()
        done = desk.type("check", *only)
        assert done.returncode in (2, 3) and "no such check" not in done.stderr, keys
        assert "unter2" not in done.stdout + done.stderr, done.stdout + done.stderr
        assert "81726354" not in done.stderr


def test_passwords_that_are_no_text_are_refused(desk: Desk) -> None:
    (desk.folder / "k").write_text("")
    desk.environ |= {"KSCTL_PASSWORD": os.fsdecode(b"ab\xff\xfecd"), "PATH": os.environ["PATH"]}
    (desk.folder / "cluster.yaml").write_text(
        "cluster: c\ntarget: {archive: ./k, version: 2.21.0, signer: " + "A" * 40 + "}\n"
        "ksctl: {command: /bin/true}\nnodes: [{name: n1, host: 127.0.0.1, port: 1}]\n"
    )
    done = desk.type("check", "--only", "services_started")
    assert done.returncode in (2, 3) and "not UTF-8" in done.stdout + done.stderr, done.stdout + done.stderr


def test_without_cluster_yaml_a_bundle_knows_ksctls_own_password(desk: Desk) -> None:
    place = ["--simulate", str(_said_by_a_node(desk.folder / "fixture"))]
    journal = json.dumps({"event": {"text": f"said {PASSWORD} in the days of an older version"}})
    assert desk.type("run", "--dry-run", "--yes", *place).returncode == 0
    with desk.journal.open("a") as file:
        file.write(journal)
    assert desk.type("report", "--bundle", "b.tar.gz", "-c", "cluster.yaml").returncode == 0
    with tarfile.open(desk.folder / "b.tar.gz") as tar:
        tar.extractall(desk.folder / "unpacked")  # ours; 3.11.2 of Debian 12 knows no filter
    assert "S3cr3t" not in "".join(p.read_text() for p in desk.folder.glob("unpacked/*/*"))


def test_of_a_process_list_only_what_parsers_look_at_is_recorded() -> None:
    said = f"COMMAND\npostgres://admin:DbPw@db\nksctl --password X{PASSWORD}\n/opt/keysecure/ks_upgrade.sh -f a --password=hunter2x\n"
    for way in shell_probes.PROCESSES.ways:
        kept = worth_keeping(way.argv, said)
        assert "ks_upgrade.sh -f a" in kept
        assert not [part for part in ("DbPw", "S3cr3t", "hunter2", "postgres", "ksctl") if part in kept]
        assert way.parse(0, kept, "") == (shell_probes.PROCESSES.ways[0].parse(0, kept, ""))
    assert worth_keeping(("ps", "aux"), "only one line\n") == "COMMAND\n"


# -- files -----------------------------------------------------------------------------------------


def _loose(desk: Desk, *words: str) -> Done:
    """Typed by somebody whose umask hides nothing."""
    before = os.umask(0)
    try:
        return desk.type(*words, scenario="healthy-three")
    finally:
        os.umask(before)


@pytest.mark.parametrize(("words", "suffix"), [(("plan", "-o"), "json"), (("runbook", "-o"), "md")])
def test_what_is_written_is_its_owners_alone_and_goes_through_no_link(
    desk: Desk, words: tuple[str, ...], suffix: str
) -> None:
    assert _loose(desk, *words, f"new.{suffix}").returncode == 0
    assert stat.S_IMODE((desk.folder / f"new.{suffix}").stat().st_mode) == 0o600
    victim = desk.folder / "victim"
    victim.write_text("mine")
    (desk.folder / f"link.{suffix}").symlink_to(victim)
    done = _loose(desk, *words, f"link.{suffix}")
    assert done.returncode == 2 and "link" in done.stderr
    assert victim.read_text() == "mine"
    assert not list(desk.folder.glob(".*.md.*")), "no remains"
    assert desk.type(*words, "/dev/stdout", scenario="healthy-three").returncode == 0


def test_a_record_is_its_owners_alone(desk: Desk) -> None:
    assert _loose(desk, "record", "fixture").returncode == 0
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (desk.folder, *desk.folder.glob("fixture/*"))}
    assert {modes["transcript.jsonl"], modes["cluster.yaml"]} == {0o600}
    assert stat.S_IMODE((desk.folder / "fixture").stat().st_mode) == 0o700
    (desk.folder / "open").mkdir()
    (desk.folder / "open").chmod(0o777)
    done = _loose(desk, "record", "open")
    assert done.returncode == 2 and "others can write" in done.stderr and not list(desk.folder.glob("open/*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_no_record_is_put_into_anothers_folder(desk: Desk) -> None:
    (desk.folder / "theirs").mkdir(mode=0o755)
    os.chown(desk.folder / "theirs", 65534, 65534)
    done = _loose(desk, "record", "theirs")
    assert done.returncode == 2 and "another user" in done.stderr


# -- what children get, and what memory leaves behind ----------------------------------------------


def test_commands_on_this_machine_get_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KSCTL_PASSWORD", "CTM_BACKUP_KEY_PASSWORD", "OTHER"):
        monkeypatch.setenv(name, PASSWORD)
    shell = LocalShell(NODE)
    assert PASSWORD not in shell.read("env").out + shell.change("env").out
    assert PASSWORD.encode() not in b"".join(shell.stream("env"))


def test_programs_of_the_ssh_configuration_get_no_secret(tmp_path: Path) -> None:
    """Whatever cluster.yaml calls its variables, and whichever node it is about."""
    more = "notify:\n  - {webhook: {url_env: LIVE_HOOK}}"
    with signing_key() as signing:
        live = start_live(tmp_path, signing, nodes=2, size=5_000, extra=more)
        text = live.cluster.read_text().replace("ssh: {", "ssh: {jump: {passphrase_env: LIVE_JUMP}, ", 1)
        live.cluster.write_text(text)
        ssh = tmp_path / "home" / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "config").write_text(f'Match exec "env >> {tmp_path}/seen; false"\n  Port 1\n')
        said = live.run("check", LIVE_HOOK="https://h.example/x", LIVE_JUMP="jump-s3cr3t", AWS_PROFILE="prod")
        live.close()
    seen = (tmp_path / "seen").read_text()
    assert said.returncode in (0, 3) and "AWS_PROFILE=prod" in seen, said.stdout + said.stderr
    assert "LIVE_" not in seen


def test_the_passphrase_of_a_jump_host_is_a_secret(tmp_path: Path) -> None:
    text = (SCENARIOS / "standalone" / "cluster.yaml").read_text()
    path = tmp_path / "cluster.yaml"
    path.write_text(f"{text}\nssh: {{jump: {{passphrase_env: JUMP_PW}}}}\n")
    cluster = load_cluster(path, simulated=True)
    assert "JUMP_PW" in cluster.secret_variables
    assert "over the hills" in list(known_secrets(cluster, {"JUMP_PW": "over the hills"}))
    path.write_text(
        path.read_text() + "checks:\n  own:\n  - {name: mine, run: [/bin/true], environment: [JUMP_PW]}\n"
    )
    with pytest.raises(UsageError, match="JUMP_PW holds a secret"):
        load_cluster(path, simulated=True)


def test_gpg_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSCTL_PASSWORD", PASSWORD)
    program = tmp_path / "gpg"
    program.write_text(f'#!/bin/sh\nenv >> {tmp_path}/seen\nexec gpg "$@"\n')
    program.chmod(0o755)
    home = ["gpg", "--homedir", str(tmp_path / "home"), "--batch", "--quiet"]
    (tmp_path / "home").mkdir(mode=0o700)
    subprocess.run([*home, "--passphrase", "", "--quick-gen-key", "a <a@example.com>", "ed25519"], check=True)
    key = subprocess.run([*home, "--armor", "--export"], check=True, capture_output=True).stdout
    (tmp_path / "k.asc").write_bytes(key)
    (tmp_path / "a.gpg").write_bytes(b"no archive")
    argv = [sys.executable, "-c", "import sys; from pathlib import Path as P; from ctmupgrade.adapters.gpg.verifier import "
            "GpgVerifier as G; from ctmupgrade.adapters.gpg.with_gpg import WithGpg as W; "
            "G([W(sys.argv[1])]).verify(P(sys.argv[2]), 'A' * 40, P(sys.argv[3]))"]  # fmt: skip
    subprocess.run(
        [*argv, str(program), str(tmp_path / "a.gpg"), str(tmp_path / "k.asc")],
        check=False,
        capture_output=True,
    )
    assert "PATH=" in (tmp_path / "seen").read_text() and "S3cr3t" not in (tmp_path / "seen").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_memory_is_left_in_no_core_and_our_own_files_stay_open() -> None:
    script = """
import ctypes, os, resource, subprocess
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
from ctmupgrade.cli.funnel import funnel
def program():
    from ctmupgrade.adapters.local.memory import keep_memory_private
    keep_memory_private()
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
    with open("/proc/self/status") as file:
        assert os.path.exists(f"/proc/self/fd/{file.fileno()}") and os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY)
        child = subprocess.run(["cat", f"/proc/self/fd/{file.fileno()}"], pass_fds=[file.fileno()], capture_output=True)
        assert child.returncode == 0, child.stderr
    return 0
raise SystemExit(funnel(program))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 (0, 0)\n"), done.stderr
