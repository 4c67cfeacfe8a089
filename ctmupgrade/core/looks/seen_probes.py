"""The questions that are asked only to compare a cluster before and after: products, how much it holds, its CTE clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ctmupgrade.core.looks.answer_fields import whole
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt
from ctmupgrade.core.looks.json_rows import field_text, listing, rows_of, total_of
from ctmupgrade.core.looks.probes import Probe, Query, either

PAGE = 100  # CTE clients a page
NOT_TOLD = "not told"


def products(text: str) -> Mapping[str, str]:
    """Read ``ksctl products list``: the state by name."""
    shown, total = total_of(text)
    if shown < total:
        raise NotUnderstoodError(f"only {shown} of {total} rows were shown")
    rows = rows_of(listing(text))
    return {field_text(row.get("name")): field_text(row.get("state")).lower() for row in rows}


def total(text: str) -> int:
    """Read how many rows a listing has, of which one is shown."""
    found = whole(listing(text).get("total"))
    if found is None or found < 0:
        raise NotUnderstoodError("it tells no total", excerpt(text))
    return found


def cte_clients(text: str) -> tuple[tuple[str, str], ...]:
    """Read a page of ``ksctl cte clients list``: (id, state). ``client_health_status`` is HEALTHY, UNREGISTERED or another
    word (two health reports of third parties count by it, and so does the vendor's Terraform provider)."""
    return tuple(
        (
            excerpt(field_text(row.get("id") or row.get("name")), 80),
            excerpt(field_text(row.get("client_health_status")).lower(), 40) or NOT_TOLD,
        )
        for row in rows_of(listing(text))
    )


def by_state(clients: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return how many clients are in each state."""
    return {state: str(count) for state, count in sorted(Counter(s for _id, s in clients).items())}


PRODUCTS: Probe[Mapping[str, str]] = Probe(
    "products",
    tuple(
        Query(argv, either(products))
        for argv in (("products", "list", "--limit", "256"), ("products", "list"))
    ),
)


def cte_page(skip: int) -> Probe[tuple[tuple[str, str], ...]]:
    """Return one page of the cluster's CTE clients."""
    words = ("cte", "clients", "list")
    return Probe(
        "CTE clients", (Query((*words, "--limit", str(PAGE), "--skip", str(skip)), either(cte_clients)),)
    )


def _count(name: str, words: tuple[str, ...]) -> Probe[int]:
    return Probe(
        f"number of {name}", (Query((*words, "--limit", "1"), either(total)), Query(words, either(total)))
    )


HOW_MANY: Mapping[str, Probe[int]] = {
    name: _count(name, (name, "list")) for name in ("keys", "users", "domains")
}
CTE_COUNT: Probe[int] = Probe(
    "number of CTE clients",
    tuple(
        Query(argv, either(total))
        for argv in (("cte", "clients", "list", "--limit", "1"), ("cte", "clients", "list"))
    ),
)
OF_A_CONTROL_PLANE: tuple[Probe[object], ...] = (PRODUCTS, *HOW_MANY.values(), cte_page(0), CTE_COUNT)
