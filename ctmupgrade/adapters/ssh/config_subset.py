"""The part of OpenSSH's configuration that is read where no ssh program is here to be asked.

``Host`` blocks with patterns, and the keywords of :data:`_READ`. What only says how a connection is kept or shown is
left out (:data:`_HARMLESS`). Everything else is refused by name, with its file and line: a keyword that is not
understood may say where the connection must go, or whom to trust.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import read_bounded
from ctmupgrade.adapters.ssh.client_config import Asked, ClientConfig, client_config
from ctmupgrade.adapters.ssh.patterns import filled, matches_list
from ctmupgrade.adapters.ssh.surroundings import user_folder
from ctmupgrade.errors import UsageError

_READ = frozenset(
    {
        "hostname", "user", "port", "identityfile", "identitiesonly", "certificatefile", "identityagent", "proxyjump",
        "userknownhostsfile", "globalknownhostsfile", "hostkeyalias", "bindaddress", "addressfamily",
        "revokedhostkeys", "knownhostscommand", "pkcs11provider",
    }
)  # fmt: skip
_LISTS = frozenset({"userknownhostsfile", "globalknownhostsfile"})
_MANY = frozenset({"identityfile", "certificatefile"})
_HARMLESS = frozenset(
    {
        "addkeystoagent", "batchmode", "checkhostip", "ciphers", "clearallforwardings", "compression",
        "connectionattempts", "connecttimeout", "controlmaster", "controlpath", "controlpersist", "dynamicforward",
        "enableescapecommandline", "escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication",
        "forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports",
        "gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "hostbasedauthentication",
        "hostkeyalgorithms", "ignoreunknown", "ipqos", "kbdinteractiveauthentication", "kexalgorithms", "localcommand",
        "localforward", "loglevel", "logverbose", "macs", "nohostauthenticationforlocalhost",
        "numberofpasswordprompts", "passwordauthentication", "permitlocalcommand", "permitremoteopen",
        "preferredauthentications", "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes", "rekeylimit",
        "remotecommand", "remoteforward", "requesttty", "requiredrsasize", "sendenv", "serveralivecountmax",
        "serveraliveinterval", "sessiontype", "setenv", "stdinnull", "streamlocalbindmask", "streamlocalbindunlink",
        "stricthostkeychecking", "syslogfacility", "tcpkeepalive", "tunnel", "tunneldevice", "updatehostkeys",
        "usekeychain", "verifyhostkeydns", "visualhostkey", "xauthlocation", "challengeresponseauthentication",
    }
)  # fmt: skip
_NO = {
    "canonicalizehostname": "no", "proxycommand": "none", "proxyusefdpass": "no", "pubkeyauthentication": "yes",
}  # fmt: skip
_WORDS = re.compile(r"[ \t]*=[ \t]*|[ \t]+")
_MOST = 1 << 20  # bytes of a file
_SYSTEM = Path("/etc/ssh/ssh_config")


@dataclass(frozen=True, slots=True)
class _Line:
    keyword: str
    words: list[str]
    where: str


def read_subset(asked: Asked, config: Path | None) -> ClientConfig:
    """Return what our own reader understands of the SSH configuration for a host.

    :param config: the file to read instead of the user's and the system's; ``/dev/null``: none.
    :raises UsageError: something that may concern this host is not understood; with file and line.
    """
    folder = user_folder()
    files = [config] if config else [*([folder / "config"] if folder else []), _SYSTEM]
    found: dict[str, list[str]] = {}
    for file in files:
        for line in _of_host(_lines(file), asked.host):
            _keep(line, found)
    if "hostname" in found:
        tokens = {"h": asked.host, "n": asked.host}
        found["hostname"] = [filled(found["hostname"][0], tokens, "HostName")]
    return client_config(found, asked, "the SSH configuration")


def is_plain(asked: Asked, config: Path | None) -> bool:
    """Return whether the ssh program need not be asked: no file of the operator's own, and nothing in the system's
    that is not understood here too. Most machines are like that, and a look costs them no program."""
    folder = user_folder()
    if config:
        return config == Path(os.devnull)
    if folder and os.path.lexists(folder / "config"):
        return False
    try:
        read_subset(asked, None)
    except UsageError:
        return False
    return True


def _of_host(lines: Iterator[_Line], host: str) -> Iterator[_Line]:
    applies = True
    for line in lines:
        if line.keyword == "host":
            applies = matches_list(line.words, host)
        elif line.keyword == "match":
            if [word.lower() for word in line.words] != ["all"]:
                raise _refused(line, "Match")
            applies = True
        elif line.keyword == "include":
            raise _refused(line, "Include")
        elif applies:
            yield line


def _keep(line: _Line, found: dict[str, list[str]]) -> None:
    keyword, words = line.keyword, line.words
    if keyword in _HARMLESS:
        return
    if keyword in _NO and len(words) == 1 and words[0].lower() == _NO[keyword]:
        found.setdefault(keyword, words)
        return
    if keyword not in _READ or not words or (len(words) > 1 and keyword not in _LISTS):
        raise _refused(line, keyword)
    if keyword == "port" and not (words[0].isdecimal() and 0 < int(words[0][:6]) < 65536):
        raise _refused(line, f"Port {words[0]}")
    if keyword in _MANY:
        found.setdefault(keyword, []).append(words[0])
    elif keyword not in found:
        found[keyword] = [" ".join(words)]


def _lines(file: Path) -> Iterator[_Line]:
    try:
        data = b"" if file.is_char_device() else read_bounded(file, _MOST)  # /dev/null
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            remedy=f"ls -l {shlex.quote(str(file))}; or set ssh.config: none in cluster.yaml.",
        ) from error
    if data.startswith(codecs.BOM_UTF8):
        raise UsageError(
            f"{file}:1: it begins with a byte order mark, which ssh does not read either",
            remedy=f"sed -i '1s/^\\xEF\\xBB\\xBF//' {shlex.quote(str(file))}",
        )
    for number, raw in enumerate(data.split(b"\n"), 1):
        text = raw.decode("utf-8", "surrogateescape").strip(" \t\r\f")
        if not text or text.startswith("#"):
            continue
        where = f"{file}:{number}"
        keyword, _, rest = _WORDS.sub(" ", text, count=1).partition(" ")
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:
            words = []
        line = _Line(keyword.lower(), words, where)
        if line.keyword == "include" and _nothing(words):
            continue
        yield line


def _nothing(words: list[str]) -> bool:
    """Return whether an Include of whole paths names no file that is there, as the system's own one often does."""
    return bool(words) and all(
        word.startswith("/") and not any(Path("/").glob(word.lstrip("/"))) for word in words
    )


def _refused(line: _Line, what: str) -> UsageError:
    return UsageError(
        f"{line.where}: {what} cannot be read: there is no ssh program on this machine to ask",
        remedy="Install the OpenSSH client, or set ssh.config: none in cluster.yaml and say there "
        "(host, ssh.proxy_jump, ssh.identity_file, ssh.known_hosts) what that line says.",
    )
