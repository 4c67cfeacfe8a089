"""Programs of another user, from a clone that may be in a folder of the caller's alone, as ``mktemp -d`` makes one."""

from __future__ import annotations


def as_user(number: int) -> list[str]:
    """The words before a command that run it as a user and group of this number, which need have no name. It may look
    through folders that are not its own: else it would not find the program."""
    search = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    return ["setpriv", "--reuid", str(number), "--regid", str(number), "--clear-groups", *search]
