"""What is worse than before the run: the looks that the journal has, compared topic by topic."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from ctmupgrade.core.looks.facts import Services
from ctmupgrade.core.looks.secrets_manager import CSM_REMEDY, csm_in_error
from ctmupgrade.core.node_settings import COUNTS
from ctmupgrade.core.run.report_lines import ComparedLine, FindingLine, iso_time
from ctmupgrade.core.run.seen_events import NodesSeen, Seen

Items: TypeAlias = Mapping[str, str]
_SHOWN = 6  # items that are named; the journal has all


@dataclass(frozen=True, slots=True)
class LaterLook:
    """The last look at a node since the run began. :ivar when: ``after_node`` or ``end``."""

    seen: Seen
    when: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """All looks, as a fold over the journal, by node; before, "" has what all of them share."""

    before: Mapping[str, Seen] = field(default_factory=dict)
    after: Mapping[str, LaterLook] = field(default_factory=dict)


NOTHING_SEEN = BeforeAfter()


def looks_after(held: BeforeAfter, event: NodesSeen, at: datetime) -> BeforeAfter:
    """Return the looks after one more. Of before, the first answer to each topic counts; of after, the last look."""
    if event.when == "before":
        return replace(
            held, before={**held.before, **{n: _first(held.before.get(n), s) for n, s in event.nodes.items()}}
        )
    later = {
        node: LaterLook(_latest(held.after.get(node), seen), event.when, at)
        for node, seen in event.nodes.items()
    }
    return replace(held, after={**held.after, **later})


def _latest(held: LaterLook | None, seen: Seen) -> Seen:
    """What a topic was at the last look that could tell it; that a later one could not is told beside it."""
    if held is None:
        return seen
    not_known = {t: why for t, why in held.seen.not_known.items() if t not in seen.topics}
    return Seen.of({**held.seen.topics, **seen.topics}, {**not_known, **seen.not_known})


def _first(held: Seen | None, more: Seen) -> Seen:
    if held is None:
        return more
    topics = {**more.topics, **held.topics}
    not_known = {t: why for t, why in {**more.not_known, **held.not_known}.items() if t not in topics}
    return Seen.of(topics, not_known)


# -- what is worse, by topic ---------------------------------------------------------------------------


def _appeared(before: Items, after: Items) -> Iterator[str]:
    yield from (f"new: {name}" for name in after if name not in before)


def _gone_or_other(before: Items, after: Items) -> Iterator[str]:
    for name, was in before.items():
        if name not in after:
            yield f"{name} is gone"
        elif after[name] != was:
            yield f"{name} was {was or 'there'}, is {after[name] or 'there'}"


def _other(before: Items, after: Items) -> Iterator[str]:
    """One that is missing could not be read, or its interface is gone, which is told there."""
    for name, was in before.items():
        if after.get(name, was) != was:
            yield f"that of {name} is another one: SHA-256 {was[:16]}..., now {after[name][:16]}..."


def _not_any_more(word: str) -> Callable[[Items, Items], Iterator[str]]:
    def worse(before: Items, after: Items) -> Iterator[str]:
        for name, was in before.items():
            if was == word and after.get(name) != word:
                yield f"{name} was {word}, is {after.get(name, 'gone')}"

    return worse


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _fewer(before: Items, after: Items) -> Iterator[str]:
    """Clients go on making and destroying keys meanwhile: only many fewer are told."""
    for name, was in before.items():
        share = COUNTS[name][1] if name in COUNTS else 1.0
        if name in after and _number(after[name]) < _number(was) * share:
            yield f"{name} {was} -> {after[name]}"


def _fewer_healthy(before: Items, after: Items) -> Iterator[str]:
    for state in dict.fromkeys((*before, *after)):
        was, now = _number(before.get(state, "0")), _number(after.get(state, "0"))
        if (now < was) if state == HEALTHY else (now > was):
            yield f"{state} {was} -> {now}"


HEALTHY = "healthy"
WORSE: Mapping[str, Callable[[Items, Items], Iterator[str]]] = {
    "alarms": _appeared,
    "cluster_errors": _appeared,
    "services": _not_any_more("started"),
    "licences": _gone_or_other,
    "interfaces": _gone_or_other,
    "certificates": _other,
    "products": _not_any_more("enabled"),
    "time_servers": _gone_or_other,
    "counts": _fewer,
    "cte_clients": _fewer_healthy,
}
_REMEDY: Mapping[str, str] = {
    "alarms": "ksctl alarms list",
    "cluster_errors": "ksctl cluster errors",
    "services": "ksctl services status",
    "licences": "ksctl licensing licenses list   # and the lock code: ksctl licensing lockdata",
    "interfaces": "ksctl interfaces list",
    "certificates": "ksctl interfaces certificate get --name NAME   # clients that pin the old certificate refuse the new one",
    "products": "ksctl products list",
    "time_servers": "ksctl ntp servers list   # put back: ksctl ntp servers add --host HOST",
    "counts": "find the cause before you end the work: ksctl keys list, ksctl users list, ksctl domains list",
    "cte_clients": "ksctl cte clients list   # look at the clients that were healthy before",
}
TITLES: Mapping[str, str] = {
    "alarms": "alarms that are on",
    "cluster_errors": "errors of the cluster",
    "services": "services",
    "licences": "licences",
    "interfaces": "interfaces",
    "certificates": "certificates of interfaces",
    "products": "products",
    "time_servers": "time servers",
    "counts": "number of keys, users and domains",
    "cte_clients": "CTE clients by state",
}


def compared(looks: BeforeAfter, only: Container[str] | None = None) -> Iterator[ComparedLine]:
    """Yield each topic of each node that was looked at since the run began. :param only: nodes; None: all."""
    for node, later in looks.after.items():
        if only is not None and node not in only:
            continue
        before = _first(looks.before.get(node), looks.before.get("", Seen()))
        for topic in WORSE:
            if topic in later.seen.topics or topic in later.seen.not_known:
                yield _compared(node, topic, before, later)


def _compared(node: str, topic: str, before: Seen, later: LaterLook) -> ComparedLine:
    was, now = before.topics.get(topic), later.seen.topics.get(topic)
    before_words = _words(was)
    told = before_words, before_words if was == now else _words(now)
    worse = [] if was is None or now is None else list(WORSE[topic](was, now))
    unknown = [*_why("before", was, before, topic), *_why("now", now, later.seen, topic)]
    verdict = "worse" if worse else "not known" if unknown else "same" if was == now else "changed"
    text = "; ".join([_some(worse)] * bool(worse) + unknown)
    unknown_now = verdict == "not known" and was is not None and topic in later.seen.not_known
    return ComparedLine(node, topic, *told, verdict, text, later.when, iso_time(later.at), unknown_now)


def _why(when: str, items: Items | None, seen: Seen, topic: str) -> Iterator[str]:
    """Why all or a part of a topic is not known."""
    why = seen.not_known.get(topic, "" if items is not None else "nobody looked")
    if why:
        yield f"not known {when}: {why}"


def _some(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return "; ".join([*words[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _cut(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"


def _words(items: Items | None) -> str:
    if items is None:
        return "not known"
    shown = [f"{name}: {_cut(value)}" if value else name for name, value in islice(items.items(), _SHOWN)]
    more = len(items) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])]) or "none"


def worse_findings(looks: BeforeAfter, only: Container[str] | None = None) -> Iterator[FindingLine]:
    """Yield a finding for each topic of each node that is worse than before. :param only: nodes; None: all."""
    for line in compared(looks, only):
        if line.verdict == "worse":
            summary = f"{TITLES[line.topic]}: worse than before the run: {line.text}"
            remedy = _REMEDY[line.topic]
            if line.topic == "services" and csm_in_error(
                Services("", looks.after[line.node].seen.topics["services"])
            ):
                remedy = f"{remedy}; {CSM_REMEDY}"
            yield FindingLine(line.topic, "warn", line.node, summary, remedy, line.when, line.time)


def unknown_now(looks: BeforeAfter, only: Container[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield node and topic of what was known before the run and could not, or not wholly, be looked at since. That
    nothing is worse was not seen there. :param only: nodes; None: all."""
    for line in compared(looks, only):
        if line.unknown_now:
            yield line.node, TITLES[line.topic]
