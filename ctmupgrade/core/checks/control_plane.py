"""Checks of the way to each node's control plane: that it answers, that the login is taken, that it is who it should be."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core import manual_commands
from ctmupgrade.core.checks.check import Question
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.ksctl import unverified
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.served import different
from ctmupgrade.core.model import Node

_OWN_CA = (
    "save the certificate of the appliance's CA (web console: CA, Local) as ca.pem and add it to this machine's trust "
    "store, or: export SSL_CERT_FILE=$PWD/ca.pem"
)
_DIFFERENT = (
    "find out which is the vendor's before you go on: each program runs on this machine with its node's password. One of "
    "your own: ksctl.command"
)
CA_PAGE = "vendor page Certificate Authority"


def control_plane_reachable(q: Question) -> Iterator[Finding]:
    """Judge whether each node answers ksctl after login, and is who it should be."""
    check = "control_plane_reachable"
    for name, facts in q.facts.nodes.items():
        node, fact = q.cluster.node(name), facts.system
        if not isinstance(fact, Unknown):
            seen = f"{fact.model or 'appliance'} {fact.version} answers"
            yield Finding(check, Verdict.PASS, name, seen)
        elif fact.certificate:
            said = f"{_distrusted(node, fact.certificate)}: {fact.why}"
            yield Finding(check, Verdict.BLOCK, name, said, _trust(node, fact.certificate), CA_PAGE)
        elif fact.login:
            where = (
                f" of the authentication domain {node.ksctl.auth_domain}" if node.ksctl.auth_domain else ""
            )
            said = f"ksctl's login as {node.ksctl.username}{where} is refused: {fact.why}"
            yield Finding(check, Verdict.BLOCK, name, said, _login(node))
        else:
            remedy = fact.remedy or manual_commands.ksctl(node, "system", "info", "get", note="must answer")
            text = f"the version by ksctl is not known: {fact.why}"
            yield Finding(check, Verdict.UNKNOWN, name, text, remedy, unreachable=fact.unreachable)


def _login(node: Node) -> str:
    domain = (
        "ksctl.auth_domain"
        if node.ksctl.auth_domain
        else "ksctl.auth_domain (if the user belongs to a domain other than root)"
    )
    return f"check ksctl.username, {node.ksctl.password_place}, {domain}; every further attempt may lock the account"


def _distrusted(node: Node, trouble: str) -> str:
    """What is wrong with who answers at a node's URL."""
    return {
        "expired": f"the certificate of {node.url} has expired or is not valid yet",
        "name": f"the certificate of {node.url} is for another name",
        "no TLS": f"what answers at {node.url} does not speak TLS",
    }.get(trouble, f"the certificate of {node.url} was issued by a CA that this machine does not trust")


def _trust(node: Node, trouble: str) -> str:
    """How to make it trusted; each appliance has a CA of its own."""
    if trouble == "no TLS":
        return f"check the host and the port of {node.name}'s url in cluster.yaml"
    way = {
        "expired": "renew it on the appliance (ksctl interfaces auto-gen-server-cert), and compare the clocks of both machines: date",
        "name": f"set the url of {node.name} in cluster.yaml to a name or address that its certificate contains",
    }.get(trouble, _OWN_CA)
    if not node.is_own:
        way += "; or reach it through SSH, whose host key proves the node: through_ssh: true under ksctl"
    return f"{way}; or, only if nobody can intercept the connection to the node: set nosslverify: true under ksctl in cluster.yaml"


def control_plane_verified(q: Question) -> Iterator[Finding]:
    """Judge whether anybody else could answer for a control plane, and get its password."""
    check, found = "control_plane_verified", unverified(q.cluster)
    for reason, names in found.items():
        remedy = "make sure that nothing else can answer at this address, or use https"
        if reason.by_setting:
            remedy = f"{_OWN_CA}; then remove nosslverify from cluster.yaml"
        for name in names:
            yield Finding(check, Verdict.WARN, name, reason.why, remedy, CA_PAGE)
    if not found:
        ssh = any(node.ksctl.through_ssh for node in q.cluster.nodes)
        by = "certificates, or behind SSH the host keys," if ssh else "certificates"
        yield Finding(check, Verdict.PASS, "", f"the {by} of all control planes are verified")
    for version, groups in different(q.facts.served):
        text = f"nodes of {version} offer different files as ksctl_images.zip: {'; '.join(groups)}"
        yield Finding(check, Verdict.WARN, "", text, _DIFFERENT)
