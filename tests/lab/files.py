"""What ``up`` writes into the lab's directory."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.lab import keys
from tests.lab.host import ROOT
from tests.lab.layout import ADMIN, ADMIN_PASSWORD, Layout, NodeLayout
from tests.lab.standin import knobs
from tests.lab.standin.backups import new_key
from tests.lab.standin.membership import member_row
from tests.lab.standin.settings import DEFAULTS

_PROGRAMS = (  # all that an ordinary shell account may look for
    "awk base64 basename bash cat chmod cksum cmp cp curl cut date dd df diff dirname du echo egrep env expr false fgrep find "
    "findmnt free gawk getent gpg grep groups gunzip gzip head hexdump hostname id ip jq journalctl kill last less ln ls "
    "lsblk lsof md5sum mkdir mktemp more mount mv nc nice nohup nproc numfmt od openssl perl pgrep ping pkill printenv printf "
    "ps pwd python3 readlink realpath rm rmdir rsync scp screen sed seq setsid sftp sh sha1sum sha256sum sha512sum shasum "
    "shuf sleep sort split ss stat stdbuf stty sudo sync systemctl tail tar tee test timedatectl timeout top touch tr true "
    "truncate tty uname uniq uptime vi wc wget which who whoami xargs xxd xz zcat"
)
_CLUSTER = """\
cluster: lab-{ident}
strategy: {strategy}
target:
  archive: {archive}
  version: {target}
  signer: {signer}
  keyring: ./signing-key.asc
ssh:
  user: ksadmin
  identity_file: ./id_ed25519
  known_hosts: ./known_hosts
ksctl:
  command: {ksctl}
  username: {user}
  password_env: KSCTL_PASSWORD
  nosslverify: true
  timeout: 20
backup:
  directory: ./backups
  key_password_env: CTM_BACKUP_KEY_PASSWORD
  max_age: 24h
timeouts: {{upload: 2m, upgrade: 2m, reboot: 1m, service: 1m, join: 1m}}
poll: 1s
stable_for: 2s
nodes:
"""
_KSCTL = """\
#!{python} -IS
import sys

sys.path.insert(0, {library!r})
from standin.ksctl import main

sys.exit(main({audit!r}))
"""


def cluster_file(lab: Layout, nodes: Iterable[NodeLayout], archive: Path, target: str) -> None:
    """cluster.yaml by the contract, with short waits."""
    wanted = list(nodes)
    text = _CLUSTER.format(
        ident=lab.ident,
        strategy="in-place" if len(wanted) > 1 else "standalone",
        archive=f"./{archive.name}",
        target=target,
        signer=keys.fingerprint(lab),
        ksctl=lab.directory / "bin" / "ksctl",
        user=ADMIN,
    )
    for node in wanted:
        text += f"  - name: {node.name}\n    host: {node.address}\n    cluster_host: {node.address}\n"
    lab.cluster_file.write_text(text)


def ksctl(lab: Layout) -> None:
    """bin/ksctl with its library, so that the lab does not depend on the tree."""
    library = lab.directory / "lib"
    (library / "standin").mkdir(parents=True)
    for file in (ROOT / "tests" / "lab" / "standin").glob("*.py"):
        (library / "standin" / file.name).write_bytes(file.read_bytes())
    program = lab.directory / "bin" / "ksctl"
    program.parent.mkdir()
    program.write_text(_KSCTL.format(python=sys.executable, library=str(library), audit=str(lab.audit)))
    program.chmod(0o755)
    lab.audit.touch()


def first_states(nodes: Iterable[NodeLayout], version: str, *, clustered: bool) -> dict[str, dict[str, Any]]:
    """The state each node starts with: one cluster of them all, or each on its own."""
    wanted = list(nodes)
    ids = {node.name: uuid.uuid4().hex for node in wanted}
    rows = [member_row(ids[node.name], node.address, node.address, "r") for node in wanted]
    cluster = {"id": uuid.uuid4().hex, "rev": 1, "members": rows} if clustered else None
    users = {ADMIN: ADMIN_PASSWORD}
    return {
        node.name: {
            "version": version,
            "name": node.name,
            "node_id": ids[node.name] if clustered else "",
            "cluster": cluster,
            "removed": False,
            "broken": False,
            "warm": True,  # the first boot is not what is tested
            "users": users,
            "first_users": users,
            "data": {"key-1": "of the cluster"} if clustered else {"key-1": f"of {node.name}"},
            "backups": [],
            "backup_keys": [new_key(default=True)],
            **json.loads(json.dumps(DEFAULTS)),
        }
        for node in wanted
    }


def shared(node: NodeLayout, state: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """The folder that the node sees as /var/lib/lab."""
    node.disk.mkdir(parents=True)
    node.shared.mkdir(mode=0o711)
    node.shared.chmod(0o711)
    (node.shared / "state.json").write_text(json.dumps(state))
    (node.shared / "state.json").chmod(0o600)
    (node.shared / "audit.jsonl").touch()
    (node.shared / "audit.jsonl").chmod(0o622)  # the shell of ksadmin appends to it
    knobs.save(node.shared, chosen)
    offer(node)


def offer(node: NodeLayout) -> None:
    """The programs that ksadmin finds, and whether there is an SFTP subsystem."""
    without = set(knobs.load(node.shared)["shell_without"])
    programs = node.shared / "bin"
    programs.mkdir(mode=0o755, exist_ok=True)
    there = {link.name for link in programs.iterdir()}
    for name in set(_PROGRAMS.split()) - without - there:
        for folder in ("/usr/bin", "/usr/sbin"):
            if Path(folder, name).exists():
                (programs / name).symlink_to(f"{folder}/{name}")
                break
    for name in there & without:
        (programs / name).unlink()
    line = "" if "sftp" in without else "Subsystem sftp /usr/lib/openssh/sftp-server\n"
    (node.shared / "sshd.conf").write_text(line)
