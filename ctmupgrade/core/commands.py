"""The words of every changing command: sent by the tool, printed by the runbook."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.manual_commands import ksctl
from ctmupgrade.core.model import Node
from ctmupgrade.core.plan.steps import JoinNode, RemoveNode


def removal_argv(action: RemoveNode) -> tuple[str, ...]:
    """Return what is sent to ``action.via``. The runbook prints the same words, hence these functions."""
    force = ("--force",) if action.force else ()
    return ("cluster", "nodes", "delete", "--id", action.node_id, *force)


def new_cluster_argv(node: Node, public: str) -> tuple[str, ...]:
    """Return what is sent to the node itself. ``public``: its own public address, "" where it has none."""
    return ("cluster", "new", "--host", node.cluster_host, *(("--public-address", public) if public else ()))


def join_argv(joiner: Node, member: Node, action: JoinNode, public: str, login: str) -> tuple[str, ...]:
    """Return what is sent to the member. ``login``: a file with the joiner's login, so that no secret is in these words."""
    return (
        "cluster", "fulljoin", "--member", member.cluster_host, "--newnodehost", joiner.cluster_host,
        "--newnodeconfig", login, *(("--newnodepublic", public) if public else ()),
        *(("--shared-hsm-partition",) if action.shared_hsm_partition else ()),
    )  # fmt: skip


def upgrade_argv(archive: str, *, force_path: bool, sudo: tuple[str, ...]) -> tuple[str, ...]:
    """Return the documented command line. ``-o`` only where a person asked for it by name."""
    forced = ("-o",) if force_path else ()
    return (*sudo, shell_probes.UPGRADE_SCRIPT, *forced, "-f", archive)


def key_upload_argv(file: str) -> tuple[str, ...]:
    """Return what uploads a backup key; its password is typed at the prompt, never put here."""
    return ("backupkeys", "upload", "--file", file)


def backup_upload_argv(file: str) -> tuple[str, ...]:
    """Return what uploads a backup."""
    return ("backup", "upload", "--file", file)


def restore_argv(identity: str, *, force: bool) -> tuple[str, ...]:
    """Return what restores a backup that the node has. ``--force`` skips the appliance's check of the release, only where a
    person asked for it by name."""
    return ("backup", "restore", "--id", identity, *(("--force",) if force else ()))


def restore_commands(
    node: Node, file: str, key_file: str, backup_id: str, *, force: bool = False
) -> Iterator[str]:
    """Yield how a person restores a downloaded backup onto a node, and sees that it has ended."""
    note = "asks for the password that it was downloaded with"
    yield ksctl(node, *key_upload_argv(key_file), note=note)
    yield ksctl(node, *backup_upload_argv(file))
    yield ksctl(node, "backup", "list", note=f"BACKUP-ID: {backup_id}, or the one that is new")
    yield ksctl(node, *restore_argv("BACKUP-ID", force=force), note="OVERWRITES its data")
    yield from restore_proof_commands(node)


def restore_proof_commands(node: Node, *counts: tuple[str, int]) -> Iterator[str]:
    """Yield how a person sees that a restore has ended. :param counts: what must be there, and how much."""
    yield ksctl(node, "backup", "status", note="until the restore is complete")
    yield ksctl(
        node,
        "services",
        "status",
        note="until all are started, and stay so for minutes; nothing joins before",
    )
    for name, count in counts:
        yield ksctl(node, name, "list", "--limit", "1", note=f"total: {count}")


DELAY_S = "5"  # ksctl's own --delay, so that the answer comes before the services go
