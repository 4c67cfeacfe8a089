"""A node with as little as an appliance may have: no Python, gpg or perl that ksadmin could run, nothing executable in
/tmp; and the control plane over TLS, which offers a ksctl."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from tests.lab.host import run
from tests.lab.layout import NodeLayout

PRIVATE = "opt/keysecure/private"  # what the stand-in itself needs of them; root's alone
TLS = "opt/keysecure/tls.pem"
IMAGES = "ksctl_images.zip"  # in the node's shared folder
_HIDDEN = ("python*", "pypy*", "gpg*", "perl*", "ksctl*", "openssl", "curl", "wget")
FIND = (
    'find "$@" -xdev -type d -perm 700 -prune -o \\( -type l -o -perm /001 -a ! -type d \\) \\( '
    + " -o ".join(f"-name '{name}'" for name in _HIDDEN)
    + " \\) -print"
)
_OWN = ("gpg", "gpgv")  # that ks_upgrade.sh runs
_TEMPORARY = """\
[Unit]
DefaultDependencies=no
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for one in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec,nosuid,nodev,size=8m,mode=1777 bare $one; done'
"""


class Layer(Protocol):
    """What of a root's layer is used here."""

    def folder(self, path: str) -> Path: ...
    def file(self, path: str, content: bytes, mode: int = ...) -> None: ...
    def link(self, path: str, target: str) -> None: ...
    def hide(self, path: str) -> None: ...


def make(node: NodeLayout, images: Path) -> None:
    """Makes a node bare, before it is started. ``images``: the download that its control plane offers."""
    shutil.copy(images, node.shared / IMAGES)
    key, certificate = node.seed / "tls.key", node.seed / "tls.crt"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
        f"/CN={node.name}", "-addext", f"subjectAltName=IP:{node.address}", "-keyout", key, "-out", certificate,
    )  # fmt: skip
    (node.seed / "tls.pem").write_text(key.read_text() + certificate.read_text())


def is_bare(node: NodeLayout) -> bool:
    """Whether :func:`make` was called for it."""
    return (node.seed / "tls.pem").exists()


def programs(*places: str) -> list[str]:
    """What is in these folders of this machine of all that a bare node has not."""
    return run("sh", "-c", FIND, "sh", *places).splitlines()


def root(node: NodeLayout, layer: Layer, python: str) -> str:
    """Takes out of a root what is not to be there. Returns where the stand-in's own Python is then."""
    for program in programs("/usr", "/opt"):
        layer.hide(program.lstrip("/"))
    for name in _OWN:
        found = shutil.which(name)
        layer.file(f"{PRIVATE}/{name}", Path(found or f"/usr/bin/{name}").read_bytes(), 0o700)
    layer.file(f"{PRIVATE}/python3", Path(python).resolve().read_bytes(), 0o700)
    layer.folder(PRIVATE).chmod(0o700)
    layer.file(TLS, (node.seed / "tls.pem").read_bytes(), 0o600)
    where = "etc/systemd/system"
    layer.file(f"{where}/temporary.service", _TEMPORARY.encode())
    layer.link(f"{where}/ssh.service.requires/temporary.service", "../temporary.service")
    return f"/{PRIVATE}/python3"
