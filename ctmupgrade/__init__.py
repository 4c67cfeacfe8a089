"""Upgrades clusters of Thales CipherTrust Manager appliances, and brings them back.

The tour (docs/architecture.md has more): ``cli`` parses and prints; ``commands`` has one module a command, and its
``wiring`` alone chooses adapters; ``collect`` asks the probes of ``core.looks`` and makes facts; ``core.checks`` judges
them; ``core.plan`` makes a plan of them; ``execute`` runs it, journaling before and after every act; ``actions`` knows,
per kind of step, how to do it and how to look whether it happened; what is shown is a fold over the journal
(``core.run``).
"""

__version__ = "0.2.0"
