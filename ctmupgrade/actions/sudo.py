"""How ``sudo`` is called on a node, and what its refusal looks like."""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.facts import Rights, Unknown
from ctmupgrade.ports import Reply


def sudo_refused(reply: Reply) -> bool:
    """Return whether the last words are sudo's own, in whatever language: it then has not started what it was to start. A name
    that it cannot resolve is only a warning, and a program that a signal ended was started."""
    lines = [line.strip() for line in f"{reply.out}\n{reply.err}".splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    return (
        0 < reply.code < 126
        and said.startswith(("sudo: ", "Sorry, "))
        and "unable to resolve host" not in said
    )


def sudo_of(ctx: Ctx, node: str) -> tuple[str, ...]:
    """Return how sudo is called on a node: with ``-n``, so that it never waits for a password, where it knows that."""
    rights = ask(ctx.fleet.shell(node), shell_probes.RIGHTS)
    return Rights(None, None).sudo if isinstance(rights, Unknown) else rights.sudo
