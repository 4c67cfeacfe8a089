"""The way back, by hand: what can be undone in each phase of a plan and what cannot, with the commands.

Vendor facts (docs/appliance.md 3, 7): a cluster is never downgraded; an unclustered appliance is, by an older archive; a
backup restores on its own release and on later ones, never on an older one; a join erases the joining node.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from ctmupgrade.core.commands import restore_commands
from ctmupgrade.core.manual_commands import ksctl, shell
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.phases import Phase, is_rebuild, old_copies, survivor
from ctmupgrade.core.plan.steps import (
    DeleteClusterConfig,
    JoinNode,
    NewCluster,
    RemoveNode,
    ResetNode,
    StageArchive,
    Step,
    step,
)
from ctmupgrade.render.manual import COUNTED_SERVICES, Book
from ctmupgrade.render.page import Heading, Lines, Mono, Part, Strong, said
from ctmupgrade.render.step_guide import Look, looks

Begun = Callable[[Step], bool]


def look_parts(found: Sequence[Look]) -> Iterator[Part]:
    """Yield how to find out whether something has happened already."""
    for one in found:
        yield Lines((one.command,))
        if one.runs:
            yield said(
                "While this shows ", Mono(one.runs), ", it still runs: wait, and look again in a minute."
            )
        if one.hint:
            yield said(f"{one.hint}: leave the rest of this step out.")
        if one.done:
            verb = "no longer shows " if one.gone else "shows "
            yield said(f"Where this {verb}", Mono(one.done), ", it is done: leave the rest of this step out.")


def phase_parts(phase: Phase, book: Book, begun: Begun, place: str = "") -> Iterator[Part]:
    """Yield what can be undone in a phase and how, and what cannot.

    :param begun: whether a step was begun: in a runbook, whether it comes before the phase's end.
    :param place: the options that every command of ours needs here, with a blank before each.
    """
    match phase:
        case Phase.UNTOUCHED:
            yield from _untouched(book)
        case Phase.REMOVED:
            yield from _rejoin(book, begun)
        case Phase.COPIES:
            yield from _from_copies(book, old_copies(book.plan, begun), place)
        case Phase.UPGRADED:
            yield from _upgraded(book, place)
        case Phase.GONE:
            copies = old_copies(book.plan, begun) if is_rebuild(book.plan) else ()
            yield from _gone(book, copies, place)


def _untouched(book: Book) -> Iterator[Part]:
    yield said(
        Strong("Everything can be undone: "),
        "no node was changed. The uploaded archive may stay where it is for the next window, or be removed:",
    )
    name = book.plan.target.archive
    staged = [one.node for one in book.plan.steps if isinstance(one.action, StageArchive)]
    yield Lines(
        tuple(shell(book.cluster.node(node), "rm", "-f", name) for node in staged) or ("# nothing to remove",)
    )


def _rejoin(book: Book, begun: Begun) -> Iterator[Part]:
    """The survivor is on the old version with its data: the removed nodes join it again."""
    plan, keeper = book.plan, survivor(book.plan)
    yield said(
        Strong("It can be undone: "),
        f"every node is on the old version. The removed ones join {keeper} again, one after the other; each is erased by "
        f"that and gets the data of {keeper}. What clients wrote to a removed node after its removal is lost.",
    )
    if any(begun(s) for s in plan.steps if s.node == keeper and isinstance(s.action, DeleteClusterConfig)):
        yield from _act(
            book, f"{keeper} forms its cluster again, where it had left it", step(NewCluster(), keeper, "", 0)
        )
    for one in plan.steps:
        if isinstance(one.action, RemoveNode) and begun(one):
            yield from _joined(book, one.node, keeper)


def _joined(book: Book, name: str, via: str) -> Iterator[Part]:
    """A node that was removed joins again."""
    member = Look(
        ksctl(book.cluster.node(via), "cluster", "nodes", "list"),
        done=f'"{book.cluster.node(name).cluster_host}"',
    )
    yield from _act(book, f"{name} is in no cluster", step(DeleteClusterConfig(), name, "", 0), member)
    joins = step(JoinNode(via, book.plan.options.shared_hsm_partition), name, "", 0)
    yield from _act(book, f"{name} joins, which erases it", joins)


def _act(book: Book, heading: str, one: Step, *first: Look) -> Iterator[Part]:
    """A step by hand, unless a look shows that it is so already."""
    yield Heading(4, heading)
    yield from look_parts((*first, *looks(one, book)))
    yield Lines(tuple(book.commands(one)))


def _from_copies(book: Book, copies: Sequence[str], place: str) -> Iterator[Part]:
    keeper = survivor(book.plan)
    if not copies:
        yield from _gone(book, copies, place)
        return
    first, rest = copies[0], copies[1:]
    yield said(
        Strong("It can be undone, without what clients wrote since the removals: "),
        f"{' and '.join(copies)} {'is' if len(copies) == 1 else 'are'} as removed, with the old version and the old data. "
        f"{first} forms the old cluster again"
        + (f", and {' and '.join(rest)} join{'s' if len(rest) == 1 else ''} it." if rest else "."),
    )
    yield said(
        f"Keep clients away from {keeper} first: what they write there from now on is lost. It stays outside until it is "
        "installed anew on the old version; then it joins like the others.",
        warning=True,
    )
    yield from _act(
        book,
        f"{first} leaves the old cluster",
        step(DeleteClusterConfig(), first, "", 0),
        *_settled(book, first),
    )
    yield from _act(book, f"{first} forms a cluster with its data", step(NewCluster(), first, "", 0))
    for name in rest:
        yield from _joined(book, name, first)


def _settled(book: Book, name: str) -> Iterator[Look]:
    """Where it forms a cluster already, it must not leave it."""
    yield Look(ksctl(book.cluster.node(name), "cluster", "info"), done='"ready"')


def _upgraded(book: Book, place: str) -> Iterator[Part]:
    clustered = len(book.cluster.nodes) > 1 and book.plan.strategy is not StrategyName.STANDALONE
    if clustered:
        yield said(
            Strong("It cannot be undone: "),
            "the first upgraded node migrates the database that all nodes share, and no version of a cluster can be "
            "downgraded. The way is forward: finish the node in hand, then the others. A cluster of two versions works, "
            "and may misbehave: do not leave it so for longer than the next window.",
        )
        yield said(
            "A node that does not come back is taken out and joins again as a new one on the version that the others have "
            "by then; that erases it. Put its name and id where this names the first one:"
        )
        yield from _replaced(book)
    else:
        yield said(
            Strong("It can be undone on one appliance that is in no cluster: "),
            "by the archive of the old version, which ks_upgrade.sh takes like any other (vendor pages 2.11 to 2.18; "
            "later ones may not say so), or by a restore on an appliance of the old version.",
        )
        yield Lines(
            (
                shell(
                    book.cluster.nodes[0],
                    "sudo",
                    "/opt/keysecure/ks_upgrade.sh",
                    "-f",
                    "ARCHIVE-OF-THE-OLD-VERSION",
                ),
            )
        )
    yield said("Where no node works any more:")
    yield from restore_parts(book, place)


def _replaced(book: Book) -> Iterator[Part]:
    nodes = book.cluster.nodes
    broken, via = nodes[-1], nodes[0]
    yield Lines(
        (
            ksctl(via, "cluster", "nodes", "delete", "--id", "NODE-ID", "--force", note=f"through a node that works; the id of {broken.name}"),
            *book.commands(step(ResetNode(), broken.name, "", 0)),
            ksctl(broken, "services", "status", note="until all are started", into=COUNTED_SERVICES),
            *book.commands(step(JoinNode(via.name), broken.name, "", 0)),
        )
    )  # fmt: skip


def _gone(book: Book, copies: Sequence[str], place: str) -> Iterator[Part]:
    held = book.plan.options.hold_back
    if copies:
        kept = ", which is held back" if held in copies else ""
        yield said(
            Strong(f"Only {' and '.join(copies)} still "),
            f"{'has' if len(copies) == 1 else 'have'} the old version and the old data{kept}. From there:",
        )
        yield from _from_copies(book, copies, place)
        return
    yield said(
        Strong("It cannot be undone: "),
        "no node holds the old version with its data any more. The way is forward: finish the steps that are left. "
        "A join that failed is repeated; the survivor holds all data.",
    )
    yield said("Where no node works any more:")
    yield from restore_parts(book, place)


def restore_parts(book: Book, place: str = "") -> Iterator[Part]:
    """Yield the way back from a backup: by the tool, and by hand."""
    node = book.cluster.nodes[0]
    file = book.cluster.backup.directory / f"{book.cluster.name}-{node.name}-BACKUP-ID"
    saved = book.saved.get(node.name, (f"{file}.backup", f"{file}.key"))
    backup, key = saved
    old = book.plan.versions.get(node.name, "") or "the old version"
    yield said(
        Strong("Restore from a backup. "),
        f"Install a new appliance on {old} (the backup's own release, or one of the next three minor releases; never an older "
        f"one) at the address of {node.name}. What clients wrote after the backup is lost. With the tool: ",
        Mono(f"ctmupgrade restore --on {node.name} --backup {shlex.quote(backup)}{place}"),
        " (a backup that the tool made: its manifest is beside it). By hand:",
    )  # fmt: skip
    yield Lines(tuple(_restore_lines(book, backup, key)))
    yield said(
        "Join no node before the restore has ended and every service is started: the others would fail to boot. "
        "Every other node then has the same version, is reset, and joins; one after the other:",
        warning=True,
    )
    for other in book.cluster.nodes[1:2]:
        yield Lines((
            *book.commands(step(ResetNode(), other.name, "", 0)),
            ksctl(other, "services", "status", note="until all are started", into=COUNTED_SERVICES),
            *book.commands(step(JoinNode(node.name, book.plan.options.shared_hsm_partition), other.name, "", 0)),
        ))  # fmt: skip
    rest = [one.name for one in book.cluster.nodes[2:]]
    if rest:
        yield said(
            f"The same with {' and '.join(rest) if len(rest) < 3 else f'each of the other {len(rest)} nodes'}, each with its own addresses."
        )


def _restore_lines(book: Book, backup: str, key: str) -> Iterator[str]:
    node = book.cluster.nodes[0]
    yield from restore_commands(node, backup, key, "as the backup's file is called")
    yield ksctl(node, "system", "info", "get", note="with the login of the backup, not of the new appliance")
    if len(book.cluster.nodes) > 1:
        yield from book.commands(step(NewCluster(), node.name, "", 0))
