"""A node's root: this machine's own files, under a layer that hides what is not the node's business."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from tests.lab import bare, units
from tests.lab.host import ROOT, node_python
from tests.lab.layout import NodeLayout

KSADMIN, STAFF = 1999, 50
_SYSTEM = frozenset((
    "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var",
))  # fmt: skip
# Folders of this machine that are empty in a node.
_EMPTIED = (
    "etc/ssh", "etc/sudoers.d", "etc/systemd/system", "etc/update-motd.d", "etc/profile.d", "etc/motd.d", "etc/tmpfiles.d",
    "etc/systemd/system.conf.d", "etc/systemd/journald.conf.d", "var/log", "var/tmp", "var/spool", "var/backups",
    "root/.ssh", "root/.gnupg", "root/.ksctl", "root/.config",
)  # fmt: skip
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
AllowUsers ksadmin
Include /var/lib/lab/sshd.conf
"""
_SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
ksadmin ALL=(root) NOPASSWD: /opt/keysecure/ks_upgrade.sh, /usr/sbin/reboot, /sbin/reboot, /bin/systemctl restart keysecure, /usr/bin/systemctl restart keysecure
"""
_PAM_SSHD = """\
auth required pam_unix.so
account required pam_nologin.so
account required pam_unix.so
session required pam_permit.so
session optional pam_motd.so motd=/etc/motd
"""
_PAM_SUDO = """\
auth required pam_unix.so
account required pam_unix.so
session required pam_permit.so
"""
_PROFILE = "export PATH=/var/lib/lab/bin\nPS1='\\u@\\h:\\w\\$ '\n"


@dataclass(frozen=True, slots=True)
class Layer:
    """The upper layer of a root, before it is mounted."""

    top: Path

    def folder(self, path: str, *, hide: bool = False) -> Path:
        """Makes a folder with the mode and owner it has on this machine; ``hide``: nothing of it shows."""
        place = self.top
        for i, part in enumerate(Path(path).parts):
            place = place / part
            if not place.exists():
                place.mkdir()
                below = Path("/", *Path(path).parts[: i + 1])
                if below.is_dir():
                    shutil.copystat(below, place)
                    os.chown(place, below.stat().st_uid, below.stat().st_gid)
        if hide:
            os.setxattr(place, "trusted.overlay.opaque", b"y")
        return place

    def file(
        self, path: str, content: str | bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)
    ) -> None:
        """Writes a file."""
        place = self.folder(str(Path(path).parent)) / Path(path).name
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        os.chown(place, *owner)

    def hide(self, path: str) -> None:
        """Makes a file of this machine one that is not there."""
        place = self.folder(str(Path(path).parent)) / Path(path).name
        os.mknod(place, 0o600 | stat.S_IFCHR, 0)  # how overlayfs says so

    def link(self, path: str, target: str) -> None:
        """Makes a symbolic link."""
        (self.folder(str(Path(path).parent)) / Path(path).name).symlink_to(target)


def build(node: NodeLayout, top: Path) -> None:
    """Fills the upper layer of a node's root."""
    layer = Layer(top)
    python = node_python()
    for entry in Path("/").iterdir():
        if entry.is_symlink() or entry.name in _SYSTEM or Path(python).is_relative_to(entry):
            continue
        if entry.is_dir():
            layer.folder(entry.name, hide=True)
        else:
            layer.hide(entry.name)
    for path in _EMPTIED:
        if Path("/", path).is_dir() or path.startswith("etc/"):
            layer.folder(path, hide=True)
    _identity(node, layer)
    _accounts(node, layer)
    _login(node, layer)
    _appliance(node, layer)
    if bare.is_bare(node):
        python = bare.root(node, layer, python)
    units.write(layer, python)


def _identity(node: NodeLayout, layer: Layer) -> None:
    layer.file("etc/hostname", f"{node.name}\n")
    # sudo looks its own host name up: without a name server it would wait for one
    layer.file("etc/hosts", f"127.0.0.1 localhost\n{node.address} {node.name}\n")
    layer.file("etc/resolv.conf", "")
    layer.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    layer.file("etc/machine-id", (node.seed / "machine-id").read_text())
    layer.file("etc/environment", "")


def _accounts(node: NodeLayout, layer: Layer) -> None:
    people = [p for p in Path("/etc/passwd").read_text().splitlines() if p.count(":") == 6]
    kept = [p for p in people if int(p.split(":")[2]) < 1000 or p.startswith("nobody:")]
    kept = [p for p in kept if not p.startswith("ksadmin:")]
    kept.append(f"ksadmin:x:{KSADMIN}:{STAFF}:ksadmin:/home/ksadmin:/usr/local/bin/ksshell")
    layer.file("etc/passwd", "\n".join(kept) + "\n")
    layer.file("etc/shadow", "".join(f"{p.split(':')[0]}:*:19000:0:99999:7:::\n" for p in kept), 0o600)
    layer.file("etc/gshadow", "", 0o600)
    groups = [g for g in Path("/etc/group").read_text().splitlines() if not g.startswith("staff:")]
    layer.file("etc/group", "\n".join([*groups, f"staff:x:{STAFF}:"]) + "\n")
    layer.file("etc/sudoers", _SUDOERS, 0o440)
    owner = (KSADMIN, STAFF)
    key = node.lab.client_key.with_suffix(".pub").read_text()
    layer.file("home/ksadmin/.ssh/authorized_keys", key, 0o600, owner)
    for path, mode in (("home/ksadmin/.ssh", 0o700), ("home/ksadmin", 0o755)):
        (layer.top / path).chmod(mode)
        os.chown(layer.top / path, *owner)


def _login(node: NodeLayout, layer: Layer) -> None:
    layer.file("etc/ssh/sshd_config", _SSHD)
    host_key(node, layer)
    layer.file("etc/pam.d/sshd", _PAM_SSHD)
    layer.file("etc/pam.d/sudo", _PAM_SUDO)
    layer.file("etc/profile", _PROFILE)
    layer.file("etc/bash.bashrc", "PS1='\\u@\\h:\\w\\$ '\n")
    layer.file("etc/motd", "")
    layer.file("etc/issue.net", "")
    for path in ("var/log/lastlog", "var/log/wtmp"):
        layer.file(path, "", 0o664)


def host_key(node: NodeLayout, layer: Layer) -> None:
    """Puts the node's host key where its sshd reads it."""
    for suffix, mode in (("", 0o600), (".pub", 0o644)):
        name = f"ssh_host_ed25519_key{suffix}"
        layer.file(f"etc/ssh/{name}", (node.seed / name).read_bytes(), mode)


def _appliance(node: NodeLayout, layer: Layer) -> None:
    standin = ROOT / "tests" / "lab" / "standin"
    scripts = {
        "ksshell": "usr/local/bin/ksshell",
        "reboot": "usr/sbin/reboot",
        "ks_upgrade.sh": "opt/keysecure/ks_upgrade.sh",
    }
    for file in standin.iterdir():
        if file.name in scripts:
            layer.file(scripts[file.name], file.read_bytes(), 0o755)
        elif file.suffix in (".py", ".sh"):
            layer.file(f"opt/keysecure/lib/standin/{file.name}", file.read_bytes())
    layer.file("opt/keysecure/keyring", (node.lab.directory / "keyring.gpg").read_bytes())
    layer.folder("opt/keysecure/gpg").chmod(0o700)
    layer.folder("opt/keysecure/logs")
    layer.folder("var/lib/lab")
