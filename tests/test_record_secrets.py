"""What `record` writes has no secret of any kind in it, whatever a node says and wherever it says it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands.record import record
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.core.model import Skip
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Control, Reply, Shell
from tests.hostile.nodes import in_json
from tests.support.desk import SCENARIOS

KNOWN, KEY = "Kp-Zq70known-S3cr&t", "bk-Zq71-pässw0rd+/"
LONG = "Zq72AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
# A secret of each kind as somebody would print it, and the part of it that must be nowhere.
KINDS = {
    "the password of ksctl": (f"login admin {KNOWN} failed", "Zq70"),
    "the password of the backup key": (f"key {KEY}", "Zq71"),
    "a password in base64": (base64.b64encode(f"admin:{KNOWN}".encode()).decode(), base64.b64encode(KNOWN.encode()).decode()[4:16]),
    "a password in hexadecimal": (KNOWN.encode().hex(), KNOWN.encode().hex()[4:20]),
    "a private key": (f"-----BEGIN PRIVATE KEY-----\n{LONG}\n-----END PRIVATE KEY-----", "Zq72"),
    "an ssh key": (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LONG}\n-----END OPENSSH PRIVATE KEY-----", "Zq72"),
    "a pgp key": (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{LONG}\n-----END PGP PRIVATE KEY BLOCK-----", "Zq72"),
    "a web token": (f"eyJhbGciOiJIUzI1NiJ9.eyJ{LONG}.{LONG}", "Zq72"),
    "a token of a forge": (f"ghp_{LONG}", "Zq72"),
    "a hash of a password": (f"root:$6$salt$Zq73{LONG}:19000::", "Zq73"),
    "a field": ('{"password": "Zq74secret", "pin": "Zq74"}', "Zq74"),
    "a line": ("password: Zq75secret", "Zq75"),
    "an option": ("curl --password Zq76secret x", "Zq76"),
    "a user": ("curl -u root:Zq77secret x", "Zq77"),
    "an address": ("postgres://admin:Zq78secret@db.example.com/x", "Zq78"),
    "a header": (f"Authorization: Bearer {LONG}", "Zq72"),
    "a variable": ("PGPASSWORD=Zq79secret psql", "Zq79"),
}  # fmt: skip


@dataclass
class Telling:
    """A shell or a control plane that says a secret with each answer.

    :ivar how: in its output, in its errors, or in the error of the connection.
    """

    inner: Any
    secret: str
    how: str

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        said = self.inner.read(*argv, timeout=timeout)
        match self.how:
            case "error":
                raise NodeError(f"no answer to {argv[0]}: {self.secret}")
            case "err":
                return Reply(said.code or 1, said.out, f"{said.err}\n{self.secret}\n")
            case "field" if said.out.startswith(("{", "[")):
                return Reply(said.code, in_json(f" {self.secret}")("", said.out), said.err)
            case "field":
                return Reply(
                    said.code, "".join(f"{line} {self.secret}\n" for line in said.out.splitlines()), said.err
                )
            case _:
                return Reply(
                    said.code, f"{said.out}\n{self.secret}\nks_upgrade.sh -f a {self.secret}\n", said.err
                )

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        yield self.read(*argv, timeout=timeout).out.encode()


@dataclass
class TellingFleet:
    """All nodes of a cluster that tell."""

    inner: Any
    secret: str
    how: str

    def shell(self, node: str) -> Shell:
        return Telling(self.inner.shell(node), self.secret, self.how)  # type: ignore[return-value]  # record only reads

    def control(self, node: str) -> Control:
        return Telling(self.inner.control(node), self.secret, self.how)  # type: ignore[return-value]

    def learn(self, cluster: object) -> None: ...

    def close(self) -> None: ...


HOWS = pytest.mark.parametrize("how", ["out", "err", "field", "error"])


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSCTL_PASSWORD", KNOWN)
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", KEY)


@HOWS
def test_no_secret_of_any_kind_is_recorded(how: str, tmp_path: Path) -> None:
    text = written(tmp_path, "\n\n".join(said for said, _ in KINDS.values()), how)
    assert [kind for kind, (_, part) in KINDS.items() if part in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@HOWS
def test_a_secret_alone_is_not_recorded(kind: str, how: str, tmp_path: Path) -> None:
    said, part = KINDS[kind]
    assert part not in written(tmp_path, said, how)


def written(folder: Path, secret: str, how: str) -> str:
    """All that a record of a cluster has in it whose every answer says a secret."""
    with setup(CommandRequest(state_dir=folder / "state", simulate=SCENARIOS / "rebuild-two")) as made:
        until = datetime(2030, 1, 1, tzinfo=UTC)
        cluster = replace(made.cluster, skips=(Skip("versions_equal", f"CHG-1 {secret}", until),))
        tools = replace(made.tools, fleet=TellingFleet(made.tools.fleet, secret, how))
        record(Setup(made.request, cluster, tools, made.world), folder / "rec")
    files = [file for file in (folder / "rec").rglob("*") if file.is_file()]
    assert len(files) == 2
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert text.count("***") > 10, "it was said, in every answer"
    return text
