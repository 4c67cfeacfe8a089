"""What ``ksctl``'s answers mean beyond their JSON. Its exit numbers and texts are not known (docs/appliance.md 8, 11),
so these are generous readings of words, used only to tell "try again" from "no"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ctmupgrade.core.model import Cluster, Node

_AWAY = re.compile(
    r"connection (refused|reset|timed out)|no route to host|i/o timeout|time(d)?[ -]?out|deadline exceeded"
    r"|unreachable|no such host|unexpected EOF|\bEOF\b|TLS handshake|could not connect|bad gateway"
    r"|service unavailable|gateway time|\b50[234]\b|no leader|consensus is down",
    re.IGNORECASE,
)
# A node that is added, removed, restarted or catches up answers its own API, login included, with HTTP 500
# (vendor's Terraform provider, pull 525): that says neither yes nor no. The others are named in docs/appliance.md 6.
_LATER = re.compile(
    r"NCERRInternalServerError|\b500 internal|\bhttp[ /](?:status |code )*(?:1\.1 )?500\b|internal server error"
    r"|not ready|database is locked|non-successful HTTP code|socket (?:is )?busy",
    re.IGNORECASE,
)
# Error classes of the appliance that name a reason, and what ksctl says of words that it does not know.
_REFUSED = re.compile(
    r"\bNCERR(?!InternalServerError|Unauthori[sz]ed)\w+|unknown (?:flag|shorthand|command)|required flag|invalid argument",
    re.IGNORECASE,
)
# The words are not known; those of the vendor's own messages about membership, read generously.
_LEFT_OVER = re.compile(
    r"(?:already|still)\b[^.;]{0,60}\bcluster|\bcluster(?:ed)?\b[^.;]{0,60}\b(?:already|exists|existing|left|still)\b"
    r"|cluster config(?:uration)?\b",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"unauthori[sz]ed|\b401\b|NCERRUnauthorized|token (has )?expired|\bpassword:", re.IGNORECASE
)
# How a login is refused in other words is not known (docs/appliance.md 8): tries that are not known as such lock the account.
_REFUSED_LOGIN = re.compile(
    r"\b(?:wrong|invalid|incorrect|bad) (?:user|login|credential|password)"
    r"|\b(?:authentication|login|log ?on) (?:was |has )?(?:failed|failure|denied|refused|rejected)"
    r"|failed to (?:authenticate|log ?in)\b|\bcredentials? (?:is|are|was|were) (?:wrong|invalid|rejected|not valid)"
    r"|\b(?:account|user)(?: (?!database)[\w.@-]{1,64})? (?:is |has been |was )(?:locked|disabled|suspended)|\blocked out\b"
    r"|\baccount (?:locked|disabled|suspended)|\bpassword (?:has |is |was )?expired|too many (?:failed |login )*attempts"
    r"|\bNCERR\w{0,40}(?:Locked|Credential|PasswordExpired|Authentication)",
    re.IGNORECASE,
)
# Another login than ours, of which the appliance may tell in an answer to a look.
_OF_OTHERS = re.compile(
    r"\b(?:hsm|luna|partition|ntp|smtp|scp|proxy|postgres\w*|database|backup ?keys?)\b", re.IGNORECASE
)

COMPLETE_WORDS = frozenset(
    (
        "completed",
        "complete",
        "success",
        "successful",
        "succeeded",
        "done",
        "finished",
        "ok",
        "available",
        "ready",
    )
)


def sounds_away(text: str) -> bool:
    """Return whether the control plane did not answer, or not now: worth asking again."""
    return bool(_AWAY.search(text))


def sounds_like_login(text: str) -> bool:
    """Return whether it refuses a login: a token that ran out in the middle, credentials that are wrong, an account that is
    locked."""
    return bool(_LOGIN.search(text) or (_REFUSED_LOGIN.search(text) and not _OF_OTHERS.search(text)))


def order_wants_login(text: str) -> bool:
    """Return whether an order was not taken for want of a login alone. Credentials that are called wrong may be those of the
    other node that the order names: that is a no."""
    return bool(_LOGIN.search(text))


# What Go's TLS says (ksctl is a Go program), and OpenSSL where something else stands in for it.
_CERTIFICATE = (
    ("expired", re.compile(r"certificate has expired|certificate is not yet valid", re.IGNORECASE)),
    ("name", re.compile(
        r"certificate is (?:valid for|not valid for)|doesn.t contain any IP SANs|legacy Common Name|not valid for any names"
        r"|hostname.{0,40}(?:mismatch|doesn.t match)|certificate name.{0,20}does not match|IP address mismatch",
        re.IGNORECASE,
    )),
    ("authority", re.compile(
        r"x509:|signed by unknown authority|self[- ]signed certificate|unable to get (?:local )?issuer certificate"
        r"|certificate verify failed|failed to verify certificate|certificate is not trusted",
        re.IGNORECASE,
    )),
    ("no TLS", re.compile(
        r"first record does not look like a TLS handshake|HTTP response to HTTPS client|wrong version number", re.IGNORECASE
    )),
)  # fmt: skip


def certificate_trouble(text: str) -> str:
    """Return why TLS does not trust who answers: ``authority``, ``name``, ``expired`` or ``no TLS``; "" where it is
    about something else. A fresh appliance has a certificate of its own CA (vendor page Certificate Authority)."""
    return next((kind for kind, pattern in _CERTIFICATE if pattern.search(text)), "")


@dataclass(frozen=True, slots=True)
class Unverified:
    """Why a control plane is not proven to be who it should be. :ivar by_setting: because ``nosslverify`` is set."""

    why: str
    by_setting: bool


def unverified(cluster: Cluster) -> Mapping[Unverified, tuple[str, ...]]:
    """Return why some control planes are not proven to be who they should be, and the nodes of each reason."""
    found: dict[Unverified, tuple[str, ...]] = {}
    for node in (*cluster.nodes, *cluster.fresh):
        if node.ksctl.through_ssh and not node.is_own:
            continue  # its host key proves who answers, and the node connects to itself
        if node.url.startswith("http:"):
            text = "ksctl talks to its control plane in clear text (http), on this machine alone"
        elif node.ksctl.nosslverify:
            more = ", and the program that it offers runs here" if node.ksctl.fetched else ""
            text = (
                "nosslverify: whoever answers at its url is taken for it, and gets the password of "
                f"{node.ksctl.username}{more}"
            )
        else:
            continue
        reason = Unverified(text, by_setting=not node.url.startswith("http:"))
        found[reason] = (*found.get(reason, ()), node.name)
    return found


def sounds_later(text: str) -> bool:
    """Return whether it answers with something else than was asked: as a node that is added, removed, started, or catches up."""
    return bool(_LATER.search(text))


def is_refusal(text: str) -> bool:
    """Return whether it is a definite no: asking again changes nothing."""
    return bool(_REFUSED.search(text)) and not (sounds_away(text) or sounds_later(text))


def names_left_configuration(text: str) -> bool:
    """Return whether a join was refused because the joining node still has the configuration of a cluster."""
    return bool(_LEFT_OVER.search(text)) and not sounds_away(text) and "not clustered" not in text.lower()


def backup_state(word: str) -> bool | None:
    """Judge a backup's status word. True: complete. False: failed. None: neither can be said."""
    plain = word.strip().lower()
    if plain in COMPLETE_WORDS:
        return True
    if re.search(r"fail|error|abort|cancel", plain):
        return False
    return None


def login_file(node: Node, password: str, *, url: str = "", verified: bool = True) -> str:
    """Return a file with a node's login in the form of ksctl's own configuration, as ``--newnodeconfig`` reads it.

    :param url: where the node is reached from here; default is its own. :param verified: by its certificate.
    """
    values = {
        "KSCTL_URL": url or node.url,
        "KSCTL_USERNAME": node.ksctl.username,
        "KSCTL_PASSWORD": password,
        "KSCTL_NOSSLVERIFY": node.ksctl.nosslverify or not verified,
        **({"KSCTL_AUTH_DOMAIN": node.ksctl.auth_domain} if node.ksctl.auth_domain else {}),
        **({"KSCTL_DOMAIN": node.ksctl.domain} if node.ksctl.domain else {}),
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
