"""SSH keys, the signing key, and signed archives."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.lab.host import LabError, run
from tests.lab.layout import Layout, NodeLayout

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_BLOCK = 1 << 20


def ssh_key(path: Path, comment: str) -> None:
    """A new ed25519 key pair without a passphrase."""
    for old in (path, path.with_name(f"{path.name}.pub")):
        old.unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)


def new_host_key(node: NodeLayout) -> None:
    """A new host key; known_hosts is left alone."""
    ssh_key(node.seed / "ssh_host_ed25519_key", f"root@{node.name}")


def seed(node: NodeLayout) -> None:
    """Who the node is."""
    node.seed.mkdir(parents=True)
    (node.seed / "machine-id").write_text(uuid.uuid4().hex + "\n")
    new_host_key(node)


def known_hosts_line(node: NodeLayout) -> str:
    """Its line in known_hosts."""
    kind, key, *_ = (node.seed / "ssh_host_ed25519_key.pub").read_text().split()
    return f"{node.address} {kind} {key}\n"


@contextlib.contextmanager
def gpg(lab: Layout) -> Iterator[list[str]]:
    """gpg's command line with the lab's key; its agent ends with the block.

    Its home is reached by a short path, because the agent's socket lies in it (108 characters at most).
    """
    lab.gnupg_link.unlink(missing_ok=True)
    lab.gnupg_link.symlink_to(lab.gnupg.resolve())
    words = ["gpg", "--homedir", str(lab.gnupg_link), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    try:
        yield [*words, "--passphrase", ""]
    finally:
        forget_gpg(lab)


def forget_gpg(lab: Layout) -> None:
    """Ends gpg's agent, also one that a killed start has left."""
    if lab.gnupg_link.is_symlink():
        run("gpgconf", "--homedir", lab.gnupg_link, "--kill", "all", check=False)
        lab.gnupg_link.unlink(missing_ok=True)


def signing_key(lab: Layout) -> None:
    """Makes the key and exports its public part, armored for the tool and plain for the nodes."""
    lab.gnupg.mkdir(mode=0o700)
    with gpg(lab) as words:
        run(*words, "--quick-generate-key", "Lab Signing Key <lab@example.com>", "rsa2048", "sign", "never")
        run(*words, "--armor", "--output", lab.signing_key, "--export")
        run(*words, "--output", lab.directory / "keyring.gpg", "--export")


def fingerprint(lab: Layout) -> str:
    """The signing key's."""
    with gpg(lab) as words:
        listing = run(*words, "--with-colons", "--list-keys")
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))


def bytes_of(size: str) -> int:
    """``64M`` as a number. :raises LabError: not a size."""
    number, unit = (size[:-1], size[-1].upper()) if size and not size[-1].isdigit() else (size, "")
    if not number.isdigit() or unit not in _UNITS:
        raise LabError(f"{size}: a size like 64M is expected")
    return int(number) * _UNITS[unit]


class _Random(io.RawIOBase):
    """So many random bytes, which nothing can compress; one block over and over, because only its size counts."""

    def __init__(self, size: int) -> None:
        self.left, self.block = size, os.urandom(_BLOCK)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(self.left, _BLOCK if size < 0 else size, _BLOCK)
        self.left -= count
        return self.block[:count]


def archive(lab: Layout, size: str, target: str) -> Path:
    """A signed archive, named as the vendor names them. Its first member says what it is."""
    release = target.partition("+")[0]
    name = f"610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v{release}_RevA.tar.gz"
    plain, signed = lab.directory / name, lab.directory / f"{name}.gpg"
    with gzip.open(plain, "wb", compresslevel=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for member, content in (("MANIFEST", f"version: {target}\n".encode()), ("payload", None)):
            info = tarfile.TarInfo(member)
            info.size = bytes_of(size) if content is None else len(content)
            tar.addfile(info, _Random(info.size) if content is None else io.BytesIO(content))
    signed.unlink(missing_ok=True)
    with gpg(lab) as words:
        # SHA-256, which is what gpg chooses for an Ed25519 key; for RSA it chooses the slower SHA-512.
        run(
            *words,
            "--sign",
            "--digest-algo",
            "SHA256",
            "--compress-algo",
            "none",
            "-z",
            "0",
            "--output",
            signed,
            plain,
        )
    plain.unlink()
    return signed
