"""The operator's programs in cluster.yaml: hooks and checks of their own."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ctmupgrade.config.schema import FileKeys, HooksKeys, OwnKeys, Place
from ctmupgrade.config.source import Place as At
from ctmupgrade.config.source import Source
from ctmupgrade.core.checks.catalogue import CHECKS
from ctmupgrade.core.hooks import Contact, Hooks, OwnCheck
from ctmupgrade.core.own_programs import placeholders

_HOOKS = {
    "before_run": frozenset[str](),
    "before_node": frozenset({"node", "host", "url"}),
    "after_node": frozenset({"node", "host", "url", "outcome"}),
    "after_run": frozenset({"outcome"}),
}
_OWN = frozenset({"node", "host", "url"})


def hooks_of(
    raw: HooksKeys, source: Source, base: Path, *, simulated: bool, secret: Collection[str]
) -> Hooks:
    """Return the hooks; complain of what cannot be run or filled in.

    :param base: the folder in which they start. :param simulated: they are not run, and need not exist.
    :param secret: variables that hold secrets of ours.
    """
    found = {}
    for name, allowed in _HOOKS.items():
        argv = tuple(getattr(raw, name) or ())
        found[name] = argv
        if argv:
            _argv(source, ("hooks", name), argv, allowed)
            if not simulated:
                _program(source, ("hooks", name), argv[0], base)
    _variables(source, ("hooks", "environment"), raw.environment, secret)
    return Hooks(**found, timeout=raw.timeout, environment=tuple(raw.environment))


def own_of(
    raw: Sequence[OwnKeys], source: Source, base: Path, *, simulated: bool, secret: Collection[str]
) -> tuple[OwnCheck, ...]:
    """Return the operator's own checks; parameters as of :func:`hooks_of`."""
    names = {check.id: "is a check of ctmupgrade's own already: choose another name" for check in CHECKS}
    for index, one in enumerate(raw):
        at: At = ("checks", "own", index)
        name = one.name.casefold()
        if name in names:
            source.complain((*at, "name"), f"{one.name!r} {names[name]}")
        names[name] = "appears twice (names must differ in more than capitals)"
        _argv(source, (*at, "run"), one.run, _OWN)
        if one.on is Place.HERE and not simulated:
            _program(source, (*at, "run"), one.run[0], base)
        if one.on is Place.NODE and one.environment:
            source.complain((*at, "environment"), "is for checks that run here; on a node none is passed on")
        _variables(source, (*at, "environment"), one.environment, secret)
    return tuple(
        OwnCheck(
            one.name,
            tuple(one.run),
            one.on is Place.NODE,
            tuple(map(str, one.when)),
            one.timeout,
            tuple(one.environment),
        )
        for one in raw
    )


def contacts_of(file: FileKeys) -> tuple[Contact, ...]:
    """Return whom to call in the window."""
    return tuple(Contact(c.name, c.phone or "", c.mail or "", c.role or "") for c in file.contacts)


def secret_variables(file: FileKeys) -> set[str]:
    """Return the variables that, by the file, hold secrets of ours; ksctl's own are secret whatever it says."""
    found = {file.backup.key_password_env, file.ksctl.password_env}
    for ssh in (file.ssh, *(node.ssh for node in file.nodes)):
        found |= {ssh.passphrase_env, ssh.jump.passphrase_env if ssh.jump else None}
    for node in file.nodes:
        found |= {node.ksctl.password_env, node.passphrase_env}
    for one in file.notify:
        found |= {one.webhook.url_env} if one.webhook else set()
        found |= {one.mail.password_env} if one.mail else set()
    return {name for name in found if name} | {"KSCTL_PASSWORD", "KSCTL_JWT"}


def _argv(source: Source, at: At, argv: Sequence[str], allowed: frozenset[str]) -> None:
    if placeholders(argv[:1]):
        source.complain(at, "the first word is the program, and nothing is filled into it")
    for name in sorted(placeholders(argv) - allowed):
        known = ", ".join(f"{{{one}}}" for one in sorted(allowed)) or "nothing"
        source.complain(at, f"{{{name}}} is not known here; what is filled in: {known}")


def _program(source: Source, at: At, program: str, base: Path) -> None:
    if "/" not in program:
        if shutil.which(program) is None:
            source.complain(
                at, f"there is no program {program} in PATH; one beside cluster.yaml is ./{program}"
            )
        return
    path = base / program
    try:
        there = path.is_file()
    except (OSError, ValueError) as error:  # a name too long
        why = error.strerror if isinstance(error, OSError) else str(error)
        source.complain(at, f"{str(path)[:200]} cannot be looked at: {why}")
        return
    if not there:
        source.complain(at, f"there is no file {path}")
    elif not os.access(path, os.X_OK):
        source.complain(at, f"{path} cannot be executed: chmod +x {shlex.quote(str(path))}")


def _variables(source: Source, at: At, names: Sequence[str], secret: Collection[str]) -> None:
    for index, name in enumerate(names):
        if name in secret:
            source.complain(
                (*at, index), f"{name} holds a secret of ctmupgrade's, which no other program is given"
            )
