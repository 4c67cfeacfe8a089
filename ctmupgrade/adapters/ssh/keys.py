"""Which private keys are offered to a server, best first. Never a password.

The order is OpenSSH's: what the settings name first, then what the agent holds besides, then the default files.
Each is looked for only when those before it were refused: an agent that hangs or asks does not matter before that.
"""

from __future__ import annotations

import base64
import copy
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from ctmupgrade.adapters.ssh.agent import CERTIFICATE, Agent, AgentError, AgentKey
from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.key_files import (
    Certificate,
    NeedsPassphraseError,
    NotAKeyError,
    PublicHalfError,
    certificate,
    every_ssh_reads,
    load_key,
    public_blob,
    unsafe_mode,
)
from ctmupgrade.errors import AuthenticationError

# OpenSSH's MaxAuthTries is 6; the sixth failure ends the connection with a text paramiko loses.
MOST_OFFERED = 5


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that can sign, and how another program could use it too."""

    key: paramiko.PKey
    origin: str  # for people: the file, or "agent key ..."
    file: Path | None = None  # a private key that needs no passphrase
    agent: str | None = None  # the socket of the agent that holds it
    certificate: Certificate | None = None

    @property
    def fingerprint(self) -> str:
        """Return ``SHA256:...`` of its public half; with the certificate's name where it is offered with one."""
        plain = fingerprint(self.key.asbytes())
        return f"{plain} with {self.certificate.path.name}" if self.certificate else plain

    def public_line(self) -> str:
        """Return the public half as in a ``.pub`` file."""
        return f"{self.key.get_name()} {base64.b64encode(self.key.asbytes()).decode()}\n"

    def shown(self) -> str:
        """Return it for people."""
        return f"{self.origin} ({self.fingerprint})"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say about keys for one server.

    :ivar identity_file: the only key that is offered, from cluster.yaml.
    :ivar named: keys that the SSH configuration names; ``defaults``: files that are tried where it names none.
    :ivar only: offer nothing from the agent that is not named.
    :ivar last: a key that is offered when nothing else is left.
    """

    label: str
    user: str
    identity_file: Path | None = None
    passphrase_env: str | None = None
    named: tuple[Path, ...] = ()
    defaults: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    only: bool = False
    agent: str | None = None
    last: Path | None = None
    setting: str = "ssh.identity_file"
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class Keyring:
    """The keys for one server, found as they are needed. The agent stays open until :meth:`close`."""

    wanted: Wanted
    prefer: str | None = None  # the fingerprint that was accepted last time
    log: Callable[[str], None] | None = None
    notes: list[str] = field(default_factory=list)  # why something was left out
    _agent: Agent | None = None
    _asked: list[Credential] | None = None

    def close(self) -> None:
        """Let the agent go."""
        if self._agent:
            self._agent.close()

    def offers(self) -> Iterator[Credential]:
        """Return the keys to offer, best first, at most :data:`MOST_OFFERED`.

        :raises AuthenticationError: no key, or the named one cannot be used.
        """
        last = self._last() if self.wanted.last and not self.wanted.identity_file else []
        count = 0
        for count, one in enumerate(self._found(), 1):
            yield one
            if count >= MOST_OFFERED - len(last):
                break
        yield from last
        if not count and not last:
            raise AuthenticationError(
                f"{self.wanted.label}: no SSH key to offer",
                details="\n".join([*self.notes, *self._nowhere()]),
                remedy=f"Set {self.wanted.setting} in cluster.yaml, or ssh-add the key.",
            )

    def not_offered(self, offered: list[Credential]) -> list[Credential]:
        """Return what would have come next."""
        seen = {one.fingerprint for one in offered}
        with suppress(AuthenticationError):
            return [one for one in self._found() if one.fingerprint not in seen]
        return []

    def _nowhere(self) -> list[str]:
        agent = "the ssh-agent has none" if self.wanted.agent else "there is no ssh-agent"
        lines = [f"{agent}, and there is no usable key in the files that are named, or in ~/.ssh"]
        return lines + [f"not asked: {word} of the SSH configuration" for word in self.wanted.unread]

    def _found(self) -> Iterator[Credential]:
        seen: set[str] = set()
        stages = (self._named, self._held, self._default)
        if self.prefer:
            for stage in stages:
                if hit := next((one for one in stage() if one.fingerprint == self.prefer), None):
                    seen.add(hit.fingerprint)
                    yield hit
                    break
        for stage in stages:
            for one in stage():
                if one.fingerprint not in seen:
                    seen.add(one.fingerprint)
                    yield one

    # -- the stages ------------------------------------------------------------------------------

    def _named(self) -> list[Credential]:
        if self.wanted.identity_file:
            return self._only_one(self.wanted.identity_file)
        return [one for path in self.wanted.named for one in self._lenient(path, held_too=True)]

    def _held(self) -> list[Credential]:
        """The agent's other keys; hardware keys (a touch) last."""
        if self.wanted.only or self.wanted.identity_file:
            return []
        held = sorted(self._of_agent(), key=lambda one: one.key.get_name().startswith("sk-"))
        return [offer for one in held for offer in self._with_certificates(one, self.wanted.certificates)]

    def _default(self) -> list[Credential]:
        if self.wanted.identity_file:
            return []
        return [
            one for path in self.wanted.defaults for one in self._lenient(path, held_too=self.wanted.only)
        ]

    def _last(self) -> list[Credential]:
        return self._lenient(self.wanted.last, held_too=False)[:1] if self.wanted.last else []

    # -- one key ---------------------------------------------------------------------------------

    def _only_one(self, path: Path) -> list[Credential]:
        """The key of ``identity_file``, from the file or, where that cannot be used by itself, from the agent."""
        try:
            found = self._from_file(path, self._passphrase())
        except (OSError, NotAKeyError, PublicHalfError, NeedsPassphraseError) as error:
            held = self._in_agent(path)
            if held is None:
                raise self._refusal(path, error) from error
            found = held
        return self._with_certificates(found, self._beside(path))

    def _lenient(self, path: Path, *, held_too: bool) -> list[Credential]:
        """A key that may be missing; why it is left out is noted."""
        found: Credential | None = None
        try:
            found = self._from_file(path, self._passphrase())
        except FileNotFoundError:
            found = self._in_agent(path) if held_too and public_blob(path) else None
        except (OSError, NotAKeyError, PublicHalfError, NeedsPassphraseError) as error:
            found = self._in_agent(path) if held_too else None
            if found is None:
                self.note(f"{path} is left out: {_why(error)}")
        return self._with_certificates(found, self._beside(path)) if found else []

    def _from_file(self, path: Path, passphrase: str | None) -> Credential:
        try:
            key = load_key(path, None)
            file = path if every_ssh_reads(path) else None
        except NeedsPassphraseError:
            if not passphrase:
                raise
            try:
                key, file = load_key(path, passphrase), None
            except NotAKeyError as error:
                text = f"the passphrase in ${self.wanted.passphrase_env} does not open {path}"
                raise NotAKeyError(
                    text, f"Set {self.wanted.passphrase_env} to the passphrase of that key."
                ) from error
        if trouble := unsafe_mode(path):
            raise NotAKeyError(trouble, f"chmod 600 {shlex.quote(str(path))}")
        return Credential(key, str(path), file=file)

    def _passphrase(self) -> str | None:
        return os.environ.get(self.wanted.passphrase_env or "") or None

    def _in_agent(self, path: Path) -> Credential | None:
        blob = public_blob(path)
        return next((one for one in self._of_agent() if one.key.asbytes() == blob), None) if blob else None

    def _of_agent(self) -> list[Credential]:
        """Every key of the agent; the trouble with one that does not answer is noted, once."""
        if self._asked is None:
            self._asked = []
            if self.wanted.agent:
                try:
                    self._agent = Agent(self.wanted.agent)
                    self._asked = [_of_agent(key, self.wanted.agent) for key in self._agent.held()]
                except AgentError as error:
                    self.note(f"the ssh-agent at {self.wanted.agent}: {error}")
        return self._asked

    def _beside(self, path: Path) -> tuple[Path, ...]:
        stem = str(path).removesuffix(".pub")
        return (Path(f"{stem}-cert.pub"), *self.wanted.certificates)

    def _with_certificates(self, one: Credential, paths: tuple[Path, ...]) -> list[Credential]:
        offers = []
        for path in dict.fromkeys(paths):
            found = certificate(path)
            if found is None and os.path.lexists(path):
                self.note(f"{path} is left out: it is no user certificate that can be read")
            elif found and found.key_blob != one.key.asbytes() and path not in self.wanted.certificates:
                self.note(f"{path} is left out: it is for another key")
            elif found and found.key_blob == one.key.asbytes():
                key = copy.copy(one.key)
                key.load_certificate(found.line)
                offers.append(Credential(key, one.origin, one.file, one.agent, found))
        return [*offers, one]

    def note(self, line: str) -> None:
        """Keep why a key was left out, once."""
        if line not in self.notes:
            self.notes.append(line)
            if self.log:
                self.log(f"{self.wanted.label}: {line}")

    def _refusal(self, path: Path, error: Exception) -> AuthenticationError:
        label, variable, setting = self.wanted.label, self.wanted.passphrase_env, self.wanted.setting
        nobody = self.notes or [
            "the ssh-agent does not hold it" if self.wanted.agent else "there is no ssh-agent"
        ]
        if isinstance(error, NeedsPassphraseError):
            how = (
                variable
                or f"{setting.rpartition('.')[0]}.passphrase_env to the name of a variable that holds it"
            )
            return AuthenticationError(
                f"{label}: the SSH key {path} needs a passphrase",
                details="\n".join([*nobody, "no passphrase was given"]),
                remedy=f"ssh-add {path}\nSet {how}.",
            )
        if isinstance(error, PublicHalfError):
            return AuthenticationError(
                f"{label}: {path} is a public key, and the ssh-agent has no private key for it",
                details="\n".join(nobody),
                remedy=f"ssh-add the private key, or name its file in {setting}.",
            )
        remedy = error.remedy if isinstance(error, NotAKeyError) else f"Correct {setting} in cluster.yaml."
        text = f"{label}: the SSH key {path} cannot be used: {_why(error)}"
        return AuthenticationError(text.replace("ssh.identity_file", setting), details="", remedy=remedy)


def trouble_of(offered: list[Credential], user: str) -> list[str]:
    """Return what is known to be wrong with the certificates among refused keys."""
    now = time.time()
    return [text for one in offered if one.certificate and (text := one.certificate.trouble(user, now))]


def _of_agent(key: AgentKey, socket: str) -> Credential:
    comment = f" {key.comment}" if key.comment else ""
    kind = "certificate" if key.name.endswith(CERTIFICATE) else "key"
    return Credential(key, f"agent {kind}{comment}", agent=socket)


def _why(error: Exception) -> str:
    if isinstance(error, NeedsPassphraseError):
        return "it needs a passphrase"
    if isinstance(error, PublicHalfError):
        return "it is a public key, whose private key the ssh-agent does not hold"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
