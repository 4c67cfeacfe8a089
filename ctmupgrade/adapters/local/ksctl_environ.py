"""The environment of ksctl: all of its configuration, and nothing of the caller's that it does not need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ctmupgrade.adapters.local.process import network_environ
from ctmupgrade.adapters.local.reach import Place
from ctmupgrade.core.model import KsctlSettings, Node, Secret


def ksctl_environ(
    node: Node, place: Place, caller: Mapping[str, str], *, folder: Path, password: Secret, seconds: float
) -> dict[str, str]:
    """Return the environment for one call.

    :param caller: the caller's environment. :param folder: a private home. :param seconds: ksctl's own timeout.
    """
    settings = node.ksctl
    return network_environ(caller) | {
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "LC_ALL": "C",
        **_no_proxy(place, caller),
        "KSCTL_URL": place.url,
        "KSCTL_USERNAME": settings.username,
        "KSCTL_PASSWORD": password.reveal(),
        # Behind a proven host key no certificate is judged: its name is not that of a port on loopback.
        "KSCTL_NOSSLVERIFY": "true" if settings.nosslverify or place.proven else "false",
        "KSCTL_TIMEOUT": str(max(1, math.ceil(seconds))),
        "KSCTL_RESP": "json",
        "KSCTL_VERBOSITY": "false",
        **_domains(settings, caller),
    }


def _no_proxy(place: Place, caller: Mapping[str, str]) -> dict[str, str]:
    """A port of this machine is reached without the caller's proxy."""
    if not place.proven:
        return {}
    named = {name: caller.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    return {name: ",".join(filter(None, (value, "127.0.0.1"))) for name, value in named.items()}


def _domains(settings: KsctlSettings, caller: Mapping[str, str]) -> dict[str, str]:
    """Where the user is kept, and which domain the login is for: as cluster.yaml says, else as the caller does."""
    given = {"KSCTL_AUTH_DOMAIN": settings.auth_domain, "KSCTL_DOMAIN": settings.domain}
    return {name: found for name, own in given.items() if (found := own or caller.get(name, ""))}
