"""What ``ksctl``'s answers mean beyond their JSON. Its exit numbers and texts are not known (FACTS 8.11),
so these are generous readings of words, used only to tell "try again" from "no"."""

from __future__ import annotations

import json
import re

from ctmupgrade.core.model import Node

_AWAY = re.compile(
    r"connection (refused|reset|timed out)|no route to host|i/o timeout|time(d)?[ -]?out|deadline exceeded"
    r"|unreachable|no such host|unexpected EOF|\bEOF\b|TLS handshake|could not connect|bad gateway"
    r"|service unavailable|gateway time|\b50[234]\b|no leader|consensus is down",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"unauthori[sz]ed|\b401\b|NCERRUnauthorized|token (has )?expired|\bpassword:", re.IGNORECASE
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
    """The control plane did not answer, or not now: worth asking again."""
    return bool(_AWAY.search(text))


def sounds_like_login(text: str) -> bool:
    """It wants a login: a token that ran out in the middle, or credentials that are wrong."""
    return bool(_LOGIN.search(text))


def backup_state(word: str) -> bool | None:
    """A backup's status word. True: complete. False: failed. None: neither can be said."""
    plain = word.strip().lower()
    if plain in COMPLETE_WORDS:
        return True
    if re.search(r"fail|error|abort|cancel", plain):
        return False
    return None


def login_file(node: Node, password: str) -> str:
    """A file with a node's login in the form of ksctl's own configuration, as ``--newnodeconfig`` reads it."""
    values = {
        "KSCTL_URL": node.url,
        "KSCTL_USERNAME": node.ksctl.username,
        "KSCTL_PASSWORD": password,
        "KSCTL_NOSSLVERIFY": node.ksctl.nosslverify,
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
