"""Whether systemd-logind ends what was started in a login when that login ends (logind.conf(5), KillUserProcesses)."""

from __future__ import annotations

import pwd
import re
from pathlib import Path

_ROOT = Path("/")
_FOLDERS = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")  # the later one wins
_SETTING = re.compile(r"^[ \t]*+(#?)[ \t]*+(Kill\w++)[ \t]*+=[ \t]*+([^\n]*)$", re.MULTILINE)
_SESSION = re.compile(r"/session-[^/]+\.scope$", re.MULTILINE)
_YES = ("1", "yes", "y", "true", "t", "on")
_LARGEST = 65_536  # bytes of a file that are read


def ended_by_logout(uid: int, *, root: Path = _ROOT) -> str:
    """Return what ends the processes of this login at its end, in words; "" where nothing does, or no logind is there.

    :param uid: of the user. :param root: where the system's files are.
    """
    if not _SESSION.search(_text(root / "proc/self/cgroup")):
        return ""  # this is no login that logind knows
    settings, place = _settings(root)
    if settings.get("KillUserProcesses", "").lower() not in _YES:
        return ""
    user = {str(uid), _name(uid)}
    only, spared = (
        set(settings.get(key, default).split())
        for key, default in (("KillOnlyUsers", ""), ("KillExcludeUsers", "root"))
    )
    if user & spared or (only and not user & only):
        return ""
    return f"KillUserProcesses=yes ({place})"


def _settings(root: Path) -> tuple[dict[str, str], str]:
    """What is set, and where the last of it; what a distribution's own file has as comments is what was compiled in."""
    found: dict[str, str] = {}
    place = "compiled into systemd-logind"
    for path in _files(root):
        for comment, key, value in _SETTING.findall(_text(path)):
            if not comment:
                found[key] = value.strip()
                place = f"/{path.relative_to(root)}" if key == "KillUserProcesses" else place
            elif path.name == "logind.conf":
                found.setdefault(key, value.strip())
    return found, place


def _files(root: Path) -> list[Path]:
    """The file itself, then the pieces by their names, of which the same name in a later folder hides the others."""
    main = [root / folder / "logind.conf" for folder in _FOLDERS]
    pieces: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in (root / folder / "logind.conf.d").glob("*.conf"):
            pieces[path.name] = path
    return [path for path in main if path.is_file()][-1:] + [pieces[name] for name in sorted(pieces)]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
