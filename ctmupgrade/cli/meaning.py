"""Which options mean something for which command: the others are taken everywhere, as scripts put them, and not shown."""

from __future__ import annotations

RARE = "Rarely needed"  # a panel of its own
# By the names of parameters, wherever they are.
RARELY_NEEDED = frozenset({
    "strategy", "allow_downgrade", "force_path", "accept_attended_boot", "limit_rate_per_node", "take_over", "pin",
    "sign", "verify_signature", "signed_by", "head", "model", "force", "keyring",
})  # fmt: skip

_REBUILD = "survivor keep_copies reset_before_join hold_back fresh shared_hsm_partition"
_PREPARE = f"{_REBUILD} allow_downgrade force_path accept_attended_boot"
_OF_A_RUN = "strategy yes dry_run verbose"
# What means nothing there. A command that is not here shows all that it takes.
_MEANINGLESS = {
    "check": "yes dry_run parallel",
    "plan": "yes dry_run",
    "runbook": "yes dry_run parallel",
    "verify": "state_dir strategy yes dry_run verbose",
    "path": "cluster state_dir yes dry_run simulate verbose",
    "record": "yes dry_run strategy",
    "init": "state_dir strategy yes simulate verbose",
    "notify": "state_dir strategy yes verbose",
    "resume": "strategy",
    "stage": _PREPARE,
    "backup": _PREPARE,
    "recover": "order nodes allow_downgrade keep_copies reset_before_join",
    "restore": "strategy",
    "drill": "strategy",
    "demo": "cluster strategy yes dry_run simulate verbose",
    "status": _OF_A_RUN,
    "runs": f"{_OF_A_RUN} cluster simulate",
    "watch": _OF_A_RUN,
    "serve": _OF_A_RUN,
    "report": _OF_A_RUN,
    "pause": "strategy yes verbose",
    "abort": "strategy verbose",
    "node retry": "strategy verbose",
    "node skip": "strategy verbose",
    "node done": "strategy verbose",
    "handover": "strategy yes",
    "take-over": "strategy",
}


def meaningless(command: str) -> frozenset[str]:
    """Return the names of the parameters that mean nothing for a command, which is named as it is typed."""
    return frozenset(_MEANINGLESS.get(command, "").split())
