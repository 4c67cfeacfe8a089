"""Two fuzzers: of every parser of an answer, and of the whole way from looks to plan, JSON and runbook.

``scripts/fuzz`` runs them for minutes, the tests for seconds. A seed is printed for each round, and gives the same
round again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ctmupgrade.codec import plan_document, plan_from_document, plan_to_json
from ctmupgrade.collect.collect import collect_nodes, facts_of
from ctmupgrade.commands import check
from ctmupgrade.core.checks.catalogue import examine
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.model import Options
from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Reply
from ctmupgrade.render import documents, plain, runbook
from ctmupgrade.sim import SimFleet
from tests.hostile import corpus
from tests.hostile.nodes import ChangedLooks
from tests.hostile.test_answers import CONTROL_PROBES, KSCTL_ANSWERS, SHELL_ANSWERS, SHELL_PROBES
from tests.support.world_run import Drive, make_world

TOKENS = (
    "{", "}", "[", "]", ":", ",", '"', "null", "true", "-1", "1e999", "NaN", "\\ud800", "\\u001b[2K", '"resources"', '"status"',
    '"code"', '"nodeID"', '"version"', '"2.20.0"', '"id"', '"total"', '"host"', '"isThisNode"', "\n", "\r", "\t", "\0", "\x1b]0;",
    "\u202e", "\u2028", "9" * 30, "٣", "²", "Upgrade to 2.21.0+1 succeeded", "ks_upgrade.sh", "SCREEN ", "(ALL) NOPASSWD: ", "|",
    "Filesystem Available", "/dev/sda1 1 1 1 1% /", "1K-blocks", "-rw-r--r-- 1 0 0 5 Jan 1 00:00 x", "a" * 64, "btime 5", ".", "%",
    "Active: active (running)", "ActiveState=", "2026-01-10 21:00", "1767000000.5", "ks_upgrade_2026-01-10-210000.log", "/x:", " ",
    "eyJ", "-----BEGIN PRIVATE KEY-----", "password", "://", "@", "`", "```", "<!--", "<script>", "![x](y)", "| ", "# ",
)  # fmt: skip


@cache
def answers() -> tuple[str, ...]:
    """What a healthy cluster answers, and the answers that have hurt before."""
    drive = Drive(make_world(2), Path(tempfile.gettempdir()))
    heard: list[str] = []

    def listening(_asked: str, answer: str) -> str:
        heard.append(answer)
        return answer

    looks = ChangedLooks(drive.world, listening, listening)
    collect_nodes(looks, drive.cluster, drive.world.clock, drive.setup().tools.gather)
    known = (KSCTL_ANSWERS, SHELL_ANSWERS, corpus.TEXTS)
    return tuple(dict.fromkeys([*heard, *(text for texts in known for text in texts.values())]))


@st.composite
def _changed(draw: st.DrawFn) -> str:
    """A known answer with pieces cut out, doubled, or put in."""
    text = draw(st.sampled_from((*answers(), *corpus.INPUTS.values())))[:20_000]
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 40))
        piece = draw(st.one_of(st.sampled_from(TOKENS), st.just(text[at : at + length]), st.text(max_size=5)))
        text = text[:at] + piece * draw(st.sampled_from((0, 1, 2, 300))) + text[at + length :]
    return text


_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(tuple(corpus.TEXTS.values())),
        st.sampled_from(("2.20.0", "r", "started", "2026-01-10T21:00:00Z", "system")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from((
                "resources", "status", "code", "nodeID", "id", "host", "version", "services", "name", "clusterSummary", "nodeInfo",
                "lastUpdated", "total", "ntpq", "isThisNode", "connected", "createdAt", "uptime", "system_time", "summary",
            )),
            inner, max_size=6,
        ),
    ),
    max_leaves=20,
)  # fmt: skip
ANSWERS = st.one_of(
    _changed(),
    st.lists(st.sampled_from(TOKENS), max_size=30).map("".join),
    _VALUES.map(json.dumps),
    st.text(max_size=200),
)
LIMIT = 5.0  # seconds of processor time that no input of this size may need


def parsers(text: str) -> None:
    """:raises Exception: a parser raises something else than that it does not understand."""
    reply = Reply(0, text, text[:200])
    began = time.thread_time()
    for probe in (*CONTROL_PROBES, *SHELL_PROBES):
        for query in probe.ways:
            for code in (0, 1):
                try:
                    found = query.parse(code, reply.out, reply.err)
                except NotUnderstoodError as error:
                    found = str(error)
                assert corpus.harmful(str(found)) == [], query.argv
    assert time.thread_time() - began < LIMIT, f"{text[:80]!r} takes too long"


def whole(changes: list[tuple[int, str]]) -> None:
    """From looks to everything that is made of them.

    :param changes: (the how manieth look, its answer).
    :raises Exception: anything that is no error of ours, or something harmful in an output.
    """
    instead, count = dict(changes), [0]

    def change(_asked: str, answer: str) -> str:
        count[0] += 1
        return instead.get(count[0], answer)

    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(make_world(2), Path(folder))
        made = drive.setup()
        made.tools = replace(made.tools, fleet=_Fleet(drive, change))
        try:
            result, plan = check.plan(made)
        except CtmUpgradeError as error:
            corpus.check_plain(f"{error.brief}{error.details}{error.remedy}")
            return
        corpus.check_plain("\n".join(plain.finding_lines(result.findings, verbose=True)))
        corpus.check_json(
            json.dumps(documents.check_document(made.cluster, made.mode, result.facts, result.findings))
        )
        text = json.dumps(plan_to_json(plan))
        corpus.check_json(text)
        assert plan_from_document(plan_document(text, "plan.json"), "plan.json") == replace(
            plan, past_notes=()
        )
        corpus.shape(runbook.runbook_markdown(plan, made.cluster, result.facts, result.findings))
        examine(facts_of(result.facts.nodes, made.clock), made.cluster, Options())


class _Fleet(SimFleet):
    """A simulated fleet whose looks are changed."""

    def __init__(self, drive: Drive, change: Callable[[str, str], str]) -> None:
        super().__init__(drive.world)
        self._looks = ChangedLooks(drive.world, change, change)

    def shell(self, node: str) -> Any:
        return self._looks.shell(node)

    def control(self, node: str) -> Any:
        return self._looks.control(node)


CHANGES = st.lists(st.tuples(st.integers(1, 60), ANSWERS), min_size=1, max_size=6)


def _round(
    number: int, examples: int, strategy: st.SearchStrategy[Any], target: Callable[[Any], None]
) -> None:
    made = settings(
        max_examples=examples, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if os.environ.get("CTMUPGRADE_SHRINK") else [Phase.generate],
    )  # fmt: skip
    seed(number)(made(given(strategy)(target)))()


def fuzz_parsers(number: int, examples: int) -> None:
    """One round. :raises Exception: what was found; hypothesis prints the input."""
    _round(number, examples, ANSWERS, parsers)


def fuzz_whole(number: int, examples: int) -> None:
    """One round. :raises Exception: what was found."""
    _round(number, examples, CHANGES, whole)


def rounds(minutes: float, first: int) -> Iterator[str]:
    """Fuzz until the time is over; a line for each round.

    :param first: the seed of the first round; each further one is one more.
    """
    end, number = time.monotonic() + 60 * minutes, first
    texts = (*answers(), *corpus.INPUTS.values())
    for text in texts:
        parsers(text)
    yield f"corpus of {len(texts)} answers: nothing found"
    while time.monotonic() < end:
        fuzz_parsers(number, 300)
        fuzz_whole(number, 20)
        yield f"seed {number}: nothing found"
        number += 1
