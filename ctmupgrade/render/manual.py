"""The commands a person would type for each step of a plan.

What changes a cluster has the words that the tool sends itself, less its ``-y``: ksctl then asks a person first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

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
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.manual_commands import (
    ksctl,
    ksctl_for,
    noted,
    shell,
    tunnel,
    upload,
    url_here,
    verification,
)
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.node_settings import COUNTED, LOOKS, PAGE, all_of, read_settings
from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.timing import clock_time

BOOT_ID = "/proc/sys/kernel/random/boot_id"
# An answer in a few lines: of 20 nodes the summary alone has some thousand. Each of them succeeds where nothing is found.
MEMBERS = """sed -nE '/"(host|description)"/p'"""
COUNTED_SERVICES = """grep -o '"status": "[^"]*"' | sort | uniq -c"""
COUNTED_VIEWS = """grep -oE '"(summary|connected|lastUpdated)": [^,]*' | sort | uniq -c"""
# ksctl in a check's remedy, which was written for a terminal where one node's URL is set.
_IN_REMEDY = re.compile(
    r"(?<![\w/.-])ksctl ((?:alarms|backup|backupkeys|ca|cluster|diskenc|hsm|interfaces|licensing"
    r"|network|ntp|products|properties|quorum-policy|scheduler|services|system|users) \w+)"
)


@dataclass(frozen=True, slots=True)
class Book:
    """What the commands are made from.

    :ivar public: nodes' public addresses, as recorded; None: not known. A node that is not in it has none.
    :ivar settings: what was recorded of nodes' own settings; of a node that is not in it nothing was yet.
    :ivar kept: the files in which that was kept. :ivar saved: nodes' downloaded backups, each with its key.
    """

    plan: Plan
    cluster: Cluster
    public: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    saved: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of_facts(cls, plan: Plan, cluster: Cluster, facts: Facts) -> Book:
        """Return what is known before anything is done."""
        whole = sorted((m for m in facts.manifests if not m.problem), key=lambda manifest: manifest.made_at)
        return cls(
            plan,
            cluster,
            {name: _public(node) for name, node in facts.nodes.items()},
            saved={manifest.node: (manifest.file, manifest.key_file) for manifest in whole},
        )

    @classmethod
    def of_run(cls, state: RunState, cluster: Cluster) -> Book:
        """Return what is known in a run, by its journal."""
        kept = {
            step.node: state.steps[step.id].before
            for step in state.plan.steps
            if isinstance(step.action, steps.RecordSettings)
        }
        public = {node: before.get("public_address") if before else None for node, before in kept.items()}
        settings = {
            node: read_settings(before.get("settings", "")) for node, before in kept.items() if before
        }
        files = {node: before["file"] for node, before in kept.items() if before.get("file")}
        proofs = {
            s.node: state.steps[s.id].evidence
            for s in state.plan.steps
            if isinstance(s.action, steps.MakeBackup)
        }
        saved = {
            node: (proof["file"], proof["key_file"]) for node, proof in proofs.items() if "key_file" in proof
        }
        return cls(state.plan, cluster, public, settings, files, saved)

    def addressed(self, remedy: str, name: str) -> str:
        """Return a check's remedy with a node's URL and program: its own; another one's where members are listed or removed,
        which a node that is down cannot do and a removed one must not. A ksctl that names its node already stays."""
        nodes = (*self.cluster.nodes, *self.cluster.fresh)
        own = next((node for node in nodes if node.name == name), nodes[0])
        other = next((node for node in self.cluster.nodes if node.name != name), own)

        def spelled(found: re.Match[str]) -> str:
            return f"{ksctl_for(other if found[1].startswith('cluster nodes') else own)} {found[1]}"

        def between(text: str, named: list[str]) -> str:
            if not named:
                return _IN_REMEDY.sub(spelled, text)
            return named[0].join(between(part, named[1:]) for part in text.split(named[0]))

        return between(remedy, [f"{ksctl_for(node)} " for node in nodes])

    def commands(self, step: Step) -> Iterator[str]:
        """Yield the lines for a step."""
        if not step.node:
            yield from verification(self.cluster.target, self.plan.target.sha256)
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
                    yield ksctl(other, "cluster", "nodes", "list", note="until all are ready", into=MEMBERS)
            case steps.RunUpgrade(force_path=force):
                yield shell(node, *upgrade_argv(archive, force_path=force, sudo=("sudo",)))
                yield f"# until it shows: {success(self.plan.target.version)}"
            case steps.Reboot():
                # A node that reboots answers for some seconds yet, and may show the new version before: only its boot proves it.
                yield shell(node, "cat", BOOT_ID, note="keep what it shows")
                yield shell(node, "sudo", "reboot")
                yield shell(
                    node,
                    "cat",
                    BOOT_ID,
                    note="until it shows something else; no answer for some minutes is usual",
                )
            case steps.AwaitNode(clustered=clustered):
                yield from self.well(node, clustered=clustered)
            case steps.Settle(clustered=clustered):
                span = clock_time(int(self.cluster.stable_for.total_seconds()))
                yield f"# type these again and again for {span}: all of it must stay so; once worse, the {span} begin again:"
                yield from self.well(node, clustered=clustered)
            case _:
                yield from self._rebuild(step, node)

    def _backup(self, node: Node) -> Iterator[str]:
        folder = self.cluster.backup.directory
        file = folder / f"{self.cluster.name}-{node.name}-BACKUP-ID"
        place, files = shlex.quote(str(folder)), shlex.quote(str(file))
        yield f"mkdir -p {place} && chmod 700 {place}"
        yield ksctl(
            node, "backup", "create", "--scope", "system", note='BACKUP-ID below: the "id" that it shows'
        )
        yield ksctl(node, "backup", "status", note="until it is complete")
        yield ksctl(node, "backup", "download", "--id", "BACKUP-ID", "--file", f"{file}.backup")
        yield ksctl(
            node,
            "backupkeys",
            "list",
            note='KEY-ID: the "backupKey" of the backup, or the "id" with "default": true',
        )
        yield ksctl(
            node,
            "backupkeys",
            "download",
            "--id",
            "KEY-ID",
            "--file",
            f"{file}.key",
            note="asks for a password. Choose one, and keep it: without it the key opens nothing",
        )
        yield noted(f"ls -l {files}.*", "two files, neither of 0 bytes")

    def well(self, node: Node, *, clustered: bool) -> Iterator[str]:
        """Yield the looks that show that a node is healthy and on the target."""
        yield shell(node, "systemctl", "status", "keysecure", note="until it answers, and is active")
        yield ksctl(node, "system", "info", "get", note=f"version {self.plan.target.version}")
        yield ksctl(node, "services", "status", note="until all are started", into=COUNTED_SERVICES)
        if clustered:
            yield ksctl(node, "cluster", "summary", note="GOOD, all connected", into=COUNTED_VIEWS)
        apart = (node.name, self.plan.options.hold_back)
        for other in [n for n in self.cluster.nodes if n.name not in apart][: 1 if clustered else 0]:
            note = f"until {node.cluster_host} is ready"
            yield ksctl(other, "cluster", "nodes", "list", note=note, into=MEMBERS)

    def _rebuild(self, step: Step, node: Node) -> Iterator[str]:
        match step.action:
            case steps.RecordSettings() | steps.CompareSettings():
                yield from self._settings(node, step.action)
            case steps.RemoveNode():
                yield from self._remove(node, step.action)
            case steps.DeleteClusterConfig():
                # Also where "cluster info" says "none": a removed node may keep a configuration that no join accepts.
                yield ksctl(
                    node, "cluster", "delete", note='"not clustered" is no error: it has left already'
                )
                yield ksctl(node, "cluster", "info", note="until it is in none")
            case steps.ResetNode():
                yield ksctl(node, "services", "reset", "--delay", DELAY_S, note="wipes the node's data")
            case steps.NewCluster():
                public = self.public.get(node.name, "")
                yield ksctl(
                    node, *new_cluster_argv(node, public or ""), note=_if_any(public, "--public-address")
                )
                yield ksctl(node, "cluster", "info", note="until it is ready")
            case steps.RestoreSettings(of=of):
                yield from self._put_back(node, of or node.name)
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

    def _settings(self, node: Node, action: steps.RecordSettings | steps.CompareSettings) -> Iterator[str]:
        if isinstance(action, steps.CompareSettings):
            of, after = action.of or node.name, shlex.quote(f"./{node.name}-after.txt")
            yield from _answers(node, after)
            file = self.kept.get(of, "")
            yield f"# compare with what was kept in {file}" if file else f"diff {_before(of)} {after}"
            return
        yield from _answers(node, _before(node.name))
        if self.plan.strategy is StrategyName.REBUILD:
            into = f"tee {_before(node.name)}.members"
            yield ksctl(node, "cluster", "nodes", "list", note="its public address too", into=into)

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
        via, public, file = (
            self.cluster.node(action.via),
            self.public.get(node.name, ""),
            f"./{node.name}-login.yaml",
        )
        yield f"(umask 077; cat > {file}) <<'END'"
        way = tunnel(node)
        yield from login_file(node, "PASSWORD", url=url_here(node), verified=not way).splitlines()
        yield "END"
        yield f"# write the password of {node.name} into {file} in place of PASSWORD; a node that was reset may have its first one again"
        yield f"# through {via.name}; erases the data of {node.name}:"
        if way:
            yield way
        words = join_argv(node, via, action, public or "", file)
        yield ksctl(via, *words, note=_if_any(public, "--newnodepublic"))
        yield ksctl(
            via, "cluster", "nodes", "list", note=f"until {node.cluster_host} is ready, 30 minutes are usual"
        )
        yield noted(f"rm {file}", "it has the password")

    def _put_back(self, node: Node, of: str) -> Iterator[str]:
        yield ksctl(node, "ntp", "servers", "list", note="leave out below what it shows already")
        if of in self.settings:
            yield from (ksctl(node, *argv) for argv in all_of(self.settings[of]))
            return
        whose = f"as recorded of {of}"
        yield ksctl(node, "ntp", "servers", "add", "--host", "TIME-SERVER", note=f"each, {whose}")
        yield ksctl(node, "system", "info", "set", "--name", "NAME", note=whose)
        yield ksctl(node, "products", "enable", "--name", "PRODUCT", note=f"or disable, each, {whose}")


def _before(name: str) -> str:
    """The file into which a person keeps what a node answers before the work, as a shell reads it."""
    return shlex.quote(f"./{name}-before.txt")


def _answers(node: Node, file: str) -> Iterator[str]:
    yield f"# the answers are kept in {file}"
    yield ksctl(node, *LOOKS["system"], into=f"tee {file}")
    for name in (*COUNTED, "alarms"):
        yield ksctl(node, *LOOKS[name], *PAGE, into=f"tee -a {file}")


def success(version: str) -> str:
    """Return the script's last word (docs/appliance.md 1.2): it has the build, which an archive's name does not tell."""
    return f"Upgrade to {version}{'' if '+' in version else '+BUILD'} succeeded"


def _public(found: NodeFacts) -> str | None:
    """A node's public address, which the tool records and passes on; "" where it has none, None: not known."""
    if isinstance(found.members, Unknown):
        return None
    return next((m.public_address for m in found.members if m.is_this), "")


def _if_any(public: str | None, option: str) -> str:
    return f"and {option} ADDRESS, where one was recorded" if public is None else ""
