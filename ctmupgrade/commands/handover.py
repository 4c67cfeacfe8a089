"""``handover`` and ``take-over``: a run that stands still goes on on another machine, with one journal over both."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ctmupgrade import __version__
from ctmupgrade.adapters.disk.handover_file import CLUSTER, JOURNAL, SUMMARY, Draft
from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands import handover_marks
from ctmupgrade.commands.custody import settle
from ctmupgrade.commands.resume import to_resume
from ctmupgrade.commands.runs import hold, to_go_on
from ctmupgrade.commands.same_cluster import learn_of_run, refuse_other_cluster
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.config.source import read_text
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.redact import known_hidden
from ctmupgrade.core.run import interlocks, journal
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.restore_order import restores
from ctmupgrade.core.run.summary import Summary, summary_of
from ctmupgrade.errors import NodeError, UnreachableError, UsageError
from ctmupgrade.render.markdown import summary_markdown


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What became of a hand-over.

    :ivar nodes: those that keep the offer. :ivar backups: of which node each file is, and where.
    :ivar included: whether the backups are in the file. :ivar digest: of the file's head, which the nodes keep.
    :ivar own_node: the one that is called ``local`` here, or ""."""

    run: str
    file: Path
    summary: Summary
    nodes: tuple[str, ...]
    backups: tuple[Manifest, ...]
    included: bool
    digest: str = ""
    own_node: str = ""


def handover(setup: Setup, run_id: str | None, file: Path, *, with_backups: bool = True) -> HandedOver:
    """Pack a run that no process drives, and offer it on the nodes to whoever has the file.

    :param with_backups: the downloaded backups and their keys go into the file; else only where they are is said.
    :raises LockedError: a living process drives it, or another machine has it. :raises UnreachableError: no node answers.
    :raises UsageError: there is no such run, it is simulated, or the file cannot be written.
    """
    _refuse_simulated(setup, "handed over")
    with hold(setup.home, run_id or to_go_on(setup.home, Mode.LIVE)):
        folder = to_resume(setup, Mode.LIVE, run_id)
        state = folder.state()
        learn_of_run(setup, state)
        refuse_other_cluster(setup.cluster, state)
        names = [node.name for node in (*setup.cluster.nodes, *setup.cluster.fresh)]
        nodes = handover_marks.answering(setup.fleet, names)
        if not nodes:
            raise UnreachableError(
                f"run {folder.run} cannot be handed over: no node answers, and one must keep the offer",
                remedy="bring a node back, then the same command again",
            )
        counted = _backups(setup, state)
        made = HandedOver(
            folder.run,
            file.absolute(),
            summary_of(state),
            nodes,
            counted,
            with_backups,
            own_node=setup.cluster.own_node,
        )
        return made if setup.request.dry_run else _pack(setup, folder, made)


def _refuse_simulated(setup: Setup, what: str) -> None:
    if setup.request.simulate is not None:
        raise UsageError(f"a simulated run cannot be {what}", remedy="leave --simulate out")


def _backups(setup: Setup, state: RunState) -> tuple[Manifest, ...]:
    """The backups on this machine that the rest of the run stands on: of each node the newest one that counts."""
    newest: dict[str, Manifest] = {}
    wanted = {s.action.sha256 for s in restores(state.plan) if isinstance(s.action, RestoreBackup)}
    for manifest in sorted(setup.tools.store.manifests(), key=lambda one: one.made_at):
        restored = manifest.sha256 in wanted and not manifest.problem
        if restored or interlocks.backed_up([manifest], state, setup.cluster, setup.clock.now()):
            newest[manifest.sha256 if restored else manifest.node] = manifest
    return tuple(newest.values())


def _pack(setup: Setup, folder: RunFolder, made: HandedOver) -> HandedOver:
    """The file first, under another name; then the journal, the offers on the nodes, and its name last. Whoever is
    killed in between has handed nothing over, and goes on here."""
    draft = Draft(made.file)
    try:
        with setup.runs.opened(folder.run) as record:
            state = record.state()
        state = settle(setup, state)
        event = journal.RunHandedOver(whoami(), secrets.token_hex(8), str(made.file), made.nodes)
        at = setup.clock.now()
        state = journal.apply(state, event, at)
        setup.runs.append(folder.run, event, at)
        done = replace(made, summary=summary_of(state))
        digest = draft.write(_about(setup, state, done), _texts(setup, folder, done), _files(done))
        handover_marks.offer(setup.fleet, made.nodes, made.run, event.ticket, digest)
        draft.keep()
    except OSError as error:
        draft.drop()
        place = error.filename or made.file
        raise NodeError(
            f"{place}: {error.strerror or error}",
            remedy=f"df {shlex.quote(str(made.file.parent))}; then the same again",
        ) from error
    except BaseException:
        draft.drop()
        raise
    return replace(done, digest=digest)


def _about(setup: Setup, state: RunState, made: HandedOver) -> dict[str, object]:
    return {
        "run": made.run, "cluster": setup.cluster.name, "ticket": state.custody.ticket, "by": state.custody.by,
        "at": state.at.isoformat(), "version": __version__, "nodes": list(made.nodes),
        "backups": [
            {"node": one.node, "backup": one.backup_id, "where": f"{state.custody.by}:{one.file}", "included": made.included}
            for one in made.backups
        ],
    }  # fmt: skip


def _texts(setup: Setup, folder: RunFolder, made: HandedOver) -> dict[str, bytes]:
    """The page, cluster.yaml without what is known to be secret, and the journal as it is: its hashes must hold."""
    return {
        SUMMARY: summary_markdown(made.summary, backup_lines(made)).encode(),
        CLUSTER: known_hidden(read_text(setup.request.cluster)).encode(),
        JOURNAL: folder.journal.read_bytes(),
    }


def _files(made: HandedOver) -> list[Path]:
    if not made.included:
        return []
    found: list[Path] = []
    for one in made.backups:
        file, key = Path(one.file), Path(one.key_file)
        found += [file, key, file.with_name(f"{file.stem}.manifest.json")]
    return found


def backup_lines(made: HandedOver) -> Sequence[str]:
    """Return where the backups are, and whether they are in the file."""
    if not made.backups:
        return ["There are no backups of this run on the machine that it comes from."]
    where = (
        "in this file, and"
        if made.included
        else "NOT in this file: copy them by hand, each with its key and manifest;"
    )
    return [
        f"The backup of {one.node} and its key are {where} on {whoami()}: {one.file}" for one in made.backups
    ]
