"""A run's numbers in Prometheus' text format, for node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import kind_of
from ctmupgrade.core.run.report import node_state

_STATES = ("running", "pausing", "paused", "failed", "needs-operator", "done", "aborted")
_NODE_STATES = (
    "pending", "running", "interrupted", "waiting", "done", "failed", "needs-operator", "skipped", "unchanged",
)  # fmt: skip
Sample = tuple[Mapping[str, str], float]


def metrics_text(state: RunState) -> str:
    """Return all metrics of a run. Every value is of its latest event; when that was is a metric itself."""
    of = {"cluster": state.plan.cluster}
    nodes = Counter(node_state(state, name) for name in state.plan.versions)
    steps = Counter(one.status.value for one in state.steps.values())
    about = {
        **of, "run": state.run, "kind": kind_of(state).value, "mode": state.mode.value,
        "strategy": state.plan.strategy.value, "target": state.plan.target.version, "outcome": state.outcome,
    }  # fmt: skip
    finished = 0.0 if state.unfinished else state.at.timestamp()
    families = (
        ("info", "The latest run: what it is for, and its outcome once it has ended.", [(about, 1)]),
        ("state", "1 for the state that the run is in.", _each(of, "state", _STATES, {state.name: 1})),
        ("started_timestamp_seconds", "When the run started.", [(of, state.started.timestamp())]),
        ("changed_timestamp_seconds", "When the run's latest event was.", [(of, state.at.timestamp())]),
        ("finished_timestamp_seconds", "When the run ended; 0: it has not.", [(of, finished)]),
        ("exit_code", "Why the run stopped, as an exit code; 0: it has not, or all is done.", [(of, state.code)]),
        ("nodes", "How many nodes are in which state.", _each(of, "state", _NODE_STATES, nodes)),
        ("steps", "How many steps are in which state.", _each(of, "status", [s.value for s in Status], steps)),
        ("incidents", "Failures, pauses, decisions and the like so far.", [(of, len(state.incidents))]),
    )  # fmt: skip
    return "".join(_family(f"ctmupgrade_run_{name}", text, samples) for name, text, samples in families)


def _each(of: Mapping[str, str], label: str, names: Iterable[str], found: Mapping[str, int]) -> list[Sample]:
    return [({**of, label: name}, found.get(name, 0)) for name in names]


def _family(name: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(one)}"' for label, one in labels.items())
        lines.append(f"{name}{{{pairs}}} {value:.3f}".removesuffix(".000"))
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
