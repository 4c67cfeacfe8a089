"""A node's own settings, which no cluster replicates (vendor page "Clusters and Nodes", FACTS 7): recorded
before, put back where a tool can, told where a person must, compared afterwards."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler
from ctmupgrade.actions.membership import note_refusal
from ctmupgrade.collect.collect import ask
from ctmupgrade.core.looks import parse_ksctl, probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.parse_ksctl import NotUnderstoodError
from ctmupgrade.core.node_settings import (
    BY_HAND,
    COUNTS,
    LOOKS,
    PAGE,
    _hosts,
    _rows,
    differences,
    fewer,
    restoring,
)
from ctmupgrade.core.plan.steps import CompareSettings, RestoreSettings, Step
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Reader


def read_settings(control: Reader) -> dict[str, Any]:
    """All of :data:`LOOKS` and :data:`COUNTS` that the node tells; what it does not is ``{"unknown": why}``."""
    settings = {name: _setting(control, argv) for name, argv in LOOKS.items()}
    return settings | {name: _count(control, argv) for name, (argv, _) in COUNTS.items()}


def _count(control: Reader, argv: tuple[str, ...]) -> dict[str, Any]:
    try:
        answer = parse_ksctl.json_object(control.read(*argv, "--limit", "1").out)
    except NotUnderstoodError as error:
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
            answer: dict[str, Any] = scrubbed(parse_ksctl.json_object(control.read(*words).out))
        except NotUnderstoodError as error:
            found = {"unknown": str(error)}
        except CtmUpgradeError as error:
            found = {"unknown": error.brief}
        else:
            return answer
    return found


class RecordHandler(StepHandler):
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

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        if not before.get("settings"):
            return LookResult(LookState.NOT_YET, "not recorded")
        return LookResult(LookState.DONE, evidence={"file": before["file"]})


def recorded(ctx: Ctx, node: str) -> dict[str, Any]:
    """What was recorded of a node in this run; empty where nothing was."""
    text = ctx.baselines.get(f"record-settings:{node}", {}).get("settings", "")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


class RestoreHandler(StepHandler):
    """Time servers, the instance's name, proxies and products as they were; the rest is told."""

    def __init__(self, action: RestoreSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(timedelta(minutes=10), grace=timedelta(seconds=60))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        old, now = recorded(ctx, self.action.of or step.node), read_settings(ctx.fleet.control(step.node))
        for argv in restoring(old, now):
            reply = ctx.fleet.control(step.node).change(*argv)
            yield Noted(note_refusal(ctx, step, reply, " ".join(argv[:3])))
            ctx.session(step).refused = ""  # the look decides; a server may be there already
        for name, what in differences(old, now):
            if name in BY_HAND:
                yield Noted(f"TO DO by hand: {BY_HAND[name]} ({what})")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        old = recorded(ctx, self.action.of or step.node)
        now = read_settings(ctx.fleet.control(step.node))
        missing = [row.get("host") for row in _rows(old.get("ntp")) if row.get("host") not in _hosts(now)]
        if missing:
            return LookResult(
                LookState.NOT_YET,
                f"time server {missing[0]} is missing",
                remedy=f"ksctl ntp servers add --host {missing[0]}",
            )
        return LookResult(LookState.DONE, evidence={"ntp": ", ".join(sorted(_hosts(now))) or "none"})


class CompareHandler(StepHandler):
    """What differs from before, told; it fails nothing, for a person must judge it."""

    def __init__(self, action: CompareSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(timedelta(minutes=10))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
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

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        found = ctx.session(step).memo.get("differences")
        if found is None:
            return LookResult(LookState.NOT_YET, "not compared")
        lost = ctx.session(step).memo.get("fewer", "")
        return LookResult(
            LookState.DONE, evidence={"differences": found, **({"fewer": lost} if lost else {})}
        )
