"""docs/crash-matrix.md: how many moments of which kind there are, from an uninterrupted run of each scenario."""

from __future__ import annotations

from collections import Counter

from tests.support import crashes

HEAD = """# Crash matrix

Written by `scripts/matrices`; do not edit. For every scenario of `fixtures/scenarios/`, and every lost cluster
of `fixtures/restores/` (a `restore`), the run is killed at one moment after another and resumed by a fresh process on the same world. The end must be that of the uninterrupted
run (exit code, versions, membership, data, settings, backups, files), no upgrade, reboot, removal, cluster
deletion, new cluster or join may have happened twice, and no promise may be broken (`tests/support/promises.py`).

- *journal*: before and after each write of the journal
- *calls*: before a changing call reaches its node and after it ran there; each piece of an upload
- *waits*: in the middle of a wait, at its first two looks and then at every tenth

*fast* is what `scripts/test` does, *full* what `scripts/test --slow` does; where *full* is less than the moments,
it is a seeded sample. Scenarios that the checks block start nothing, so nothing can be interrupted.

| scenario | strategy | ends with | journal | calls | waits | moments | fast | full |
|---|---|---|---:|---:|---:|---:|---:|---:|
"""


def table() -> str:
    """The whole page."""
    rows, totals, blocked = [], [0, 0, 0, 0, 0, 0], []
    for scenario in crashes.scenarios():
        quiet = crashes.calm(scenario)
        if quiet is None:
            blocked.append(scenario)
            continue
        kinds = Counter(moment.kind for moment in quiet.moments)
        sizes = [len(crashes.chosen(scenario, quiet.moments, full=full)) for full in (False, True)]
        numbers = [kinds["journal"], kinds["call"], kinds["tick"], len(quiet.moments), *sizes]
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        cells = " | ".join(str(n) for n in numbers)
        rows.append(f"| {scenario} | {quiet.strategy} | exit {quiet.code} | {cells} |")
    rows.append(f"| **all** | | | {' | '.join(f'**{n}**' for n in totals)} |")
    return HEAD + "\n".join(rows) + f"\n\nBlocked by checks: {', '.join(blocked)}.\n"
