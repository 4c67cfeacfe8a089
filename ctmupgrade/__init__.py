"""Upgrades clusters of Thales CipherTrust Manager appliances, and brings them back.

The tour: ``cli`` parses and renders; ``app`` has one function per command and is the only place where
adapters are chosen; ``collect`` asks the questions of ``core.probes`` and makes ``core.facts``;
``core.checks`` judges them; ``core.strategies`` makes a ``core.plan``; ``execute`` runs it, journaling
before and after every act; ``actions`` knows, per kind of step, how to do it and how to look whether it
happened; what is shown is a fold over the journal (``core.journal``, ``core.report``).
"""

__version__ = "0.1.0"
