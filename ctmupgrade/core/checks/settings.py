"""Checks of settings, accounts and clients."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import VENDOR, Question, looked, not_looked_up, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import Services, Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_CHECK, is_csm
from ctmupgrade.core.looks.shared_state import Account
from ctmupgrade.core.plan.clients import BALANCER
from ctmupgrade.core.version import Version

AUDIT = "ENABLE_RECORDS_DB_STORE"
LOKI_ONLY = (
    2,
    24,
)  # from here on audit records are no longer kept in the database, and KMIP wants the client's IV
_PROPERTIES = "ksctl properties list"


def _crosses(q: Question, line: tuple[int, int]) -> bool:
    """Whether the target is of this release or later, and a node is of an earlier one, or of an unknown one."""
    versions = [f.version for f in q.facts.nodes.values()]
    return q.cluster.target.version.line >= line and any(
        not isinstance(v, Version) or v.line < line for v in versions
    )


def same_time_servers(q: Question) -> Iterator[Finding]:
    """Check that all nodes have the same time servers."""
    check, command = "same_time_servers", "ksctl ntp servers list"
    known, found = looked(q, check, lambda f: f.time_servers, "its time servers", command)
    if len(set(known.values())) > 1:
        listing = "; ".join(f"{name}: {', '.join(servers) or 'none'}" for name, servers in known.items())
        words = f"nodes have different time servers ({listing})"
        found.append(
            Finding(
                check,
                Verdict.WARN,
                "",
                words,
                "ksctl ntp servers add --host TIME-SERVER   # the same on every node",
                VENDOR,
            )
        )
    yield from or_pass(check, found, "all nodes have the same time servers")


def same_services_disabled(q: Question) -> Iterator[Finding]:
    """Check that the same services are disabled on all nodes."""
    check, found = "same_services_disabled", []
    each = {
        name: frozenset(service for service, state in facts.services.by_name.items() if state == "disabled")
        for name, facts in q.facts.nodes.items()
        if isinstance(facts.services, Services)
    }
    if len(set(each.values())) > 1:
        common = frozenset.intersection(*each.values())
        listing = "; ".join(
            f"{name}: {', '.join(sorted(own - common)) or 'none'}" for name, own in each.items()
        )
        words = f"not the same services are disabled on all nodes ({listing})"
        found.append(
            Finding(
                check, Verdict.WARN, "", words, "ksctl services status; ksctl products list   # on each node"
            )
        )
    yield from or_pass(check, found, "the same services are disabled on all nodes")


def internet_for_csm(q: Question) -> Iterator[Finding]:
    """Check that the secrets manager is disabled, or tell that it needs the internet after the upgrade."""
    check, found = CSM_CHECK, []
    for name, facts in q.facts.nodes.items():
        states = facts.services.by_name if isinstance(facts.services, Services) else {}
        if any(state != "disabled" for service, state in states.items() if is_csm(service)):
            words = "the secrets manager (csm) is enabled: without internet access it stays in error after the upgrade"
            remedy = (
                "make sure that the node reaches the internet; if csm is not used: ksctl products disable --name csm; if it may "
                "stay in error, so that a run goes on: --skip internet_for_csm=REASON"
            )
            found.append(
                Finding(check, Verdict.WARN, name, words, remedy, "vendor page of the 2.20 secrets manager")
            )
    yield from or_pass(check, found, "the secrets manager (csm) is not enabled")


def audit_store_exported(q: Question) -> Iterator[Finding]:
    """Check that no audit records are in the database where the target no longer reads them there."""
    check = "audit_store_exported"
    if not _crosses(q, LOKI_ONLY):
        yield Finding(
            check, Verdict.PASS, "", "audit records stay where they are: that changes with 2.24 only"
        )
        return
    properties, found = q.facts.shared.properties, []
    if isinstance(properties, Unknown):
        found.append(not_looked_up(check, "", properties, f"the property {AUDIT}", _PROPERTIES))
    elif properties.get(AUDIT, "false").strip().lower() == "true":
        words = f"audit records are kept in the database ({AUDIT} is true): from 2.24 on they can no longer be read there"
        found.append(
            Finding(
                check,
                Verdict.WARN,
                "",
                words,
                "export the audit records that you must keep, before the upgrade",
            )
        )
    yield from or_pass(check, found, "no audit records are kept in the database")


def kmip_iv_clients_known(q: Question) -> Iterator[Finding]:
    """Ask a person about KMIP clients that let the server choose the IV: 2.24 refuses them."""
    check = "kmip_iv_clients_known"
    if not _crosses(q, LOKI_ONLY):
        yield Finding(check, Verdict.PASS, "", "nothing changes for KMIP clients: that comes with 2.24 only")
        return
    known, found = looked(q, check, lambda f: f.interfaces, "its interfaces", "ksctl interfaces list")
    if any(one.enabled and "kmip" in one.name.lower() for rows in known.values() for one in rows.rows):
        words = "KMIP is used: from 2.24 on clients that let the server choose the IV for AES-GCM are refused"
        remedy = "ask who runs KMIP clients; the property KMIP_DISALLOW_AES_GCM_NO_IV allows it again after the upgrade"
        found.append(Finding(check, Verdict.MANUAL, "", words, remedy))
    yield from or_pass(check, found, "no KMIP interface is enabled")


def account_lasts(q: Question) -> Iterator[Finding]:
    """Check that the account of ksctl is not locked, nor on its way there."""
    check, command = "account_lasts", "ksctl users list"
    accounts, found = q.facts.shared.accounts, []
    users = dict.fromkeys(node.ksctl.username for node in q.cluster.nodes if not node.ksctl.auth_domain)
    if isinstance(accounts, Unknown):
        found.append(not_looked_up(check, "", accounts, "the account that ksctl logs in with", command))
        users = {}
    for user in users:
        own = (
            next((one for one in accounts if one.username == user), None)
            if isinstance(accounts, tuple)
            else None
        )
        if own is not None and (words := _trouble(own)):
            remedy = f"{command}   # unlock the account, and find out who fails to log in with it"
            found.append(Finding(check, Verdict.WARN, "", f"the account {user} {words}", remedy))
    yield from or_pass(check, found, "the account of ksctl is not locked and has no failed logins")


def _trouble(own: Account) -> str:
    if own.locked:
        return f"has been locked since {own.locked}"
    return (
        f"has {own.failed} failed logins in a row: more of them lock it, on all nodes at once"
        if own.failed
        else ""
    )


def clients_have_another_node(q: Question) -> Iterator[Finding]:
    """Ask a person whether clients go to another node while one is away, unless a load balancer is set."""
    check, properties = "clients_have_another_node", q.facts.shared.properties
    if not q.clustered or len(q.cluster.nodes) == 1:
        words, remedy = "no other node serves clients while it upgrades", "tell those who use it"
    elif isinstance(properties, Unknown) or not properties.get(BALANCER, "").strip():
        words = "whether clients know more than one node, or a load balancer, cannot be seen from here"
        remedy = "ask who runs the clients; without it each node is an outage of 10 minutes or more for its clients"
    else:
        yield Finding(check, Verdict.PASS, "", f"clients use the load balancer {properties[BALANCER]}")
        return
    yield Finding(check, Verdict.MANUAL, "", words, remedy, VENDOR)
