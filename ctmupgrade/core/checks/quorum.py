"""Checks of what keeps a cluster able to decide: its majority, its control planes, and what they say went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from ctmupgrade.core.checks.ages import span
from ctmupgrade.core.checks.check import VENDOR, Question, looked, not_looked_up, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.checks.health import fresh_reports
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.shared_state import ClusterError
from ctmupgrade.core.modes import StrategyName

_CONSENSUS = re.compile(r"no leader|leased session|context deadline exceeded|consensus", re.IGNORECASE)
RECENT, OLD = timedelta(minutes=15), timedelta(days=1)
RAFT_WORDS = ("up", "leader", "follower")


def cluster_errors_empty(q: Question) -> Iterator[Finding]:
    """Check that the members report no error of the last day among themselves; errors of consensus now block."""
    check = "cluster_errors_empty"
    if not q.clustered:
        yield Finding(check, Verdict.PASS, "", "not clustered")
        return
    found, errors = [], list(_of_reports(q))
    if isinstance(q.facts.shared.errors, Unknown):
        found.append(
            not_looked_up(
                check, "", q.facts.shared.errors, "the list of cluster errors", "ksctl cluster errors"
            )
        )
    else:
        errors += q.facts.shared.errors
    for error in _newest(errors):
        age = None if error.at is None else q.facts.at - error.at
        if age is not None and age > OLD:
            continue
        fresh = age is not None and age <= RECENT and bool(_CONSENSUS.search(error.text))
        when = "without a time" if age is None else f"{span(age.total_seconds())} ago"
        remedy = "ksctl cluster errors   # find the cause; wait until no new ones come"
        verdict = Verdict.BLOCK if fresh else Verdict.WARN
        words = f'a member reports "{error.text}", {when}'
        found.append(Finding(check, verdict, "", words, remedy, VENDOR, unreachable=q.silent > 0))
    yield from or_pass(check, found, "no member reports an error of the last day")


def _newest(errors: Iterable[ClusterError]) -> list[ClusterError]:
    """Each text once, with its newest time: twenty nodes report the same of one that is away."""
    found: dict[str, ClusterError] = {}
    for error in errors:
        held = found.get(error.text)
        if held is None or (error.at is not None and (held.at is None or error.at > held.at)):
            found[error.text] = error
    return list(found.values())


def _of_reports(q: Question) -> Iterator[ClusterError]:
    for report in fresh_reports(q.facts.nodes).values():
        for view in report.peers.values():
            yield from view.errors


def quorum_kept(q: Question) -> Iterator[Finding]:
    """Check that with one more node away more than half of all listed members are ready."""
    check = "quorum_kept"
    if not q.clustered or q.cluster.strategy is StrategyName.REBUILD:
        words = (
            "not clustered"
            if not q.clustered
            else "a rebuild removes nodes: those that stay are the majority"
        )
        yield Finding(check, Verdict.PASS, "", words)
        return
    known, found = looked(
        q, check, lambda f: f.members, "which members are ready", "ksctl cluster nodes list", Verdict.MANUAL
    )
    counts = [
        (sum(member.ready for member in members), len(members)) for members in known.values() if members
    ]
    ready, listed = min(counts, default=(0, 0))
    if listed == 2:
        words = (
            "two nodes: while one is away the other has no majority; nothing can join or be removed meanwhile"
        )
        found.append(
            Finding(
                check,
                Verdict.WARN,
                "",
                words,
                "expect it; both must be ready again before anything else",
                VENDOR,
            )
        )
    elif listed > 2 and 2 * (ready - 1) <= listed:
        words = f"{ready} of {listed} listed members are ready: with one more away there is no majority"
        remedy = "bring members back, or remove those that are gone for good: ctmupgrade recover"
        follows = ready + q.silent >= listed  # from those that do not answer
        found.append(Finding(check, Verdict.BLOCK, "", words, remedy, VENDOR, unreachable=follows))
    yield from or_pass(
        check, found, f"{ready} of {listed} members are ready: with one away there is still a majority"
    )


def control_plane_up(q: Question) -> Iterator[Finding]:
    """Check that every control plane takes part in what they agree on, where a release tells that."""
    check = "control_plane_up"
    if not q.clustered:
        yield Finding(check, Verdict.PASS, "", "not clustered")
        return
    command = "ksctl cluster info"
    known, found = looked(q, check, lambda f: f.raft, "raftStatus", command)
    odd = {name: word for name, word in known.items() if word and word.lower() not in RAFT_WORDS}
    for name, word in odd.items():
        remedy = f"{command}   # on each node; the words that are known: {', '.join(RAFT_WORDS)}"
        found.append(Finding(check, Verdict.WARN, name, f'its raftStatus is "{word}"', remedy))
    yield from or_pass(check, found, "no control plane reports a trouble with its consensus")
