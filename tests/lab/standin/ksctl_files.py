"""The commands of ``ksctl`` that read or write files on the operator's machine."""

from __future__ import annotations

import sys

from .ksctl_config import UsageError, prompt

TYPE_CHECKING = False  # importing typing would be a good part of a short-lived program's run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Caller(Protocol):
        """What of the client is used here."""

        def call(self, method: str, path: str, body: Any = None) -> bytes: ...


def _needed(flags: dict[str, str], *names: str) -> list[str]:
    missing = [name for name in names if not flags.get(f"--{name}")]
    if missing:
        raise UsageError(f'Error: required flag(s) "{missing[0]}" not set')
    return [flags[f"--{name}"] for name in names]


def _key_password(flags: dict[str, str]) -> str:
    return flags.get("--bkpassword") or prompt("password for the backup key: ")


def _write(path: str, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"Error: open {path}: {error.strerror}") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"Error: open {path}: {error.strerror}") from error


def backup_download(client: Caller, flags: dict[str, str]) -> None:
    """``backup download``."""
    (name,) = _needed(flags, "id")
    path = flags.get("--file", f"{name}.bak")
    _write(path, client.call("GET", f"backups/{name}/download"))
    sys.stdout.write(f"Backup downloaded to {path}\n")


def backup_upload(client: Caller, flags: dict[str, str]) -> None:
    """``backup upload``."""
    (path,) = _needed(flags, "file")
    sys.stdout.write(client.call("POST", "backups/upload", _read(path)).decode() + "\n")


def key_download(client: Caller, flags: dict[str, str]) -> None:
    """``backupkeys download``; asks for the password where it is not given."""
    (name,) = _needed(flags, "id")
    body = {"password": _key_password(flags), "hint": flags.get("--hint", "")}
    path = flags.get("--file", f"{name}.key")
    _write(path, client.call("POST", f"backupkeys/{name}/download", body))
    sys.stdout.write(f"Backup key downloaded to {path}\n")


def key_upload(client: Caller, flags: dict[str, str]) -> None:
    """``backupkeys upload``; asks for the password where it is not given."""
    (path,) = _needed(flags, "file")
    body = {"password": _key_password(flags), "content": _read(path).decode("ascii", "replace")}
    sys.stdout.write(client.call("POST", "backupkeys/upload", body).decode() + "\n")


FILES: dict[str, Callable[[Any, dict[str, str]], None]] = {
    "backup download": backup_download,
    "backup upload": backup_upload,
    "backupkeys download": key_download,
    "backupkeys upload": key_upload,
}
