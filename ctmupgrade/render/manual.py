"""The commands a person would type for each step of a plan.

What changes a cluster has the words that the tool sends itself, less its ``-y``: ksctl then asks a person first.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ctmupgrade.core.commands import (
    DELAY_S,
    backup_upload_argv,
    join_argv,
    key_upload_argv,
    new_cluster_argv,
    removal_argv,
    restore_argv,
    restore_proof_commands,
    upgrade_argv,
)
from ctmupgrade.core.ksctl import login_file
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.manual_commands import (
    ksctl,
    ksctl_for,
    noted,
    password_export,
    shell,
    tunnel,
    upload,
    url_here,
    verification,
)
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.node_settings import COUNTED, LOOKS, PAGE
from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step

# ksctl in a check's remedy, which was written for a terminal where one node's URL is set.
_IN_REMEDY = re.compile(
    r"(?:(?<!\S)KSCTL_URL=\S+ )?\bksctl ((?:alarms|backup|backupkeys|ca|cluster|diskenc|hsm|interfaces|licensing"
    r"|network|ntp|products|properties|quorum-policy|scheduler|services|system|users) \w+)"
)


@dataclass(frozen=True, slots=True)
class Book:
    """What the commands are made from."""

    plan: Plan
    cluster: Cluster
    facts: Facts

    def logins(self) -> Iterator[str]:
        """Yield what ksctl and ssh must be given once, in words."""
        nodes = (*self.cluster.nodes, *self.cluster.fresh)
        places: dict[str, list[str]] = {}
        for node in nodes:
            places.setdefault(password_export(node.ksctl), []).append(node.name)
        for line, names in places.items():
            whose = ", ".join(names) if len(places) > 1 else "all nodes"
            yield f"ksctl's password for {whose}, which no command below carries: `{line}`"
        for node in [node for node in nodes if node.ksctl.fetched][:1]:
            yield f"ksctl, for PATH: the one for this machine in {node.url}/downloads/ksctl_images.zip"
        seconds = math.ceil(max(node.ksctl.timeout for node in nodes))
        yield f"long calls: `export KSCTL_TIMEOUT={seconds}`; one that times out may have succeeded: look first"
        jumping = [n.ssh for n in nodes if n.ssh.proxy_jump and not n.ssh.jump.identity_file]
        keys = {str(ssh.identity_file): None for ssh in jumping if ssh.identity_file}
        for key in keys:
            yield f"`ssh -J` does not show its `-i` to the jump hosts: `ssh-add {shlex.quote(key)}`"

    def addressed(self, remedy: str, name: str) -> str:
        """Return a check's remedy with a node's URL and program: its own; another one's where members are listed or removed,
        which a node that is down cannot do and a removed one must not."""
        nodes = (*self.cluster.nodes, *self.cluster.fresh)
        own = next((node for node in nodes if node.name == name), nodes[0])
        other = next((node for node in self.cluster.nodes if node.name != name), own)

        def spelled(found: re.Match[str]) -> str:
            return f"{ksctl_for(other if found[1].startswith('cluster nodes') else own)} {found[1]}"

        return _IN_REMEDY.sub(spelled, remedy)

    def commands(self, step: Step) -> Iterator[str]:
        """Yield the lines for a step."""
        if not step.node:
            yield from verification(self.cluster.target)
            return
        node, archive = self.cluster.node(step.node), self.plan.target.archive
        match step.action:
            case steps.MakeBackup():
                yield from self._backup(node)
            case steps.StageArchive():
                yield upload(node, str(self.cluster.target.archive))
                sha256 = self.plan.target.sha256
                yield shell(node, "sha256sum", archive, note=f"must be {sha256}" if sha256 else "")
            case steps.Gate():
                for other in self.cluster.nodes:
                    yield ksctl(other, "cluster", "nodes", "list", note="all ready")
            case steps.RunUpgrade(force_path=force):
                yield shell(node, *upgrade_argv(archive, force_path=force, sudo=("sudo",)))
                yield f"# until: Upgrade to {self.plan.target.version} succeeded"
            case steps.Reboot():
                yield shell(node, "sudo", "reboot")
            case steps.AwaitNode(clustered=clustered) | steps.Settle(clustered=clustered):
                yield from self._well(node, clustered)
            case _:
                yield from self._rebuild(step, node)

    def _backup(self, node: Node) -> Iterator[str]:
        folder = self.cluster.backup.directory
        file = folder / f"{self.cluster.name}-{node.name}-BACKUP-ID"
        yield f"mkdir -p -m 700 {shlex.quote(str(folder))}"
        yield ksctl(node, "backup", "create", "--scope", "system", note="tells BACKUP-ID")
        yield ksctl(node, "backup", "status", note="until it is complete")
        yield ksctl(node, "backup", "download", "--id", "BACKUP-ID", "--file", f"{file}.backup")
        yield ksctl(
            node, "backupkeys", "list", note="KEY-ID: the one that the backup names, or the default one"
        )
        yield ksctl(
            node,
            "backupkeys",
            "download",
            "--id",
            "KEY-ID",
            "--file",
            f"{file}.key",
            note="asks for a password",
        )

    def _well(self, node: Node, clustered: bool) -> Iterator[str]:
        yield shell(node, "systemctl", "status", "keysecure")
        yield ksctl(node, "system", "info", "get", note=f"version {self.plan.target.version}")
        yield ksctl(node, "services", "status", note="all started")
        if clustered:
            yield ksctl(node, "cluster", "summary", note="GOOD, all connected")
        for other in [n for n in self.cluster.nodes if n.name != node.name][: 1 if clustered else 0]:
            yield ksctl(other, "cluster", "nodes", "list", note=f"{node.cluster_host} is ready")

    def _rebuild(self, step: Step, node: Node) -> Iterator[str]:
        match step.action:
            case steps.RecordSettings() | steps.CompareSettings():
                yield from self._settings(node, recording=isinstance(step.action, steps.RecordSettings))
            case steps.RemoveNode():
                yield from self._remove(node, step.action)
            case steps.DeleteClusterConfig():
                yield ksctl(node, "cluster", "delete")
                yield ksctl(node, "cluster", "info", note="until it is in none")
            case steps.ResetNode():
                yield ksctl(node, "services", "reset", "--delay", DELAY_S, note="wipes the node's data")
            case steps.NewCluster():
                public = self._public(node)
                yield ksctl(
                    node, *new_cluster_argv(node, public or ""), note=_if_any(public, "--public-address")
                )
                yield ksctl(node, "cluster", "info", note="until it is ready")
            case steps.RestoreSettings(of=of):
                whose = f"as recorded of {of or node.name}"
                yield ksctl(node, "ntp", "servers", "add", "--host", "TIME-SERVER", note=f"each, {whose}")
                yield ksctl(node, "system", "info", "set", "--name", "NAME", note=whose)
                yield ksctl(
                    node, "products", "enable", "--name", "PRODUCT", note=f"or disable, each, {whose}"
                )
            case steps.JoinNode():
                yield from self._join(node, step.action)
            case steps.RestartServices(by_shell=True):
                yield shell(node, "sudo", "systemctl", "restart", "keysecure")
            case steps.RestartServices():
                yield ksctl(node, "services", "restart", "--delay", DELAY_S)
            case _:
                yield from self._restore(step, node)

    def _restore(self, step: Step, node: Node) -> Iterator[str]:
        match step.action:
            case restore_actions.RecallSettings():
                folder = self.cluster.backup.directory
                yield noted(
                    f"ls {shlex.quote(str(folder))}/*-{node.name}-*-settings.json", "the newest is meant"
                )
            case restore_actions.EraseNode():
                yield ksctl(
                    node,
                    "services",
                    "reset",
                    "--delay",
                    DELAY_S,
                    note="wipes the node's data, which was given up",
                )
            case restore_actions.UploadKey(file=file):
                key_file = str(Path(file).with_suffix(".key"))
                yield ksctl(
                    node, *key_upload_argv(key_file), note="asks for the password that it was downloaded with"
                )
            case restore_actions.UploadBackup(file=file):
                yield ksctl(node, *backup_upload_argv(file))
            case restore_actions.RestoreBackup(backup_id=identity, force=force):
                yield ksctl(node, *restore_argv(identity, force=force), note="OVERWRITES its data")
            case restore_actions.ProveRestore(counts=counts):
                yield from restore_proof_commands(node, *counts)
            case _:
                return

    def _settings(self, node: Node, *, recording: bool) -> Iterator[str]:
        yield "# keep the answers" if recording else "# against the answers kept"
        yield ksctl(node, *LOOKS["system"])
        for name in COUNTED:
            yield ksctl(node, *LOOKS[name], *PAGE)
        if recording and self.plan.strategy is StrategyName.REBUILD:
            yield ksctl(node, "cluster", "nodes", "list", note="its public address too")

    def _remove(self, node: Node, action: steps.RemoveNode) -> Iterator[str]:
        via = self.cluster.node(action.via)
        yield f"# through {via.name}:"
        known = bool(action.node_id)
        sent = action if known else replace(action, node_id="NODE-ID")
        yield ksctl(
            via, *removal_argv(sent), note="" if known else f"that of {node.cluster_host} in its list"
        )
        yield ksctl(via, "cluster", "nodes", "list", note=f"until {node.cluster_host} is not in it")

    def _join(self, node: Node, action: steps.JoinNode) -> Iterator[str]:
        via, public, file = self.cluster.node(action.via), self._public(node), f"./{node.name}-login.yaml"
        yield f"(umask 077; cat > {file}) <<'END'"
        way = tunnel(node)
        yield from login_file(node, "PASSWORD", url=url_here(node), verified=not way).splitlines()
        yield "END"
        yield f"# write the password of {node.name} into {file} in place of PASSWORD"
        yield f"# through {via.name}; erases the data of {node.name}:"
        if way:
            yield way
        words = join_argv(node, via, action, public or "", file)
        yield ksctl(via, *words, note=_if_any(public, "--newnodepublic"))
        yield ksctl(
            via, "cluster", "nodes", "list", note=f"until {node.cluster_host} is ready, 30 minutes are usual"
        )
        yield noted(f"rm {file}", "it has the password")

    def _public(self, node: Node) -> str | None:
        """A node's public address, which the tool records and passes on; "" where it has none, None: not known.
        A new instance has none that was recorded."""
        found = self.facts.nodes.get(node.name)
        if found is None:
            return ""
        if isinstance(found.members, Unknown):
            return None
        return next((m.public_address for m in found.members if m.is_this), "")


def _if_any(public: str | None, option: str) -> str:
    return f"and {option} ADDRESS, where one was recorded" if public is None else ""
