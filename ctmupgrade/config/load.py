"""cluster.yaml: text to :class:`Cluster`, and complaints that name file, line and what is allowed.

:mod:`ctmupgrade.config.source` reads it, :mod:`ctmupgrade.config.schema` has its keys and types, and here is what only
makes sense together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ctmupgrade.config.addresses import among_nodes, loopback, same_url
from ctmupgrade.config.messages import words
from ctmupgrade.config.programs import contacts_of, hooks_of, own_of, secret_variables
from ctmupgrade.config.receivers import metrics_of, receivers_of
from ctmupgrade.config.schema import PRIVATE, FileKeys, KsctlKeys, NodeKeys, SkipKeys, SshKeys, TargetKeys
from ctmupgrade.config.source import LIBRARY, Place, Source, not_yaml, parse, read_text
from ctmupgrade.config.values import is_name, looks_like_an_option
from ctmupgrade.core.checks.catalogue import CHECKS
from ctmupgrade.core.jumps import JumpSettings
from ctmupgrade.core.model import (
    LOCAL,
    BackupSettings,
    Cluster,
    KsctlSettings,
    Node,
    Skip,
    SshSettings,
    Target,
    Timeouts,
    Window,
    url_of,
)
from ctmupgrade.core.near import meant
from ctmupgrade.core.version import NAMED_VERSION, Version
from ctmupgrade.errors import DOCS, ConfigError, UsageError

_CLUSTER_LINE = re.compile(r"^cluster:[ \t]*([^\s#]{1,80})", re.MULTILINE)
_PASSWORD_KEYS = ("password_env", "password_file", "password_command")


def load_cluster(path: Path, *, simulated: bool = False, needs_archive: bool = True) -> Cluster:
    """Read cluster.yaml.

    :param simulated: the files it names (archive, keys) need not exist.
    :param needs_archive: False: the archive and its keyring need not exist, as for a restore on a new machine.
    :raises ConfigError: unreadable or wrong; every problem is listed with its line.
    """
    source = Source(path)
    raw = parse(source, read_text(path))
    parsed: FileKeys | None = None
    if raw is not None:
        try:
            parsed = FileKeys.model_validate(raw)
        except ValidationError as error:
            for problem in error.errors():
                source.complain(_place(problem["loc"]), words(problem, raw))
    if parsed is not None and not source.problems:
        cluster = _Builder(source, path.resolve().parent, simulated, needs_archive).cluster(parsed)
        if not source.problems:
            return cluster
    raise ConfigError(
        source.problems[0],
        details="\n".join(source.problems[1:]),
        remedy=f"fix the file; nothing was changed (its keys: {DOCS}/cluster-yaml.md)",
    )


def cluster_name(path: Path) -> str | None:
    """Return the cluster's name of a cluster.yaml that may be wrong, or half edited; None where it cannot be read.

    Whoever wants to see or stop a run at night must not have to fix the file first.
    """
    try:
        text = read_text(path)
    except UsageError:
        return None
    raw = parse(Source(path), text)
    found = raw.get("cluster") if isinstance(raw, dict) else None
    if found is None:
        written = {match.strip("'\"") for match in _CLUSTER_LINE.findall(text)}
        found = written.pop() if len(written) == 1 else None
    return found if isinstance(found, str) and is_name(found) else None


def _place(loc: tuple[int | str, ...]) -> Place:
    return tuple(part for part in loc if isinstance(part, int) or not part.startswith("function-"))


@dataclass(slots=True)
class _Builder:
    """From the checked file to the core's values; complains about what only makes sense together."""

    source: Source
    base: Path
    simulated: bool
    needs_archive: bool

    def cluster(self, file: FileKeys) -> Cluster:
        self._unique(file)
        nodes = tuple(self._node(file, raw, i) for i, raw in enumerate(file.nodes))
        directory = self._path(("backup", "directory"), file.backup.directory)
        if file.window.start and file.window.finish_by and file.window.finish_by <= file.window.start:
            self.source.complain(("window", "finish_by"), "is before window.start")
        secret = secret_variables(file)
        return Cluster(
            name=file.cluster,
            strategy=file.strategy,
            target=self._target(file.target),
            nodes=nodes,
            own_checks=own_of(
                file.checks.own, self.source, self.base, simulated=self.simulated, secret=secret
            ),
            hooks=hooks_of(file.hooks, self.source, self.base, simulated=self.simulated, secret=secret),
            contacts=contacts_of(file),
            notify=receivers_of(file, self.source, self._file),
            metrics=metrics_of(file, self.source, self._path),
            folder=self.base,
            backup=BackupSettings(
                directory, file.backup.key_password_env, file.backup.max_age, file.backup.proven_within
            ),
            window=_window(file.window.start, file.window.finish_by),
            timeouts=Timeouts(**{k: v for k, v in file.timeouts.model_dump().items() if v is not None}),
            poll=file.poll,
            stable_for=file.stable_for,
            skips=tuple(self._skip(i, skip, file) for i, skip in enumerate(file.checks.skip)),
        )

    def _skip(self, index: int, raw: SkipKeys, file: FileKeys) -> Skip:
        check = next((c for c in CHECKS if c.id == raw.check), None)
        at, own = ("checks", "skip", index), [one.name for one in file.checks.own]
        if check is None and raw.check not in own:
            hint = meant(raw.check, [*own, *(c.id for c in CHECKS)])
            self.source.complain((*at, "check"), f"no such check (ctmupgrade check --list){hint}")
        elif check is not None and not check.waivable:
            self.source.complain((*at, "check"), f"{raw.check} cannot be skipped: fix what it finds")
        if not raw.reason.strip():
            self.source.complain((*at, "reason"), "a text is expected, not an empty one")
        return Skip(raw.check, raw.reason.strip(), raw.until)

    def _unique(self, file: FileKeys) -> None:
        for key in ("name", "host", "cluster_host"):
            seen: dict[str, int] = {}
            for i, node in enumerate(file.nodes):
                port = node.port or node.ssh.port or file.ssh.port or SshSettings().port
                place = (node.host, 0 if node.host == LOCAL else port)  # of this machine there is one
                address = place if key == "host" else getattr(node, key)
                if address is not None:
                    # Folders, reports and people do not tell Ctm-1 from ctm-1, and a host name is the same in both.
                    first = seen.setdefault(str(address).casefold(), i)
                    self._twice(file, key, first, i)
        if not self.source.problems:  # what follows from a host that two nodes have is not told besides
            seen = {}
            for i, node in enumerate(file.nodes):
                if _through_ssh(file, node) and loopback(urlsplit(_url_of(node)).hostname or ""):
                    continue  # each is its own node's
                first = seen.setdefault(same_url(_url_of(node)), i)
                self._twice(file, "url", first, i)

    def _twice(self, file: FileKeys, key: str, first: int, index: int) -> None:
        """Complain of a value that two nodes have. A URL that neither has written is made of their host."""
        if first == index:
            return
        value, other = getattr(file.nodes[index], key), getattr(file.nodes[first], key)
        where = ("nodes", first, key) if other else ("nodes", first)
        line = self.source.lines.get(where, 0)
        case = "" if other == value or not other else f" but for its spelling, {other!r}"
        if value:
            self.source.complain(
                ("nodes", index, key), f"{value!r} appears twice (first in line {line}{case})"
            )
        else:
            node = file.nodes[index]
            self.source.complain(
                ("nodes", index, key),
                f"is {_url_of(node)} by default, as that of {file.nodes[first].name} (line {line}): each node needs a "
                "url of its own, at which it and no other node answers",
            )

    def _target(self, raw: TargetKeys) -> Target:
        file = self._file if self.needs_archive else self._path
        archive = file(("target", "archive"), raw.archive)
        if why := looks_like_an_option(archive):
            self.source.complain(("target", "archive"), why)
        named = NAMED_VERSION.search(archive.name)
        version: Version | None = raw.version
        if version is None and named:
            version = Version.parse(named.group(1))
        if version is None:
            self.source.complain(("target", "version"), "is missing, and the archive's name does not tell it")
            version = Version(0, 0, 0)
        elif named and Version.parse(named.group(1)).identity != version.identity:
            self.source.complain(
                ("target", "version"), f"is {version}, but the archive's name says {named.group(1)}"
            )
        keyring = file(("target", "keyring"), raw.keyring) if raw.keyring else None
        return Target(archive, version, raw.signer, keyring)

    def _node(self, file: FileKeys, raw: NodeKeys, index: int) -> Node:
        place = ("nodes", index)
        return Node(
            name=raw.name,
            host=raw.host,
            url=_url_of(raw),
            cluster_host=raw.cluster_host or among_nodes(raw.host, raw.url),
            ssh=self._ssh(file.ssh, raw, place),
            ksctl=self._ksctl(file.ksctl, raw, place),
        )

    def _ssh(self, common: SshKeys, raw: NodeKeys, place: Place) -> SshSettings:
        self._one_way(raw, place)
        direct = {key: getattr(raw, key) for key in SshKeys.model_fields if getattr(raw, key) is not None}
        merged = {**_merged(common, raw.ssh), **direct}
        if "identity_file" in merged:
            at: Place = ("ssh", "identity_file")
            if raw.identity_file or raw.ssh.identity_file:
                at = (*place, "identity_file") if raw.identity_file else (*place, *at)
            merged["identity_file"] = self._key(at, merged["identity_file"])
        # A known_hosts that does not exist yet knows no host: said when it matters.
        for key in ("known_hosts", "config"):
            if key in merged:
                merged[key] = self._path(("ssh", key), merged[key])
        merged["jump"] = self._jump(common, raw, place)
        if (raw.config or raw.ssh.config or common.config or "").lower() == "none":
            merged["config"] = Path(os.devnull)
        return SshSettings(**merged, host_key=raw.host_key)

    def _jump(self, common: SshKeys, raw: NodeKeys, place: Place) -> JumpSettings:
        """Key by key: the node's own first, then those for all."""
        merged: dict[str, Any] = {}
        for holder, keys in ((("ssh",), common), ((*place, "ssh"), raw.ssh), (place, raw)):
            own = keys.jump.model_dump(exclude_none=True) if keys.jump else {}
            if "identity_file" in own:
                own["identity_file"] = self._key((*holder, "jump", "identity_file"), own["identity_file"])
            if "known_hosts" in own:
                own["known_hosts"] = self._path((*holder, "jump", "known_hosts"), own["known_hosts"])
            merged.update(own)
        return JumpSettings(**merged)

    def _one_way(self, raw: NodeKeys, place: Place) -> None:
        """Nobody can tell which of two different values for one key is meant."""
        for key in SshKeys.model_fields:
            own, inner = getattr(raw, key), getattr(raw.ssh, key)
            if own is not None and inner is not None and own != inner:
                both = "another is given" if key in PRIVATE else f"{own!r} is given here and {inner!r}"
                self.source.complain((*place, key), f"{both} under ssh; one of them is expected")

    def _ksctl(self, common: KsctlKeys, raw: NodeKeys, place: Place) -> KsctlSettings:
        self._one_password(common, ("ksctl",))
        self._one_password(raw.ksctl, (*place, "ksctl"))
        if any(
            getattr(raw.ksctl, key) for key in _PASSWORD_KEYS
        ):  # the node's own place wins, of whichever kind
            common = common.model_copy(update=dict.fromkeys(_PASSWORD_KEYS))
        merged = _merged(common, raw.ksctl)
        if "command" in merged and merged["command"].startswith((".", "~")):
            merged["command"] = str(self._path(("ksctl", "command"), merged["command"]))
        if "password_file" in merged:
            at = (*(place if raw.ksctl.password_file else ()), "ksctl", "password_file")
            merged["password_file"] = self._file(at, merged["password_file"])
        return KsctlSettings(**merged)

    def _one_password(self, keys: KsctlKeys, place: Place) -> None:
        given = [key for key in _PASSWORD_KEYS if getattr(keys, key)]
        if len(given) > 1:
            self.source.complain(
                (*place, given[1]), f"{given[0]} is given too; one place for the password is expected"
            )

    def _path(self, place: Place, text: str) -> Path:
        try:
            return Path(os.path.normpath(self.base / Path(text).expanduser()))
        except RuntimeError:  # neither HOME nor the user's entry in passwd says where that is
            self.source.complain(
                place, f"{text}: there is no home folder here: write the whole path, or set HOME"
            )
            return self.base

    def _key(self, place: Place, text: str) -> Path:
        """A key's file. It may be missing where its public half is there and names a key of the ssh-agent."""
        path = self._path(place, text)
        return path if os.path.isfile(f"{path}.pub") else self._file(place, text)  # noqa: PTH113 - takes any length

    def _file(self, place: Place, text: str) -> Path:
        path = self._path(place, text)
        try:
            missing = not self.simulated and not path.is_file()
        except (OSError, ValueError) as error:
            # a name too long, a loop of links, a folder that is closed to us
            why = error.strerror if isinstance(error, OSError) else str(error)
            shown = "it" if place[-1] in PRIVATE else str(path)[:200]
            self.source.complain(place, f"{shown} cannot be looked at: {why}", alike=str(path))
        else:
            if missing:
                shown = "there is no such file" if place[-1] in PRIVATE else f"there is no file {path}"
                self.source.complain(place, shown, alike=str(path))
        return path


def _through_ssh(file: FileKeys, node: NodeKeys) -> bool:
    own = node.ksctl.through_ssh
    return bool(file.ksctl.through_ssh if own is None else own)


def _url_of(node: NodeKeys) -> str:
    return (node.url or url_of(among_nodes(node.host, None))).rstrip("/")


def _merged(common: BaseModel, own: BaseModel) -> dict[str, Any]:
    """Keys given for all nodes, overridden by the node's own."""
    return {**common.model_dump(exclude_none=True), **own.model_dump(exclude_none=True)}


def _window(start: datetime | None, finish_by: datetime | None) -> Window:
    return Window(start, finish_by)


def problems_of(error: UsageError) -> Iterator[str]:
    """Yield the complaints of a wrong file, one each."""
    yield error.brief
    yield from error.details.splitlines()


def load_world(path: Path) -> dict[str, object]:
    """Return a simulated world's file as plain data.

    :raises UsageError: unreadable, or not a mapping.
    """
    try:
        value = YAML(typ="safe", pure=True).load(read_text(path))
    except YAMLError as error:
        line, why = not_yaml(error, read_text(path))
        raise UsageError(f"{path}:{line}: not YAML: {why}") from None
    except LIBRARY as error:  # RecursionError is one of them
        raise UsageError(f"{path}: not YAML that can be read: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}:1: keys and values are expected")
    return value
