"""What the operator's programs are given: words filled in as data, never by a shell, and a few variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ctmupgrade.core.model import Cluster, Node

PLACEHOLDERS = ("node", "host", "url", "outcome")
_PLACEHOLDER = re.compile(r"\{(node|host|url|outcome)\}")
OUTPUT_KEPT = 4000  # characters of what one printed: its beginning and its end


def placeholders(argv: Sequence[str]) -> set[str]:
    """Return the names in braces that are filled in; other braces are the program's own."""
    return {name for word in argv for name in _PLACEHOLDER.findall(word)}


def filled(argv: Sequence[str], node: Node | None, outcome: str = "") -> tuple[str, ...]:
    """Return ``argv`` with its names in braces replaced, once, so that a value is never read again."""
    values = {"outcome": outcome}
    if node is not None:
        values |= {"node": node.name, "host": node.host, "url": node.url}
    return tuple(_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in argv)


def variables(
    cluster: Cluster, what: str, *, run: str = "", node: str = "", outcome: str = "", again: bool = False
) -> Mapping[str, str]:
    """Return the variables that tell a program what it is run for; those without a value are left out."""
    values = {
        "CTMUPGRADE_CLUSTER_NAME": cluster.name,
        "CTMUPGRADE_HOOK": what,
        "CTMUPGRADE_RUN": run,
        "CTMUPGRADE_NODE": node,
        "CTMUPGRADE_OUTCOME": outcome,
        "CTMUPGRADE_AGAIN": "yes" if again else "",
    }
    return {name: value for name, value in values.items() if value}


def shortened(text: str) -> str:
    """Return what a program printed, with its middle left out where it is long."""
    if len(text) <= OUTPUT_KEPT:
        return text
    half = OUTPUT_KEPT // 2
    return f"{text[:half]}\n... ({len(text) - 2 * half} characters left out)\n{text[-half:]}"
