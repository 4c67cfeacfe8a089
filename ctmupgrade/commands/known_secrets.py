"""Which values must never be shown or kept: what cluster.yaml and the environment lead to."""

from __future__ import annotations

import re
import shlex
import shutil
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

from ctmupgrade.core.model import Cluster
from ctmupgrade.core.receivers import Webhook

# A variable as people name them. A password that was typed where its variable's name belongs does not look so.
_USUAL_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{2,24}[0-9]?")
_OWN = ("KSCTL_PASSWORD", "KSCTL_JWT")  # ksctl's own variables; the first is where passwords are by default
_LARGEST = 65_536  # bytes of a password file


def known_secrets(cluster: Cluster, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every value to hide. What a ``password_command`` prints is learnt when it has run.

    :param environ: the caller's environment.
    """
    names = cluster.secret_variables
    yield from of_environment(environ)
    yield from (value for name in names if (value := environ.get(name, "")))
    yield from (name for name in names if not environ.get(name) and not _USUAL_NAME.fullmatch(name))
    for receiver in cluster.notify:
        if isinstance(receiver, Webhook):
            yield from _in_webhook(environ.get(receiver.url_env, ""))
    for node in (*cluster.nodes, *cluster.fresh):
        yield from _of_a_file(node.ksctl.password_file)
        yield from _no_program(node.ksctl.password_command)
        yield from _in_url(node.url)


def of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is secret in an environment whatever cluster.yaml says: ksctl's variables, proxies' passwords."""
    for name, value in environ.items():
        if name in _OWN and value:
            yield value
        elif name.lower().endswith("_proxy"):
            yield from _in_url(value)


def _of_a_file(path: Path | None) -> Iterator[str]:
    """A password file's content; where there is no such file its name may be the password."""
    if path is None:
        return
    try:
        if path.exists() and not path.is_file():
            return
        with path.open("rb") as file:
            yield file.read(_LARGEST).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        yield path.name
    except OSError:
        return  # what cannot be read here is read by nothing else


def _no_program(command: str | None) -> Iterator[str]:
    """A password that was typed where the command belongs that prints it."""
    try:
        program = shlex.split(command or "")[:1]
    except ValueError:
        program = [str(command)]
    if command and (not program or shutil.which(program[0]) is None):
        yield command


def _in_url(url: str) -> Iterator[str]:
    """The password in an address, as it is written and as it is meant."""
    user = url.partition("://")[2].rpartition("@")[0]
    if secret := user.partition(":")[2]:
        yield secret
        yield urllib.parse.unquote(secret)


_LONG = 16  # characters of a part of a webhook's path that is no word but a token


def _in_webhook(url: str) -> Iterator[str]:
    """A webhook's URL, which is its password: without blanks around it, and its parts that tell who may send."""
    text = url.strip()
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return  # the variable's whole value is known already
    yield text
    yield from _in_url(text)
    for part in (parts.path, parts.query, *parts.path.split("/"), *parts.query.split("&")):
        if len(part) >= _LONG:
            yield part
