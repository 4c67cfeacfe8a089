"""A whole run in one sentence: how many nodes, from, to, how long, the longest absence, incidents, waivers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.step_words import node_list, step_words
from ctmupgrade.core.plan.steps import RunUpgrade
from ctmupgrade.core.run.client_ports import clients_line
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.outcome import at_target
from ctmupgrade.core.run.timeline import Timeline
from ctmupgrade.core.timing import clock_time
from ctmupgrade.core.version import Version

_PLURALS = {"inconclusive": "inconclusive", "stop-asked": "stops asked for", "request-refused": "requests refused",
            "end": "ends", "handed-over": "hand-overs", "taken-over": "take-overs", "clock": "clock changes",
            "program": "program events"}  # fmt: skip
_SINGULARS = {"stop-asked": "stop asked for", "request-refused": "request refused", "handed-over": "hand-over",
              "taken-over": "take-over", "clock": "clock change", "program": "program event"}  # fmt: skip


def headline_of(state: RunState, timeline: Timeline) -> str:
    """Return the sentence, true at any moment of the run."""
    parts = [
        f"{_what(state)} {_when(state, timeline)}",
        *_others(state),
        *_ended(state),
        *_absence(timeline),
        *_clients(state),
    ]
    if state.outcome not in ("dry-run", "nothing-to-do"):
        parts.append(incident_words(one.kind for one in state.incidents))
    waived = len(state.waived)
    parts.append(f"{waived} check{'' if waived == 1 else 's'} waived" if waived else "no check waived")
    simulated = "Simulated, on no real node: " if state.mode is Mode.SIMULATED else ""
    sentence = f"{simulated}{'; '.join(part.strip() for part in parts)}."
    return f"{sentence[:1].upper()}{sentence[1:]}"


def incident_words(kinds: Iterable[str]) -> str:
    """Return how many incidents there were, of which kinds: "2 incidents (1 failure, 1 pause)"."""
    counts = Counter(kinds)
    total = sum(counts.values())
    if not total:
        return "no incident"
    each = ", ".join(
        f"{n} {_SINGULARS.get(kind, kind) if n == 1 else _PLURALS.get(kind, f'{kind}s')}"
        for kind, n in counts.items()
    )
    return f"{total} incident{'' if total == 1 else 's'} ({each})"


def _what(state: RunState) -> str:
    kind, cluster = kind_of(state), state.plan.cluster
    if state.outcome == "dry-run":
        return f"this was a dry run for {cluster}: nothing was changed"
    if state.outcome == "nothing-to-do":
        return f"nothing was done: every node of {cluster} was at {_short(state.plan.target.version)} already"
    if kind in (RunKind.UPGRADE, RunKind.REBUILD):
        return _upgraded(state)
    return _prepared(state, kind)


def _upgraded(state: RunState) -> str:
    wanted = [s.node for s in state.plan.steps if isinstance(s.action, RunUpgrade)] or list(state.plan.nodes)
    names = list(dict.fromkeys(wanted))
    done = [name for name in names if _finished(state, name) and at_target(state, name)]
    froms = dict.fromkeys(
        _short(state.plan.versions.get(name, "")) or "a version that is not known" for name in names
    )
    verb = "were" if len(names) > 1 else "was"
    return (
        f"{len(done)} of {len(names)} node{'s' if len(names) > 1 else ''} of {state.plan.cluster} {verb} upgraded from "
        f"{' and '.join(froms)} to {_short(state.plan.target.version)}"
    )


def _prepared(state: RunState, kind: RunKind) -> str:
    names, cluster = state.plan.nodes, state.plan.cluster
    done = [name for name in names if _finished(state, name)]
    of = f"{len(done)} of {len(names)} node{'' if len(names) == 1 else 's'} of {cluster}"
    if kind is RunKind.BACKUP:
        return f"backups of {of} were made and downloaded"
    if kind is RunKind.STAGE:
        return f"the archive of {_short(state.plan.target.version)} was uploaded to {of} and verified there"
    over = sum(held.status is Status.DONE for held in state.steps.values())
    return f"{over} of {len(state.steps)} steps of the {kind.value} of {cluster} were done"


def _finished(state: RunState, node: str) -> bool:
    return all(state.steps[s.id].status is Status.DONE for s in state.plan.steps if s.node == node)


def _others(state: RunState) -> list[str]:
    """The nodes that the plan left alone."""
    others = (
        [name for name in state.plan.versions if name not in state.plan.nodes] if state.plan.nodes else []
    )
    return [f"not in the plan: {node_list(others, len(state.plan.versions))}"] if others else []


def _when(state: RunState, timeline: Timeline) -> str:
    if state.outcome in ("dry-run", "nothing-to-do"):
        return ""
    seconds = round((timeline.ends - timeline.begins).total_seconds())
    return f"{'in' if state.outcome else 'so far, after'} {clock_time(seconds)}"


def _ended(state: RunState) -> list[str]:
    """How it stands, where it is not simply done."""
    stuck = [s for s in state.plan.steps if state.steps[s.id].status in (Status.FAILED, Status.INCONCLUSIVE)]
    words = ", ".join(step_words(step) for step in stuck)
    standing = {
        "running": "it goes on",
        "pausing": "it is about to stop, as asked",
        "failed": f"the run is stopped, because this failed: {words}",
        "needs-operator": f"the run is stopped, for a person must decide whether this was done: {words}",
        "paused": "the run is paused",
        "partial": "not every node of the plan is at its target",
        "aborted": "the run was aborted, and nobody goes on with it",
        "taken-over": "another run took its place",
    }
    found = standing.get(state.outcome or state.name)
    return [found] if found else []


def _absence(timeline: Timeline) -> list[str]:
    longest = timeline.longest_away
    if longest is None:
        return ["no node was out of service"] if timeline.bars else []
    parts = [
        f"{one.node} has been out of service for {clock_time(one.seconds)}, and is not proven to be back"
        for one in timeline.away
        if one.until is None
    ]
    if longest.until is not None:
        parts.insert(
            0, f"no node was out of service for longer than {clock_time(longest.seconds)} ({longest.node})"
        )
    return parts


def _clients(state: RunState) -> list[str]:
    """What clients saw of it, where their ports were watched."""
    seen = clients_line(state.observed.clients, state.at)
    if seen is None:
        return []
    gaps = [
        f"no node answered clients of {gap.service} for {clock_time(gap.seconds)}" for gap in seen.without_any
    ]
    longest = max(
        (port for port in seen.ports if port.outages), key=lambda port: port.longest_s, default=None
    )
    if longest is not None:
        where = f"{longest.node} {longest.port}"
        gaps.append(
            f"no client port was away for longer than {clock_time(longest.longest_s)} at a time ({where})"
        )
    return gaps


def _short(text: str) -> str:
    try:
        return Version.parse(text).short if text else ""
    except ValueError:
        return text
