"""What a log of ``ks_upgrade.sh`` proves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ctmupgrade.core.looks.unknown import Unknown
from ctmupgrade.core.version import Version

MOST_LINE = 4_096  # characters of a line that is kept; also the longest path of Linux


class LogVerdict(StrEnum):
    """What the text of an upgrade log proves."""

    SUCCEEDED = "succeeded"
    DOUBTED = "doubted"  # a success line, and words of a failure after it
    FAILED = "failed"
    NONE = "none"  # no verdict (yet)
    UNREAD = "unread"  # it is there and cannot be read: it may hold any verdict


@dataclass(frozen=True, slots=True)
class UpgradeLog:
    """One ``ks_upgrade_*.log``. Its name's time is right; the times inside are not (docs/appliance.md 1.2).

    :ivar in_this_boot: whether it was last written to in the boot that the node still has; None: not known.
    :ivar why: of one that is UNREAD, why.
    """

    path: str
    size: int
    verdict: LogVerdict
    version: str = ""
    last_line: str = ""
    in_this_boot: bool | None = None
    why: str = ""

    @property
    def undecided(self) -> bool:
        """Return whether it may tell of an upgrade that runs, failed or waits for its reboot, and nobody can read which."""
        return self.verdict is LogVerdict.UNREAD and self.in_this_boot is not False

    def waits(self, version: Version) -> bool:
        """Return whether this upgrade, on a node that says ``version``, still waits for its reboot. The version need not
        tell: the new one's services are started before the reboot (docs/appliance.md 1.2)."""
        if self.verdict not in (LogVerdict.SUCCEEDED, LogVerdict.DOUBTED):
            return False
        done = Version.parse(self.version)
        here = done.same_release(version) or (done.release == version.release and done.beta != version.beta)
        return done.release > version.release or (here and bool(self.in_this_boot))


# Of a log that tells of nothing any more; the usual folders, /tmp among them, are all looked into.
MOVE_AWAY = "move it into a folder of its own (mkdir ~/old-logs; in /tmp it would still count)"


def undecided(logs: Iterable[UpgradeLog]) -> Unknown | None:
    """Return why it is not known whether an upgrade failed or waits for its reboot: the newest log that may tell of one
    cannot be read. None: no log leaves that open."""
    log = next((log for log in reversed(tuple(logs)) if log.undecided), None)
    return Unknown(f"{log.path} cannot be read: {log.why}") if log else None


# Every pattern here takes a time that is linear in the text: tests/hostile/test_patterns.py.
_SUCCESS = re.compile(r"Upgrade to (\d{1,9}\.\d{1,9}\.\d{1,9})(\S{0,64}) succeeded", re.ASCII)
_FAILURE = re.compile(
    r"\bupgrade\b.{0,80}?\b(failed|aborted|refused|not supported|unsuccessful)\b"
    r"|\b(fatal|abort(ed|ing)|bad signature|no space left|not permitted|cannot upgrade)\b",
    re.IGNORECASE,
)


# After the success line nothing is said but that a reboot is needed (docs/appliance.md 1.2), and on a terminal what screen
# says at its end. The words of a failure there are not known: these are read generously. What a warning cannot do is
# no failure. What it says that failed is one, for a reboot after it may hurt the node; only where what failed is to tidy up
# (a folder, a file, an old image) does the reboot depend on nothing of it. A line that is no warning, as "ERROR: cleanup
# failed, ignored", is for a person: the word does not tell what "ignored" is worth.
_AFTERWARDS = re.compile(
    r"\b(?:failed|failure|fatal|panic|abort(?:ed|ing)?|roll(?:ed|ing)?[ -]?back)\b", re.IGNORECASE
)
_UNLESS_WARNED = re.compile(r"\b(?:error|cannot|could not|unable to)\b", re.IGNORECASE)
_WARNED = re.compile(r"\bwarn(?:ing)?\b", re.IGNORECASE)
_TIDYING = re.compile(
    r"\bfailed to (?:remove|delete|unlink|clean|clean up|tidy) |\b(?:clean-?up|removal|deletion) (?:of .{1,200} )?failed\b",
    re.IGNORECASE,
)
# Names have underscores: kylo_keys, schema_migrations. What holds the node up, or keeps it from booting, is no litter either.
_HOLDS_DATA = re.compile(
    r"(?<![a-z])(?:data(?:base)?s?|db|rows?|tables?|schemas?|keys?|secrets?|certificates?|migrations?|locks?|slots?|partitions?"
    r"|volumes?|services?|maintenance|boot\w*|incomplete|down|broken|no space)(?![a-z])",
    re.IGNORECASE,
)
_NORMAL = re.compile(r"\bstatus: [a-z]{1,20}$|\b(?:no|0|without) (?:error|failure)s?\b", re.IGNORECASE)


def log_verdict(text: str) -> tuple[LogVerdict, str, str]:
    """Return (verdict, version of the success line, last line) of an upgrade log; of one that doubts its success the last line
    that tells why: a person who says that it is done all the same must have read that.

    ``status: error`` lines are what a good run prints while services come up; they mean nothing.
    A failure's words are not known (docs/appliance.md 1.3), so FAILED is only ever a hint: what decides is that
    the script ended without the success line. Where it tells of a failure after that line the success is DOUBTED.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1][:MOST_LINE] if lines else ""
    found = _SUCCESS.findall(text)
    if found:
        doubts = list(_afterwards(lines))
        verdict = LogVerdict.DOUBTED if doubts else LogVerdict.SUCCEEDED
        return verdict, _version_of(*found[-1]), doubts[-1] if doubts else last
    if any(_FAILURE.search(line) for line in lines):
        return LogVerdict.FAILED, "", last
    return LogVerdict.NONE, "", last


def _afterwards(lines: list[str]) -> Iterator[str]:
    """The lines after the last success line that tell of a failure."""
    last = max((number for number, line in enumerate(lines) if _SUCCESS.search(line)), default=len(lines))
    for line in (line[:MOST_LINE] for line in lines[last + 1 :]):
        warned = bool(_WARNED.search(line))
        rest = _TIDYING.sub("", line) if warned and not _HOLDS_DATA.search(line) else line
        hindered = _UNLESS_WARNED.search(rest) and not warned
        if (hindered or _AFTERWARDS.search(rest)) and not _NORMAL.search(line):
            yield line


def _version_of(release: str, rest: str) -> str:
    """The version of a success line: X.Y.Z with what follows it, where that is a build or a beta's name."""
    try:
        return str(Version.parse(release + rest))
    except ValueError:
        return release


_NAMED_TIME = re.compile(r"ks_upgrade_(\d{4}-\d\d-\d\d-\d{6})\.log$", re.ASCII)


def began_at(path: str) -> float | None:
    """Return when a log's upgrade began, by its name: seconds since 1970 as if the node's local time were UTC. The name
    has the right time, the times inside have not (docs/appliance.md 1.2). None: it tells none."""
    found = _NAMED_TIME.search(path)
    try:
        moment = datetime.strptime(found[1], "%Y-%m-%d-%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        moment = None
    return moment.timestamp() if moment else None


def failure_lines(text: str, limit: int = 5) -> str:
    """Return the lines of an upgrade's output that look like the reason of a failure, else its last ones. A line that is
    on the terminal and in the log counts once."""
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    telling = [line for line in lines if _FAILURE.search(line)] or list(_afterwards(lines))
    return "\n".join(line[:MOST_LINE] for line in (telling or lines)[-limit:])
