"""Where a run is, as JSON: the same that ``status`` and the board say in words. Fields may be added, never changed."""

from __future__ import annotations

from datetime import datetime

from ctmupgrade.core.overview.activity import Activity
from ctmupgrade.core.overview.forecast import Span
from ctmupgrade.core.overview.overview import Group, NodeRow, Overview, Work


def progress_document(view: Overview, news: str) -> dict[str, object]:
    """Return it. Times are ISO 8601, durations seconds; null is "not known" or "there is none".

    :param news: the last thing that happened.
    """
    window, health = view.doing.window, view.health
    return {
        "at": _time(view.at),
        "since": _time(view.state.started),
        "elapsed_s": view.elapsed_s,
        "title": view.title,
        "by": view.state.by,
        "step": view.step,
        "steps": view.steps,
        "nodes": len([row for row in view.rows if row.group != "unchanged"]),
        **{f"nodes_{name}": len(view.group(group)) for name, group in _GROUPS},
        "left": _span(view.span),
        "window": {"start": _time(window.start), "finish_by": _time(window.finish_by)},
        "versions_before": list(view.versions_before),
        "target": view.state.plan.target.version,
        "health": {
            "in_service": [name for name in health.nodes if name not in health.away],
            "out_of_service": list(health.away),
            "all_ready_and_connected_at": _time(health.ready_at),
            "versions": {version: list(names) for version, names in health.versions.items()},
        },
        "waits_for": [_work(node, work) for node, work in view.waits],
        "rows": [_row(row) for row in view.rows],
        "last": news,
    }


_GROUPS: tuple[tuple[str, Group], ...] = (
    ("done", "done"), ("in_work", "in work"), ("waiting", "waiting"), ("stuck", "stuck"), ("skipped", "skipped"),
)  # fmt: skip


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _span(span: Span | None) -> dict[str, object] | None:
    """Never a time-out: those are ``gives_up`` of what is waited for."""
    if span is None:
        return None
    return {"begins": _time(span.begins), "expected_end": _time(span.ends), "worst_end": _time(span.worst)}


def _row(row: NodeRow) -> dict[str, object]:
    return {
        "node": row.name,
        "version": row.version or None,
        "state": row.state,
        "phase": row.phase,
        "left": _span(row.span),
        "out_of_service_s": row.took_s,
        "why": row.why,
    }


def _work(node: str, work: Work) -> dict[str, object]:
    return {
        "node": node or None,
        "step": work.step,
        "phase": work.phase,
        "since": _time(work.since),
        "elapsed_s": work.elapsed_s,
        "usual_s": work.usual_s,
        "worst_s": work.worst_s,
        "said": _said(work.activity) if work.activity else None,
    }


def _said(said: Activity) -> dict[str, object]:
    upload = {"bytes": said.done, "of": said.total, "bytes_s": round(said.rate), "left_s": said.left_s}
    return {
        "text": said.what,
        "at": _time(said.seen),
        "gives_up": _time(said.gives_up),
        "upload": upload if said.total else None,
    }
