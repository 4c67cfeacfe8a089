"""The SSH configuration of another home than the passwd entry's, as files that the ssh program can be given.

``ssh`` takes ``~``, ``%d`` and a relative ``Include`` for the home in the passwd entry, whatever ``$HOME`` says.
A copy has the whole paths instead, line by line, so that errors name the right line.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import read_bounded
from ctmupgrade.errors import UsageError

_SYSTEM = Path("/etc/ssh/ssh_config")
_LINE = re.compile(r"^([ \t]*)([A-Za-z]+)([ \t]*=[ \t]*|[ \t]+)(.*)$")
_TILDE = re.compile(r"(?<![^\s\"'=,])~(?=/|[\s\"']|$)")
_HOME_TOKEN = re.compile(r"(?<!%)((?:%%)*)%d")
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"']+")
_COMMANDS = ("proxycommand", "localcommand", "remotecommand", "knownhostscommand", "match")
_DEEPEST = 16  # OpenSSH's own limit of files in files


@dataclass(slots=True)
class _Copies:
    home: Path
    folder: Path
    names: dict[str, str] = field(default_factory=dict)  # copy -> original

    def copy(self, original: Path, depth: int = 0) -> Path:
        try:
            _refuse_unsafe(original)
            data = read_bounded(original)
        except OSError as error:
            raise UsageError(
                f"{original} cannot be read: {error.strerror}", remedy=f"ls -l {shlex.quote(str(original))}"
            ) from error
        text = data.decode("utf-8", "surrogateescape")
        made = self.folder / f"config-{len(self.names)}"
        self.names[str(made)] = str(original)
        lines = [self._line(line, depth) for line in text.split("\n")]
        made.touch(0o600)
        made.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
        return made

    def _line(self, line: str, depth: int) -> str:
        found = _LINE.match(line.rstrip("\r"))
        if not found:
            return line
        indent, keyword, between, value = found.groups()
        if keyword.lower() == "include":
            return f"{indent}{keyword}{between}{self._included(value, depth)}"
        return f"{indent}{keyword}{between}{self._at_home(keyword, value)}"

    def _at_home(self, keyword: str, value: str) -> str:
        """The value with the home's path. Where a blank is in that, a bare word gets quotes: it stays one word to ssh.
        A command is handed to a shell as it stands."""
        home = str(self.home)

        def whole(text: str) -> str:
            return _HOME_TOKEN.sub(lambda hit: hit[1] + home, _TILDE.sub(lambda _: home, text))

        if " " not in home or keyword.lower() in _COMMANDS:
            return whole(value)

        def word(found: re.Match[str]) -> str:
            made = whole(found[0])
            return made if made == found[0] or found[0][0] in "\"'" else f'"{made}"'

        return _WORD.sub(word, value)

    def _included(self, value: str, depth: int) -> str:
        if depth >= _DEEPEST:
            raise UsageError("the SSH configuration includes itself", remedy="Take the Include out.")
        try:
            words = shlex.split(value, comments=True)
        except ValueError:
            return value  # the ssh program says what is wrong with it
        files: list[str] = []
        for word in words:
            path = str(self.home) + word[1:] if word == "~" or word.startswith("~/") else word
            if not path.startswith(("/", "~")):
                path = str(self.home / ".ssh" / path)
            found = [Path(one) for one in sorted(glob.glob(path))]  # noqa: PTH207 - whole patterns
            files += [f'"{self.copy(one, depth + 1)}"' for one in found if _is_there(one)]
        return " ".join(files) or f'"{self.folder / "nothing"}"'


def moved_config(home: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Make the files in ``folder``.

    :returns: the file for ``ssh -F``, and for each copy the name of its original.
    :raises UsageError: a file that others may write, which OpenSSH refuses too, or that cannot be read.
    """
    copies = _Copies(home, folder)
    own = home / ".ssh" / "config"
    lines = []
    if _is_there(own):
        lines.append(f'Include "{copies.copy(own)}"')
    if _SYSTEM.exists():
        lines.append(f"Include {_SYSTEM}")
    known = " ".join(f'"{home / ".ssh" / name}"' for name in ("known_hosts", "known_hosts2"))
    lines += ["Host *", f"  UserKnownHostsFile {known}"]
    first = folder / "config"
    first.touch(0o600)
    first.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
    return first, copies.names


def _is_there(file: Path) -> bool:
    """Whether ssh would read it: a folder, /dev/null or a link to nothing is as an empty file to it."""
    try:
        return file.exists() and not file.is_dir() and not file.is_char_device()
    except OSError:  # a folder that is closed to us: reading it says so
        return True


def _refuse_unsafe(file: Path) -> None:
    status = file.stat()
    if status.st_uid not in (0, os.getuid()) or status.st_mode & 0o022:
        raise UsageError(
            f"{file}: bad owner or permissions, others could write it",
            remedy=f"chmod 600 {shlex.quote(str(file))}",
        )
