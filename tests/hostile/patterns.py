"""All regular expressions of the package, and texts that make each of them work hardest.

They are found, not listed: compiled ones by walking the modules' values, and those inside calls of ``re`` by walking the
syntax trees, so that a new one is covered by being written.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from re import _compiler  # type: ignore[attr-defined]
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import ctmupgrade

REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
PACKAGE = Path(ctmupgrade.__file__).parent
METHODS = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
# Made from what the operator's own known_hosts holds.
# A mark's name; the names of a node, each escaped, one after the other: there is nothing to try twice.
COMPUTED = frozenset({"adapters/ssh/trust.py", "render/go_no_go.py", "adapters/disk/backups.py"})


@dataclass(frozen=True)
class Found:
    """A pattern, where it is, and the methods that it is used by."""

    place: str
    pattern: re.Pattern[str]
    anchored: bool  # only ever by match or fullmatch: it starts nowhere but at the beginning


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def _constant(node: ast.expr, names: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "pattern", "eval"), {"re": re, **names})


def written() -> Iterator[Found]:
    """The patterns of calls like ``re.search(r"...", text)`` with a text that is there to be read."""
    for name, tree in sources():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
                continue
            if node.func.attr not in METHODS:
                continue
            place = f"{name}:{node.lineno}"
            flags = [kw.value for kw in node.keywords if kw.arg == "flags"] + node.args[2:3] * (
                node.func.attr in ("search", "match", "fullmatch", "findall", "finditer")
            )
            try:
                text = _constant(node.args[0], {})
                compiled = re.compile(text, _constant(flags[0], {}) if flags else 0)
            except NameError:
                if name in COMPUTED:
                    continue
                raise AssertionError(f"{place}: compile the pattern where it can be found") from None
            yield Found(place, compiled, node.func.attr in ("match", "fullmatch"))


def compiled() -> Iterator[Found]:
    """The compiled patterns of all modules, also inside tuples, lists and dicts."""
    anchored = _only_anchored()
    for info in pkgutil.walk_packages(ctmupgrade.__path__, "ctmupgrade."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            for pattern in _inside(value, 3):
                if isinstance(pattern.pattern, str):
                    yield Found(f"{info.name}.{name}", pattern, name in anchored)


def _inside(value: object, depth: int) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from _inside(one, depth - 1)
    elif depth and isinstance(value, dict):
        for one in value.values():
            yield from _inside(one, depth - 1)


def _only_anchored() -> set[str]:
    used: dict[str, set[str]] = {}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used.setdefault(node.value.id, set()).add(node.attr)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                used.setdefault(node.value.attr, set()).add(node.attr)
    return {name for name, methods in used.items() if methods <= {"match", "fullmatch", "pattern"}}


def all_patterns() -> list[Found]:
    found: dict[tuple[str, int, bool], Found] = {}
    for one in (*compiled(), *written()):
        found.setdefault((one.pattern.pattern, one.pattern.flags, one.anchored), one)
    return list(found.values())


# -- texts ---------------------------------------------------------------------------------------------------


def attacks(pattern: re.Pattern[str]) -> set[str]:
    """Short texts whose repetition a backtracking matcher may choke on: each prefix of what the pattern matches, and,
    behind each prefix, what each of its repetitions repeats."""
    found: set[str] = set()
    for sequence in _sequences(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)):
        for least in (0, 1):
            texts = [_sample(op, value, least) for op, value in sequence]
            for end in range(1, len(texts) + 1):
                found.add("".join(texts[:end]))
    found = {text for text in found if text}
    return found | {f"{text} " for text in found} | {"a", " ", "\n", "1", "\\", '"'}


def heads(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """(what comes before, what is repeated) for each repetition in the pattern."""
    found: set[tuple[str, str]] = set()
    for sequence in _sequences(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)):
        before = ""
        for number, (op, value) in enumerate(sequence):
            if op in REPEATS:
                found.add((before, "".join(_sample(o, v) for o, v in value[2]) or "a"))
                rest = takewhile(lambda item: item[0] not in REPEATS, sequence[number + 1 :])
                found.add((before, "".join(_sample(o, v) for o, v in rest) or "a"))
            before += _sample(op, value)
    return found


def _sequences(tree: Any) -> Iterator[list[Any]]:
    """Every sequence of the syntax tree, alternatives put into the place of their branch."""
    items = list(tree)
    yield items
    for number, (op, value) in enumerate(items):
        for inner in _children(op, value):
            yield items[:number] + list(inner)
            yield from _sequences(inner)


def _children(op: Any, value: Any) -> Iterator[Any]:
    if op is codes.BRANCH:
        yield from value[1]
    elif op is codes.SUBPATTERN:
        yield value[3]
    elif op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        yield value[2]
    elif op is codes.ATOMIC_GROUP:
        yield value


def _sample(op: Any, value: Any, fewest: int = 1) -> str:
    if op is codes.LITERAL:
        return chr(value)
    if op is codes.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if op is codes.ANY:
        return "a"
    if op is codes.IN:
        return _member(value)
    if op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, _, inner = value
        text = "".join(_sample(o, v, fewest) for o, v in inner)
        return text * max(fewest, int(least))
    if op is codes.BRANCH:
        return "".join(_sample(o, v, fewest) for o, v in value[1][0])
    if op is codes.SUBPATTERN:
        return "".join(_sample(o, v, fewest) for o, v in value[3])
    if op is codes.ATOMIC_GROUP:
        return "".join(_sample(o, v, fewest) for o, v in value)
    return ""  # what has no width: anchors, looks ahead and behind


_TRIED = [*"a1A. -/:;_=", *map(chr, range(1, 0x250)), "\u202e", "\u2028", "\ufeff", "\ud800"]


def _member(value: Any) -> str:
    one = parser.SubPattern(parser.State(), [(codes.IN, value)])
    pattern: re.Pattern[str] = _compiler.compile(one)
    found: str = next(char for char in _TRIED if pattern.match(char))
    return found
