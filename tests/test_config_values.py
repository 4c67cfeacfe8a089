"""Values of cluster.yaml that were taken although they cannot be meant, and addresses of IPv6. In process, as one
case costs nothing; ``test_config`` has the exit code and that nothing is touched."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.plan.new_instances import with_fresh
from ctmupgrade.errors import ExitCode, UsageError
from tests.support.desk import Desk

HEAD = """cluster: c
target:
  archive: ./a_v2.21.0.gpg
  version: 2.21.0
  signer: 0123456789ABCDEF0123456789ABCDEF01234567
"""
NODES = """nodes:
  - name: ctm-1
    host: 10.0.0.1
  - name: ctm-2
    host: 10.0.0.2
"""


def complaint(tmp_path: Path, text: str) -> str:
    """All that is said of a file, which must be wrong."""
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_cluster(path, simulated=True)
    assert caught.value.exit_code is ExitCode.USAGE and caught.value.remedy
    return f"{caught.value.brief}\n{caught.value.details}"


QUOTES = "put it in quotes"
# What is replaced, by what, the line it is said of, and what must be said.
WRONG = {
    "a number for the cluster": ("cluster: c", "cluster: 12", 1, [QUOTES, '"12"']),
    "true for the cluster": ("cluster: c", "cluster: true", 1, [QUOTES, "true or false"]),
    "a number for a user": ("nodes:", "ssh: {user: 5}\nnodes:", 6, ["ssh.user", QUOTES]),
    "a number for a jump host": ("nodes:", "ssh: {proxy_jump: 5}\nnodes:", 6, ["ssh.proxy_jump", QUOTES]),
    "a number for a command": (
        "nodes:", "ksctl:\n  password_command: 5\nnodes:", 7, ["ksctl.password_command", QUOTES],
    ),
    "a number for a name": ("name: ctm-2", "name: 2", 9, ["nodes[1].name", QUOTES, '"2"']),
    "nought for a name": ("name: ctm-2", "name: 0", 9, ["nodes[1].name", QUOTES]),
    "a float for a host": ("host: 10.0.0.2", "host: 10.2", 10, ["nodes[1].host", QUOTES]),
    "a port in quotes": ("nodes:", 'ssh:\n  port: "22"\nnodes:', 7, ["ssh.port", "without quotes: 22"]),
    "a timeout without a value": ("nodes:", "timeouts: {upload: }\nnodes:", 6, ["timeouts.upload: has no value"]),
    "a null": ("nodes:", "ksctl: {password_env: null}\nnodes:", 6, ["ksctl.password_env: has no value"]),
    "digits of another script": ("nodes:", "poll: \uff15s\nnodes:", 6, ["poll", "90s, 5m or 2h"]),
    "seconds of another script": ("nodes:", "ksctl: {timeout: \uff15}\nnodes:", 6, ["timeout", "90s, 5m or 2h"]),
    "a port of another script": ("nodes:", "ssh: {port: \uff12\uff12}\nnodes:", 6, ["ssh.port"]),
    "a jump's port of another script": ("nodes:", "ssh: {proxy_jump: 'a@b:\uff12'}\nnodes:", 6, ["user@host:port"]),
    "a version of another script": ("version: 2.21.0", "version: \uff12.21.0", 4, ["X.Y.Z"]),
    "a URL of another kind": ("    host: 10.0.0.2", "    host: h\n    url: ftp://h", 11, ["https://HOST"]),
    "a port in the host": ("host: 10.0.0.2", 'host: "127.0.0.1:2222"', 10, ["without a port", "port: 2222"]),
    "a port behind brackets": ("host: 10.0.0.2", 'host: "[::1]:2222"', 10, ["without a port", "port: 2222"]),
    "a port behind a name": ("host: 10.0.0.2", 'host: "ctm.example.com:22"', 10, ["without a port", "port: 22"]),
    "no address at all": ("host: 10.0.0.2", 'host: "1::2::3"', 10, ["host name or an IP address"]),
    "half a bracket": ("host: 10.0.0.2", 'host: "[::1"', 10, ["host name or an IP address"]),
    "a user with an option": ("nodes:", 'ssh: {user: "-oProxyCommand=x"}\nnodes:', 6, ["ssh.user", "dash"]),
    "a user with a blank": ("nodes:", 'ssh: {user: "a b"}\nnodes:', 6, ["ssh.user", "blanks"]),
    "a node's user with an option": ("    host: 10.0.0.2", "    host: h\n    user: -x", 11, ["nodes[1].user", "dash"]),
    "a jump with an option": ("nodes:", 'ssh: {proxy_jump: "-oX@b"}\nnodes:', 6, ["user@host:port is expected"]),
    "a jump that is an option": ("nodes:", 'ssh: {proxy_jump: "-oX"}\nnodes:', 6, ["user@host:port is expected"]),
    "names but for capitals": ("name: ctm-2", "name: CTM-1", 9, ["'CTM-1' appears twice", "line 7", "'ctm-1'"]),
    "two ports of one node": (
        "    host: 10.0.0.2", "    host: h\n    port: 22\n    ssh: {port: 23}", 11, ["22 is given here and 23 under ssh"],
    ),
    "two users of one node": (
        "    host: 10.0.0.2", "    host: h\n    user: a\n    ssh: {user: b}", 11, ["'a' is given here and 'b' under ssh"],
    ),
    "a v before the version": ("version: 2.21.0", "version: v2.21.0", 4, ["without a v: 2.21.0"]),
    "no keys under target": (HEAD.partition("target:")[2].partition("nodes")[0], " x\n", 2, ["keys and values"]),
    "a text for keys": ("nodes:", "ssh: ksadmin\nnodes:", 6, ["keys and values are expected; found 'ksadmin'"]),
    "a list for keys": ("nodes:", "ssh: [a]\nnodes:", 6, ["keys and values are expected; found a list"]),
    "no nodes": (NODES, "nodes: []\n", 6, ["at least 1 entry is expected; found an empty list"]),
    "keys for nodes": (NODES, "nodes: {name: a}\n", 6, ["a list is expected", "(name)"]),
    "a text for a node": (NODES, "nodes: [a]\n", 6, ["nodes[0]: keys and values are expected"]),
    "a list for a user": ("nodes:", "ssh: {user: [a]}\nnodes:", 6, ["a text (string) is expected; found a list"]),
    "an empty text": ("nodes:", 'backup: {directory: ""}\nnodes:', 6, ["a text is expected, not an empty one"]),
    "an empty user": ("nodes:", 'ssh: {user: ""}\nnodes:', 6, ["a user's name is expected"]),
    "a port beyond all": ("nodes:", "ssh: {port: 65536}\nnodes:", 6, ["a port from 1 to 65535"]),
    "no time": ("nodes:", "window: {start: tonight}\nnodes:", 6, ["a time with its timezone", "tonight"]),
    "an archive with a dash": (
        "archive: ", "archive: ./-f_v2.21.0.tar.gz.gpg  # ", 3, ["-f_v2.21.0.tar.gz.gpg", "begins with a dash", "mv /"],
    ),
    "nothing to wait for": ("nodes:", "ksctl: {timeout: 0}\nnodes:", 6, ["a number above 0"]),
}  # fmt: skip
FOREIGN = ("instance of", "valid dictionary", "after validation", "Input should", "Keys", "unable to parse")


@pytest.mark.parametrize("case", WRONG)
def test_a_value_that_cannot_be_meant(tmp_path: Path, case: str) -> None:
    old, new, line, words = WRONG[case]
    text = HEAD + NODES
    assert old in text
    said = complaint(tmp_path, text.replace(old, new, 1))
    assert f"cluster.yaml:{line}: " in said.replace("\n", " "), said
    for word in words:
        assert word in said, said
    assert not [word for word in FOREIGN if word in said], "the validation library's words"


@pytest.mark.parametrize(
    "more",
    [
        "ssh: {identity_file: ./LONG}",
        "ssh: {jump: {identity_file: ./LONG}}",
        "checks: {own: [{name: a, run: [./LONG]}]}",
        "hooks: {after_node: [./LONG]}",
    ],
)
def test_a_path_that_is_too_long_is_named_with_its_line(tmp_path: Path, more: str) -> None:
    text = (HEAD + NODES).replace("nodes:", f"{more.replace('LONG', 'k' * 300)}\nnodes:", 1)
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_cluster(tmp_path / "cluster.yaml")
    assert "cluster.yaml:6: " in f"{caught.value.brief}\n{caught.value.details}"
    assert "File name too long" in f"{caught.value.brief}\n{caught.value.details}"


@pytest.mark.parametrize("line", ["cluster: '12'", 'cluster: "true"', "cluster: 12a", "cluster: 2026-12-05"])
def test_a_name_in_quotes_may_be_a_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text((HEAD + NODES).replace("cluster: c", line))
    assert load_cluster(path, simulated=True).name == line.split()[1].strip("'\"")


def test_the_same_port_in_both_places_is_no_contradiction(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text((HEAD + NODES).replace("host: 10.0.0.2", "host: h\n    port: 23\n    ssh: {port: 23}"))
    assert load_cluster(path, simulated=True).nodes[1].ssh.port == 23


# -- IPv6 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "url"),
    [
        ('"[::1]"', "::1", "https://[::1]"), ('"::1"', "::1", "https://[::1]"), ("2001:db8::11", "2001:db8::11", "https://[2001:db8::11]"),
        ('"fe80::1%eth0"', "fe80::1%eth0", "https://[fe80::1%25eth0]"),
        ('"::ffff:10.0.0.1"', "::ffff:10.0.0.1", "https://[::ffff:10.0.0.1]"),
    ],
)  # fmt: skip
def test_ipv6_with_and_without_brackets(tmp_path: Path, text: str, host: str, url: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text((HEAD + NODES).replace("10.0.0.2", text))
    cluster = load_cluster(path, simulated=True)
    node = cluster.nodes[1]
    assert (node.host, node.url, node.cluster_host) == (host, url, host)
    new = with_fresh(cluster, (("ctm-2", host),)).fresh[0]
    assert (new.host, new.url, new.cluster_host) == (host, url, host)


def test_ipv6_in_both_forms_is_one_address(tmp_path: Path) -> None:
    text = (HEAD + NODES).replace("10.0.0.2", '"[::1]"').replace("10.0.0.1", '"::1"')
    assert "appears twice (first in line 8" in complaint(tmp_path, text)
    jump = "ssh: {proxy_jump: 'ops@[::1]:22'}\nnodes:"
    path = tmp_path / "cluster.yaml"
    path.write_text((HEAD + NODES).replace("nodes:", jump))
    assert load_cluster(path, simulated=True).nodes[0].ssh.proxy_jump == "ops@[::1]:22"


# -- files that are no cluster.yaml ------------------------------------------------------------------------------


def _bomb() -> str:
    """Ten lines that stand for thousands of millions of values."""
    names = "abcdefghi"
    lines = [f"{n}: &{n} [{', '.join([f'*{names[i - 1]}' if i else 'x'] * 9)}]" for i, n in enumerate(names)]
    return "\n".join(lines) + "\n" + HEAD + NODES


def test_aliases_of_aliases_are_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    said = complaint(tmp_path, _bomb())
    assert "more than 5000 values" in said and said.count("\n") < 3
    assert time.monotonic() - began < 5, "it took minutes and all memory"


def test_a_file_of_some_megabytes_is_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    said = complaint(tmp_path, HEAD + NODES + "# padding\n" * 120_000)
    assert "cluster.yaml: more than 1 MiB" in said
    assert time.monotonic() - began < 5, "it took a minute"


def test_an_alias_that_is_used_with_sense_stays_allowed(tmp_path: Path) -> None:
    text = HEAD + "ssh: &s {user: ops, port: 23}\n" + NODES.replace("host: 10.0.0.2", "host: h\n    ssh: *s")
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    assert load_cluster(path, simulated=True).nodes[1].ssh.user == "ops"


def test_a_new_instance_at_an_ipv6_address(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    words = ["plan", "--strategy", "rebuild", "--survivor", "ctm-1", "--fresh"]
    for host in ("[::1", "10.0.0.9:22", "a b"):
        said = desk.type(*words, f"ctm-2={host}", scenario="healthy-three")
        assert said.returncode == 2, host
        assert "--fresh" in said.stderr and "-> " in said.stderr
