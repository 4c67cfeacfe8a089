"""The operator's own checks: run here or on the node, and judged by their exit code alone."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.hooks import OwnCheck
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.own_programs import filled, shortened, variables
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.incidents import program_failure
from ctmupgrade.errors import ConnectionLostError, CtmUpgradeError, SilentError, UnreachableError
from ctmupgrade.ports import Gather, Looks, ProgramResult, Programs

DOC = "cluster.yaml: checks.own"


def ask_own(
    check: OwnCheck,
    cluster: Cluster,
    node: Node | None,
    looks: Looks,
    programs: Programs,
    *,
    run: str = "",
    meanwhile: Callable[[], None] = lambda: None,
) -> ProgramResult:
    """Run one check, for one node or for the cluster.

    :param run: the run's id, where it is a part of one. :param meanwhile: called while a program here runs.
    """
    argv = filled(check.run, node)
    seconds = check.timeout.total_seconds()
    if not check.on_node:
        given = variables(cluster, f"check {check.name}", run=run, node=node.name if node else "")
        return programs.run(
            argv, variables=given, names=check.environment, timeout=seconds, meanwhile=meanwhile
        )
    try:
        reply = looks.shell(node.name if node else "").read(*argv, timeout=seconds)
    except SilentError:  # it hangs, as far as anybody can tell: it did not end with 0
        return ProgramResult(-1, error=f"it did not end within {seconds:g} s")
    except (UnreachableError, ConnectionLostError) as error:
        return ProgramResult(-1, error=error.brief, unreachable=True)
    except CtmUpgradeError as error:
        return ProgramResult(-1, error=error.brief)
    return ProgramResult(
        reply.code, shortened(foreign("\n".join(filter(None, (reply.out, reply.err)))).strip())
    )


def own_findings(
    cluster: Cluster, looks: Looks, programs: Programs | None, gather: Gather, *, only: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield a finding for each check and node.

    :param programs: None: a simulation, in which nothing of the operator's is run. :param only: names; none: all.
    """
    for check in cluster.own_checks:
        if "check" not in check.when or (only and check.name not in only):
            continue
        if programs is None:
            why = "not run: a simulation runs no program of the operator's"
            yield Finding(check.name, Verdict.SKIPPED, "", why, source=DOC, own=True)
            continue
        names = [node.name for node in cluster.nodes] if check.of_each_node else [""]

        def ask(name: str, check: OwnCheck = check, programs: Programs = programs) -> ProgramResult:
            return ask_own(check, cluster, cluster.node(name) if name else None, looks, programs)

        for name, result in gather(ask, names).items():
            yield _finding(check, cluster, name, result)


def _finding(check: OwnCheck, cluster: Cluster, name: str, result: ProgramResult) -> Finding:
    argv = filled(check.run, cluster.node(name) if name else None)
    if result.code == 0:
        return Finding(
            check.name, Verdict.PASS, name, f"{shlex.join(argv)} ended with 0", source=DOC, own=True
        )
    verdict = Verdict.UNKNOWN if result.unreachable else Verdict.BLOCK
    place = f"on {name}" if check.on_node else "here"
    summary = program_failure(f"the check {check.name}", "", result.code, result.output, result.error)
    remedy = f"{shlex.join(argv)}   # run {place}, it must end with 0"
    return Finding(check.name, verdict, name, summary, remedy, DOC, result.unreachable, own=True)
