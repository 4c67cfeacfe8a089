"""Commands that only look: check, plan, verify."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.collect.counts import count_of
from ctmupgrade.collect.own_checks import own_findings
from ctmupgrade.collect.state import shared_state
from ctmupgrade.collect.staying import watched
from ctmupgrade.commands.own_files import boot_of_this_machine, ended_by_logout, files_for_resume
from ctmupgrade.commands.runs import left_unbooted, took_before, upgraded_in
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.checks.catalogue import CHECKS, check_of, examine, weighed
from ctmupgrade.core.checks.check import Check
from ctmupgrade.core.checks.findings import Finding, Verdict, overall, silent_nodes
from ctmupgrade.core.checks.staying import CHECK as STAYING
from ctmupgrade.core.checks.staying import how_long
from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, Maybe, Unknown
from ctmupgrade.core.looks.holding import Holds, Journals, holding_of
from ctmupgrade.core.model import Options
from ctmupgrade.core.near import nearest
from ctmupgrade.core.plan.plan import Plan, make_plan
from ctmupgrade.core.version import reached
from ctmupgrade.errors import CtmUpgradeError, ExitCode, UsageError
from ctmupgrade.ports import Signed


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Facts and what they mean."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all findings."""
        return overall(self.findings)

    @property
    def code(self) -> ExitCode:
        """Return 0, or 3; 4 where everything that stops it is that something does not answer."""
        stops = [f for f in self.findings if f.stops]
        if not stops:
            return ExitCode.DONE
        silent = silent_nodes(self.findings)
        away = all(f.unreachable or f.node in silent for f in stops)
        return ExitCode.UNREACHABLE if away else ExitCode.BLOCKED


def verify(setup: Setup, *, hashed: bool = True) -> Signed:
    """Check the archive's signature. :raises SignatureError: not good. :raises UsageError: not readable."""
    target = setup.cluster.target
    return setup.tools.verifier.verify(target.archive, target.signer, target.keyring, hashed=hashed)


def _archive_facts(setup: Setup, hashed: bool) -> Maybe[ArchiveFacts]:
    try:
        signed = verify(setup, hashed=hashed)
    except CtmUpgradeError as error:
        why = ". ".join(part for part in (error.brief, error.details) if part)
        return Unknown(why, remedy=error.remedy)
    return ArchiveFacts(signed.size, signed.sha256, signed.signer)


def collect(setup: Setup, *, hashed: bool = True) -> Facts:
    """Look at all nodes, while the archive's signature is checked here.

    :param hashed: False: without the archive's SHA-256, which only a plan and an upload need.
    """
    beside = ThreadPoolExecutor(max_workers=1)
    try:
        archive = beside.submit(_archive_facts, setup, hashed)
        nodes = collect_nodes(setup.fleet, setup.cluster, setup.clock, setup.tools.gather)
        apart = replace(setup.cluster, nodes=setup.cluster.fresh, fresh=())
        fresh = collect_nodes(setup.fleet, apart, setup.clock, setup.tools.gather) if apart.nodes else {}
        shared = shared_state(setup.fleet, setup.cluster, nodes, setup.clock, setup.tools.gather)
        archive_facts = archive.result()
    finally:  # Ctrl-C does not wait for an archive of gigabytes
        beside.shutdown(wait=False, cancel_futures=True)
    return Facts(
        at=setup.clock.now(),
        nodes=nodes,
        archive=archive_facts,
        manifests=setup.tools.store.manifests(),
        backups_possible=_why_no_backup(setup),
        max_backup_age=setup.cluster.backup.max_age,
        fresh=fresh,
        unbooted=left_unbooted(setup),
        own_files=files_for_resume(setup),
        own_boot=boot_of_this_machine(setup),
        own_logout=ended_by_logout(setup),
        served=setup.served(),
        shared=shared,
        past_times=took_before(setup),
    ).with_boots(upgraded_in(setup))


def _why_no_backup(setup: Setup) -> str:
    from ctmupgrade.actions.backup import password_problem

    return setup.tools.unusable_store() or password_problem(setup.cluster)


def check(setup: Setup, *, only: Collection[str] = (), hashed: bool = True) -> CheckResult:
    """Check every node, all at once.

    :param only: ids of the checks that are wanted; none: all.
    :param hashed: as for :func:`collect`.
    :raises UsageError: an unknown check is named, or one that may not be skipped.
    """
    cluster, options = setup.cluster, setup.request.options
    known = {c.id: c.waivable for c in CHECKS} | {c.name: True for c in cluster.own_checks}
    for name, reason in options.skips:
        if name not in known:
            raise _no_check(name, f"--skip {name}", known)
        _skippable(name, reason, waivable=known[name])
    for name in only:
        if name not in known:
            raise _no_check(name, f"--only {name}", known)
    facts = collect(setup, hashed=hashed)
    own = own_findings(cluster, setup.fleet, setup.programs, setup.tools.gather, only=only)
    found = (*examine(facts, cluster, options, only=only), *weighed(own, facts, cluster, options))
    filled = tuple(_filled(setup, facts)) if not only or _NEW in only else ()
    named = {finding.node for finding in filled}
    return CheckResult(facts, (*(f for f in found if f.check != _NEW or f.node not in named), *filled))


_NEW = "fresh_instances_ready"


def _filled(setup: Setup, facts: Facts) -> Iterator[Finding]:
    """New instances that hold something, which their join would erase: a mistyped address is enough."""
    for name, fresh in facts.fresh.items():
        if isinstance(fresh.membership, Unknown) or fresh.membership.clustered:
            continue  # judged by that
        held = holding_of(fresh, count_of(setup.fleet.control(name)), Journals(), {})
        if held.state is Holds.DATA:
            text = f"the new instance at {setup.cluster.node(name).host} is not empty: {held.why}; its join would erase that"
            yield Finding(_NEW, Verdict.BLOCK, name, text, "name an instance that is new: --fresh NODE=HOST")


def check_for_a_while(
    setup: Setup, *, only: Collection[str] = (), time: timedelta | None, tell: Callable[[str], None]
) -> CheckResult:
    """Check every node, and where nothing stops look again and again whether they stay healthy: one look proves little.

    :param time: how long; None: as :func:`how_long` says; 0: look once.
    :param tell: is told what it waits for, and for how long all have been healthy.
    :raises UsageError: as for :func:`check`.
    """
    result, cluster, options = check(setup, only=only, hashed=False), setup.cluster, setup.request.options
    time = how_long(result.facts, cluster) if time is None else time
    waived = any(name == STAYING for name, _ in options.skips)
    if not time or waived or result.code is not ExitCode.DONE or (only and STAYING not in only):
        return result
    tools, first = setup.tools, result.facts
    seen = watched(setup.fleet, cluster, setup.clock, tools.gather, first=first, time=time, tell=tell)
    if seen is None:
        return result
    facts = replace(first, watched=seen)
    again = examine(facts, cluster, options, only=(STAYING,))
    place = [f.check for f in result.findings].index(STAYING)
    rest = [f for f in result.findings if f.check != STAYING]
    return CheckResult(facts, (*rest[:place], *again, *rest[place:]))


def known_check(name: str, own: Collection[str] = ()) -> Check:
    """Return the check of this id. :param own: the operator's, which may be meant.

    :raises UsageError: there is none; one with a similar id is named.
    """
    if found := check_of(name):
        return found
    raise _no_check(name, name, [*own, *(c.id for c in CHECKS)])


def _no_check(name: str, typed: str, known: Iterable[str]) -> UsageError:
    near = nearest(name, known)
    hint = f"did you mean {near}? " if near else ""
    return UsageError(f"{typed}: no such check", remedy=f"{hint}ctmupgrade check --list")


def _skippable(name: str, reason: str, *, waivable: bool) -> None:
    if not waivable:
        raise UsageError(f"--skip {name}: this check cannot be skipped", remedy="fix what it finds")
    if not reason.strip():
        raise UsageError(f"--skip {name}: a reason is needed", remedy=f"--skip {name}='why it is safe'")


def plan(setup: Setup) -> tuple[CheckResult, Plan]:
    """Check, and make the plan for what was found."""
    result = check(setup)
    return result, make_plan(result.facts, setup.cluster, setup.request.options)


# Without these a version may be another node's, or not stay what it is; and "every node verified" is more than a version.
_PROVES_TARGET = (
    "cluster_members_match", "node_count_supported", "no_upgrade_running", "services_started", "every_node_ready",
    "replication_connected",
)  # fmt: skip


def all_at_target(result: CheckResult, setup: Setup, options: Options) -> bool:
    """Return whether every node that is asked for is proven to have the target's version already, to work, and to wait for no
    reboot: it may say the new version before (docs/appliance.md 1.2).
    """
    target = setup.cluster.target.version
    names: Sequence[str] = options.nodes or tuple(result.facts.nodes)
    versions = [result.facts.nodes[name].version for name in names]
    open_ = [f for f in result.findings if f.verdict in (Verdict.BLOCK, Verdict.UNKNOWN)]
    waiting = {f.node for f in open_ if f.check == "no_reboot_pending"}
    return (
        not waiting.intersection(names)
        and not any(f.check in _PROVES_TARGET for f in open_)
        and all(not isinstance(v, Unknown) and reached(v, target) for v in versions)
    )
