"""What must be so before the work begins, as a list to tick: what the checks found, each thing once, and what no check sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.plan.windows import fit_summary, window_fit
from ctmupgrade.render.alike import MOST_REMEDIES, alike, rest_of
from ctmupgrade.render.manual import Book
from ctmupgrade.render.once import names_itself
from ctmupgrade.render.page import BLANK, Heading, Mono, Part, Strong, Ticks, Words, said

_ORDER = (Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN, Verdict.SKIPPED)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and what of."""

    plan: Plan
    cluster: Cluster
    facts: Facts
    findings: tuple[Finding, ...]


def go_parts(checked: Checked, book: Book, place: str) -> Iterator[Part]:
    """Yield the list. :param place: the options that every command of ours needs here."""
    found, at = checked.findings, checked.facts.at.isoformat(" ", "minutes")
    ids = {finding.check for finding in found}
    stopping = {f.check for f in found if f.verdict is not Verdict.PASS}
    yield Heading(2, "Go or no-go")
    yield said(
        f"{len(ids) - len(stopping)} of {len(ids)} checks passed on {at}. They must pass again right before the work: ",
        Mono(f"ctmupgrade check{place}"),
        ". No-go where a box stays empty.",
    )
    items = [*_found(checked, book), *_standing(checked)]
    yield Ticks(tuple(items))
    yield said(Strong("Decision: "), f"GO / NO-GO   by {BLANK}   at {BLANK}")


def _found(checked: Checked, book: Book) -> Iterator[Words]:
    nodes = (*checked.cluster.nodes, *checked.cluster.fresh)
    for verdict in _ORDER:
        for group in alike([f for f in checked.findings if f.verdict is verdict], nodes):
            first, names = group[0], [f.node for f in group if f.node]
            named = not names or names_itself(names, first.summary)
            where = "" if named else f" {node_list(names, len(checked.cluster.nodes))}:"
            remedies = list(dict.fromkeys(book.addressed(f.remedy, f.node) for f in group if f.remedy))
            yield (
                Strong(f"{verdict.value} "),
                f"{first.check}:{where} {first.summary}",
                *_remedies(remedies),
            )


def _remedies(remedies: Sequence[str]) -> Iterator[str | Mono]:
    for number, remedy in enumerate(remedies[:MOST_REMEDIES]):
        yield ". To do: " if number == 0 else "; "
        yield Mono(remedy)
    if rest := rest_of(remedies):
        yield f"; {rest}"


def _standing(checked: Checked) -> Iterator[Words]:
    plan, cluster = checked.plan, checked.cluster
    fit = window_fit(cluster.window, plan.steps, plan.strategy, checked.facts.at)
    if fit is not None and not fit.whole:
        accepted = (
            "the owner of the cluster accepts that it is left with two versions"
            if fit.partial
            else "the window is made longer"
        )
        yield (Strong("window "), f"{fit_summary(fit)}: {accepted}.")
    yield (
        "The change is approved for the window above, and everybody in the list of contacts can be reached in it.",
    )
    yield ("The owners of the clients know what they will notice, and agreed.",)
    yield (
        "A backup of every node and the key that opens it are downloaded, and somebody else knows where they are.",
    )
    yield (
        "An image or an archive of the old version is at hand, and vendor support can be called in the window.",
    )
    yield ("Every page of the checks that are not passed was read, and who decided is written beside it.",)
