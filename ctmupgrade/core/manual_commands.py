"""Command lines as a person types them: ksctl for a node, a node's shell, an upload, gpg.

Each line carries all that it needs. A shell forgets ``KSCTL_URL=... ksctl`` after that one command, and lines are
pasted one by one. No secret is ever in one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit
from zlib import crc32

from ctmupgrade.core.jumps import JumpSettings
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings, Target

# Beside ~/.gnupg: an import starts gpg's agent, whose socket lies there and must have a short path.
GPG_HOME = "~/ctmupgrade-gpg"


def noted(line: str, note: str) -> str:
    """Return the line with a comment behind it."""
    return f"{line}   # {note}" if note else line


def words_of(command: str) -> list[str]:
    """Return a configured command as the tool takes it apart; one that no shell understands stays as it is."""
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def ksctl(node: Node, *words: str, note: str = "", into: str = "") -> str:
    """Return ksctl for one node, with the program and the user that cluster.yaml names.

    :param into: the command line that its answer goes into, as a shell reads it.
    """
    line = f"{ksctl_for(node)} {shlex.join(words)}"
    return noted(f"{line} | {into}" if into else line, note)


def ksctl_for(node: Node) -> str:
    """Return what stands before ksctl's own words."""
    settings, usual = node.ksctl, KsctlSettings()
    way, url = tunnel(node), url_here(node)
    values = {"KSCTL_URL": url}
    if settings.username != usual.username:
        values["KSCTL_USERNAME"] = settings.username
    if settings.auth_domain:
        values["KSCTL_AUTH_DOMAIN"] = settings.auth_domain
    if settings.domain:
        values["KSCTL_DOMAIN"] = settings.domain
    if settings.nosslverify or way:
        values["KSCTL_NOSSLVERIFY"] = "true"
    assigned = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    program = "ksctl" if settings.fetched else shlex.join(words_of(settings.command))
    return " ".join([*([f"{way} &&"] if way else []), *assigned, program])


def url_here(node: Node) -> str:
    """Return a node's url, or the port of this machine to which :func:`tunnel` brings it."""
    if not _through_ssh(node):
        return node.url
    return f"{urlsplit(node.url).scheme}://127.0.0.1:{_port(node)}"


def tunnel(node: Node) -> str:
    """Return the line that brings a node's url to a port of this machine for a minute, where cluster.yaml says ``through_ssh``;
    "" where not. Typed again it uses the connection that is open; where another program has the port it fails."""
    if not _through_ssh(node):
        return ""
    parts = urlsplit(node.url)
    host = parts.hostname or ""
    there = f"[{host}]" if ":" in host else host
    forward = f"127.0.0.1:{_port(node)}:{there}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    words = ["ssh", "-o", "ControlMaster=auto", "-o", "ControlPath=~/.ssh/ctm-%C", "-o", "ControlPersist=60"]
    words += ["-o", "ExitOnForwardFailure=yes", "-L", forward, *_reach(node, "-p")]
    # `ls` is a command that the restricted shell is known to have.
    return f"{shlex.join([*words, f'{node.ssh.user}@{_host(node)}', 'ls'])} >/dev/null"


def _through_ssh(node: Node) -> bool:
    return node.ksctl.through_ssh and not node.is_own


def _port(node: Node) -> int:
    """The same for a node each time; another node's is another one, or ssh refuses the second."""
    return 20_000 + crc32(node.name.encode()) % 10_000


def password_export(settings: KsctlSettings) -> str:
    """Give ksctl its password from where cluster.yaml says, without showing it.

    A variable is not where to look: the shell in which a person begins does not have it, and an empty password would be
    taken for one. It is typed.
    """
    if settings.password_file:
        source = f"cat {shlex.quote(str(settings.password_file))}"
    elif settings.password_command:
        source = shlex.join(words_of(settings.password_command))
    else:
        return "read -rs KSCTL_PASSWORD; export KSCTL_PASSWORD"
    return f'export KSCTL_PASSWORD="$({source})"'


def _reach(node: Node, port: str) -> list[str]:
    """The options that lead to a node, the same for ssh and scp but for the letter of the port."""
    settings, words = node.ssh, list[str]()
    if settings.port != 22:
        words += [port, str(settings.port)]
    if settings.identity_file:
        words += ["-i", str(settings.identity_file)]
    if settings.known_hosts:
        words += _known(str(settings.known_hosts))
    words += _config(settings)
    return words + _through(settings)


def _known(path: str) -> list[str]:
    """The option for a file of host keys. Its value is read like a line of ssh_config: blanks would make two files of it."""
    return ["-o", f'UserKnownHostsFile="{path}"' if " " in path else f"UserKnownHostsFile={path}"]


def _config(settings: SshSettings) -> list[str]:
    if not settings.config:
        return []
    return ["-F", "none" if str(settings.config) == "/dev/null" else str(settings.config)]


def _through(settings: SshSettings) -> list[str]:
    """The options for the jump hosts. ``-J`` shows them no key and no known_hosts, and takes a configuration with a blank in
    its name apart: then each gets a command of its own, with the one before it inside."""
    if not settings.proxy_jump:
        return []
    # cluster.yaml may have blanks behind the commas, and a slash at the end of an ssh:// form; ssh takes neither.
    specs = [_filled(spec.strip().rstrip("/"), settings.jump) for spec in settings.proxy_jump.split(",")]
    jump = settings.jump
    if not (jump.identity_file or jump.known_hosts or " " in str(settings.config or "")):
        return ["-J", ",".join(specs)]
    command = ""
    for spec in specs:
        words = ["ssh", *(["-i", str(jump.identity_file)] if jump.identity_file else [])]
        words += _known(str(jump.known_hosts)) if jump.known_hosts else []
        words += _config(settings)
        words += ["-o", f"ProxyCommand={command}"] if command else []
        begin = shlex.join(words).replace("%", "%%")
        place = spec if "://" in spec else f"ssh://{spec}"
        command = f"{begin} -W '[%h]:%p' {shlex.quote(place)}"
    return ["-o", f"ProxyCommand={command}"]


def _filled(spec: str, jump: JumpSettings) -> str:
    """A jump host with the user and the port of ``ssh.jump``, where it names none itself."""
    scheme, mark, rest = spec.rpartition("://")
    if jump.user and "@" not in rest:
        rest = f"{jump.user}@{rest}"
    if jump.port and not re.search(r":[0-9]+$", rest.rpartition("]")[2] or rest):
        rest = f"{rest}:{jump.port}"
    return f"{scheme}{mark}{rest}"


def _host(node: Node) -> str:
    return node.host.strip("[]")


def shell(node: Node, *words: str, note: str = "") -> str:
    """Return how to run a command on a node, in its home folder; with a terminal where sudo may ask for a password."""
    return on_shell(node, shlex.join(words), note)


def on_shell(node: Node, command: str, note: str = "") -> str:
    """Return the same for a command line of ours as the node's shell shall read it, with its patterns."""
    if node.is_own:
        return noted(f"(cd && {command})", note)
    terminal = ["-t"] if command.startswith("sudo ") else []
    # No brackets here: ssh takes an IPv6 address as it is.
    return noted(
        shlex.join(["ssh", *terminal, *_reach(node, "-p"), f"{node.ssh.user}@{_host(node)}", command]), note
    )


def login(node: Node, note: str = "") -> str:
    """Return how to open a session on a node."""
    return noted(shlex.join(["ssh", *_reach(node, "-p"), f"{node.ssh.user}@{_host(node)}"]), note)


def upload(node: Node, path: str) -> str:
    """Return how to copy a file into a node's home folder."""
    if node.is_own:
        return f"cp {shlex.quote(path)} ~/"
    host = _host(node)
    place = f"[{host}]" if ":" in host else host  # else scp takes the first colon for the end of the host
    return shlex.join(["scp", *_reach(node, "-P"), path, f"{node.ssh.user}@{place}:."])


def verification(target: Target, sha256: str = "") -> Iterator[str]:
    """Yield how to check the archive's signature; in a keyring with nothing but ``target.keyring`` where that is set.

    :param sha256: of the archive for which the plan was made; "" where it is not known.

    A home of its own and not ``--keyring``: that is ignored where common.conf says ``use-keyboxd``.
    """
    archive, note = shlex.quote(str(target.archive)), f"Good signature, by {target.signer} and no other"
    if sha256:
        yield noted(f"sha256sum {archive}", f"must be {sha256}")
    if target.keyring is None:
        yield noted(f"gpg --verify {archive}", note)
        return
    yield noted(f"mkdir -m 700 {GPG_HOME}", "must be new: what is in it is trusted")
    yield f"gpg --homedir {GPG_HOME} --import {shlex.quote(str(target.keyring))}"
    yield noted(f"gpg --homedir {GPG_HOME} --verify {archive}", note)
    yield f"gpgconf --homedir {GPG_HOME} --kill all; rm -r {GPG_HOME}"
