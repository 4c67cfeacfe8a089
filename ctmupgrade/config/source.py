"""The text of a YAML file: read within limits, and made plain data with the line of every value.

Every scalar is taken as the text that stands in the file and converted by the model that wants it: a
fingerprint of digits only stays a fingerprint, and ``2.10`` is never a number. Where a text is wanted, what YAML
would take for a number is refused all the same: other programs that read the file would not see a text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from ctmupgrade.config.schema import TEXTS
from ctmupgrade.errors import UsageError

DEEPEST = 8  # no key of the file lies deeper
LARGEST = 2**20  # bytes; a file of 20 nodes with all keys has 20 KiB
MOST = 5000  # values; aliases of aliases make billions of a few lines
_TAG = "tag:yaml.org,2002:"
_NO_TEXT = {f"{_TAG}int": "number", f"{_TAG}float": "number", f"{_TAG}bool": "true or false"}
Place: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """The file's lines: where each value stands."""

    path: Path
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    values: int = 0  # so many were taken

    def complain(self, place: Place, text: str) -> None:
        """Notes a problem at a place; an absent one is shown at the line of what should hold it."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        self.problems.append(f"{self.path.name}:{line}: {_dotted(place)}: {text}")


def _dotted(place: Place) -> str:
    words = ""
    for part in place:
        words += f"[{part}]" if isinstance(part, int) else f".{part}" if words else part
    return words or "file"


def read_text(path: Path) -> str:
    """The file's text. :raises UsageError: it cannot be read, or is none of ours by its size."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file", remedy="ctmupgrade init   # writes one; or name it with -c FILE"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if len(data) > LARGEST:
        raise UsageError(
            f"{path}: more than {LARGEST // 2**20} MiB; no file of this kind is so large",
            remedy="name the right file with -c FILE",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: cannot be read: not UTF-8 text: {error.reason}", remedy="write it as UTF-8 text"
        ) from None


def parse(source: Source, text: str) -> object:
    """Plain data; what is wrong with it stands in ``source.problems`` then."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        line, why = not_yaml(error, text)
        source.problems.append(f"{source.path.name}:{line}: not YAML: {why}")
        return None
    except RecursionError:
        source.complain((), "keys and values are expected, not a thousand brackets in each other")
        return None
    if not isinstance(root, MappingNode):
        source.complain((), "keys and values are expected, cluster: first")
        return None
    try:
        return _plain(source, root, ())
    except _TooMuchError as error:
        source.problems.clear()  # thousands of them would say no more
        source.complain(error.place, f"with what the aliases stand for it has more than {MOST} values")
        return None


class _TooMuchError(Exception):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


def not_yaml(error: YAMLError, text: str) -> tuple[int, str]:
    """The line and the reason of a text that is no YAML; what cannot even be read has no mark."""
    if isinstance(error, MarkedYAMLError):
        return (error.problem_mark.line + 1 if error.problem_mark else 1), str(error.problem)
    line = text.count("\n", 0, int(getattr(error, "position", 0))) + 1
    return line, str(getattr(error, "reason", error))


def _plain(source: Source, node: YamlNode, place: Place) -> object:
    """Plain data of a YAML node; every scalar is its text, its line is remembered."""
    source.lines.setdefault(place, node.start_mark.line + 1)
    source.values += 1
    if source.values > MOST:
        raise _TooMuchError(place[:1])
    if len(place) > DEEPEST:  # an alias may stand inside what it stands for
        source.complain(place[:2], "refers to itself, or is nested too deep")
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
    found: dict[str, object] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            source.complain((*place, name), f"stands twice (again in line {key.start_mark.line + 1})")
        source.lines[(*place, name)] = key.start_mark.line + 1
        found[name] = _plain(source, value, (*place, name))
    return found


def _scalar(source: Source, node: ScalarNode, place: Place) -> str | None:
    text, tag, key = str(node.value), str(node.tag), place[-1] if place else ""
    bare = node.style is None
    if bare and tag == f"{_TAG}null":
        source.complain(place, "no value stands there; write one, or leave the key out for its default")
        return None
    if bare and key in TEXTS and tag in _NO_TEXT:
        source.complain(
            place, f'a text is expected, and YAML reads a {_NO_TEXT[tag]}: put it in quotes: "{text}"'
        )
    if not bare and key == "port" and text.strip().isdigit():
        source.complain(place, f"a number is expected, without quotes: {text.strip()}")
    return text
