"""The text of a YAML file: read within limits, and made plain data with the line of every value.

Every scalar is taken as the text that is written in the file (:class:`~ctmupgrade.config.values.Scalar`) and read by
the type that wants it: a fingerprint of digits only stays a fingerprint, and ``2.10`` is never a number.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
)

from ctmupgrade.config.values import Scalar
from ctmupgrade.core.redact import hidden
from ctmupgrade.errors import ConfigError

DEEPEST = 8  # no key of the file lies deeper
LARGEST = 2**20  # bytes; a file of 20 nodes with all keys has 20 KiB
MOST = 5000  # values; aliases of aliases make billions of a few lines
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(f"{_TAG}{kind}" for kind in (
    "str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq",
))  # fmt: skip
_MERGE = "<<"
_NAMED = re.compile(r"(alias|anchor|tag|handle) ['\"].*")
Place: TypeAlias = tuple[str | int, ...]
# What the YAML library raises beyond its own errors, for texts that are none.
LIBRARY = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError)


@dataclass(slots=True)
class Source:
    """The file's lines: where each value is."""

    path: Path
    lines: dict[Place, int] = field(default_factory=dict)
    values: int = 0  # so many were taken
    _told: dict[Place, tuple[int, str]] = field(default_factory=dict)
    _alike: dict[str, Place] = field(default_factory=dict)
    _also: dict[Place, list[int]] = field(default_factory=dict)

    def complain(self, place: Place, text: str, *, alike: str = "") -> None:
        """Note a problem at a place, the first one of each place; an absent place is shown at the line of what
        should hold it.

        :param alike: what makes it the same problem as one elsewhere, which is told once with both lines.
        """
        line = self._line(place)
        first = self._alike.setdefault(alike, place) if alike else place
        if first != place:
            self._also.setdefault(first, []).append(line)
        else:
            self._told.setdefault(place, (line, text))

    def fail(self, line: int, text: str) -> None:
        """Note the one problem that hides all others: the file is no YAML."""
        self._told = {("",): (line, text)}

    def clear(self) -> None:
        """Forget what was noted."""
        self._told.clear()

    @property
    def problems(self) -> list[str]:
        """Return all problems, in the order of their lines."""
        found = sorted(self._told.items(), key=lambda item: item[1][0])
        return [f"{self.path.name}:{line}: {self._words(place, text)}" for place, (line, text) in found]

    def _words(self, place: Place, text: str) -> str:
        also = sorted({*self._also.get(place, ())} - {self._told[place][0]})
        more = f" (the same in line {', '.join(map(str, also))})" if also else ""
        if place == ("",):
            return f"{text}{more}"
        told = f"{_dotted(place)}: {text}{more}"
        # Behind a name like password_command and a colon our own words are taken for the secret, and hidden.
        return told if hidden(told) == told else f"{_dotted(place)} is wrong: {text}{more}"

    def _line(self, place: Place) -> int:
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        return self.lines.get(known, 1)


def _dotted(place: Place) -> str:
    words = ""
    for part in place:
        words += f"[{part}]" if isinstance(part, int) else f".{_key(part)}" if words else _key(part)
    return words or "file"


def _key(name: str) -> str:
    return name if name.isprintable() and len(name) < 60 else ascii(name)[1:60]


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: Path) -> str:
    """Return the file's text. :raises ConfigError: it cannot be read, or is none of ours by its size."""
    try:
        # A FIFO must not be waited for.
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is not a file", remedy="name the file itself with -c FILE")
            data = file.read(LARGEST + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path}: is not a file", remedy="name the file itself with -c FILE") from None
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file", remedy="ctmupgrade init   # writes one; or name it with -c FILE"
        ) from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        remedy = f"ls -l {shlex.quote(str(path))}   # it must be a file that you may read; or name another with -c FILE"
        raise ConfigError(f"{path}: cannot be read: {why}", remedy=remedy) from None
    if len(data) > LARGEST:
        raise ConfigError(
            f"{path}: more than {LARGEST // 2**20} MiB; no file of this kind is so large",
            remedy="name the right file with -c FILE",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: cannot be read: not UTF-8 text: {error.reason}", remedy="write it as UTF-8 text"
        ) from None


def parse(source: Source, text: str) -> object:
    """Return plain data, or None; what is wrong with it is in ``source.problems`` then."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        line, why = not_yaml(error, text)
        source.fail(line, f"not YAML: {why}")
        return None
    except RecursionError:
        source.complain((), "keys and values are expected, not a thousand brackets in each other")
        return None
    except LIBRARY as error:
        source.fail(1, f"not YAML: {type(error).__name__}")
        return None
    if not isinstance(root, MappingNode):
        source.complain((), "keys and values are expected, cluster: first")
        return None
    try:
        return _plain(source, root, ())
    except _TooMuchError as error:
        source.clear()  # thousands of them would say no more
        source.complain(error.place, f"with what the aliases stand for it has more than {MOST} values")
        return None


class _TooMuchError(Exception):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


def not_yaml(error: YAMLError, text: str) -> tuple[int, str]:
    """Return the line and the reason of a text that is no YAML; what cannot even be read has no mark.

    A bracket or a quote that is not closed is told where it was opened: what comes after it is where it is noticed.
    """
    if not isinstance(error, MarkedYAMLError):
        line = text.count("\n", 0, int(getattr(error, "position", 0) or 0)) + 1
        return line, str(getattr(error, "reason", error))
    noticed = error.problem_mark.line + 1 if error.problem_mark else 1
    context = str(error.context or "")
    if "quoted scalar" in context and error.context_mark:
        opened, what = error.context_mark.line + 1, "quote"
    elif " flow " in context:
        opened, what = _open_bracket(text, noticed)
    else:
        opened, what = noticed, ""
    # An unknown alias, anchor or tag is named there: a password that begins with *, & or ! is one.
    why = _NAMED.sub(r"\1", str(error.problem))
    if opened < noticed:
        return opened, f"the {what} that opens here is not closed: {why} in line {noticed}"
    return noticed, why


def _open_bracket(text: str, noticed: int) -> tuple[int, str]:
    """(the line of the innermost bracket that is open where an error was noticed, the bracket)."""
    opened: list[tuple[int, str]] = []
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            if token.start_mark.line + 1 > noticed:
                break
            match token:
                case FlowSequenceStartToken():
                    opened.append((token.start_mark.line + 1, "["))
                case FlowMappingStartToken():
                    opened.append((token.start_mark.line + 1, "{"))
                case FlowSequenceEndToken() | FlowMappingEndToken() if opened:
                    opened.pop()
    except (YAMLError, *LIBRARY):
        pass
    return opened[-1] if opened else (noticed, "")


def _plain(source: Source, node: YamlNode, place: Place) -> object:
    """Plain data of a YAML node; every scalar is its text, its line is remembered."""
    source.lines.setdefault(place, node.start_mark.line + 1)
    source.values += 1
    if source.values > MOST:
        raise _TooMuchError(place[:1])
    if len(place) > DEEPEST:  # an alias may be inside what it stands for
        source.complain(place[:2], "refers to itself, or is nested too deep")
        return None
    if str(node.tag) not in _TAGS:
        source.complain(place, "a YAML tag (!...) is not read here: leave it out")
        return None
    match node:
        case ScalarNode():
            return _scalar(source, node, place)
        case SequenceNode():
            return [_plain(source, item, (*place, i)) for i, item in enumerate(node.value)]
        case MappingNode():
            return _mapping(source, node, place)
        case _:
            source.complain(place, "this kind of YAML is not supported here")
            return None


def _mapping(source: Source, node: MappingNode, place: Place) -> dict[str, object]:
    """The keys that are written, and those of the mappings that ``<<`` names, which they win over."""
    found: dict[str, object] = {}
    for key, value in node.value:
        if _merges(key):
            continue
        name = str(key.value) if isinstance(key, ScalarNode) else "?"
        if not isinstance(key, ScalarNode):
            source.complain(place, "a key is expected to be a plain text")
        elif name in found:
            source.complain((*place, name), f"appears twice (again in line {key.start_mark.line + 1})")
        source.lines[(*place, name)] = key.start_mark.line + 1
        found[name] = _plain(source, value, (*place, name))
    for key, value in _merged(source, node, place, ()):
        if key.value not in found:
            source.lines[(*place, key.value)] = key.start_mark.line + 1
            found[key.value] = _plain(source, value, (*place, key.value))
    return found


def _merges(key: YamlNode) -> bool:
    return isinstance(key, ScalarNode) and key.style is None and key.value == _MERGE


def _merged(
    source: Source, node: MappingNode, place: Place, above: tuple[int, ...]
) -> list[tuple[ScalarNode, YamlNode]]:
    """Keys and values of what the merge keys of ``node`` name, the nearest first."""
    rows: list[tuple[ScalarNode, YamlNode]] = []
    for key, value in node.value:
        if not _merges(key):
            continue
        source.lines.setdefault((*place, _MERGE), key.start_mark.line + 1)
        for one in value.value if isinstance(value, SequenceNode) else [value]:
            source.values += 1
            if source.values > MOST:
                raise _TooMuchError(place[:1])
            if not isinstance(one, MappingNode):
                source.complain((*place, _MERGE), "an alias of keys and values is expected, like *defaults")
            elif id(one) in above or one is node:
                source.complain((*place, _MERGE), "refers to itself, or is nested too deep")
            else:
                rows += [(k, v) for k, v in one.value if isinstance(k, ScalarNode) and not _merges(k)]
                rows += _merged(source, one, place, (*above, id(node)))
    return rows


def _scalar(source: Source, node: ScalarNode, place: Place) -> Scalar | None:
    bare, tag = node.style is None, str(node.tag)
    text = str(node.value) if bare else str(node.value).rstrip("\n")  # a block ends with one
    if bare and tag == f"{_TAG}null":
        source.complain(place, "has no value; write one, or leave the key out for its default")
        return None
    strange = next(
        (letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")), ""
    )
    if strange:
        source.complain(place, f"the character U+{ord(strange):04X} is not expected in a value")
        return None
    return Scalar.of(text, bare=bare)
