"""The table that fills the facts of a node: a row for each field, and nothing else."""

from __future__ import annotations

from dataclasses import fields

from ctmupgrade.collect.fact_table import CONTROL_FACTS, SHELL_FACTS
from ctmupgrade.core.looks.facts import NodeFacts

ROWS = [fact.field for fact in (*CONTROL_FACTS, *SHELL_FACTS)]
# Whether commands run at all comes before the table; ports are asked when all nodes' answers are known.
OUTSIDE = {"name", "shell", "ports", "consensus_ports"}


def test_each_field_of_the_facts_has_one_row() -> None:
    assert sorted(ROWS) == sorted({field.name for field in fields(NodeFacts)} - OUTSIDE)


def test_the_gate_asks_for_what_its_checks_judge() -> None:
    asked = {fact.field for fact in (*CONTROL_FACTS, *SHELL_FACTS) if fact.health}
    assert asked == {"unit", "processes", "clock", "members", "system", "services", "membership", "summary"}
