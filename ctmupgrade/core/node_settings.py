"""Which of a node's settings are recorded and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ctmupgrade.core.looks.excerpt import excerpt

LOOKS: Mapping[str, tuple[str, ...]] = {
    "system": ("system", "info", "get"),
    "ntp": ("ntp", "servers", "list"),
    "proxy": ("proxy", "list"),
    "interfaces": ("interfaces", "list"),
    "products": ("products", "list"),
    "licenses": ("licensing", "licenses", "list"),
    "lockdata": ("licensing", "lockdata"),
    "hsm": ("hsm", "servers", "list"),
    "rot_keys": ("rot-keys", "list"),
    "diskenc": ("diskenc", "status"),
    "schedules": ("scheduler", "configs", "list"),
    "properties": ("properties", "list"),
    "banners": ("banners", "get"),
    "alarms": ("alarms", "list"),
}


# Other words for the same look: which of them a ksctl knows depends on its version (docs/appliance.md 4.1).
OTHER_WORDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lockdata": (("licensing", "lockdata", "get"),),
}


COUNTED = ("ntp", "proxy", "interfaces", "products", "licenses", "hsm", "rot_keys", "schedules")


PAGE = ("--limit", "256")  # the default page of 10 hides the rest; 256 is what the member list shows itself


# What changes by itself, or by the upgrade and the join themselves; a difference in it says nothing.
VOLATILE = frozenset((
    "uptime", "system_time", "version", "version_suffix", "crypto_version", "updatedAt", "createdAt", "id", "uri",
    "account", "skip", "limit", "total", "triggeredAt", "clearedAt", "last_run", "next_run", "run_at",
))  # fmt: skip

EMPTY: tuple[Any, ...] = (None, [], {}, "")


BY_HAND = {
    "proxy": "proxy: its password is not recorded: ksctl proxy list; set it again",
    "interfaces": "interface certificates: the private key is needed: ksctl interfaces list; import key and certificate",
    "licenses": "the licence: ksctl licensing licenses add --license LICENCE   # check the lock code first",
    "lockdata": "the lock code changed: ask the vendor for a licence for the new one",
    "hsm": "HSM: set it up as before (it resets the appliance: before a join), ksctl hsm servers list",
    "rot_keys": "root of trust: ksctl rot-keys rotate --id ID",
    "diskenc": "disk encryption: ksctl diskenc status",
    "schedules": "scheduled backups: ksctl scheduler configs list",
}


# What sets these up again resets the appliance or changes its keys: never said of a node that was not erased.
DESTROYING = frozenset(("hsm", "rot_keys"))


# What the cluster holds, by its number alone, and how much of it must still be there afterwards: clients go on
# making and destroying keys meanwhile.
COUNTS: Mapping[str, tuple[tuple[str, ...], float]] = {
    "keys": (("keys", "list"), 0.99),
    "users": (("users", "list"), 1.0),
}


def fewer(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what there was more of before: no licence, interface or time server goes by itself, nor do many keys."""
    for name in COUNTED:
        old, new = before.get(name, {}), after.get(name, {})
        if "unknown" not in new and len(_rows(new)) < len(_rows(old)):
            yield f"{name} {len(_rows(old))} -> {len(_rows(new))}"
    for name, (_, share) in COUNTS.items():
        had, has = before.get(name, {}).get("count"), after.get(name, {}).get("count")
        if isinstance(had, int) and isinstance(has, int) and has < had * share:
            yield f"{name} {had} -> {has}"


def counts_of(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of ``COUNTS`` that settings tell, by name; what is no such number, as in a journal that somebody has
    changed, tells none."""
    told = {name: row for name in COUNTS if isinstance(row := settings.get(name), dict)}
    found = {name: row.get("count") for name, row in told.items()}
    return {name: count for name, count in found.items() if type(count) is int and count >= 0}


def short_of(wanted: Mapping[str, int], found: Mapping[str, int]) -> Iterator[str]:
    """Yield of what there is less than there should be, beyond what clients may have changed meanwhile. What is not
    known is not compared."""
    for name, count in found.items():
        share = COUNTS[name][1] if name in COUNTS else 1.0
        if name in wanted and count < wanted[name] * share:
            yield f"{count} of {wanted[name]} {name}"


def half_lost(wanted: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, ...]:
    """Return of what less than half is there, as "0 of 100 keys": clients go on making and destroying keys, and a node that
    was reset has none. What is not told is not compared."""
    pairs = ((name, count, found.get(name, count)) for name, count in wanted.items())
    return tuple(f"{has} of {count} {name}" for name, count, has in pairs if 2 * has < count)


def steady(value: Any) -> Any:
    """Return a setting without its volatile parts, lists in an order of their own, and without what is empty: a list that has
    no rows is spelled [], null, or not at all."""
    if isinstance(value, dict):
        told = {k: steady(v) for k, v in sorted(value.items()) if k not in VOLATILE}
        return {k: v for k, v in told.items() if v not in EMPTY}
    if isinstance(value, list):
        return sorted((steady(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (setting, what differs) for what is known both times. What is not known now is no difference."""
    for name, old in before.items():
        new = after.get(name, {"unknown": "not asked"})
        if "unknown" in old or "unknown" in new or name in COUNTS:
            continue  # numbers have their thresholds: see fewer()
        was_so, is_so = (None if one in EMPTY else one for one in (steady(old), steady(new)))
        if was_so != is_so:
            was, is_now = json.dumps(was_so), json.dumps(is_so)
            yield name, f"was {excerpt(was, 120)}, is {excerpt(is_now, 120)}"


def not_known(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Return why each setting that was known before is not known now."""
    return {
        name: str(after[name]["unknown"])
        for name, old in before.items()
        if "unknown" not in old and "unknown" in after.get(name, {})
    }


def look_again(name: str) -> str:
    """Return the command that shows a setting."""
    argv = LOOKS[name] if name in LOOKS else COUNTS[name][0]
    return " ".join(("ksctl", *argv))


def what_to_do(name: str, *, erased: bool) -> str:
    """Return what a person does about a setting that is known to differ; "" where nothing is known to help.

    :param erased: whether the node was, or is to be, reset or joined: else nothing may reset it or rotate its keys.
    """
    if name in DESTROYING and not erased:
        return (
            f"compare {look_again(name)} with the settings that were recorded before, and ask vendor support: setting "
            "it up again would reset this node or change its keys"
        )
    return BY_HAND.get(name, "")


def _rows(setting: Any) -> list[dict[str, Any]]:
    rows = setting.get("resources") if isinstance(setting, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)]


def _hosts(settings: Mapping[str, Any]) -> set[str]:
    return {str(row.get("host")) for row in _rows(settings.get("ntp"))}


def restoring(old: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the ksctl calls that bring back what a tool can bring back."""
    for row in _rows(old.get("ntp")) if "unknown" not in now.get("ntp", {}) else ():
        host = str(row.get("host", ""))
        if host and host not in _hosts(now):
            yield "ntp", "servers", "add", "--host", host
    name = old.get("system", {}).get("name")
    if name and "unknown" not in now.get("system", {}) and name != now.get("system", {}).get("name"):
        yield "system", "info", "set", "--name", str(name)
    states = {row.get("name"): row.get("state") for row in _rows(now.get("products"))}
    for row in _rows(old.get("products")):
        product, state = row.get("name"), row.get("state")
        if product in states and states[product] != state and state in ("enabled", "disabled"):
            yield "products", state.removesuffix("d"), "--name", str(product)


def read_settings(text: str) -> dict[str, Any]:
    """Return settings as a journal keeps them; what is no such text holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def all_of(old: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the ksctl calls that bring back all that a tool can, onto a node of which nothing is known."""
    products = [{"name": row.get("name"), "state": ""} for row in _rows(old.get("products"))]
    calls = restoring(old, {"products": {"resources": products}})
    return (argv for argv in calls if all(word.isprintable() for word in argv))  # each is one line to type
