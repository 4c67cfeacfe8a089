"""The runbook: all that a person needs to do the work without the tool, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.clients import WHOLE
from ctmupgrade.core.plan.option_words import option_words
from ctmupgrade.core.plan.phases import Phase, phase_of_step, phases
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import JoinNode, RunUpgrade, Step
from ctmupgrade.core.plan.time_words import about as usual_and_worst
from ctmupgrade.core.plan.windows import fit_lines, fit_summary, window_fit, window_words
from ctmupgrade.render.back_out import phase_parts
from ctmupgrade.render.go_no_go import Checked, go_parts
from ctmupgrade.render.logins import logins, ways_in
from ctmupgrade.render.manual import Book
from ctmupgrade.render.page import (
    BLANK,
    Bullets,
    Heading,
    Lines,
    Mono,
    Page,
    Part,
    Strong,
    Table,
    Ticks,
    rows,
    said,
)
from ctmupgrade.render.page_markdown import page_markdown
from ctmupgrade.render.runbook_steps import step_parts, timeline, turning_point


@dataclass(frozen=True, slots=True)
class About:
    """Who wrote it and for which change; "" leaves a line to write on.

    :ivar place: the options that every command of ours needs here, with a blank before each.
    """

    change: str = ""
    author: str = ""
    place: str = ""


def runbook_page(
    plan: Plan, cluster: Cluster, facts: Facts, findings: tuple[Finding, ...], about: About | None = None
) -> Page:
    """Return the plan as a runbook, with the manual command for every step."""
    about = about or About()
    book = Book.of_facts(plan, cluster, facts)
    parts = [
        *_title(plan, cluster, facts, about),
        *_people(cluster),
        *_clients(plan),
        *_window(plan, cluster, facts),
        *_prerequisites(cluster, f"{option_words(plan)}{about.place}"),
        *go_parts(Checked(plan, cluster, facts, findings), book, f"{option_words(plan)}{about.place}"),
        *turning_point(plan, cluster, facts),
        *timeline(plan, cluster, facts),
        Heading(2, "Logins"),
        Bullets(tuple(logins(cluster))),
        said("Try every way in once, before the window; each must answer, and none asks for a password:"),
        Lines(ways_in(cluster)),
        *step_parts(plan, book, facts, about.place),
        *_back_out(plan, book, about.place),
        *_verification(plan, cluster, book, about.place),
        *_sign_off(),
    ]
    short = f"{plan.cluster} to {plan.target.version}, plan {plan.id}" + (
        f", {about.change}" if about.change else ""
    )
    return Page(short, tuple(parts))


def runbook_markdown(
    plan: Plan, cluster: Cluster, facts: Facts, findings: tuple[Finding, ...], about: About | None = None
) -> str:
    """Return the same as Markdown."""
    return page_markdown(runbook_page(plan, cluster, facts, findings, about))


def _title(plan: Plan, cluster: Cluster, facts: Facts, about: About) -> Iterator[Part]:
    yield Heading(1, f"Runbook: {plan.cluster} to {plan.target.version} ({plan.strategy.value})")
    versions = " and ".join(dict.fromkeys(v or "not known" for v in plan.versions.values())) or "not known"
    yield Table(
        "What this runbook is for",
        ("item", "value"),
        rows(
            ("Cluster", plan.cluster),
            ("Versions", f"from {versions} to {plan.target.version}"),
            ("Strategy", plan.strategy.value),
            ("Archive", Mono(plan.target.archive)),
            ("SHA-256", Mono(plan.target.sha256) if plan.target.sha256 else "not known"),
            ("Signed by", Mono(plan.target.signer)),
            ("Change number", about.change or BLANK),
            ("Author", about.author or BLANK),
            ("Written", facts.at.isoformat(" ", "minutes")),
            ("Maintenance window", window_words(cluster.window)),
            (
                "Usual time",
                f"{usual_and_worst(plan.critical_path_s(), plan.critical_path_s(worst=True))} in all",
            ),
            ("Plan", Mono(plan.id)),
        ),
    )
    yield Table(
        "Nodes, in the order of cluster.yaml",
        ("node", "SSH", "control plane", "among the nodes", "version"),
        rows(*(
            (n.name, Mono(f"{n.ssh.user}@{n.host}"), Mono(n.url), n.address_among_nodes or n.cluster_host,
             plan.versions.get(n.name, "") or "not known")
            for n in (*cluster.nodes, *cluster.fresh)
        )),
    )  # fmt: skip


def _people(cluster: Cluster) -> Iterator[Part]:
    roles = (
        "leads the change, decides go or no-go",
        "types the commands",
        "reads along and ticks",
        "speaks for the clients",
    )
    known = [(c.name, c.role, c.phone, c.mail) for c in cluster.contacts]
    blank = [(BLANK, role, BLANK, "") for role in roles if role not in {c.role for c in cluster.contacts}]
    yield Heading(2, "Roles and contacts")
    yield Table(
        "Whom to call",
        ("name", "role", "phone", "mail"),
        rows(*known, *blank, (BLANK, "vendor support, case number", BLANK, "")),
    )


def _clients(plan: Plan) -> Iterator[Part]:
    yield Heading(2, "What clients notice")
    if whole := plan.clients.get(WHOLE, ""):
        yield said(Strong(whole))
    if plan.notes:
        yield Bullets(tuple((note,) for note in plan.notes))


def _window(plan: Plan, cluster: Cluster, facts: Facts) -> Iterator[Part]:
    fit = window_fit(cluster.window, plan.steps, plan.strategy, facts.at)
    if fit is None:
        return
    yield Heading(2, "Maintenance window")
    yield said(f"{fit_summary(fit)}.", warning=not fit.whole)
    yield Bullets(tuple((line,) for line in fit_lines(fit)))
    if fit.partial:
        yield said(
            "The cluster is then left with two versions until the next window: begin no node that does not fit.",
            warning=True,
        )


def _prerequisites(cluster: Cluster, options: str) -> Iterator[Part]:
    yield Heading(2, "Prerequisites")
    ctm = f"ctmupgrade check{options}"
    yield Ticks((
        ("The archive ", Mono(str(cluster.target.archive)), " is on this machine, and the key of its signer",
         *((" in ", Mono(str(cluster.target.keyring))) if cluster.target.keyring else ()), "."),
        ("SSH to every node works without a password prompt (the part \"Logins\" tries it); the passwords of ksctl and of the backup keys are known to two people.",),
        ("A console of every node (hypervisor or management port) was opened once: a node that does not come back can be seen only there.",),
        (Mono(str(cluster.backup.directory)), " has room for a backup of every node, and only you can read it."),
        ("Nobody else changes the cluster meanwhile: no other change, no scheduled backup, no snapshot.",),
        ("This page is printed or on a machine that does not depend on the cluster's keys.",),
        ("With the tool: ", Mono(ctm), " ends with exit code 0."),
    ))  # fmt: skip


def _back_out(plan: Plan, book: Book, place: str) -> Iterator[Part]:
    yield Heading(2, "The way back")
    yield said(
        "What can be undone, and what cannot, depends on how far the work is. Read the part of the phase that was reached last."
    )
    found = phases(plan)
    for phase in found:
        first = next((n for n, s in enumerate(plan.steps, 1) if phase_of_step(plan, s) is phase), 1)
        yield Heading(3, f"From step {first} on: {phase.value}")

        def begun(step: Step, reached: Sequence[Phase] = found[: found.index(phase) + 1]) -> bool:
            return phase_of_step(plan, step) in reached

        yield from phase_parts(phase, book, begun, place)


def _verification(plan: Plan, cluster: Cluster, book: Book, place: str) -> Iterator[Part]:
    done = [n for n in (*cluster.nodes, *cluster.fresh) if any(
        s.node == n.name and isinstance(s.action, RunUpgrade | JoinNode) for s in plan.steps)]  # fmt: skip
    others = [
        f"{n.name} ({plan.versions.get(n.name) or 'version not known'})"
        for n in cluster.nodes
        if n not in done
    ]
    yield Heading(2, "Verification")
    if others:
        yield said(f"Not in this plan, and as before: {', '.join(others)}.")
    yield Ticks((
        (f"Every node of this plan: the version is {plan.target.version}, and every service is started or disabled on purpose.",),
        *((("Every node reports every other one as ready and connected.",),) if len(cluster.nodes) > 1 else ()),
        ("No alarm of the appliance itself is on that was not on before.",),
        ("The settings recorded before are compared; licences, time servers, interfaces and their certificates are as before.",),
        ("A client of each kind reads and uses a test key through every node: ", BLANK),
        ("With the tool: ", Mono(f"ctmupgrade report --verify{place}"), " ends with exit code 0, and the report is kept with the change."),
        ("The backups made before are kept until the next ones of the new version are downloaded.",),
    ))  # fmt: skip
    for node in done:
        yield said(Strong(f"{node.name}:"))
        yield Lines(tuple(book.well(node, clustered=len(cluster.nodes) > 1)))


def _sign_off() -> Iterator[Part]:
    yield Heading(2, "Sign-off")
    who = (
        "Go: leads the change",
        "Work done: typed the commands",
        "Seen: read along",
        "Clients work again: speaks for the clients",
    )
    yield Table(
        "Signatures",
        ("what", "name", "signature", "date and time"),
        rows(*((one, BLANK, BLANK, BLANK) for one in who)),
    )
