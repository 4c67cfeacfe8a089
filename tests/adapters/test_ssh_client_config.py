"""The operator's SSH configuration: what the ssh program says of it, and the part that is read without it."""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.adapters.ssh import ask_openssh
from ctmupgrade.adapters.ssh.way import Hop, route
from ctmupgrade.core.jumps import JumpSettings
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from ctmupgrade.errors import UnreachableError, UsageError

NODE = Node("n1", "ctm-1", "https://ctm-1", "ctm-1", SshSettings("me", 22), KsctlSettings())


@pytest.fixture
def config(home: Path) -> Path:
    file = home / ".ssh" / "config"
    file.touch(0o600)
    return file


@pytest.fixture
def no_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without an ssh program."""
    monkeypatch.setenv("PATH", str(tmp_path))


def way(node: Node = NODE, **settings: object) -> tuple[Hop, ...]:
    return route(replace(node, ssh=replace(node.ssh, **settings)))  # type: ignore[arg-type]


@pytest.fixture
def home_with_a_blank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "my home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def places(hops: tuple[Hop, ...]) -> list[str]:
    return [f"{hop.user}@{hop.place}" for hop in hops]


# -- the ssh program is asked ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "match",
    [
        "Match host other",
        "Match user root",
        "Match exec false",
        "Match originalhost other",
    ],
)
def test_a_block_that_does_not_match_is_not_applied(config: Path, match: str) -> None:
    config.write_text(f"{match}\n  ProxyJump nosuchbastion.invalid\n  HostName 192.0.2.1\n")
    assert places(way()) == ["me@ctm-1:22"]


@pytest.mark.parametrize(
    "match",
    [
        "Match host=ctm-*",
        'Match exec "test %h = ctm-1"',
        "Match user me originalhost ctm-1",
    ],
)
def test_a_block_that_matches_is_applied(config: Path, match: str) -> None:
    config.write_text(f"{match}\n  HostName 127.78.0.1\n  User other\n  Port 2022\n")
    assert places(way()) == ["me@127.78.0.1:22"]  # cluster.yaml's user and port win


def test_a_second_pass_over_the_configuration(config: Path) -> None:
    config.write_text("Match final all\n  IdentityFile ~/last\nHost ctm-1\n  HostName 127.78.0.1\n")
    assert way()[0].host == "127.78.0.1"
    assert [file.name for file in way()[0].wanted.named] == ["last"]


def test_a_criterion_that_this_ssh_does_not_know_is_refused_with_its_line(config: Path) -> None:
    config.write_text("Host *\n\nMatch nosuchcriterion 203.0.113.0/24\n  ProxyJump nosuchbastion.invalid\n")
    with pytest.raises(UsageError) as caught:
        way()
    assert f"{config} line 3" in caught.value.brief + caught.value.details


def test_a_port_and_user_of_cluster_yaml_decide_what_matches(config: Path) -> None:
    config.write_text("Match user admin\n  HostName 127.0.0.2\n")
    assert way(user="admin")[0].host == "127.0.0.2"
    assert way(user="me")[0].host == "ctm-1"


def test_names_that_are_made_canonical(config: Path) -> None:
    config.write_text("Host ctm-1\n  HostName 127.78.0.1\nHost *\n  CanonicalizeHostname yes\n")
    assert way()[0].host == "127.78.0.1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Host *\n  CanonicalizeMaxDots two\n", "line 2"),
        ("nonsense\n", "line 1"),
        ("Host x\n\n  Nonsense yes\n", "line 3"),
        ("\ufeffHost *\n", "line 1"),
    ],
)
def test_what_ssh_itself_refuses_is_refused_in_its_words(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError) as caught:
        way()
    assert says in caught.value.brief
    assert str(config) in caught.value.brief  # and not some copy
    assert "ssh -G" in caught.value.remedy
    assert way(config=Path(os.devnull))[0].host == "ctm-1"  # ssh.config: none leaves it unread


def test_a_comment_in_latin_1(config: Path) -> None:
    config.write_bytes(b"# f\xfcr die Zentrale\nHost ctm-1\n  HostName 127.0.0.3\n")
    assert way()[0].host == "127.0.0.3"


def test_files_in_files(config: Path, home: Path) -> None:
    folder = home / ".ssh" / "conf.d"
    folder.mkdir()
    (folder / "a.conf").write_text("Host ctm-1\n  HostName 127.0.0.4\n  Include ~/.ssh/more\n")
    (folder / "b.conf").write_text("Host ctm-1\n  HostName 127.0.0.5\n  ProxyJump ops@bastion:2200\n")
    (home / ".ssh" / "more").write_text("IdentityFile ~/.ssh/own\nCertificateFile %d/.ssh/own-cert\n")
    for file in (*folder.iterdir(), home / ".ssh" / "more"):
        file.chmod(0o600)
    config.write_text("include conf.d/*.conf nothing/*\nHost ctm-1\n  HostName 192.0.2.9\n")
    hops = way()
    assert places(hops) == ["ops@bastion:2200", "me@127.0.0.4:22"]
    assert hops[-1].wanted.named == (home / ".ssh" / "own",)
    assert hops[-1].wanted.certificates == (home / ".ssh" / "own-cert",)
    assert hops[0].wanted.named == ()


def test_a_folder_and_a_link_to_nothing_are_passed_over(config: Path, home: Path) -> None:
    """As ssh does; whatever else cannot be read is named by its own name."""
    parts = home / ".ssh" / "conf.d"
    (parts / "old").mkdir(parents=True)
    (parts / "gone").symlink_to("nothing")
    (parts / "nobody").symlink_to("/dev/null")
    (parts / "with").write_text("Host ctm-1\n  HostName 192.0.2.7\n")
    config.write_text("Include conf.d/*\n")
    assert places(way()) == ["me@192.0.2.7:22"]
    os.mkfifo(parts / "pipe")
    with pytest.raises(UsageError, match=r"conf\.d/pipe cannot be read: it is no regular file"):
        way()


@pytest.mark.parametrize("without", [False, True])
def test_a_pipe_in_place_of_the_configuration_is_not_waited_for(
    home: Path, without: bool, request: pytest.FixtureRequest
) -> None:
    os.mkfifo(home / ".ssh" / "config")
    if without:
        request.getfixturevalue("no_ssh")
    with pytest.raises(UsageError, match="config cannot be read: it is no regular file"):
        way()


def test_a_home_with_a_blank_in_its_name(home_with_a_blank: Path) -> None:
    folder = home_with_a_blank / ".ssh"
    (folder / "config").write_text(
        'Host *\n  IdentityFile ~/.ssh/k   # mine\n  IdentityFile %d/.ssh/l\n  IdentityFile "~/.ssh/m"\n'
        "  UserKnownHostsFile ~/.ssh/a ~/.ssh/b\n  ProxyCommand nc %%h ~/x\n"
    )
    [node] = way()
    assert node.wanted.named == (folder / "k", folder / "l", folder / "m")
    assert node.files[:2] == (folder / "a", folder / "b")


def test_a_byte_order_mark_is_named_without_ssh(config: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("no_ssh")
    config.write_bytes(b"\xef\xbb\xbfHost *\n")
    with pytest.raises(UsageError, match="config:1: it begins with a byte order mark") as caught:
        way()
    assert "sed -i" in caught.value.remedy and "Install" not in caught.value.remedy


def test_a_configuration_that_others_may_write_is_refused(config: Path) -> None:
    config.write_text("Host *\n")
    config.chmod(0o622)
    with pytest.raises(UsageError, match="permissions") as caught:
        way()
    assert "chmod" in caught.value.remedy


def test_a_file_of_its_own(config: Path, tmp_path: Path) -> None:
    config.write_text("Host *\n  HostName 192.0.2.1\n")
    other = tmp_path / "other"
    other.write_text("Host ctm-1\n  HostName 127.0.0.6\n  Port 2022\n")
    assert places(way(config=other)) == ["me@127.0.0.6:22"]


def test_a_configuration_that_hangs(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_openssh, "LIMIT", 0.5)
    config.write_text('Match exec "sleep 60"\n  HostName 127.0.0.1\n')
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer within") as caught:
        way()
    assert time.monotonic() - began < 20
    assert "Match exec" in caught.value.remedy


def test_secrets_of_ours_are_not_shown_to_programs_of_the_configuration(
    config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KSCTL_PASSWORD", "OPS_WORD", "CTM_BACKUP_KEY_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    script = home / "script"
    script.write_text(
        'test -z "$KSCTL_PASSWORD$OPS_WORD$CTM_BACKUP_KEY_PASSWORD" && test "$AWS_PROFILE" = prod\n'
    )
    config.write_text(f'Match exec "sh {script}"\n  HostName 127.0.0.7\n')
    assert route(NODE, ["OPS_WORD"])[0].host == "127.0.0.7"


@pytest.mark.parametrize("line", ["ProxyUseFdpass yes", "BindInterface lo", "PubkeyAuthentication no"])
def test_what_cannot_be_followed_is_refused_by_name(config: Path, line: str) -> None:
    config.write_text(f"Host ctm-1\n  {line}\n")
    with pytest.raises(UsageError, match=line.split(maxsplit=1)[0].lower()):
        way()


def test_values_with_tokens_and_variables(config: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS", "/keys")
    config.write_text(
        "Host ctm-1\n  HostName %h.example.com\n  IdentityFile ${KEYS}/%n-%r\n  IdentityAgent ~/agent-%p\n"
        "  UserKnownHostsFile ~/.ssh/%h ~/.ssh/other\n  HostKeyAlias alias\n  IdentitiesOnly yes\n"
        "  BindAddress 127.0.0.1\n  AddressFamily inet\n"
    )
    [hop] = way(port=2022)
    assert hop.wanted.named == (Path("/keys/ctm-1-me"),)
    assert hop.wanted.agent == str(home / "agent-2022")
    assert hop.wanted.only
    assert hop.files[:2] == (home / ".ssh/ctm-1.example.com", home / ".ssh/other")
    assert (hop.known_as, hop.known_port) == ("alias", 22)  # an alias has no port
    assert (hop.bind, hop.family.name) == ("127.0.0.1", "AF_INET")


def test_a_proxy_command_with_a_name_for_a_shell(config: Path) -> None:
    config.write_text("Host *\n  ProxyCommand connect %r %h %p %%\n")
    assert way()[0].command == "connect me ctm-1 22 %"
    with pytest.raises(UsageError, match=r"shell|invalid characters"):
        way(user="me;reboot")


def test_no_agent(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    assert way()[0].wanted.agent == "/agent"
    config.write_text("IdentityAgent none\n")
    assert way()[0].wanted.agent is None


def test_nobody_is_asked_where_there_is_nothing_to_ask(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/asked\nexit 64\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert way(config=Path(os.devnull))[0].host == "ctm-1"
    if not Path("/etc/ssh/ssh_config.d").exists() or not any(Path("/etc/ssh/ssh_config.d").iterdir()):
        assert way()[0].host == "ctm-1"
    assert not (tmp_path / "asked").exists()
    (home / ".ssh" / "config").touch(0o600)
    with pytest.raises(UsageError, match="ended with 64"):
        way()
    assert "-G" in (tmp_path / "asked").read_text()


# -- jump hosts ------------------------------------------------------------------------------------


def test_jump_hosts_have_jump_hosts(config: Path) -> None:
    config.write_text(
        "Host inner\n  User in\n  ProxyJump outer\nHost outer\n  Port 2200\n  User out\n  ProxyCommand p %h\n"
    )
    hops = way(proxy_jump="inner,last@third:33")
    assert places(hops) == ["out@outer:2200", "in@inner:22", "last@third:33", "me@ctm-1:22"]
    assert [hop.command for hop in hops] == ["p outer", None, None, None]
    # The second of a list is reached through the first, whatever its own ProxyJump says.
    assert places(way(proxy_jump="last@third:33,inner"))[:2] == ["last@third:33", "in@inner:22"]


@pytest.mark.parametrize(
    "text",
    [
        "Host *\n  ProxyJump bastion\n",
        "Host a\n ProxyJump b\nHost b\n ProxyJump a\nHost ctm-1\n ProxyJump a\n",
    ],
)
def test_a_circle_of_jump_hosts(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=r"circle|loop"):
        way()


def test_cluster_yaml_wins_over_the_way_of_the_configuration(config: Path) -> None:
    config.write_text("Host ctm-1\n  ProxyCommand p %h %p\n")
    assert way()[-1].command == "p ctm-1 22"
    hops = way(proxy_jump="ops@bastion")
    assert places(hops) == ["ops@bastion:22", "me@ctm-1:22"]
    assert hops[-1].command is None
    config.write_text("Host ctm-1\n  ProxyJump elsewhere\n")
    assert places(way(proxy_jump="none")) == ["me@ctm-1:22"]


def test_settings_of_the_node_are_not_forced_upon_the_jump_host(
    config: Path, home: Path, tmp_path: Path
) -> None:
    config.write_text("Host bastion\n  IdentityFile ~/.ssh/bastion_key\n  User ops\n")
    hops = way(
        proxy_jump="bastion",
        identity_file=tmp_path / "k",
        known_hosts=tmp_path / "nodes",
        host_key="SHA256:x",
    )
    jump, node = hops
    assert jump.user == "ops"
    assert jump.wanted.identity_file is None
    assert jump.wanted.named == (home / ".ssh/bastion_key",)
    assert jump.files[0] == home / ".ssh/known_hosts"
    assert jump.pinned is None
    assert node.wanted.identity_file == tmp_path / "k"
    assert node.files[0] == tmp_path / "nodes"


def test_settings_of_the_jump_host_in_cluster_yaml(config: Path, tmp_path: Path) -> None:
    config.write_text("Host bastion\n  User ops\n  Port 99\n")
    own = JumpSettings("jumper", 2200, tmp_path / "jump_key", "JUMP_PW", tmp_path / "jump_hosts")
    jump, node = way(proxy_jump="bastion", identity_file=tmp_path / "k", jump=own)
    assert (jump.user, jump.port) == ("jumper", 2200)
    assert jump.wanted.identity_file == tmp_path / "jump_key"
    assert jump.wanted.passphrase_env == "JUMP_PW"
    assert jump.files[0] == tmp_path / "jump_hosts"
    assert node.wanted.identity_file == tmp_path / "k"
    assert way(proxy_jump="x@bastion:3", jump=own)[0].place == "bastion:3"  # what proxy_jump names wins


# -- without an ssh program ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_ssh")
def test_the_part_that_is_read_without_ssh(config: Path, home: Path) -> None:
    config.write_text(
        "# comment\nUser=ops\nHost !ctm-1 ctm-*\n  HostName 192.0.2.1\nHost ctm-? other\n  HostName %h.example.com\n"
        '  IdentityFile "~/my keys/a"\n  IdentityFile ~/b\n  ProxyJump ops@bastion:2200\n  ServerAliveInterval 5\n'
        "  UserKnownHostsFile ~/x ~/y\n  IdentitiesOnly yes\n\tProxyCommand none\n  CanonicalizeHostname no\n"
        "Match all\n  HostKeyAlias z\nHost bastion\n  HostName 10.0.0.9\n  Port 1\n"
    )
    jump, node = way()
    assert places((jump, node)) == ["ops@10.0.0.9:2200", "me@ctm-1.example.com:22"]
    assert node.wanted.named == (home / "my keys/a", home / "b")
    assert node.files[:2] == (home / "x", home / "y")
    assert node.wanted.only
    assert node.known_as == "z"


@pytest.mark.usefixtures("no_ssh")
@pytest.mark.parametrize(
    "line",
    [
        "Match final all", "Match exec true", "Match localnetwork 10.0.0.0/8", "Include conf.d/*", "Include ~/x",
        "ProxyCommand nc %h %p", "CanonicalizeHostname yes", "CanonicalDomains example.com", "Port two", "Tag x",
        "HostName", "HostName a b", "NewKeyword x", "ProxyUseFdpass yes", "BindInterface eth0",
    ],
)  # fmt: skip
def test_the_rest_is_refused_by_name_without_ssh(config: Path, line: str) -> None:
    config.write_text(f"# first\n{line}\n")
    with pytest.raises(UsageError) as caught:
        way()
    assert f"{config}:2: " in caught.value.brief
    assert line.split(maxsplit=1)[0].lower() in caught.value.brief.lower()
    assert "ssh.config: none" in caught.value.remedy
    assert places(way(config=Path(os.devnull))) == ["me@ctm-1:22"]


@pytest.mark.usefixtures("no_ssh")
def test_what_concerns_another_host_does_not_matter_without_ssh(config: Path) -> None:
    config.write_text("Host other\n  ProxyCommand nc %h %p\n  NewKeyword x\n")
    assert places(way()) == ["me@ctm-1:22"]


@pytest.mark.parametrize("there", [True, False])
def test_no_configuration_at_all(home: Path, there: bool, request: pytest.FixtureRequest) -> None:
    if not there:
        request.getfixturevalue("no_ssh")
    [hop] = way()
    assert hop.place == "ctm-1:22"
    assert {home / ".ssh/id_ed25519", home / ".ssh/id_rsa"} <= set(hop.wanted.defaults)
    assert hop.wanted.named == ()
    assert hop.files[0] == home / ".ssh/known_hosts"
    jump = way(proxy_jump="bastion")[0]
    assert jump.user == getpass.getuser()
