"""Where everything of one lab lies, and what its parts are called."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ADMIN, ADMIN_PASSWORD = "admin", "Lab-Password-1!"
KEY_PASSWORD = "Lab-Backup-Key-1!"


def default_directory() -> Path:
    """``$CTMUPGRADE_LAB_DIR``, else a fixed path."""
    return Path(os.environ.get("CTMUPGRADE_LAB_DIR") or "/tmp/ctmupgrade-lab")


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and paths of a lab; all of them follow from its directory."""

    directory: Path

    @property
    def ident(self) -> str:
        """Distinguishes labs of different directories; short, for names of interfaces and namespaces."""
        return hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()[:8]

    @property
    def subnet(self) -> str:
        """The first three numbers of its addresses. They exist only in its own namespaces."""
        number = int(self.ident, 16)
        return f"10.{64 + number % 128}.{number // 128 % 256}"

    @property
    def hub(self) -> str:
        """The network namespace of the bridge, where clients run."""
        return f"ctmlab-{self.ident}-hub"

    @property
    def audit(self) -> Path:
        """What ``ksctl`` was called with."""
        return self.directory / "ksctl-audit.jsonl"

    @property
    def state(self) -> Path:
        """For ctmupgrade's ``--state-dir``."""
        return self.directory / "state"

    @property
    def cluster_file(self) -> Path:
        """cluster.yaml."""
        return self.directory / "cluster.yaml"

    @property
    def client_key(self) -> Path:
        """The private SSH key that ksadmin accepts."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys."""
        return self.directory / "known_hosts"

    @property
    def signing_key(self) -> Path:
        """The public key that archives are signed with."""
        return self.directory / "signing-key.asc"

    @property
    def gnupg(self) -> Path:
        """The signing key's home."""
        return self.directory / "gnupg"

    @property
    def gnupg_link(self) -> Path:
        """A short path to it."""
        return Path("/run", f"ctmlab-{self.ident}")

    def node(self, name: str) -> NodeLayout:
        """The part of a node. :raises ValueError: not a node's name."""
        number = name.removeprefix("ctm-")
        if not number.isdigit() or not 1 <= int(number) <= 99:
            raise ValueError(f"{name}: nodes are called ctm-1, ctm-2, ...")
        return NodeLayout(self, name, int(number))


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Names and paths of a node."""

    lab: Layout
    name: str
    number: int

    @property
    def address(self) -> str:
        """Its address in the lab's subnet."""
        return f"{self.lab.subnet}.{10 + self.number}"

    @property
    def netns(self) -> str:
        """Its network namespace."""
        return f"ctmlab-{self.lab.ident}-{self.number}"

    @property
    def folder(self) -> Path:
        """Everything of it on this machine."""
        return self.lab.directory / "nodes" / self.name

    @property
    def shared(self) -> Path:
        """/var/lib/lab in the node: knobs, state, audit log. Kept over reboots."""
        return self.folder / "lab"

    @property
    def seed(self) -> Path:
        """Files that the supervisor puts into the node's root: keys."""
        return self.folder / "seed"

    @property
    def disk(self) -> Path:
        """Where the supervisor mounts the node's root, in its own mount namespace."""
        return self.folder / "disk"

    @property
    def cgroup(self) -> str:
        """Its cgroup, under each hierarchy's root."""
        return f"ctmlab-{self.lab.ident}/{self.number}"
