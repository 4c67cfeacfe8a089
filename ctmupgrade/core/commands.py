"""The words of every changing command: sent by the tool, printed by the runbook."""

from __future__ import annotations

from ctmupgrade.core.looks import shell_probes
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


DELAY_S = "5"  # ksctl's own --delay, so that the answer comes before the services go
