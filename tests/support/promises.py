"""The promises of CONTRACT.md, checked against what happened in a simulated world.

Each function reads the event log alone, so a violation is found wherever it came from.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.sim import SimEvent, World, timeline

NEVER = 1e12
STARTS = ("upgrade_started", "reboot", "services_restarted", "join_started", "reset", "node_removed")
BACKUP_WORDS = (
    "ksctl backup create",
    "ksctl backupkeys create",
    "ksctl backup download",
    "ksctl backupkeys download",
)


def check_promises(world: World, *, changes_expected: bool, in_place: bool | None = None) -> list[str]:
    """Every broken promise, as a sentence; nothing where all were kept.

    :param changes_expected: False after a look or a dry run: no changing command may have been sent.
    :param in_place: whether at most one node may be away at once; None: unless nodes were removed.
    """
    timeline.catch_up(world)
    if not changes_expected:
        sent = [f"{e.node}: {e.detail}" for e in world.changes()]
        return [f"promise 1: a change was sent: {text}" for text in sent]
    rolling = not world.of_kind("node_removed") if in_place is None else in_place
    # A restore needs no archive, and its backup was made before.
    restores = world.of_kind("key_uploaded") or world.of_kind("backup_uploaded")
    first = _restored_in_order(world) if restores else _backed_up(world)
    found = [*first, *_data_kept(world), *_nothing_twice(world), *_no_premature_reboot(world)]
    found += _no_secrets(world)
    if rolling:
        found += _one_at_a_time(world)
    return found


def _one_at_a_time(world: World) -> Iterator[str]:
    """Promise 2: nobody is away when a node is started, and nobody starts while another is away."""
    away: dict[str, str] = {}
    for event in world.events:
        match event.kind:
            case "upgrade_started" if "another operator" not in event.detail:
                others = {n: why for n, why in away.items() if n != event.node}
                for node, why in others.items():
                    yield f"promise 2: {event.node} was started at {event.at:.0f} s while {node} was away ({why})"
                away[event.node] = "its upgrade"
            case "started_while_away":
                yield f"promise 2: {event.node} was started at {event.at:.0f} s while not ready: {event.detail}"
            case "reboot" | "services_restarted":
                away[event.node] = event.kind
            case "ready":
                away.pop(event.node, None)
            case "upgrade_fail" | "upgrade_no_verdict" | "upgrade_killed":
                away.pop(event.node, None)  # it goes on serving its old version
            case _:
                continue


def _backed_up(world: World) -> Iterator[str]:
    """Promise 3: verified, then backup and key downloaded, before a node is changed."""
    verified = False
    downloaded: dict[str, set[str]] = {}
    for event in world.events:
        match event.kind:
            case "verified":
                verified = True
            case "backup_downloaded" | "key_downloaded":
                downloaded.setdefault(event.node, set()).add(event.kind)
            case kind if kind in STARTS and _ours(event):
                if not verified:
                    yield f"promise 3: {event.node}: {kind} before the signature was verified"
                if kind == "upgrade_started" and len(downloaded.get(event.node, ())) < 2:
                    yield f"promise 3: {event.node}: upgraded without a downloaded backup and its key"
            case "change" if not verified and not event.detail.startswith(BACKUP_WORDS):
                yield f"promise 3: {event.node}: changed before the signature was verified: {event.detail}"
            case _:
                continue


def _restored_in_order(world: World) -> Iterator[str]:
    """Nothing joins, and no cluster is made, before the restore has ended; nothing is erased before the key is opened."""
    opened = restored = False
    for event in world.events:
        opened = opened or event.kind == "key_uploaded"
        restored = restored or event.kind == "restored"
        if event.kind == "restore_disturbed":
            yield f"the restore's end: {event.node}: {event.detail}"
        if event.kind == "reset" and not opened:
            yield f"{event.node}: erased before the key was opened"
        if event.kind in ("cluster_new", "join_started") and not restored:
            yield f"{event.node}: {event.kind} before anything was restored"


def _ours(event: SimEvent) -> bool:
    return "another operator" not in event.detail and "power loss" not in event.detail


def _data_kept(world: World) -> Iterator[str]:
    """Promise 5: at every time somebody holds the cluster's data. It is replayed from the log."""
    holders = {n.name for n in world.nodes.values()}
    for event in world.events:
        match event.kind:
            case "data_erased":
                holders.discard(event.node)
            case "join_done" | "restored":
                holders.add(event.node)
            case "newest_data_removed":
                yield f"promise 5: {event.node}: removed while {event.detail}"
            case "cluster_delete_in_vain" if event.detail == "others remain":
                yield f"promise 5: {event.node}: told to leave a cluster of which it is not the last node"
            case "consensus_broken":
                yield f"promise 5: two membership changes at once: {event.node}: {event.detail}"
            case "cluster_deleted" if event.detail == "the last member" and len(holders) < 2:
                yield f"promise 5: {event.node}: the last cluster was deleted"
            case _:
                pass
        if not holders:
            yield f"promise 5: after {event.kind} on {event.node} nobody holds the data"
            return


def _nothing_twice(world: World) -> Iterator[str]:
    """Promise 6: no upgrade twice, no needless reboot, no join twice."""
    for event in world.of_kind("repeated_upgrade"):
        yield f"promise 6: {event.node}: the upgrade was started again at {event.at:.0f} s: {event.detail}"
    for event in world.of_kind("reboot"):
        if event.detail.startswith("sudo reboot") and "nothing to finish" in event.detail:
            yield f"promise 6: {event.node}: rebooted at {event.at:.0f} s with nothing to finish"
    joining: dict[str, str] = {}
    for event in world.events:
        if event.kind == "join_started":
            if event.node in joining:
                yield f"promise 6: {event.node}: joined twice"
            joining[event.node] = event.detail
        elif event.kind in ("join_failed", "reset", "node_removed"):
            joining.pop(event.node, None)


def _no_premature_reboot(world: World) -> Iterator[str]:
    """Promise 7."""
    for event in world.of_kind("premature_reboot"):
        yield f"promise 7: {event.node}: rebooted at {event.at:.0f} s while its upgrade ran"
    for event in world.of_kind("upgrade_killed"):
        if event.detail == "stopped by us":
            yield f"promise 7: {event.node}: its upgrade was stopped"


def _no_secrets(world: World) -> Iterator[str]:
    """Promise 8, as far as a node sees it."""
    for event in world.of_kind("secret_on_command_line"):
        yield f"promise 8: {event.node}: {event.detail}"
