"""Who and where we are on this machine, as OpenSSH sees it: home, user, and the environment of its helpers.

A container may run us under a number without a name, and without HOME: nothing here fails for that.
"""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

from ctmupgrade.errors import UsageError

# Secrets of ours, by name: a ProxyCommand or a `Match exec` gets the rest of the environment, as it does from ssh.
_OURS = ("KSCTL_", "CTM_", "CTMUPGRADE_")
_SECRET = ("PASSWORD", "PASSPHRASE", "PASSWD")


def home() -> Path | None:
    """Return the home folder: ``$HOME``, else the one of the passwd entry, else None."""
    try:
        return Path.home()
    except (RuntimeError, KeyError):
        return None


def home_of_ssh() -> Path | None:
    """Return the home that the ssh program uses. It never looks at ``$HOME``. None: it would refuse to run."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def user_folder() -> Path | None:
    """Return ``~/.ssh``, or None where there is no home."""
    found = home()
    return found / ".ssh" if found else None


def local_user() -> str:
    """Return the name of the user that runs us; the number stands for a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def expanded(text: str) -> Path:
    """Return a path with its ``~`` replaced.

    :raises UsageError: there is no such home folder.
    """
    if not text.startswith("~"):
        return Path(text)
    folder = home()
    if folder and (text == "~" or text.startswith("~/")):
        return folder / text[2:]
    try:
        return Path(text).expanduser()
    except (RuntimeError, KeyError) as error:
        raise UsageError(
            f"{text}: there is no home folder for it", remedy="Set HOME, or write the whole path."
        ) from error


def helper_environ(secrets: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the environment for a helper that the operator's own SSH configuration names.

    :param secrets: names of variables that hold secrets of ours.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in secrets
        and not name.startswith(_OURS)
        and not any(word in name.upper() for word in _SECRET)
    }
