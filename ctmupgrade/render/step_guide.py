"""What a person sees at each step, what to do where it looks different, and how to find out whether it happened already.

Outputs are the appliance's own where a capture shows them (docs/appliance.md 1, 4, 6); others are what ksctl is known to
answer with, and shown without what differs from release to release.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ctmupgrade.core.checks.health import FRESH
from ctmupgrade.core.manual_commands import ksctl, on_shell, shell
from ctmupgrade.core.model import Node
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan import steps
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.render.manual import BOOT_ID, Book, success
from ctmupgrade.render.page import Mono, Words

_STOP = "Stop here. Start nothing further"
_SUPPORT = "call vendor support with the log, and see the part about going back below"
SCRIPT = "ks_upgrade.sh"
LOGS = "ks_upgrade_*.log"


@dataclass(frozen=True, slots=True)
class Look:
    """How to find out whether a step that was begun has happened.

    :ivar command: to type. :ivar runs: it still runs where this is shown. :ivar done: it is done where this is shown, or,
        with ``gone``, where it is not shown any more. :ivar hint: what it means, where no word tells.
    """

    command: str
    runs: str = ""
    done: str = ""
    gone: bool = False
    hint: str = ""


def expected(step: Step, book: Book) -> tuple[str, ...]:
    """Return the lines that a person should see, beginning with what matters."""
    target = book.plan.target
    match step.action:
        case steps.VerifyArchive():
            return (
                'gpg: Good signature from "..."',
                "gpg: WARNING: This key is not certified with a trusted signature!   (usual: the next line decides)",
                f"Primary key fingerprint: {_grouped(target.signer)}",
            )
        case steps.MakeBackup():
            return ('"status": "completed"', "two files that are not empty: the backup and its key")
        case steps.StageArchive():
            return (f"{target.sha256 or '(the SHA-256 of the archive on this machine)'}  {target.archive}",)
        case steps.Gate():
            return (
                f'in every answer {len(book.cluster.nodes)} times: "description": "ready", "host": "..."',
            )
        case steps.RunUpgrade():
            return (
                "Detected a terminal, launching a screen session, session recorded in log file (ks_upgrade_...log).",
                "(then lines that begin with a date; nothing new for some minutes is usual)",
                "status: error      (normal for some minutes)",
                "status: starting",
                "started",
                success(target.version),
                "Reboot the instance to finish the upgrade",
                "Connection to ... closed.",
            )
        case steps.Reboot():
            return (
                "Connection to ... closed.      (or: closed by remote host)",
                "(then, for some minutes) Connection refused, timed out or closed",
                "(some minutes later) another boot id than before",
            )
        case steps.AwaitNode(clustered=clustered) | steps.Settle(clustered=clustered):
            in_place = book.plan.strategy is StrategyName.IN_PLACE
            members = len(book.cluster.nodes) if in_place else 0
            return _well(target.version, clustered=clustered, members=members)
        case _:
            return tuple(_of_rebuild(step))


def _well(version: str, *, clustered: bool, members: int) -> tuple[str, ...]:
    """:param members: how many nodes report about each other; 0: that changes while a cluster is rebuilt."""
    every, pairs, each = (
        (f"{members * members} ", f"{members * (members - 1)} ", f"{members} times ")
        if members
        else ("", "", "")
    )
    member = (
        f'{every}"summary": "GOOD"      (each node reports on all of them; no other word)',
        f'{pairs}"connected": true      (no false)',
        f'{each}"lastUpdated": less than {FRESH.seconds // 60} minutes ago, in UTC; an older report says nothing',
        f'{each}"description": "ready", "host": "..."',
    )
    return (
        "Active: active (running)",
        f'"version": "{version}"',
        'only "status": "started"; "disabled" is a choice and no fault',
        *(member if clustered else ()),
    )


def _of_rebuild(step: Step) -> Iterator[str]:
    match step.action:
        case steps.RecordSettings():
            yield "an answer to each command; all of them are in the file"
        case steps.CompareSettings():
            yield "nothing differs but versions, times and ids"
        case steps.RemoveNode():
            yield "the node is no longer in the list"
        case steps.DeleteClusterConfig():
            yield '"nodeID": "", "status": {"code": "none"}'
        case steps.NewCluster():
            yield '"nodeCount": 1, "status": {"code": "r", "description": "ready"}'
        case steps.RestoreSettings():
            yield "the time servers, the name and the products as they were"
        case steps.JoinNode():
            yield '"description": "joining: ... (1/5)", then (2/5) and so on; at the end "ready"'
        case _:
            yield "after some minutes, services status: started"


def _grouped(fingerprint: str) -> str:
    """A fingerprint as gpg prints it."""
    parts = [fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4)]
    half = len(parts) // 2
    return f"{' '.join(parts[:half])}  {' '.join(parts[half:])}"


def otherwise(step: Step, book: Book) -> tuple[Words, ...]:
    """Return what to do where something else is seen, a sentence or two each."""
    node = book.cluster.node(step.node) if step.node else None
    match step.action:
        case steps.VerifyArchive():
            return (
                ("BAD signature, no public key, or another fingerprint: use this archive on no node. Download it again from the "
                 "vendor's support portal, compare its checksum, and ask who gave you the key.",),
            )  # fmt: skip
        case steps.MakeBackup():
            return (
                ("It failed or does not end within an hour: look at the alarms and the free space of the node. Without a backup "
                 "and the key that opens it there is no way back: do not go on.",),
                ("Where the tool is used later, it makes backups of its own; one that was made by hand is restored by hand.",),
            )  # fmt: skip
        case steps.StageArchive():
            return (
                ("Another hash: remove the file on the node and upload it again.",),
                (
                    "No space left on device: make room first; the upgrade itself needs several times the archive's size.",
                ),
            )
        case steps.Gate():
            return (
                ("A member is not ready: upgrade no further node. A node that starts or catches up may need 30 minutes; after that ",
                 Mono(ksctl(node, "cluster", "errors") if node else "ksctl cluster errors"), " tells the reason."),
            )  # fmt: skip
        case steps.RunUpgrade():
            return _of_upgrade(node) if node else ()
        case steps.Reboot():
            return (
                (
                    "It goes on answering with the same boot id after 5 minutes: it did not reboot; type sudo reboot once more.",
                ),
            )
        case steps.AwaitNode() | steps.Settle():
            return _of_waiting(step.node)
        case _:
            return tuple(_otherwise_rebuild(step))


def _of_upgrade(node: Node) -> tuple[Words, ...]:
    return (
        ("The connection breaks: the script goes on in a screen session of its own. Follow it with ",
         Mono(on_shell(node, f"tail -n 20 {LOGS}")), "; no such file there: look in /opt/keysecure/logs and /var/log."),
        ("Never start it a second time and never reboot the node while ", Mono(shell(node, "ps", "-eo", "args")), " shows ",
         Mono(SCRIPT), "."),
        ("Do not type Ctrl-C while it works: that would reach the script. To leave it, close the window; it goes on.",),
        (f"It ends without the line \"succeeded\", or nothing moves for an hour: do not reboot. {_STOP}, {_SUPPORT}.",),
    )  # fmt: skip


def _of_waiting(name: str) -> tuple[Words, ...]:
    return (
        ("No answer, \"error\" or \"starting\": it boots, or its services start; that is normal for up to 30 minutes. Look again "
         "each minute.",),
        (f"No answer after 30 minutes: look at the console of {name}; it may wait for a passphrase, or stand at an error. "
         f"{_STOP}, {_SUPPORT}.",),
        ("The old version is shown: the upgrade did not take. Do not start it again; ask vendor support.",),
    )  # fmt: skip


def _otherwise_rebuild(step: Step) -> Iterator[Words]:
    match step.action:
        case steps.CompareSettings():
            yield ("Something differs: put it back by hand, as it was recorded. Never set up an HSM or rotate a root of trust key on a "
                   "node that holds data without vendor support.",)  # fmt: skip
        case steps.RemoveNode():
            yield ("It is refused or stays in the list for 10 minutes: do not use --force on a node that answers; look at "
                   "ksctl cluster errors.",)  # fmt: skip
        case steps.DeleteClusterConfig():
            yield ("It is still in a cluster after 10 minutes: type it once more. It does not say \"none\": create no new cluster on it "
                   "and join it to none.",)  # fmt: skip
        case steps.NewCluster():
            yield (
                f"It is refused: ask with ksctl cluster info what it says; a node that is still in a cluster must leave it first. {_STOP}.",
            )
        case steps.JoinNode():
            yield ("Nothing moves for 2 hours, or the node drops out of the list: restart no service and remove nothing while a join runs: "
                   f"the cluster can lose its consensus. {_STOP}, {_SUPPORT}.",)  # fmt: skip
        case steps.ResetNode() | steps.RestartServices():
            yield (
                "Services are not started after 30 minutes: look at ksctl services status, and ask vendor support.",
            )
        case _:
            yield ("A command is refused: read what it says; nothing was changed by it.",)


def looks(step: Step, book: Book, boot: str = "") -> tuple[Look, ...]:
    """Return how to find out whether a step that was begun is done; nothing for what may be done again without harm.

    :param boot: the boot id of the node before a reboot; "" where it is not known.
    """
    if not step.node:
        return ()
    node = book.cluster.node(step.node)
    match step.action:
        case steps.RunUpgrade():
            return (
                Look(shell(node, "ps", "-eo", "args"), runs=SCRIPT),
                Look(on_shell(node, f"tail -n 3 {LOGS}"), done=f"Upgrade to {book.plan.target.version}"),
            )
        case steps.Reboot():
            if boot:
                return (Look(shell(node, "cat", BOOT_ID), done=boot, gone=True),)
            return (
                Look(
                    shell(node, "uptime", "-s"),
                    hint="Where this is later than the beginning of the step, it is done",
                ),
            )
        case steps.RemoveNode(via=via):
            return (
                Look(
                    ksctl(book.cluster.node(via), "cluster", "nodes", "list"),
                    done=f'"{node.cluster_host}"',
                    gone=True,
                ),
            )
        case steps.NewCluster():
            return (Look(ksctl(node, "cluster", "info"), done='"r"'),)
        case steps.JoinNode(via=via):
            listed = ksctl(book.cluster.node(via), "cluster", "nodes", "list")
            return (Look(listed, runs="joining", done=f'"{node.cluster_host}"'),)
        case _:
            return ()


def tool_words(step: Step, book: Book) -> str:
    """Return what to type where the tool does it: a command of its own, or the run that the step is a part of."""
    name = step.node
    match step.action:
        case steps.VerifyArchive():
            return f"ctmupgrade verify {shlex.quote(str(book.cluster.target.archive))}"
        case steps.MakeBackup():
            return f"ctmupgrade backup --nodes {name}"
        case steps.StageArchive():
            return f"ctmupgrade stage --nodes {name}"
        case _:
            return ""
