"""Which vendor CLI each node offers for download: nodes of one version should offer the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """What a node served. :ivar version: the node's, in full. :ivar sha256: of the whole file."""

    version: str
    sha256: str


def different(served: Mapping[str, Served]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (version, a line for each group of nodes) for versions of which not all nodes served the same bytes."""
    by_version: dict[str, dict[str, list[str]]] = {}
    for node, one in served.items():
        by_version.setdefault(one.version, {}).setdefault(one.sha256, []).append(node)
    for version, groups in by_version.items():
        if len(groups) > 1:
            lines = tuple(
                f"{' and '.join(nodes)}: sha256 {sha256[:16]}..." for sha256, nodes in groups.items()
            )
            yield version, lines
