"""Which private keys are offered to a server, best first. Never a password."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from ctmupgrade.adapters.ssh.trust import fingerprint
from ctmupgrade.errors import AuthenticationError

# OpenSSH's MaxAuthTries is 6; the sixth failure ends the connection with a text paramiko loses.
_MOST_OFFERED = 5
_DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
_CLASSES: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that can sign, and how another program could use it too."""

    key: paramiko.PKey
    origin: str  # for people: the file, or "agent key ..."
    file: Path | None = None  # a private key that needs no passphrase
    agent: bool = False

    @property
    def fingerprint(self) -> str:
        """``SHA256:...`` of its public half."""
        return fingerprint(self.key.asbytes())

    def public_line(self) -> str:
        """The public half as in a ``.pub`` file."""
        return f"{self.key.get_name()} {base64.b64encode(self.key.asbytes()).decode()}\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say about keys for one server."""

    label: str
    identity_file: Path | None
    passphrase_env: str | None
    config_files: tuple[Path, ...] = ()


class _PassphraseNeededError(Exception):
    pass


class _NotAKeyError(Exception):
    pass


@contextmanager
def agent_keys() -> Iterator[tuple[paramiko.AgentKey, ...]]:
    """The ssh-agent's keys, usable inside the block; none where there is no agent."""
    try:
        agent = paramiko.Agent()
    except (paramiko.SSHException, OSError):
        yield ()
        return
    try:
        yield agent.get_keys()
    finally:
        agent.close()


def credentials(
    wanted: Wanted,
    agent: Iterable[paramiko.AgentKey],
    *,
    prefer: str | None = None,
    log: Callable[[str], None] | None = None,
) -> list[Credential]:
    """The keys to offer, best first; just one where the settings name one.

    :param prefer: fingerprint of the key that was accepted last time; it goes first.
    :raises AuthenticationError: no key, or the named one cannot be used.
    """
    held = [Credential(key, f"agent key {fingerprint(key.asbytes())}", agent=True) for key in agent]
    if wanted.identity_file:
        return [_named(wanted, wanted.identity_file, held)]
    found = [*_config_first(held, wanted.config_files), *_from_files(wanted, log)]
    unique = list({credential.fingerprint: credential for credential in reversed(found)}.values())[::-1]
    unique.sort(key=lambda credential: credential.fingerprint != prefer)
    if not unique:
        raise AuthenticationError(
            f"{wanted.label}: no SSH key to offer",
            details="the ssh-agent has none, and there is no usable key in ~/.ssh",
            remedy="Set ssh.identity_file in cluster.yaml, or ssh-add the key.",
        )
    return unique[:_MOST_OFFERED]


def _named(wanted: Wanted, path: Path, held: list[Credential]) -> Credential:
    """The one key of ``identity_file``, from the file or, where that is locked, from the agent."""
    with suppress(_PassphraseNeededError):
        return Credential(_checked(wanted, path, None), str(path), file=path)
    variable = wanted.passphrase_env
    passphrase = os.environ.get(variable, "") if variable else ""
    if passphrase:
        try:
            return Credential(_checked(wanted, path, passphrase), str(path))
        except AuthenticationError as error:
            raise AuthenticationError(
                f"{wanted.label}: the passphrase in ${variable} does not open {path}",
                remedy=f"Set {variable} to the passphrase of that key.",
            ) from error
    blob = _public_blob(path)
    for credential in held:
        if blob and credential.key.asbytes() == blob:
            return credential
    how = f"Set {variable}" if variable else "Set ssh.passphrase_env to the name of a variable that holds it"
    raise AuthenticationError(
        f"{wanted.label}: the SSH key {path} needs a passphrase",
        details="the ssh-agent does not hold it, and no passphrase was given",
        remedy=f"ssh-add {path}\n{how}.",
    )


def _checked(wanted: Wanted, path: Path, passphrase: str | None) -> paramiko.PKey:
    try:
        return _load(path, passphrase)
    except OSError as error:
        reason = error.strerror or str(error)
    except _NotAKeyError:
        reason = "not a private key that can be read (ed25519, ecdsa or RSA in OpenSSH or PEM form)"
    raise AuthenticationError(
        f"{wanted.label}: the SSH key {path} cannot be used: {reason}",
        remedy="Correct ssh.identity_file in cluster.yaml.",
    )


def _load(path: Path, passphrase: str | None) -> paramiko.PKey:
    """Tries every class: paramiko's one-call loader changed its parameters between 4 and 5."""
    path.read_bytes()  # OSError for what is missing, a folder or forbidden, before paramiko's texts
    for kind in _CLASSES:
        try:
            return kind.from_private_key_file(str(path), passphrase)
        except paramiko.PasswordRequiredException as error:
            raise _PassphraseNeededError from error
        except (paramiko.SSHException, ValueError, TypeError, IndexError, AssertionError, UnicodeError):
            continue
    raise _NotAKeyError


def _config_first(held: list[Credential], files: Iterable[Path]) -> list[Credential]:
    """The agent's keys, those that ~/.ssh/config names first, hardware keys (a touch) last."""
    blobs = {blob for file in files if (blob := _public_blob(file))}
    return sorted(
        held, key=lambda one: (one.key.asbytes() not in blobs, one.key.get_name().startswith("sk-"))
    )


def _from_files(wanted: Wanted, log: Callable[[str], None] | None) -> list[Credential]:
    folder = Path.home() / ".ssh"
    found = []
    for path in (*wanted.config_files, *(folder / name for name in _DEFAULT_NAMES)):
        try:
            found.append(Credential(_load(path, None), str(path), file=path))
        except _PassphraseNeededError:
            variable = wanted.passphrase_env
            passphrase = os.environ.get(variable) if variable else None
            with suppress(_NotAKeyError, _PassphraseNeededError):
                if passphrase:
                    found.append(Credential(_load(path, passphrase), str(path)))
                elif log:
                    log(f"{wanted.label}: {path} is left out, it needs a passphrase")
        except (OSError, _NotAKeyError):
            continue
    return found


def _public_blob(path: Path) -> bytes | None:
    """The public half of a key file: of ``path.pub``, or of the open part of an OpenSSH file."""
    with suppress(OSError, IndexError, binascii.Error, UnicodeError):
        return base64.b64decode(Path(f"{path}.pub").read_text(encoding="utf-8").split()[1])
    with suppress(OSError, binascii.Error, UnicodeError, paramiko.SSHException):
        lines = path.read_text(encoding="utf-8").split("-----")
        if len(lines) > 2 and "OPENSSH" in lines[1]:
            message = paramiko.Message(base64.b64decode("".join(lines[2].split())))
            message.get_bytes(len(b"openssh-key-v1\0"))
            for _ in range(3):  # cipher, key derivation and its options
                message.get_binary()
            message.get_int()
            blob: bytes = message.get_binary()
            return blob
    return None
