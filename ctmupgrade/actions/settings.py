"""A node's own settings, which no cluster replicates (vendor page "Clusters and Nodes", FACTS 7): recorded
before, put back where a tool can, told where a person must, compared afterwards."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from datetime import timedelta
from typing import Any

from ctmupgrade.actions.base import Ctx, Doer, Patience, Seen, So
from ctmupgrade.actions.membership import note_refusal
from ctmupgrade.collect import ask
from ctmupgrade.core import parse, probes
from ctmupgrade.core.facts import Unknown
from ctmupgrade.core.journal import Evidence
from ctmupgrade.core.node_settings import COUNTED, LOOKS, PAGE
from ctmupgrade.core.parse import NotUnderstood
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.core.steps import CompareSettings, RestoreSettings, Step
from ctmupgrade.core.ticks import Doing, Noted, Tick
from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Reader

# What changes by itself, or by the upgrade and the join themselves; a difference in it says nothing.
VOLATILE = frozenset((
    "uptime", "system_time", "version", "version_suffix", "crypto_version", "updatedAt", "createdAt", "id", "uri",
    "account", "skip", "limit", "total", "triggeredAt", "clearedAt", "last_run", "next_run", "run_at",
))  # fmt: skip
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


# What the cluster holds, by its number alone, and how much of it must still be there afterwards: clients go on
# making and destroying keys meanwhile.
COUNTS: Mapping[str, tuple[tuple[str, ...], float]] = {
    "keys": (("keys", "list"), 0.99),
    "users": (("users", "list"), 1.0),
}


def read_settings(control: Reader) -> dict[str, Any]:
    """All of :data:`LOOKS` and :data:`COUNTS` that the node tells; what it does not is ``{"unknown": why}``."""
    settings = {name: _setting(control, argv) for name, argv in LOOKS.items()}
    return settings | {name: _count(control, argv) for name, (argv, _) in COUNTS.items()}


def _count(control: Reader, argv: tuple[str, ...]) -> dict[str, Any]:
    try:
        answer = parse.json_object(control.read(*argv, "--limit", "1").out)
    except NotUnderstood as error:
        return {"unknown": str(error)}
    except CtmUpgradeError as error:
        return {"unknown": error.brief}
    total = answer.get("total")
    return {"count": total} if isinstance(total, int) else {"unknown": "it tells no total"}


def _setting(control: Reader, argv: tuple[str, ...]) -> dict[str, Any]:
    """One answer, in two tries. A listing is asked for a long page first; not every one is known to take a limit."""
    found: dict[str, Any] = {}
    for words in ((*argv, *PAGE), argv) if argv[-1] == "list" else (argv, argv):
        try:
            answer: dict[str, Any] = scrubbed(parse.json_object(control.read(*words).out))
        except NotUnderstood as error:
            found = {"unknown": str(error)}
        except CtmUpgradeError as error:
            found = {"unknown": error.brief}
        else:
            return answer
    return found


def fewer(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What there was more of before: no licence, interface or time server goes by itself, nor do many keys."""
    for name in COUNTED:
        old, new = before.get(name, {}), after.get(name, {})
        if "unknown" not in new and len(_rows(new)) < len(_rows(old)):
            yield f"{name} {len(_rows(old))} -> {len(_rows(new))}"
    for name, (_, share) in COUNTS.items():
        had, has = before.get(name, {}).get("count"), after.get(name, {}).get("count")
        if isinstance(had, int) and isinstance(has, int) and has < had * share:
            yield f"{name} {had} -> {has}"


def steady(value: Any) -> Any:
    """A setting without its volatile parts, lists in an order of their own."""
    if isinstance(value, dict):
        return {k: steady(v) for k, v in sorted(value.items()) if k not in VOLATILE}
    if isinstance(value, list):
        return sorted((steady(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(setting, what differs) between two recordings."""
    for name, old in before.items():
        new = after.get(name, {})
        if "unknown" in old or (name in COUNTS and "unknown" not in new):
            continue  # numbers have their thresholds: see fewer()
        if "unknown" in new:
            yield name, f"cannot be read any more: {new['unknown']}"
        elif steady(old) != steady(new):
            was, is_now = json.dumps(steady(old)), json.dumps(steady(new))
            yield name, f"was {parse.excerpt(was, 120)}, is {parse.excerpt(is_now, 120)}"


class RecordDoer(Doer):
    """Writes a node's own settings into the backup folder, before anything is touched."""

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(timedelta(minutes=10))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        control = ctx.fleet.control(step.node)
        settings = read_settings(control)
        members = ask(control, probes.MEMBERS)
        public = ""
        if not isinstance(members, Unknown):
            public = next((m.public_address for m in members if m.is_this), "")
        path = ctx.store.save(f"{step.node}-{ctx.run}-settings.json", json.dumps(settings, indent=2))
        return {"settings": json.dumps(settings), "public_address": public, "file": path}
        yield  # pragma: no cover

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> Seen:
        if not before.get("settings"):
            return Seen(So.NOT_YET, "not recorded")
        return Seen(So.DONE, evidence={"file": before["file"]})


def recorded(ctx: Ctx, node: str) -> dict[str, Any]:
    """What was recorded of a node in this run; empty where nothing was."""
    text = ctx.befores.get(f"record-settings:{node}", {}).get("settings", "")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _rows(setting: Any) -> list[dict[str, Any]]:
    rows = setting.get("resources") if isinstance(setting, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)]


class RestoreDoer(Doer):
    """Time servers, the instance's name, proxies and products as they were; the rest is told."""

    def __init__(self, action: RestoreSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(timedelta(minutes=10), grace=timedelta(seconds=60))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> Doing:
        old, now = recorded(ctx, self.action.of or step.node), read_settings(ctx.fleet.control(step.node))
        for argv in restoring(old, now):
            reply = ctx.fleet.control(step.node).change(*argv)
            yield Noted(note_refusal(ctx, step, reply, " ".join(argv[:3])))
            ctx.session(step).refused = ""  # the look decides; a server may be there already
        for name, what in differences(old, now):
            if name in BY_HAND:
                yield Noted(f"TO DO by hand: {BY_HAND[name]} ({what})")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> Seen:
        old = recorded(ctx, self.action.of or step.node)
        now = read_settings(ctx.fleet.control(step.node))
        missing = [row.get("host") for row in _rows(old.get("ntp")) if row.get("host") not in _hosts(now)]
        if missing:
            return Seen(
                So.NOT_YET,
                f"time server {missing[0]} is missing",
                remedy=f"ksctl ntp servers add --host {missing[0]}",
            )
        return Seen(So.DONE, evidence={"ntp": ", ".join(sorted(_hosts(now))) or "none"})


def _hosts(settings: Mapping[str, Any]) -> set[str]:
    return {str(row.get("host")) for row in _rows(settings.get("ntp"))}


def restoring(old: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The ksctl calls that bring back what a tool can bring back."""
    for row in _rows(old.get("ntp")):
        host = str(row.get("host", ""))
        if host and host not in _hosts(now):
            yield "ntp", "servers", "add", "--host", host
    name = old.get("system", {}).get("name")
    if name and name != now.get("system", {}).get("name"):
        yield "system", "info", "set", "--name", str(name)
    states = {row.get("name"): row.get("state") for row in _rows(now.get("products"))}
    for row in _rows(old.get("products")):
        product, state = row.get("name"), row.get("state")
        if product in states and states[product] != state and state in ("enabled", "disabled"):
            yield "products", state.removesuffix("d"), "--name", str(product)


class CompareDoer(Doer):
    """What differs from before, told; it fails nothing, for a person must judge it."""

    def __init__(self, action: CompareSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(timedelta(minutes=10))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> Doing:
        now = read_settings(ctx.fleet.control(step.node))
        found = list(differences(recorded(ctx, self.action.of or step.node), now))
        ctx.session(step).memo["differences"] = ", ".join(name for name, _ in found) or "none"
        lost = list(fewer(recorded(ctx, self.action.of or step.node), now))
        ctx.session(step).memo["fewer"] = ", ".join(lost)
        if lost:
            yield Noted(f"FEWER than before: {', '.join(lost)}; find out why before you call it done")
        for name, what in found:
            todo = f"TO DO by hand: {BY_HAND[name]}; " if name in BY_HAND else ""
            yield Noted(f"{todo}{name} {what}")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> Seen:
        found = ctx.session(step).memo.get("differences")
        if found is None:
            return Seen(So.NOT_YET, "not compared")
        lost = ctx.session(step).memo.get("fewer", "")
        return Seen(So.DONE, evidence={"differences": found, **({"fewer": lost} if lost else {})})
