"""cluster.yaml as people get it wrong: exit 2, the file and the line, and nothing touched. Through the
installed program, with a cluster within reach that would notice a connection."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.version import Version
from tests.support.live import NAME, PROGRAM, Live, signing_key, start_live

TARGET = "2.21.0"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with signing_key() as signing:
        made = start_live(tmp_path_factory.mktemp("config"), signing, nodes=2, size=5_000)
        yield made
        made.close()


def good(live: Live) -> str:
    """A right file, one key a line, so that lines tell places."""
    signer = live.world.archive.signer
    nodes = "".join(
        f"  - name: {n}\n    host: 127.0.0.1\n    port: {live.fleet.ports[n]}\n    url: {live.fleet.urls[n]}\n"
        f"    cluster_host: {live.world.nodes[n].cluster_host}\n"
        for n in live.fleet.ports
    )
    return (
        f"cluster: live\nstrategy: in-place\ntarget:\n  archive: ./{NAME}\n  version: {TARGET}\n  signer: {signer}\n"
        f"  keyring: ./vendor.asc\nssh:\n  identity_file: {live.fleet.client_key_path}\n"
        f"  known_hosts: {live.fleet.known_hosts}\nksctl:\n  command: {live.fleet.ksctl}\n  password_env: LIVE_KSCTL\n"
        "backup:\n  directory: ./backups\n  key_password_env: LIVE_KEY\n  max_age: 24h\n"
        f"poll: 200ms-is-no-unit\nstable_for: 0s\nnodes:\n{nodes}"
    ).replace("200ms-is-no-unit", "0.2s")


def ask(live: Live, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed program with that cluster file and a state folder that is not there yet."""
    state = live.folder / "untouched"
    said = subprocess.run(
        [str(PROGRAM), *words, "-c", str(path), "--state-dir", str(state)], env=live.environ, cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert not state.exists(), "a wrong file must not leave a state folder"
    assert all(not server.transports for server in live.fleet.servers.values()), "a server saw a connection"
    assert live.fleet.bridge is not None
    assert live.fleet.bridge.seen == [], "ksctl was run"
    assert not (live.folder / "backups").exists()
    return said


def complained(said: subprocess.CompletedProcess[str]) -> str:
    """The complaint of a program that ended with 2 and without a word on stdout or a traceback."""
    assert said.returncode == 2, (said.returncode, said.stdout, said.stderr)
    assert said.stdout == ""
    assert "Traceback" not in said.stderr
    assert said.stderr.startswith("ctmupgrade: ")
    assert "\n  -> " in said.stderr or "cannot be read" in said.stderr, "a remedy is owed"
    return said.stderr


# What is replaced, by what, the text in whose line it is said, and words that must be there.
WRONG = {
    "wrong key": ("poll: 0.2s", "pol: 0.2s", "pol:", ["did you mean poll?", "allowed:", "stable_for"]),
    "wrong key inside": ("  archive:", "  colour: blue\n  archive:", "colour", ["unknown key", "keyring"]),
    "wrong key in a node": ("    host: 127.0.0.1\n", "    hots: 127.0.0.1\n", "hots", ["did you mean host?"]),
    "wrong key in a node's ssh": ("    host:", "    ssh: {prot: 1}\n    host:", "prot", ["did you mean port?"]),
    "text for a number": ("    host:", "    ssh: {port: many}\n    host:", "many", ["integer"]),
    "port out of range": ("    host:", "    ssh: {port: 70000}\n    host:", "70000", ["65535"]),
    "text for a list": ("poll: 0.2s", "poll: 0.2s\ntimeouts: forever", "timeouts", ["forever"]),
    "a list for a text": ("cluster: live", "cluster: [live]", "cluster", ["string"]),
    "not a boolean": ("  password_env", "  nosslverify: perhaps\n  password_env", "perhaps", ["boolean"]),
    "unknown strategy": ("strategy: in-place", "strategy: sideways", "sideways", ["in-place", "rebuild", "standalone"]),
    "the same key twice": ("poll: 0.2s", "poll: 0.2s\nstrategy: rebuild", "strategy", ["twice", "again in line 19"]),
    "bad duration": ("max_age: 24h", "max_age: one day", "max_age", ["90s, 5m or 2h", "one day"]),
    "a duration without a unit": ("poll: 0.2s", "poll: 5", "poll", ["90s, 5m or 2h"]),
    "a duration of nothing": ("poll: 0.2s", "poll: 0s", "poll", ["longer than nothing"]),
    "a duration of ages": ("poll: 0.2s", "poll: 99999999999999999999999h", "poll", ["at most 366 days"]),
    "a timeout of ages": ("poll: 0.2s", "timeouts: {upload: 9999999999999h}", "timeouts", ["at most 366 days"]),
    "a URL for a host": ("    host: ", "    host: https://", "https://", ["host name or an IP address"]),
    "a host with a command": ("    host: ", "    host: a;reboot #", "a;reboot", ["host name or an IP address"]),
    "a host with an option": ("    host: ", "    host: -oProxyCommand=x #", "-oProxy", ["host name or an IP address"]),
    "the own node for others": ("    cluster_host: ", "    cluster_host: local #", "cluster_host", ["`local` is a word for host alone"]),
    "another host with a command": ("    cluster_host: ", "    cluster_host: a b #", "a b", ["host name or an IP address"]),
    "a password in a URL": ("    url: ", "    url: https://admin:x@10.0.0.1 #", "admin:x", ["without a name and password"]),
    "a jump host with an option": (
        "ssh:\n", "ssh:\n  proxy_jump: ops@-oProxyCommand=x\n", "proxy_jump", ["user@host:port is expected"],
    ),
    "a jump host's port": (
        "ssh:\n", "ssh:\n  proxy_jump: ops@a:22,b:70000\n", "proxy_jump", ["user@host:port is expected"],
    ),
    "two places of one password": (
        "  password_env:", "  password_file: ./vendor.asc\n  password_env:", "password_file", ["password_env is given too"],
    ),
    "a node's name with a blank": ("name: ctm-1", "name: ctm 1", "ctm 1", ["a name of letters, digits"]),
    "nothing but brackets": ("cluster: live", "[" * 3000 + "\ncluster: live", "[[", ["brackets"]),
    "short fingerprint": ("  signer: ", "  signer: 0x89ABCDEF\n#", "0x89ABCDEF", ["40 hexadecimal digits"]),
    "no signer": ("  signer: ", "#", "target:", ["target.signer: is missing"]),
    "version and name differ": (f"version: {TARGET}", "version: 2.20.0", "2.20.0", ["the archive's name says 2.21.0"]),
    "no version": (f"version: {TARGET}", "version: newest", "newest", ["X.Y.Z"]),
    "no such archive": (NAME, "other_v2.21.0.gpg", "other_v2.21.0.gpg", ["there is no file", "/config"]),
    "no such keyring": ("vendor.asc", "gone.asc", "gone.asc", ["there is no file"]),
    "no such key file": ("client_key", "gone_key", "gone_key", ["there is no file"]),
    "bad host key": ("    host:", "    host_key: SHA256:short\n    host:", "SHA256:short", ["SHA256: and 43 characters"]),
    "bad URL": ("https://ctm-1.sim", "ctm-1.sim/", "url: ctm-1.sim/", ["https://HOST or"]),
    "a time without a zone": (
        "poll:", "window:\n  start: 2026-12-05T22:00:00\npoll:", "start:", ["timezone"],
    ),
    "not a time": ("poll:", "window:\n  start: tonight\npoll:", "start:", ["tonight"]),
    "an end before the start": (
        "poll:",
        "window:\n  start: 2026-12-05T22:00:00+01:00\n  finish_by: 2026-12-05T21:59:59+01:00\npoll:",
        "finish_by", ["before window.start"],
    ),
    "no nodes": ("nodes:\n", "nodes: []\nmore:\n", "nodes", ["at least 1"]),
    "no host": ("    host: 127.0.0.1\n", "", "- name: ctm-1", ["nodes[0].host: is missing"]),
    "name twice": ("name: ctm-2", "name: ctm-1", None, ["'ctm-1' appears twice (first in line 21)", ":26:"]),
    "URL twice": ("ctm-2.sim", "ctm-1.sim", None, ["appears twice", ":29:"]),
    "bad cluster name": ("cluster: live", "cluster: ../etc", "../etc", ["a name of letters, digits"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[echo, secret123]", "is wrong: a text (string) is expected"),
        ("{run: secret123}", "is wrong: a text (string) is expected"),
        ("secret123 'x", "is wrong: a command line is expected, as a shell would split it into words"),
        ("secret123\n  password_file: ./vendor.asc", "is wrong: password_file is given too; one place"),
        ("12345678", "is wrong: a text is expected, and YAML reads a number: put it in quotes"),
    ],
)
def test_what_is_wrong_with_a_password_command_is_told_and_not_its_value(
    live: Live, written: str, says: str
) -> None:
    """Behind ``password_command:`` a word is taken for the password, and hidden: also a word of ours."""
    path = live.folder / "cluster-command.yaml"
    path.write_text(good(live).replace("  password_env: LIVE_KSCTL", f"  password_command: {written}"))
    plain = ask(live, path, "check").stderr
    said = plain + ask(live, path, "check", "--format", "json").stdout
    assert f"ksctl.password_command {says}" in plain, plain
    assert "***" not in said and "secret123" not in said and "12345678" not in said


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_names_its_line(live: Live, case: str) -> None:
    old, new, marker, words = WRONG[case]
    text = good(live)
    assert old in text
    text = text.replace(old, new, 1)
    path = live.folder / "case.yaml"
    path.write_text(text)
    complaint = complained(ask(live, path, "run", "--yes"))
    if marker:
        line = next(i for i, held in enumerate(text.splitlines(), 1) if marker in held)
        assert f"case.yaml:{line}: " in complaint, (line, complaint)
    for word in words:
        assert word in complaint, complaint


def test_a_nodes_own_place_of_the_password_wins_of_whichever_kind(live: Live) -> None:
    (live.folder / "secret.txt").write_text("x\n")
    path = live.folder / "case.yaml"
    path.write_text(
        good(live).replace("name: ctm-2\n", "name: ctm-2\n    ksctl: {password_file: ./secret.txt}\n")
    )
    first, second = (node.ksctl for node in load_cluster(path).nodes)
    assert (first.password_env, first.password_file) == ("LIVE_KSCTL", None)
    assert (second.password_env, second.password_file) == (None, live.folder / "secret.txt")


def test_an_order_names_each_node_once(live: Live) -> None:
    path = live.folder / "case.yaml"
    path.write_text(good(live))
    assert "--order: ctm-1 appears twice" in complained(
        ask(live, path, "plan", "--order", "ctm-1,ctm-2,ctm-1")
    )


def test_every_problem_is_told_at_once(live: Live) -> None:
    path = live.folder / "case.yaml"
    path.write_text(good(live).replace("poll: 0.2s", "poll: x\nstabel_for: 1s").replace("in-place", "y"))
    complaint = complained(ask(live, path, "check"))
    assert all(f"case.yaml:{line}: " in complaint for line in (2, 18, 19)), complaint


def test_21_nodes(live: Live) -> None:
    head = good(live).partition("nodes:\n")[0]
    nodes = "".join(f"  - {{name: n{i}, host: 10.0.0.{i}}}\n" for i in range(1, 22))
    path = live.folder / "case.yaml"
    path.write_text(f"{head}nodes:\n{nodes}")
    complaint = complained(ask(live, path, "check"))
    assert "case.yaml:20: nodes: 21 nodes; a cluster has at most 20" in complaint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "case.yaml:1: "),
        (b"# nothing but a remark\n", "case.yaml:1: "),
        (b"just words\n", "case.yaml:1: "),
        (b"- a\n- list\n", "case.yaml:1: "),
        (b"cluster: a\nnodes: [\n", "case.yaml:2: not YAML"),
        (b"cluster: a\n\tnodes: 1\n", "case.yaml:2: not YAML"),
        (b"cluster: *nobody\n", "case.yaml:1: not YAML"),
        (b"cluster: a\nstrategy: \xff\xfe\n", "case.yaml:2: cannot be read: not UTF-8"),
        (b"cluster: a\x00b\n", "case.yaml"),
        (b"a: 1\n---\nb: 2\n", "case.yaml:"),
        (b"? [a, b]\n: 1\n", "case.yaml:1: "),
        (b"cluster: &a [*a]\n", "case.yaml:1: "),
    ],
)
def test_not_the_expected_yaml(live: Live, content: bytes, words: str) -> None:
    path = live.folder / "case.yaml"
    path.write_bytes(content)
    assert words in complained(ask(live, path, "run", "--yes"))


def test_no_file_says_how_to_get_one(live: Live) -> None:
    complaint = complained(ask(live, live.folder / "gone.yaml", "run", "--yes"))
    assert "gone.yaml: there is no such file" in complaint
    assert "ctmupgrade init" in complaint


def test_a_folder(live: Live) -> None:
    assert "is not a file" in complained(ask(live, live.folder, "check"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(live: Live) -> None:
    path = live.folder / "locked.yaml"
    path.write_text(good(live))
    path.chmod(0)
    assert "locked.yaml: cannot be read: Permission denied\n  -> ls -l " in complained(
        ask(live, path, "check")
    )


@pytest.mark.parametrize(
    "words",
    [
        ["check"], ["plan"], ["runbook"], ["stage", "--yes"], ["backup", "--yes"], ["resume"], ["recover"],
        ["record", "new"], ["run", "--dry-run"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_refuses_a_wrong_file(live: Live, words: list[str]) -> None:
    path = live.folder / "case.yaml"
    path.write_text(good(live).replace("in-place", "sideways"))
    assert "case.yaml:2: strategy" in complained(ask(live, path, *words))


def test_a_missing_password_is_told_before_anything_is_asked(live: Live) -> None:
    path = live.folder / "case.yaml"
    path.write_text(good(live).replace("LIVE_KSCTL", "NOT_SET_HERE"))
    complaint = complained(ask(live, path, "run", "--yes"))
    assert "NOT_SET_HERE" in complaint
    assert "export NOT_SET_HERE=" in complaint


# -- what is right ---------------------------------------------------------------------------------------------


def test_a_fingerprint_of_digits_only_and_a_version_like_a_number(live: Live) -> None:
    """YAML would make numbers of both."""
    digits = "0123456789" * 4
    text = (
        good(live)
        .replace(live.world.archive.signer, digits)
        .replace(f"version: {TARGET}", "version: 2.21.0+15451")
    )
    made = load_cluster(_write(live, text))
    assert made.target.signer == digits
    assert made.target.version == Version.parse("2.21.0+15451")


def test_a_fingerprint_as_gpg_prints_it(live: Live) -> None:
    signer = live.world.archive.signer
    pieces = " ".join(signer[i : i + 4] for i in range(0, 40, 4))
    for text in (pieces, signer.lower(), f"0x{signer}", f"'{pieces}'"):
        made = load_cluster(_write(live, good(live).replace(signer, text)))
        assert made.target.signer == signer


def test_ssh_keys_of_a_node_in_both_forms(live: Live) -> None:
    """Directly and under ``ssh:``; both win over the common ones. Two different ones are refused (test_config_values)."""
    head = good(live).partition("nodes:\n")[0].replace("ssh:\n", "ssh:\n  port: 2200\n  user: common\n")
    made = load_cluster(
        _write(
            live,
            f"{head}nodes:\n  - {{name: a, host: h1, port: 1}}\n  - {{name: b, host: h2, ssh: {{port: 2, user: own}}}}\n"
            "  - {name: c, host: h3}\n  - {name: d, host: h4, port: 4, ssh: {port: 4}}\n",
        )
    )
    assert [n.ssh.port for n in made.nodes] == [1, 2, 2200, 4]
    assert [n.ssh.user for n in made.nodes] == ["common", "own", "common", "common"]


def test_relative_paths_are_the_files_not_the_callers(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    made = load_cluster(_write(live, good(live).replace(str(live.fleet.known_hosts), "~/known")))
    assert made.target.archive == live.folder / NAME
    assert made.backup.directory == live.folder / "backups"
    assert made.target.keyring == live.folder / "vendor.asc"
    assert made.nodes[0].ssh.known_hosts == tmp_path / "known"


def test_host_local(live: Live) -> None:
    head = good(live).partition("nodes:\n")[0]
    node = load_cluster(_write(live, f"{head}nodes:\n  - {{name: me, host: local}}\n")).nodes[0]
    assert (node.host, node.url, node.cluster_host) == ("local", "https://localhost", "localhost")
    for url, among in (
        ("https://10.0.0.1", "10.0.0.1"),
        ("https://[fd00::1]:8443", "fd00::1"),
        ("https://127.0.0.1", "localhost"),
    ):
        text = f"{head}nodes:\n  - {{name: me, host: local, url: '{url}'}}\n"
        assert load_cluster(_write(live, text)).nodes[0].cluster_host == among


def test_a_window_with_a_zone(live: Live) -> None:
    window = "window:\n  start: 2026-12-05T22:00:00+01:00\n  finish_by: '2026-12-06T04:00:00Z'\npoll:"
    made = load_cluster(_write(live, good(live).replace("poll:", window)))
    assert made.window.start == datetime(2026, 12, 5, 21, tzinfo=UTC)
    assert made.window.finish_by == datetime(2026, 12, 6, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("0.5s", 0.5)],
)
def test_durations(live: Live, text: str, seconds: float) -> None:
    made = load_cluster(_write(live, good(live).replace("poll: 0.2s", f"poll: {text}")))
    assert made.poll == timedelta(seconds=seconds)


def test_the_archives_name_tells_the_version(live: Live) -> None:
    made = load_cluster(_write(live, good(live).replace(f"  version: {TARGET}\n", "")))
    assert str(made.target.version) == TARGET


def test_the_contracts_example(live: Live) -> None:
    """The file that the contract shows, with its files where it says."""
    text = (Path(__file__).parent / "support" / "contract_cluster.yaml").read_text()
    folder = live.folder / "example"
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(b"x")
    (folder / "vendor-signing-key.asc").write_bytes(b"x")
    (folder / "cluster.yaml").write_text(text.replace("~/.ssh/ctm_ed25519", str(live.fleet.client_key_path)))
    made = load_cluster(folder / "cluster.yaml")
    assert [n.name for n in made.nodes] == ["ctm-1", "ctm-2"]
    assert made.nodes[0].url == "https://10.0.0.11"
    assert made.nodes[1].cluster_host == "10.0.0.12"
    assert replace(made.nodes[0].ssh, host_key=None) == replace(made.nodes[1].ssh, host_key=None)
    assert made.timeouts.join == timedelta(hours=2)
    assert made.nodes[0].ksctl.timeout == 300


def _write(live: Live, text: str) -> Path:
    path = live.folder / "right.yaml"
    path.write_text(text)
    return path
