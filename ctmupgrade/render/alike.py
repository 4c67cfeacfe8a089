"""Findings that say the same of several nodes, but for the names and addresses of the node that each is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.model import Node

_WORD = re.compile(r"\w(?:[\w.-]*\w)?")  # as a name or an address of a node is
MOST_REMEDIES = 3  # as many are shown of a group whose remedies differ by the node


def alike(findings: Iterable[Finding], nodes: Sequence[Node]) -> list[list[Finding]]:
    """Return the findings in groups that a reader needs once, in the order in which they come.

    :param nodes: whose names and addresses make no difference; none: only what is word for word the same is one.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        words = _words(finding.node, nodes)
        key = (finding.check, _general(finding.summary, words), _general(finding.remedy, words))
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _words(name: str, nodes: Sequence[Node]) -> frozenset[str]:
    node = next((one for one in nodes if one.name == name), None)
    if node is None:
        return frozenset()
    return frozenset({node.name, node.host, urlsplit(node.url).hostname or "", node.cluster_host} - {""})


def _general(text: str, words: frozenset[str]) -> str:
    """A text without the names of the node that it is about."""
    return _WORD.sub(lambda found: "NODE" if found[0] in words else found[0], text) if words else text


def rest_of(remedies: Sequence[str]) -> str:
    """Return what is said instead of the remedies that are too many to show; "": all are shown."""
    rest = len(remedies) - MOST_REMEDIES
    return f"and the same with each of the other {rest} nodes" if rest > 0 else ""
