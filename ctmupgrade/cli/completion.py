"""What may come next on a command line, for the shells that complete it.

``ctmupgrade --complete SHELL WORD...`` prints a candidate a line; the last word is the one that is being typed. It is made of
the parser itself, and of names in cluster.yaml and the state folder, which are looked for without loading what reads these
for a run: a person waits for it at each TAB. Nothing that it meets is an error.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

FILE, FOLDER = ":file", ":dir"  # the shell's own completion of paths is wanted
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NODES = re.compile(r"^nodes:(.*?)(?=^[^\s#-]|\Z)", re.MULTILINE | re.DOTALL)
_NODE_NAME = re.compile(rf"(?:^|[\s{{,-])name:[ \t]*[\"']?({_NAME})")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
_CLUSTER = re.compile(rf"^cluster:[ \t]*[\"']?({_NAME})", re.MULTILINE)
_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{7}")
_MOST_RUNS = 20
_LARGEST = 2**20  # bytes of a cluster.yaml


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be typed. :ivar word: in the place of the last word. :ivar help: what it means; "" where that is plain."""

    word: str
    help: str = ""


def main(words: Sequence[str]) -> int:
    """Print the candidates for a shell. :param words: the shell's name, then what is typed behind the program's name."""
    shell, typed = words[0] if words else "", list(words[1:]) or [""]
    try:
        found = [_line(one, shell) for one in candidates(typed, splits=shell == "bash")]
    except Exception:  # what is typed, and files half written: whatever is wrong, there is nothing to offer
        found = []
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 0


def _line(one: Candidate, shell: str) -> str:
    text = one.help.split(".")[0][:70]
    if one.word in (FILE, FOLDER) or not text or shell == "bash":
        return one.word.replace(":", "\\:") if shell == "zsh" and one.word not in (FILE, FOLDER) else one.word
    if shell == "zsh":
        return f"{one.word.replace(':', chr(92) + ':')}:{text}"
    return f"{one.word}\t{text}"


def candidates(words: list[str], *, splits: bool = False) -> list[Candidate]:
    """Return what may stand in the place of the last word.

    :param splits: the shell makes words of their own of ``=`` and what is behind it, as bash does.
    """
    glued = _glued(words) if splits else words
    *before, current = glued
    option, sign, value = current.partition("=")
    line = Line.read(before)
    if option.startswith("--") and sign:
        param = line.option(option)
        found = values(param, value, line) if param is not None else []
        return found if splits else [_behind(f"{option}=", one) for one in found]
    if line.waiting is not None:
        return values(line.waiting, current, line)
    if current.startswith("-"):
        return [one for one in line.options() if one.word.startswith(current)]
    if line.commands is not None:
        return [Candidate(name, text) for name, text in line.commands if name.startswith(current)]
    param = line.argument()
    return values(param, current, line) if param is not None else []


def _behind(prefix: str, one: Candidate) -> Candidate:
    return one if one.word in (FILE, FOLDER) else Candidate(f"{prefix}{one.word}", one.help)


def _glued(words: list[str]) -> list[str]:
    """Words as they were typed: bash hands over ``--only``, ``=``, ``a`` for ``--only=a``."""
    made: list[str] = []
    for word in words:
        if made and (word == "=" or made[-1].endswith("=")) and made[-1].startswith("--"):
            made[-1] += word
        else:
            made.append(word)
    return made


@dataclass(slots=True)
class Line:
    """What is typed so far, as the parser takes it.

    :ivar command: the parser of the command, or of the program before one is named. :ivar called: its name, as typed.
    :ivar commands: names and help of what may come next, where that is a command. :ivar waiting: the option whose value
        comes next. :ivar given: the options so far with their values. :ivar arguments: how many stand there.
    """

    command: Any
    called: str
    commands: list[tuple[str, str]] | None
    waiting: Any = None
    given: dict[str, str] = field(default_factory=dict)
    arguments: int = 0

    @classmethod
    def read(cls, words: Iterable[str]) -> Line:
        """Return it for all words before the one that is being typed."""
        from typer.main import get_command

        from ctmupgrade.cli.app import app, fill_registry
        from ctmupgrade.cli.opening import registry

        fill_registry()
        made = cls(get_command(app), "", [row for _panel, rows in registry.listing for row in rows])
        shelf = registry
        for word in words:
            if made.takes(word) or made.commands is None:
                continue
            made.command = shelf.make(word)
            made.called = f"{made.called} {word}".strip()
            inner = shelf.inner(word)
            made.commands = [row for _panel, rows in inner.listing for row in rows] if inner else None
            shelf = inner or shelf
        return made

    def takes(self, word: str) -> bool:
        """Take in an option, its value or an argument; False: it is a command's name."""
        if self.waiting is not None:
            self.given[self.waiting.name], self.waiting = word, None
            return True
        if word.startswith("-") and len(word) > 1:
            name, sign, value = word.partition("=")
            param = self.option(name)
            if param is not None and sign:
                self.given[param.name] = value
            elif param is not None and not param.is_flag:
                self.waiting = param
            return True
        if self.commands is None:
            self.arguments += 1
            return True
        return False

    def option(self, name: str) -> Any:
        """Return the option that is called so; None where there is none."""
        return next((p for p in self.command.params if name in p.opts), None)

    def options(self) -> Iterator[Candidate]:
        """Yield the options that mean something here."""
        from ctmupgrade.cli.meaning import meaningless

        hidden = meaningless(self.called)
        for param in self.command.params:
            if param.param_type_name == "option" and param.name not in hidden:
                yield from (Candidate(name, param.help or "") for name in param.opts if name.startswith("--"))
        yield Candidate("--help", "show this help and exit")

    def argument(self) -> Any:
        """Return the argument that comes next; None where none does."""
        found = [p for p in self.command.params if p.param_type_name == "argument"]
        return found[self.arguments] if self.arguments < len(found) else None


def values(param: Any, current: str, line: Line) -> list[Candidate]:
    """Return what may be given to an option or argument: by its choices, else by what its placeholder names."""
    if choices := _choices(param):
        return [Candidate(one) for one in choices if one.startswith(current)]
    name = param.metavar or ""
    if name in ("FILE", "ARCHIVE", "KEY"):
        return [Candidate(FILE)]
    if name == "DIR":
        return [Candidate(FOLDER)]
    known = {
        "RUN": _runs, "NODE": _nodes, "A,B": _nodes, "A,B,C": _nodes, "NAME=HOST": _nodes, "ID": _checks, "ID,ID": _checks,
        "ID=REASON": _checks,
    }.get(name)  # fmt: skip
    if known is None or param.name == "pin":
        return []
    done, comma, last = current.rpartition(",") if "," in name else ("", "", current)
    end = "=" if "=" in name else ""
    return [
        Candidate(f"{done}{comma}{one.word}{end}", one.help)
        for one in known(line)
        if one.word.startswith(last) and one.word not in done.split(",")
    ]


def _choices(param: Any) -> list[str]:
    """The values of an option that takes some words only."""
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(one.value) for one in kind]
    older = getattr(getattr(param, "type", None), "choices", ())  # where typer stands on click
    return [str(getattr(one, "value", one)) for one in older]


def _cluster_text(line: Line) -> str:
    given = line.given
    usual = os.environ.get("CTMUPGRADE_CLUSTER") or "cluster.yaml"
    path = (
        Path(given["simulate"]) / "cluster.yaml"
        if given.get("simulate")
        else Path(given.get("cluster", usual))
    )
    path = path.expanduser()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return _COMMENT.sub("", file.read(_LARGEST).decode(errors="replace"))


def _nodes(line: Line) -> Iterator[Candidate]:
    found = _NODES.search(_cluster_text(line))
    for name in dict.fromkeys(_NODE_NAME.findall(found[1])) if found else ():
        yield Candidate(name)


def _runs(line: Line) -> Iterator[Candidate]:
    from ctmupgrade.adapters.disk.state_folder import usual_folder

    given = line.given.get("state_dir") or os.environ.get("CTMUPGRADE_STATE_DIR")
    base = Path(given).expanduser() if given else usual_folder()
    cluster = _CLUSTER.search(_cluster_text(line))
    here = f"{cluster[1]}/*" if cluster and (base / cluster[1]).is_dir() else "*/*"
    found = sorted(
        (path for path in base.glob(here) if _RUN.fullmatch(path.name)), key=lambda p: p.name, reverse=True
    )
    if found:
        yield Candidate("latest", "the one that is meant where none is named")
    yield from (Candidate(path.name, path.parent.name) for path in found[:_MOST_RUNS])


def _checks(_line: Line) -> Iterator[Candidate]:
    from ctmupgrade.core.checks.catalogue import CHECKS

    yield from (Candidate(check.id, check.title) for check in CHECKS)
