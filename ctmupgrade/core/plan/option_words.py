"""The options with which a plan is made again as it is, as they are typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields

from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.phases import survivor
from ctmupgrade.core.plan.plan import Plan


def option_words(plan: Plan) -> str:
    """Return the options that make this plan, each with a blank before it; "" where none is needed.

    A rebuild's survivor is among them also where it was chosen for the plan: by the day of the work another node may have
    the most free space, and the page would be about another one.
    """
    return "".join(f" {words}" for words in _words(plan.options, survivor(plan)))


def _words(options: Options, keeper: str) -> Iterator[str]:
    named = {"order": ",".join(options.order), "nodes": ",".join(options.nodes)}
    named |= {"survivor": options.survivor or keeper, "hold-back": options.hold_back}
    named["keep-copies"] = str(options.keep_copies) if options.keep_copies != Options().keep_copies else ""
    yield from (f"--{name} {shlex.quote(value)}" for name, value in named.items() if value)
    switches = {
        "reset-before-join": options.reset_before_join,
        "shared-hsm-partition": options.shared_hsm_partition,
        "allow-downgrade": options.allow_downgrade,
        "force-path": options.force_path,
        "accept-attended-boot": options.accept_attended_boot,
    }
    yield from (f"--{name}" for name, wanted in switches.items() if wanted)
    yield from (f"--fresh {shlex.quote(f'{node}={host}')}" for node, host in options.fresh)
    yield from (f"--skip {shlex.quote(f'{check}={reason}')}" for check, reason in options.skips)


def given_words(options: Options) -> str:
    """Return the options of planning as they are typed, each with a blank before it; ``--survivor`` is the
    operator's word and not among them."""
    return "".join(f" {word}" for word in _given_words(options))


def _given_words(options: Options) -> Iterator[str]:
    names = {"skips": "skip"}
    for one in fields(options):
        value = getattr(options, one.name)
        option = f"--{names.get(one.name, one.name).replace('_', '-')}"
        if one.name == "survivor" or value == one.default:
            continue
        if isinstance(value, bool):
            yield option
        elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
            yield from (f"{option} {shlex.quote('='.join(pair))}" for pair in value)
        elif isinstance(value, tuple):
            yield f"{option} {shlex.quote(','.join(value))}"
        else:
            yield f"{option} {shlex.quote(str(value))}"
