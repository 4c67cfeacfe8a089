"""A report as one HTML page without anything from elsewhere: it opens on an isolated machine too."""

from __future__ import annotations

import html

from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.run.report import Report
from ctmupgrade.render.markdown import program_cells
from ctmupgrade.render.once import after_step

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;
border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}
.done{color:#116329}.failed,.needs-operator,.inconclusive{color:#a40e26;font-weight:600}
.pending,.skipped,.unchanged{color:#57606a}code{background:#f3f4f6;padding:.1rem .3rem}
"""


def escape(text: str) -> str:
    """Return a text of anybody's as HTML that shows it."""
    return html.escape(clean(text))


def _row(cells: list[str], kind: str = "td") -> str:
    return "<tr>" + "".join(f"<{kind}>{cell}</{kind}>" for cell in cells) + "</tr>"


def _state(word: str) -> str:
    return f'<span class="{escape(word)}">{escape(word)}</span>'


def report_html(report: Report) -> str:
    """Return what happened, as a page."""
    facts = [
        f"run <code>{escape(report.run)}</code> ({escape(report.mode)}, {escape(report.strategy)}) by "
        f"{escape(report.by)}",
        f"from {escape(report.started)} to {escape(report.finished)}",
        f"state {_state(report.state)}, outcome {_state(report.outcome)}",
        *([escape(report.why)] if report.why else []),
        *[f"waived: <code>{escape(check)}</code>: {escape(reason)}" for check, reason in report.waived],
        *[f"decision: {escape(decision)}" for decision in report.decisions],
        *[escape(note) for note in report.notes],
    ]
    nodes = [
        _row([escape(n.name), escape(n.version_before), escape(n.version_after), _state(n.state)])
        for n in report.nodes
    ]
    steps = [
        _row([
            escape(s.id), _state(s.status), escape(s.started), escape(s.finished),
            "<br>".join(escape(f"{k}: {v}") for k, v in s.evidence.items()) + escape(after_step(s.id, s.error))
            + "".join(f"<br>{escape(note)}" for note in s.notes),
        ])
        for s in report.steps
    ]  # fmt: skip
    incidents = [
        _row([escape(i.time), escape(i.kind), escape(i.step or i.node), escape(after_step(i.step, i.text))
              + (f"<br>{escape('; '.join(i.remedy.splitlines()))}" if i.remedy else ""), escape(i.who)])
        for i in report.incidents
    ]  # fmt: skip
    title = escape(report.title)
    return "\n".join([
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><ul>",
        *[f"<li>{fact}</li>" for fact in facts],
        "</ul><h2>Nodes</h2><table>",
        _row(["node", "before", "after", "state"], "th"), *nodes,
        "</table><h2>Steps</h2><table>",
        _row(["step", "status", "started", "finished", "evidence and notes"], "th"), *steps,
        "</table>",
        *(["<h2>Incidents</h2><table>", _row(["time", "what", "where", "text", "by"], "th"), *incidents, "</table>"]
          if incidents else []),
        *([
            "<h2>Programs of the operator</h2><table>",
            _row(["what", "node", "command", "started", "finished", "exit", "output"], "th"),
            *(_row([escape(cell) for cell in cells]) for cells in program_cells(report)), "</table>",
        ] if report.programs else []),
        *([f"<h2>Journal</h2><p>{report.journal.lines} lines, head <code>{escape(report.journal.head)}</code></p>"]
          if report.journal else []),
        "</body></html>",
    ])  # fmt: skip
