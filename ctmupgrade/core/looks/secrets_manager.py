"""The service of the secrets manager (product csm): without internet access it stays in error after an upgrade, and the
appliance serves its clients all the same (docs/appliance.md 4.2)."""

from __future__ import annotations

import re

from ctmupgrade.core.looks.facts import Services

# What cures it (vendor page of the 2.20 secrets manager).
CSM_REMEDY = (
    "the secrets manager (csm) needs internet access; if it is not used: ksctl products disable --name csm"
)
# The check whose skip says that a person accepts this error after the upgrade.
CSM_CHECK = "internet_for_csm"

_MOVING = ("starting", "stopping", "restarting")
_WORDS = re.compile(r"[a-z0-9]+", re.ASCII)
# "Secrets Manager", secrets-manager, secretsManagement, ciphertrust_secrets_manager, ...
_ENDS = tuple(f"secret{s}manage{end}" for s in ("", "s") for end in ("r", "ment"))


def is_csm(service: str) -> bool:
    """Return whether a service of this name is the secrets manager: the appliance's parts and releases do not spell it alike,
    and the list of its services is not known (docs/appliance.md)."""
    words = _WORDS.findall(service.lower())
    return "csm" in words or "".join(words).endswith(_ENDS)


def csm_in_error(services: Services) -> tuple[str, ...]:
    """Return the secrets manager's services that are in error."""
    return tuple(sorted(n for n, state in services.by_name.items() if state == "error" and is_csm(n)))


def without_csm(services: Services) -> Services:
    """Return the services as they count where a person accepts that the secrets manager is in error: that, and nothing else,
    is left out. Where another one is not started either, nothing is."""
    names = csm_in_error(services)
    left = {n: s for n, s in services.by_name.items() if n not in names}
    rest = Services("started", left, (*services.tolerated, *names))
    settled = services.overall.lower() not in _MOVING  # one that starts may yet end in another error
    return rest if names and left and settled and not rest.waiting else services
