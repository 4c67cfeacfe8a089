"""Parsers of what a node's shell answers; see :mod:`ctmupgrade.core.looks.parse_ksctl` for the rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.facts import Mount, Unit
from ctmupgrade.core.looks.upgrade_log import MOST_LINE

MOST_WORDS = 200  # characters of a field that is kept


def boot_id(text: str) -> BootMark:
    """Read ``/proc/sys/kernel/random/boot_id``."""
    found = re.search(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", text)
    if not found:
        raise NotUnderstoodError("not a boot id", excerpt(text))
    return BootMark(boot_id=found.group())


def boot_time_of_stat(text: str) -> BootMark:
    """Return the ``btime`` line of ``/proc/stat``, epoch seconds."""
    found = re.search(r"^btime (\d{1,12})$", text, re.MULTILINE | re.ASCII)
    if not found:
        raise NotUnderstoodError("no btime in /proc/stat")
    return BootMark(since=float(found.group(1)))


def uptime_since(text: str) -> BootMark:
    """Read ``uptime -s`` or ``who -b``: local time, used only for differences on one node."""
    found = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)", text, re.ASCII)
    try:
        moment = datetime.fromisoformat(f"{found[1]} {found[2]}") if found else None
    except ValueError:
        moment = None
    if moment is None:
        raise NotUnderstoodError("not a time of boot", excerpt(text))
    return BootMark(since=moment.replace(tzinfo=UTC).timestamp())


_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def mounts(text: str) -> tuple[Mount, ...]:
    """Read ``df`` in any of its forms: blocks of 1K (-k, -P) or 512 bytes, or rounded units (-h).

    ``df -h`` rounds free space up; one unit of its last digit is taken off, so that it never flatters.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    header = _header_of_df(lines)
    if header < 0:
        raise NotUnderstoodError("not an answer of df", excerpt(text))
    block = 512 if "512" in lines[header] else 1024
    found = [_mount(row, block) for row in _joined(lines[header + 1 :])]
    if not found:
        raise NotUnderstoodError("df names no file system", excerpt(text))
    return tuple(found)


def _header_of_df(lines: list[str]) -> int:
    """The line with the names of the columns, in whatever language; -1 where there is none. A row has its percent before its
    mount; one whose device has a line of its own begins a line later."""
    for number, line in enumerate(lines):
        words = line.split()
        for at, above in ((4, 1), (3, 2)):
            row = len(words) > at + 1 and re.fullmatch(r"\d{1,3}%|-", words[at], re.ASCII)
            if row and words[at + 1].startswith("/"):
                return number - above
    return -1


def _joined(lines: list[str]) -> list[list[str]]:
    """Rows; a long device name stands on a line of its own without -P."""
    rows: list[list[str]] = []
    for line in lines:
        words = line.split()
        if rows and len(rows[-1]) == 1:
            rows[-1] += words
        else:
            rows.append(words)
    return rows


def _mount(words: list[str], block: int) -> Mount:
    if len(words) < 6:
        raise NotUnderstoodError("not a line of df", excerpt(" ".join(words)))
    return Mount(excerpt(" ".join(words[5:]), MOST_WORDS), _size(words[3], block), _size(words[1], block))


def _size(word: str, block: int) -> int:
    found = re.match(r"^(\d{1,15}(?:[.,]\d{1,6})?)([BKMGTP]?)i?B?$", word, re.ASCII)
    if not found:
        raise NotUnderstoodError("not a size", excerpt(word))
    digits, unit = found.group(1).replace(",", "."), found.group(2)
    if not unit:
        return int(float(digits)) * block
    step = 0.1 if "." in digits else 1.0
    return max(0, int((float(digits) - step) * _UNITS[unit]))


def unit_show(text: str) -> Unit:
    """Read ``systemctl show -p LoadState -p ActiveState -p SubState``: exits 0 even for an unknown unit."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if "ActiveState" not in values:
        raise NotUnderstoodError("no ActiveState", excerpt(text))
    if values.get("LoadState", "loaded") not in ("loaded", ""):
        return Unit(excerpt(values["LoadState"], MOST_WORDS), "")
    return Unit(*(excerpt(values.get(key, ""), MOST_WORDS) for key in ("ActiveState", "SubState")))


UNIT_STATES = ("active", "activating", "deactivating", "reloading", "failed", "inactive", "maintenance")


def unit_word(text: str) -> Unit:
    """Read ``systemctl is-active``. A banner may stand before it."""
    words = [line.strip() for line in text.splitlines() if line.strip() in UNIT_STATES]
    if not words:
        raise NotUnderstoodError("not a unit's state", excerpt(text))
    return Unit(words[-1])


def unit_status(text: str) -> Unit:
    """Return the ``Active:`` line of ``systemctl status``."""
    found = re.search(r"^[ \t]*Active:[ \t]+([a-z]+)(?:[ \t]+\(([^)\n]{0,200})\))?", text, re.MULTILINE)
    if not found:
        raise NotUnderstoodError("no Active: line", excerpt(text))
    return Unit(excerpt(found.group(1), MOST_WORDS), found.group(2) or "")


def epoch(text: str) -> tuple[float, float]:
    """Read ``date +%s.%N`` or ``date +%s``: (epoch seconds, resolution in seconds). A banner may stand around it."""
    found = re.search(r"^[ \t]*(\d{9,11})(?:[.,](\d{1,9}|%?N))?[ \t]*$", text, re.MULTILINE | re.ASCII)
    if not found:
        raise NotUnderstoodError("not a time", excerpt(text))
    fraction = found.group(2) or ""
    if fraction.isdigit():
        return float(f"{found.group(1)}.{fraction}"), 0.0
    return float(found.group(1)), 1.0


# Every pattern here takes a time that is linear in the text: tests/hostile/test_patterns.py.
def log_name(text: str) -> str:
    """Return the log's name or path as the script prints it on a terminal; "" where it does not."""
    found = re.search(r"log file \(?([^\s()]*ks_upgrade[^\s()]*)\)?", text)
    return found.group(1) if found and len(found.group(1)) <= MOST_LINE else ""


def log_names(text: str, default_folder: str = ".") -> tuple[str, ...]:
    """Return paths of the upgrade logs in the answer of ``ls -1`` over one or several folders, newest last."""
    folder, found = default_folder, []
    for line in (raw.strip() for raw in text.splitlines() if len(raw) <= MOST_LINE):
        if line.endswith(":") and "ks_upgrade" not in line:
            folder = line[:-1]
        elif re.fullmatch(r"(?:.*/)?ks_upgrade[\w.+:-]*\.log", line):
            found.append(line if "/" in line else (line if folder == "." else f"{folder}/{line}"))
    return tuple(sorted(found, key=lambda path: path.rsplit("/", 1)[-1]))


_HEADERS = frozenset(("COMMAND", "CMD"))  # ends the first line of every ps; it is not translated
_FIRST = re.compile(r"^(?:/\S*/)?(?:systemd|init|tini|supervisord)(?:\s|$)")  # process 1, where no header is
# The command that made a list without header. A refusal repeats it too, behind other words, as it does ps's.
_OUR_LOOK = re.compile(r"^(?:/\S*/)?\w*sh -c for p in /proc/\[0-9\]\*; do cat \$p/cmdline; echo; done$")


def is_process_list(text: str) -> bool:
    """Return whether a text is a process list: with ps's header, with process 1, or of /proc with the very command that made
    it. A list without them, as of an error that takes two lines, tells nothing of what runs."""
    lines = [line.strip() for line in text.replace("\0", " ").splitlines() if line.strip()]
    heads = any(
        line.isupper() and _HEADERS.intersection(line.split()[-1:]) for line in lines[:_GREETING]
    )  # "Usage: ... COMMAND" is none
    return len(lines) > 1 and (heads or any(_FIRST.search(line) or _OUR_LOOK.search(line) for line in lines))


_GREETING = 40  # lines that a shell may greet with before the header
_RUNNING = re.compile(r"(?:^|/|\s)ks_upgrade\.sh(?:\s|$)")
_SCREEN = re.compile(r"SCREEN\b")
# On an appliance from which others are upgraded: the client that holds another node's terminal, and its holder.
_ELSEWHERE = re.compile(r"(?:^|[\s/])ssh -tt\s")
_LOOKING = re.compile(r"\b(pgrep|grep|sudo -n -l|sudo -l|ksshell|cat|less|more|head|tail|vim?|ls)\b")


def upgrade_processes(text: str) -> tuple[str, ...]:
    """Command lines of a running ``ks_upgrade.sh`` in a process list; our own looks, and what we run on other nodes,
    are left out, and so is what has ended and was not collected by its parent yet."""
    return tuple(
        excerpt(line)
        for line in text.replace("\0", " ").splitlines()
        if _is_upgrade(line) and not (_LOOKING.search(line) or _ELSEWHERE.search(line) or _has_ended(line))
    )


def _has_ended(line: str) -> bool:
    """Whether a line of ``ps`` or ``pgrep -a`` is a defunct process; ``ps aux`` has its state in the eighth column."""
    words = line.split(maxsplit=8)
    by_state = len(words) > 8 and words[1].isdigit() and words[7].startswith("Z")
    return "<defunct>" in line or by_state


def _is_upgrade(line: str) -> bool:
    if "ks_upgrade" not in line:
        return False
    screen = _SCREEN.search(line)
    return bool(_RUNNING.search(line) or (screen and "ks_upgrade" in line[screen.end() :]))


def file_size(text: str) -> int:
    """Return the size in one line of ``ls -ln``."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and words[0][:1] in "-l" and re.fullmatch(r"[0-9]{1,15}", words[4]):
            return int(words[4])
    raise NotUnderstoodError("not a line of ls -l", excerpt(text))


def file_mark(text: str) -> str:
    """Return the four numbers of ``stat -c '%s %i %Y %Z'``; of ``ls -lnid --time-style=+%s`` the time twice."""
    said = text.strip()
    if re.fullmatch(r"\d{1,20}(?: -?\d{1,20}){3}", said, re.ASCII):
        return said
    listed = re.match(
        r"(\d{1,20}) +-\S{9,10} +\d{1,9} +\d{1,20} +\d{1,20} +(\d{1,20}) +(-?\d{1,20}) ", said, re.ASCII
    )
    if listed:
        return f"{listed[2]} {listed[1]} {listed[3]} {listed[3]}"
    raise NotUnderstoodError("not the answer of stat", excerpt(text))


def sha256_of(text: str) -> str:
    """Return a SHA-256 in the answer of sha256sum, openssl, shasum, gpg --print-md or python."""
    joined = re.search(r"\b[0-9a-fA-F]{64}\b", text)
    if joined:
        return joined.group().lower()
    spaced = re.search(r"(?:[0-9A-F]{8}\s+){7}[0-9A-F]{8}", text)
    if spaced:
        return "".join(spaced.group().split()).lower()
    raise NotUnderstoodError("no SHA-256 in", excerpt(text))
