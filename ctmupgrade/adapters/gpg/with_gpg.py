"""Verifies with gpg, in a home of its own that holds the pinned key and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.gpg.keyring import missing_key, read_keyring, refuse_damaged
from ctmupgrade.adapters.gpg.program import SHORT, GpgProgram
from ctmupgrade.adapters.gpg.verdict import PinnedKey
from ctmupgrade.adapters.gpg.way import UnusableError
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.errors import UsageError


class WithGpg:
    """A :class:`.way.Way` with the machine's gpg."""

    def __init__(self, gpg: str = "gpg") -> None:
        """:param gpg: name or path of the program."""
        self._gpg = gpg

    @contextmanager
    def ready(self, signer: str, keyring: Path | None) -> Iterator[tuple[GpgProgram, PinnedKey]]:
        """Return a gpg that knows the pinned key only, for the time of the block.

        :raises UnusableError: it is not installed, or does not work.
        :raises UsageError: the keyring cannot be read, is damaged, or lacks the key.
        """
        if not shutil.which(self._gpg):
            raise UnusableError(f"{self._gpg} is not installed")
        with ExitStack() as stack:
            try:
                made = self._prepare(stack.enter_context(_home()), signer, keyring)
            except OSError as error:  # no folder for files of a moment, or a full one
                raise UnusableError(
                    f"{self._gpg} cannot keep its keys here ({error.strerror or error})"
                ) from error
            yield made

    def _prepare(self, home: Path, signer: str, keyring: Path | None) -> tuple[GpgProgram, PinnedKey]:
        """A gpg that knows the pinned key only; where the keyring holds others too, in a second home."""
        data = self._own(signer) if keyring is None else read_keyring(keyring, signer)
        every = self._at(home / "all")
        self._import(every, home / "keys", data, keyring)
        keys = every.list_keys()
        one = every
        key = _pinned(keys, signer, keyring)
        if len(keys) > 1:
            one = self._at(home / "one")
            only = every.export_keys(key.primary, armor=False)
            self._import(one, home / "key", only, keyring)
        return one, key

    def _import(self, gpg: GpgProgram, file: Path, data: bytes, keyring: Path | None) -> None:
        file.write_bytes(data)
        # With a clock that is behind, say that, not "no such key".
        said = gpg.import_file(file, "--ignore-time-conflict")
        if keyring is not None:
            refuse_damaged(keyring, said)

    def _at(self, folder: Path) -> GpgProgram:
        folder.mkdir(mode=0o700)
        # No agent: keyring files may hold secret keys, which are none of our business. No options and no
        # network either: what gpg decides must not depend on somebody's gpg.conf.
        options = ["--no-options", "--agent-program", "/nonexistent", "--disable-dirmngr",
                   "--no-auto-key-retrieve", "--trust-model", "always", "--no-auto-check-trustdb"]  # fmt: skip
        try:
            gpg = GpgProgram(self._gpg, str(folder), options=options, env={**login_environ(), "LC_ALL": "C"})
            if gpg.version is None:
                raise ValueError("it does not tell its version")
        except (OSError, ValueError) as error:
            raise UnusableError(f"{self._gpg} does not work here ({error})") from error
        return gpg

    def _own(self, signer: str) -> bytes:
        """The signer's key in the caller's own keyring; b"" where there is none."""
        home = Path(os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg"))  # noqa: PTH111 - without a home it raises nothing
        stores = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf")
        if not any((home / name).exists() for name in stores):
            return b""  # asking would make gpg create one
        argv = [self._gpg, "--batch", "--no-tty", "--no-auto-check-trustdb", "--export", signer]
        env = {**login_environ(), "GNUPGHOME": str(home)}
        try:
            return subprocess.run(
                argv, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=SHORT
            ).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"your gpg keyring in {home} cannot be read",
                details=str(error),
                remedy=f"gpg --list-keys {signer}",
            ) from error


def _pinned(keys: list[dict[str, Any]], signer: str, keyring: Path | None) -> PinnedKey:
    """The pinned key among those of the keyring. :raises UsageError: it is not there."""
    # Primary fingerprints last: one key's primary may be another's subkey, and then counts as itself.
    named = [(key, (key["fingerprint"], (key["uids"] or ["no name"])[0])) for key in keys]
    others = {sub[2]: owner for key, owner in named for sub in key["subkeys"]}
    others |= {key["fingerprint"]: owner for key, owner in named}
    if signer not in others:
        raise missing_key(signer, keyring, sorted({primary for primary, _ in others.values()}))
    primary = others[signer][0]
    key = next(key for key in keys if key["fingerprint"] == primary)
    parts = [key, *key.get("subkey_info", {}).values()]
    strength = {
        part["fingerprint"]: (part["algo"], int(part["length"]) if part["length"].isdigit() else 0)
        for part in parts
    }
    return PinnedKey(primary, datetime.fromtimestamp(int(key["date"]), UTC), others, strength)


@contextmanager
def _home() -> Iterator[Path]:
    with private_folder() as top:
        try:
            yield top
        finally:
            for home in (path for path in top.iterdir() if path.is_dir()):
                # Without a keyring file in it, keyboxd keeps the keys (gpg 2.4's common.conf) and still runs.
                if not (home / "pubring.kbx").exists() and shutil.which("gpgconf"):
                    argv = ["gpgconf", "--homedir", str(home), "--kill", "all"]
                    with suppress(OSError, subprocess.TimeoutExpired):
                        subprocess.run(
                            argv, env=login_environ(), capture_output=True, stdin=subprocess.DEVNULL,
                            check=False, timeout=SHORT,
                        )  # fmt: skip
