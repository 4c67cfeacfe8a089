"""What is compared of a node and of a cluster, as topics with items, made of what looks have found out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.looks.facts import Maybe, NodeFacts, Unknown
from ctmupgrade.core.looks.node_state import Interface, Interfaces, Licence
from ctmupgrade.core.looks.shared_state import ClusterError
from ctmupgrade.core.run.seen_events import Seen

MOST_ITEMS = 256  # of one topic: a longer list is not kept in the journal
_LONGEST = 120  # characters of a name or a value
NODE_TOPICS = ("services", "alarms", "licences", "time_servers", "interfaces", "certificates", "products")
OF_A_NODE = ("system", "services", "alarms", "licences", "time_servers", "interfaces")  # fields of its facts


def seen_of(found: Mapping[str, Maybe[Mapping[str, str]]]) -> Seen:
    """Return a look of topics as it is kept: short, clean, and without secrets.

    :param found: by topic, its items, or why they are not known.
    """
    topics: dict[str, dict[str, str]] = {}
    not_known: dict[str, str] = {}
    short = cache(_short)  # the same words come again and again
    for topic, items in found.items():
        if isinstance(items, Unknown):
            not_known[topic] = excerpt(items.words)
        elif len(items) > MOST_ITEMS:
            not_known[topic] = f"there are {len(items)} of them, too many to keep"
        else:
            topics[topic] = {short(name): short(value) for name, value in items.items()}
    return Seen.of(topics, not_known)


def _short(text: str) -> str:
    return excerpt(one_line(text), _LONGEST)


def node_seen(facts: NodeFacts, more: Mapping[str, Maybe[Mapping[str, str]]] | None = None) -> Seen:
    """Return a look at a node by its facts. :param more: topics that these do not tell."""
    seen = seen_of({**_of_node(facts), **(more or {})})
    unread = () if isinstance(facts.interfaces, Unknown) else facts.interfaces.not_read
    if not unread:
        return seen
    why = "; ".join(f"{name}: {excerpt(text, 80)}" for name, text in unread)
    return replace(seen, not_known={**seen.not_known, "certificates": excerpt(why)})


def _of_node(facts: NodeFacts) -> dict[str, Maybe[Mapping[str, str]]]:
    services, alarms, interfaces = facts.services, facts.alarms, facts.interfaces
    return {
        "services": services if isinstance(services, Unknown) else services.by_name,
        "alarms": alarms if isinstance(alarms, Unknown) else {a.name: a.severity for a in alarms if a.state == "on"},
        "licences": facts.licences if isinstance(facts.licences, Unknown) else _licences(facts.licences),
        "time_servers": facts.time_servers if isinstance(facts.time_servers, Unknown) else dict.fromkeys(facts.time_servers, ""),
        "interfaces": interfaces if isinstance(interfaces, Unknown) else {i.name: _interface(i) for i in interfaces.rows},
        "certificates": _certificates(interfaces),
    }  # fmt: skip


def _licences(licences: Iterable[Licence]) -> dict[str, str]:
    """Several licences may have one name. A trial's end is no part of it: it comes nearer by itself."""
    found: dict[str, list[str]] = {}
    for one in licences:
        found.setdefault(one.name, []).append(one.state or "there")
    return {name: ", ".join(sorted(states)) for name, states in found.items()}


def _interface(one: Interface) -> str:
    return f"{'enabled' if one.enabled else 'disabled'}{f', port {one.port}' if one.port else ''}"


def _certificates(interfaces: Maybe[Interfaces]) -> Maybe[Mapping[str, str]]:
    """The fingerprint of each interface's own certificate, where it could be read."""
    if isinstance(interfaces, Unknown):
        return interfaces
    return {one.name: one.chain[0].fingerprint for one in interfaces.rows if one.chain}


def of_errors(errors: Maybe[tuple[ClusterError, ...]]) -> Maybe[Mapping[str, str]]:
    """Return the cluster's errors as items: each text once, whenever it was."""
    if isinstance(errors, Unknown):
        return errors
    return {one.text: "" for one in errors}
