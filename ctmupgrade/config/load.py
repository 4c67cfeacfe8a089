"""cluster.yaml: text to :class:`Cluster`, and complaints that name file, line and what is allowed.

:mod:`ctmupgrade.config.source` reads it, :mod:`ctmupgrade.config.schema` has its keys and types, and here is what only
makes sense together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ctmupgrade.config.messages import words
from ctmupgrade.config.schema import FileKeys, KsctlKeys, NodeKeys, SshKeys, TargetKeys
from ctmupgrade.config.source import Source, not_yaml, parse, read_text
from ctmupgrade.core.model import (
    NAMED_VERSION,
    BackupSettings,
    Cluster,
    KsctlSettings,
    Node,
    SshSettings,
    Target,
    Timeouts,
    Version,
    Window,
    url_of,
)
from ctmupgrade.errors import UsageError

_PASSWORD_KEYS = ("password_env", "password_file", "password_command")


def load_cluster(path: Path, *, simulated: bool = False) -> Cluster:
    """Reads cluster.yaml.

    :param simulated: the files it names (archive, keys) need not exist.
    :raises UsageError: unreadable or wrong; every problem is listed with its line.
    """
    source = Source(path)
    raw = parse(source, read_text(path))
    parsed: FileKeys | None = None
    if not source.problems:
        try:
            parsed = FileKeys.model_validate(raw)
        except ValidationError as error:
            for problem in error.errors():
                source.complain(_place(problem["loc"]), words(problem, raw))
    if parsed is not None:
        cluster = _Builder(source, path.resolve().parent, simulated).cluster(parsed)
        if not source.problems:
            return cluster
    raise UsageError(
        source.problems[0],
        details="\n".join(source.problems[1:]),
        remedy="mend the file; nothing was touched (see docs/cluster-yaml.md)",
    )


def _place(loc: tuple[int | str, ...]) -> tuple[str | int, ...]:
    return tuple(part for part in loc if isinstance(part, int) or not part.startswith("function-"))


@dataclass(slots=True)
class _Builder:
    """From the checked file to the core's values; complains about what only makes sense together."""

    source: Source
    base: Path
    simulated: bool

    def cluster(self, file: FileKeys) -> Cluster:
        self._unique(file)
        nodes = tuple(self._node(file, raw, i) for i, raw in enumerate(file.nodes))
        directory = self._path(file.backup.directory)
        if file.window.start and file.window.finish_by and file.window.finish_by <= file.window.start:
            self.source.complain(("window", "finish_by"), "lies before window.start")
        return Cluster(
            name=file.cluster,
            strategy=file.strategy,
            target=self._target(file.target),
            nodes=nodes,
            backup=BackupSettings(directory, file.backup.key_password_env, file.backup.max_age),
            window=_window(file.window.start, file.window.finish_by),
            timeouts=Timeouts(**{k: v for k, v in file.timeouts.model_dump().items() if v is not None}),
            poll=file.poll,
            stable_for=file.stable_for,
        )

    def _unique(self, file: FileKeys) -> None:
        for key in ("name", "host", "url", "cluster_host"):
            seen: dict[str, int] = {}
            for i, node in enumerate(file.nodes):
                port = node.port or node.ssh.port or file.ssh.port
                address = (node.host, port) if key == "host" else getattr(node, key)
                if address is None:
                    continue
                # Folders, reports and people do not tell Ctm-1 from ctm-1, and a host name is the same in both.
                known = str(address).casefold()
                if known in seen:
                    first = self.source.lines.get(("nodes", seen[known], key), 0)
                    other = getattr(file.nodes[seen[known]], key)
                    case = "" if other == getattr(node, key) else f" but for capitals, {other!r}"
                    self.source.complain(
                        ("nodes", i, key),
                        f"{getattr(node, key)!r} stands twice (first in line {first}{case})",
                    )
                seen.setdefault(known, i)

    def _target(self, raw: TargetKeys) -> Target:
        archive = self._file(("target", "archive"), raw.archive)
        named = NAMED_VERSION.search(archive.name)
        version: Version | None = raw.version
        if version is None and named:
            version = Version.parse(named.group(1))
        if version is None:
            self.source.complain(("target", "version"), "is missing, and the archive's name does not tell it")
            version = Version(0, 0, 0)
        elif named and Version.parse(named.group(1)).release != version.release:
            self.source.complain(
                ("target", "version"), f"{version} stands there, but the archive's name says {named.group(1)}"
            )
        keyring = self._file(("target", "keyring"), raw.keyring) if raw.keyring else None
        return Target(archive, version, raw.signer, keyring)

    def _node(self, file: FileKeys, raw: NodeKeys, index: int) -> Node:
        place = ("nodes", index)
        address = raw.host if raw.host != "local" else "localhost"
        url = (raw.url or url_of(address)).rstrip("/")
        return Node(
            name=raw.name,
            host=raw.host,
            url=url,
            cluster_host=raw.cluster_host or address,
            ssh=self._ssh(file.ssh, raw, place),
            ksctl=self._ksctl(file.ksctl, raw, place),
        )

    def _ssh(self, common: SshKeys, raw: NodeKeys, place: tuple[str | int, ...]) -> SshSettings:
        self._one_way(raw, place)
        direct = {key: getattr(raw, key) for key in SshKeys.model_fields if getattr(raw, key) is not None}
        merged = {**_merged(common, raw.ssh), **direct}
        if "identity_file" in merged:
            at: tuple[str | int, ...] = ("ssh", "identity_file")
            if raw.identity_file or raw.ssh.identity_file:
                at = (*place, "identity_file") if raw.identity_file else (*place, *at)
            merged["identity_file"] = self._file(at, merged["identity_file"])
        if (
            "known_hosts" in merged
        ):  # one that does not exist yet knows no host, which is said when it matters
            merged["known_hosts"] = self._path(merged["known_hosts"])
        return SshSettings(**merged, host_key=raw.host_key)

    def _one_way(self, raw: NodeKeys, place: tuple[str | int, ...]) -> None:
        """Nobody can tell which of two different values for one key is meant."""
        for key in SshKeys.model_fields:
            own, inner = getattr(raw, key), getattr(raw.ssh, key)
            if own is not None and inner is not None and own != inner:
                self.source.complain(
                    (*place, key), f"{own!r} stands beside {inner!r} under ssh; one of them is expected"
                )

    def _ksctl(self, common: KsctlKeys, raw: NodeKeys, place: tuple[str | int, ...]) -> KsctlSettings:
        self._one_password(common, ("ksctl",))
        self._one_password(raw.ksctl, (*place, "ksctl"))
        if any(
            getattr(raw.ksctl, key) for key in _PASSWORD_KEYS
        ):  # the node's own place wins, of whichever kind
            common = common.model_copy(update=dict.fromkeys(_PASSWORD_KEYS))
        merged = _merged(common, raw.ksctl)
        if "command" in merged and merged["command"].startswith((".", "~")):
            merged["command"] = str(self._path(merged["command"]))
        if "password_file" in merged:
            at = (*(place if raw.ksctl.password_file else ()), "ksctl", "password_file")
            merged["password_file"] = self._file(at, merged["password_file"])
        return KsctlSettings(**merged)

    def _one_password(self, keys: KsctlKeys, place: tuple[str | int, ...]) -> None:
        given = [key for key in _PASSWORD_KEYS if getattr(keys, key)]
        if len(given) > 1:
            self.source.complain(
                (*place, given[1]), f"stands beside {given[0]}; one place for the password is expected"
            )

    def _path(self, text: str) -> Path:
        return Path(os.path.normpath(self.base / Path(text).expanduser()))

    def _file(self, place: tuple[str | int, ...], text: str) -> Path:
        path = self._path(text)
        if not self.simulated and not path.is_file():
            self.source.complain(place, f"there is no file {path}")
        return path


def _merged(common: BaseModel, own: BaseModel) -> dict[str, Any]:
    """Keys given for all nodes, overridden by the node's own."""
    return {**common.model_dump(exclude_none=True), **own.model_dump(exclude_none=True)}


def _window(start: datetime | None, finish_by: datetime | None) -> Window:
    return Window(start, finish_by)


def problems_of(error: UsageError) -> Iterator[str]:
    """The complaints of a wrong file, one each."""
    yield error.brief
    yield from error.details.splitlines()


def load_world(path: Path) -> dict[str, object]:
    """A simulated world's file as plain data.

    :raises UsageError: unreadable, or not a mapping.
    """
    try:
        value = YAML(typ="safe", pure=True).load(read_text(path))
    except YAMLError as error:
        line, why = not_yaml(error, read_text(path))
        raise UsageError(f"{path}:{line}: not YAML: {why}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}:1: keys and values are expected")
    return value
