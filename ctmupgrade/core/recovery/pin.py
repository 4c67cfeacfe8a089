"""What a person has read before saying yes, as a short word that can be typed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from ctmupgrade.core.plan.plan import Plan


def pin_of(plan: Plan) -> str:
    """Return a digest of a way back: its steps in every detail, the facts that they are made from, and the nodes that
    cannot be relied on for the data. Equal facts give an equal pin; time alone does not change it."""
    steps = [[s.id, s.node, s.why, list(s.after), asdict(s.action)] for s in plan.steps]
    read = [plan.cluster, dict(plan.basis), steps, sorted(plan.without_data), asdict(plan.target)]
    read += [sorted(plan.given_up)] if plan.given_up else []
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:12]
