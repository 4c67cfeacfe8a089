"""A node's own settings, which no cluster replicates (vendor page "Clusters and Nodes", docs/appliance.md 7): recorded
before, put back where a tool can, told where a person must, compared afterwards."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler
from ctmupgrade.actions.health import accepted_csm_error
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.settings import passes_by_itself, read_settings
from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_REMEDY
from ctmupgrade.core.node_settings import (
    _hosts,
    _rows,
    differences,
    fewer,
    look_again,
    not_known,
    restoring,
    what_to_do,
)
from ctmupgrade.core.plan.steps import CompareSettings, JoinNode, RestoreSettings, Step, erases
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick, Waiting
from ctmupgrade.errors import NotToldError, NotYetError

AGAIN = timedelta(seconds=60)  # for so long a setting that cannot be read is asked for again


def _settled(
    ctx: Ctx, node: str, wanted: Callable[[dict[str, Any]], Collection[str]]
) -> Generator[Tick, None, dict[str, Any]]:
    """A node's settings; those of them that are ``wanted`` and not known are asked for again for a while."""
    control, began, since = ctx.fleet.control(node), ctx.clock.monotonic(), ctx.clock.now()
    settings = read_settings(control)
    while missing := wanted(settings):
        if ctx.clock.monotonic() - began >= AGAIN.total_seconds():
            break
        words = f"{node}: {', '.join(missing)} cannot be read now; asking again"
        yield Waiting(ctx.poll, words, since, since + AGAIN)
        settings |= read_settings(control, missing)
    return settings


class RecordHandler(StepHandler):
    """Writes a node's own settings into the backup folder, before anything is touched."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ten minutes."""
        return Patience(timedelta(minutes=10))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Read the settings and keep them: in the journal, and as a file beside the backups."""
        settings = yield from _settled(
            ctx, step.node, lambda told: [name for name, value in told.items() if passes_by_itself(value)]
        )
        members = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERS)
        public = ""
        if not isinstance(members, Unknown):
            public = next((m.public_address for m in members if m.is_this), "")
        path = ctx.tools.store.save(f"{step.node}-{ctx.run}-settings.json", json.dumps(settings, indent=2))
        return {"settings": json.dumps(settings), "public_address": public, "file": path}

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Tell where they are kept, and which of them could not be read."""
        if not before.get("settings"):
            return LookResult(LookState.NOT_YET, "not recorded")
        settings = json.loads(before["settings"])
        lacking = ", ".join(name for name, value in settings.items() if "unknown" in value)
        return LookResult(
            LookState.DONE,
            evidence={"file": before["file"], **({"not_recorded": lacking} if lacking else {})},
        )


class RecallHandler(StepHandler):
    """Finds a node's own settings as an earlier run wrote them down: in this machine's journals, or beside the backups."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait a minute: nothing is asked of a node."""
        return Patience(timedelta(minutes=1))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Take them into this run's journal; none where none are found, or what is found is no settings."""
        found = dict(ctx.remembered.get(step.node, {}))
        text = found.get("settings") or ctx.tools.store.settings_of(step.node)
        try:
            whole = isinstance(read_json(text), dict) if text else False
        except ValueError:
            whole = False
        source = found.get("source", "a file beside the backups")
        if not whole:
            yield Noted(
                f"no settings of {step.node} were recorded before: set its time servers, name, proxy and certificates by hand"
            )
            return {"settings": "{}", "source": "none", "public_address": ""}
        return {"settings": text, "source": source, "public_address": found.get("public_address", "")}

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Tell where they were found."""
        if not before.get("settings"):
            return LookResult(LookState.NOT_YET, "not looked for")
        return LookResult(LookState.DONE, evidence={"source": before.get("source", "")})


def recorded(ctx: Ctx, node: str) -> dict[str, Any]:
    """Return what was recorded of a node in this run, or recalled of an earlier one; empty where nothing was."""
    text = ctx.recorded(node).get("settings", "")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _unread(ctx: Ctx, node: str) -> Callable[[dict[str, Any]], Collection[str]]:
    """What was recorded of a node and is not known now."""
    old = recorded(ctx, node)
    return lambda now: not_known(old, now)


def _told(
    old: dict[str, Any], now: dict[str, Any], *, erased: bool, by_hand: bool = False
) -> Iterator[Noted]:
    """What a person must know: what differs, with what helps, and what could not be compared.

    :param by_hand: only those differences that a person can do something about.
    """
    for name, what in differences(old, now):
        todo = what_to_do(name, erased=erased)
        if by_hand and not todo:
            continue
        yield Noted(f"TO DO by hand: {todo}; {name} {what}" if todo else f"{name} {what}")
    for name, why in not_known(old, now).items():
        yield Noted(f"not known: {name} cannot be read now ({why}); check it later with: {look_again(name)}")


PUT_BACK = ("ntp", "system", "products")  # what a tool can put back


@dataclass(slots=True)
class PutBack:
    """Whether this process has put the settings back, as far as it was let."""

    tried: bool = False


class RestoreHandler(StepHandler):
    """Time servers, the instance's name, proxies and products as they were; the rest is told."""

    def __init__(self, action: RestoreSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ten minutes."""
        return Patience(timedelta(minutes=10), grace=timedelta(seconds=60))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Put back what a tool can, and note what a person must. Only time servers that are refused fail the step."""
        of = self.action.of or step.node
        old, now = recorded(ctx, of), (yield from _settled(ctx, step.node, _unread(ctx, of)))
        session, refusal = ctx.session(step), ("", False)
        session.own(PutBack).tried = True
        for argv in restoring(old, now):
            reply = ctx.fleet.control(step.node).change(*argv)
            yield Noted(note_refusal(ctx, step, reply, " ".join(argv[:3])))
            if argv[0] == "ntp" and session.refused:
                refusal = (session.refused, session.definite)
            session.refused, session.definite = "", False
        # Without its time servers a node must not join; what else was refused is told below.
        session.refused, session.definite = refusal
        yield from _told(old, now, erased=True, by_hand=True)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the time servers: a node without them must not join.

        :raises NotToldError: they cannot be read. :raises NotYetError: not now.
        """
        old = _rows(recorded(ctx, self.action.of or step.node).get("ntp"))
        tried = ctx.session(step).own(PutBack).tried
        now = read_settings(ctx.fleet.control(step.node), ("ntp",) if tried else PUT_BACK)
        why = now["ntp"].get("unknown", "")
        if old and why:
            kind = NotYetError if passes_by_itself(now["ntp"]) else NotToldError
            raise kind(f"{step.node}: its time servers cannot be read: {why}")
        missing = [str(row.get("host")) for row in old if str(row.get("host")) not in _hosts(now)]
        if missing:
            return LookResult(
                LookState.NOT_YET,
                f"time server {missing[0]} is missing",
                remedy=f"ksctl ntp servers add --host {shlex.quote(str(missing[0]))}",
            )
        # What was refused is told and does not fail the step; a process that died before may not have got to it.
        left = [] if tried else list(restoring(recorded(ctx, self.action.of or step.node), now))
        if left:
            return LookResult(LookState.NOT_YET, f"not put back yet: {' '.join(left[0][:2])}")
        return LookResult(LookState.DONE, evidence={"ntp": ", ".join(sorted(_hosts(now))) or "none"})


@dataclass(slots=True)
class Compared:
    """What a comparison found, in words; differences are "none" where there are none, and "" before it was made."""

    differences: str = ""
    not_known: str = ""
    fewer: str = ""
    tolerated: str = ""


class CompareHandler(StepHandler):
    """What differs from before, told; it fails nothing, for a person must judge it."""

    def __init__(self, action: CompareSettings) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ten minutes."""
        return Patience(timedelta(minutes=10))

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Compare, and note every difference with what helps against it."""
        of = self.action.of or step.node
        old, now = recorded(ctx, of), (yield from _settled(ctx, step.node, _unread(ctx, of)))
        own = ctx.session(step).own(Compared)
        own.differences = ", ".join(name for name, _ in differences(old, now)) or "none"
        own.not_known = ", ".join(not_known(old, now))
        own.fewer = ", ".join(fewer(old, now))
        if own.fewer:
            yield Noted(f"FEWER than before: {own.fewer}; find the cause before you end the work")
        erasing = (s for s in ctx.plan.steps if s.node == step.node and erases(s.action))
        yield from _told(old, now, erased=any(erasing))
        own.tolerated = accepted_csm_error(ctx, step.node)
        if own.tolerated:
            yield Noted(f"WARNING: {own.tolerated}; {CSM_REMEDY}")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Tell what was found; differences are no failure."""
        own = ctx.session(step).own(Compared)
        if not own.differences:
            return LookResult(LookState.NOT_YET, "not compared")
        told = {"fewer": own.fewer, "not_known": own.not_known, "services": own.tolerated}
        found = {name: text for name, text in told.items() if text}
        joins = (s.action for s in ctx.plan.steps if s.node == step.node)
        for via in [action.via for action in joins if isinstance(action, JoinNode)]:
            found["member"] = "ready" if _is_ready_member(ctx, step.node, via) else "not ready"
        return LookResult(LookState.DONE, evidence={"differences": own.differences, **found})


def _is_ready_member(ctx: Ctx, node: str, via: str) -> bool:
    """Whether the member that was to let it in lists it as ready. No answer proves nothing."""
    members = ask(ctx.fleet.control(via), ksctl_probes.MEMBERS)
    own = ask(ctx.fleet.control(node), ksctl_probes.MEMBERSHIP)
    if isinstance(members, Unknown) or isinstance(own, Unknown) or not own.node_id:
        return False
    return any(member.ready and member.node_id == own.node_id for member in members)
