"""``check`` says what to do about the archive in the verifier's own words: one trouble, one remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.alone import CLUSTER
from tests.support.desk import Desk
from tests.support.gpg_ring import garbage
from tests.support.live import Signing


def no_key(desk: Desk, _signing: Signing) -> str:
    (desk.folder / "ring").mkdir(mode=0o700)
    desk.environ["GNUPGHOME"] = str(desk.folder / "ring")
    return ""


def damaged(desk: Desk, signing: Signing) -> str:
    (desk.folder / "keys").write_bytes(signing.gpg("--export") + garbage(300_000))
    return ", keyring: ./keys"


def page(desk: Desk, _signing: Signing) -> str:
    (desk.folder / "keys").write_text("<!doctype html>log in")
    return ", keyring: ./keys"


def altered(desk: Desk, signing: Signing) -> str:
    archive = desk.folder / "a_v2.21.0.tar.gz.gpg"
    data = bytearray(archive.read_bytes())
    data[50_000] ^= 1
    archive.write_bytes(data)
    (desk.folder / "keys").write_bytes(signing.gpg("--export"))
    return ", keyring: ./keys"


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (no_key, "gpg --import"),
        (damaged, "target.keyring"),
        (page, "target.keyring"),
        (altered, "do not use this file"),
    ],
)
def test_check_shows_the_remedy_that_verify_shows(
    signing: Signing, tmp_path: Path, trouble: Callable[[Desk, Signing], str], remedy: str
) -> None:
    desk = Desk(tmp_path)
    signing.sign(tmp_path / "a_v2.21.0.tar.gz.gpg", 100_000)
    keyring = trouble(desk, signing)
    (tmp_path / "cluster.yaml").write_text(CLUSTER.format(signer=signing.fingerprint, keyring=keyring))
    said = desk.type("check", "--format", "json", KSCTL_PASSWORD="x")

    assert said.stdout, said.stderr
    document: dict[str, Any] = json.loads(said.stdout)
    found = {f["check"]: f for f in document["findings"]}
    assert found["archive_signature_good"]["verdict"] == "block"
    assert remedy in found["archive_signature_good"]["remedy"]
    for finding in document["findings"]:
        assert "gpg --verify" not in finding["remedy"] and "name the archive" not in finding["remedy"]
    alone = desk.type("verify", "a_v2.21.0.tar.gz.gpg", KSCTL_PASSWORD="x")
    assert remedy in alone.stderr and alone.returncode in (2, 3)
