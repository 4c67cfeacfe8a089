"""What a striking fault does to a command, on the shell and on the control plane alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from ctmupgrade.ports import Reply
from ctmupgrade.sim.faults import Fault, striking
from ctmupgrade.sim.world import World

TIMED_OUT = {"code": 14, "codeDesc": "context deadline exceeded"}
UNAUTHORIZED = {
    "code": 5,
    "codeDesc": "NCERRUnauthorizedAccess: Unauthorized",
    "message": "token expired (401)",
}


@dataclass(frozen=True, slots=True)
class Lost:
    """The answer never comes. ``silent``: and nothing says so."""

    silent: bool


def struck(
    world: World, node: str, command: str, execute: Callable[[], Reply], *, timeout: float
) -> Reply | Lost:
    """Return the command's answer, after all faults that strike it."""
    hits = list(striking(world.faults, node, command, world.now))
    if not hits:
        return execute()
    result: Reply | Lost = Reply(0, "", "")
    done = False
    for fault in hits:
        world.record(node, "fault", f"{fault.kind} struck: {command}")
        if not done and _runs(fault):
            result, done = execute(), True
        result = _effect(world, fault, result, timeout)
    return result


def _runs(fault: Fault) -> bool:
    match fault.kind:
        case "half" | "timeout_but_done":
            return True
        case _:
            return fault.flag("ran")


def _effect(world: World, fault: Fault, result: Reply | Lost, timeout: float) -> Reply | Lost:
    match fault.kind:
        case "drop":
            return Lost(silent=False)
        case "silence":
            world.clock.advance(timeout)
            return Lost(silent=True)
        case "reply":
            code = int(fault.number("code"))
            return Reply(code, fault.text("out"), fault.text("err"))
        case "error":
            return _body(
                int(fault.number("code", 14)),
                fault.text("text", "NCERRInternalServerError: unexpected error"),
            )
        case "half" if isinstance(result, Reply):
            return Reply(
                result.code, result.out[: int(fault.number("chars", len(result.out) // 2))], result.err
            )
        case "garbage":
            return Reply(0, "\x00\ufffd<html>502 Bad Gateway</html>\n", "")
        case "password_prompt":
            world.clock.advance(timeout)
            return Reply(1, "password:", "")
        case "unauthorized":
            return Reply(1, json.dumps(UNAUTHORIZED), "")
        case "timeout_but_done":
            world.clock.advance(timeout)
            return Reply(1, json.dumps(TIMED_OUT), "")
        case _:
            return result


def _body(code: int, text: str) -> Reply:
    return Reply(1, json.dumps({"code": code, "codeDesc": text}), "")
