"""cluster.yaml: text to :class:`Cluster`, and complaints that name file, line and what is allowed.

Every scalar is taken as the text that stands in the file and converted by the model that wants it: a
fingerprint of digits only stays a fingerprint, and ``2.10`` is never a number.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from ctmupgrade.config_schema import MAX_NODES, MODELS, FileKeys, KsctlKeys, NodeKeys, SshKeys, TargetKeys
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
DEEPEST = 8  # no key of the file lies deeper


@dataclass(slots=True)
class _Source:
    """The file's lines: where each value stands."""

    path: Path
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def complain(self, place: tuple[str | int, ...], text: str) -> None:
        """Notes a problem at a place; an absent one is shown at the line of what should hold it."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        self.problems.append(f"{self.path.name}:{line}: {_dotted(place)}: {text}")


def _dotted(place: tuple[str | int, ...]) -> str:
    words = ""
    for part in place:
        words += f"[{part}]" if isinstance(part, int) else f".{part}" if words else part
    return words or "file"


def load_cluster(path: Path, *, simulated: bool = False) -> Cluster:
    """Reads cluster.yaml.

    :param simulated: the files it names (archive, keys) need not exist.
    :raises UsageError: unreadable or wrong; every problem is listed with its line.
    """
    source = _Source(path)
    raw = _parse(source, _read(path))
    parsed: FileKeys | None = None
    if not source.problems:
        try:
            parsed = FileKeys.model_validate(raw)
        except ValidationError as error:
            for problem in error.errors():
                source.complain(_place(problem["loc"]), _words(problem, raw))
    if parsed is not None:
        cluster = _Builder(source, path.resolve().parent, simulated).cluster(parsed)
        if not source.problems:
            return cluster
    raise UsageError(
        source.problems[0],
        details="\n".join(source.problems[1:]),
        remedy="mend the file; nothing was touched (see docs/cluster-yaml.md)",
    )


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file", remedy="ctmupgrade init   # writes one; or name it with -c FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: cannot be read: not UTF-8 text: {error.reason}", remedy="write it as UTF-8 text"
        ) from None


def _parse(source: _Source, text: str) -> object:
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        line, why = _not_yaml(error, text)
        source.problems.append(f"{source.path.name}:{line}: not YAML: {why}")
        return None
    except RecursionError:
        source.complain((), "keys and values are expected, not a thousand brackets in each other")
        return None
    if not isinstance(root, MappingNode):
        source.complain((), "keys and values are expected, cluster: first")
        return None
    return _plain(source, root, ())


def _not_yaml(error: YAMLError, text: str) -> tuple[int, str]:
    """The line and the reason of a text that is no YAML; what cannot even be read has no mark."""
    if isinstance(error, MarkedYAMLError):
        return (error.problem_mark.line + 1 if error.problem_mark else 1), str(error.problem)
    line = text.count("\n", 0, int(getattr(error, "position", 0))) + 1
    return line, str(getattr(error, "reason", error))


def _plain(source: _Source, node: YamlNode, place: tuple[str | int, ...]) -> object:
    """Plain data of a YAML node; every scalar is its text, its line is remembered."""
    source.lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > DEEPEST:  # an alias may stand inside what it stands for
        source.complain(place[:2], "refers to itself, or is nested too deep")
        return None
    match node:
        case ScalarNode():
            empty = node.style is None and node.value in ("", "~", "null")
            return None if empty else str(node.value)
        case SequenceNode():
            return [_plain(source, item, (*place, i)) for i, item in enumerate(node.value)]
        case MappingNode():
            found: dict[str, object] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in found:
                    source.complain((*place, name), f"stands twice (again in line {key.start_mark.line + 1})")
                source.lines[(*place, name)] = key.start_mark.line + 1
                found[name] = _plain(source, value, (*place, name))
            return found
        case _:
            source.complain(place, "this kind of YAML is not supported here")
            return None


def _place(loc: tuple[int | str, ...]) -> tuple[str | int, ...]:
    return tuple(part for part in loc if isinstance(part, int) or not part.startswith("function-"))


def _words(problem: Any, raw: object) -> str:
    kind, loc = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        holder = next((str(p) for p in reversed(loc[:-1]) if isinstance(p, str)), "")
        allowed = list(MODELS[holder].model_fields)
        near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown key; {hint}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return "is missing"
    if kind == "too_long" and loc == ("nodes",):
        count = len(raw["nodes"]) if isinstance(raw, dict) else 0
        return f"{count} nodes; a cluster has at most {MAX_NODES}"
    text = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    return f"{text}; {given!r} stands there" if isinstance(given, str | int | float) else f"{text}"


@dataclass(slots=True)
class _Builder:
    """From the checked file to the core's values; complains about what only makes sense together."""

    source: _Source
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
                if str(address) in seen:
                    first = self.source.lines.get(("nodes", seen[str(address)], key), 0)
                    self.source.complain(
                        ("nodes", i, key), f"{getattr(node, key)!r} stands twice (first in line {first})"
                    )
                seen.setdefault(str(address), i)

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
        value = YAML(typ="safe", pure=True).load(_read(path))
    except YAMLError as error:
        line, why = _not_yaml(error, _read(path))
        raise UsageError(f"{path}:{line}: not YAML: {why}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}:1: keys and values are expected")
    return value
