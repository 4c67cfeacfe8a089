"""The table that fills the facts of a node: a row for each field, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from pkgutil import iter_modules

from ctmupgrade.collect.fact_table import CONTROL_FACTS, SHELL_FACTS
from ctmupgrade.core import looks
from ctmupgrade.core.looks import ksctl_probes, shell_probes, state_probes
from ctmupgrade.core.looks.facts import NodeFacts
from ctmupgrade.core.looks.probes import Probe

ROWS = [fact.field for fact in (*CONTROL_FACTS, *SHELL_FACTS)]
# Whether commands run at all comes before the table; ports are asked when all nodes' answers are known.
OUTSIDE = {"name", "shell", "ports", "consensus_ports", "hsm_ports"}


def test_each_field_of_the_facts_has_one_row() -> None:
    assert sorted(ROWS) == sorted({field.name for field in fields(NodeFacts)} - OUTSIDE)


def test_the_gate_asks_for_what_its_checks_judge() -> None:
    asked = {fact.field for fact in (*CONTROL_FACTS, *SHELL_FACTS) if fact.health}
    assert asked == {"unit", "processes", "clock", "members", "system", "services", "membership", "summary"}


def _questions() -> dict[str, Probe[object]]:
    """Every probe that has a name in a module of the core, by that name."""
    modules = [import_module(f"{looks.__name__}.{found.name}") for found in iter_modules(looks.__path__)]
    return {name: one for module in modules for name, one in vars(module).items() if isinstance(one, Probe)}


def test_every_probe_is_asked_of_every_kind_of_node() -> None:
    tried = (
        *shell_probes.OF_A_SHELL, *ksctl_probes.OF_A_CONTROL_PLANE, *state_probes.OF_A_SHELL, *state_probes.OF_A_CONTROL_PLANE,
    )  # fmt: skip
    ways = {way.argv for probe in tried for way in probe.ways}
    missing = [name for name, probe in _questions().items() if not {way.argv for way in probe.ways} <= ways]
    assert not missing, "put it into shell_probes.OF_A_SHELL or ksctl_probes.OF_A_CONTROL_PLANE"
