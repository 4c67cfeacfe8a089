"""Printed commands that work as they are printed: with the options that say where the cluster's files are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.core.modes import StrategyName

if TYPE_CHECKING:
    from ctmupgrade.cli.given import Common
    from ctmupgrade.core.checks.findings import Finding
    from ctmupgrade.core.plan.plan import Plan
    from ctmupgrade.core.run.report import Report

_COMMANDS = (
    "init|verify|check|notify|plan|runbook|backup|stage|runs|run|resume|status|watch|pause|abort|recover|restore|drill|"
    "report|serve|record|handover|take-over|node (?:retry|skip|done)"
)
_RUN = r"\d{8}T\d{6}-[0-9a-f]{7}"  # an id, as commands.runs makes them
_OURS = re.compile(
    rf"\bctmupgrade (?!runs on )(?:node (?:retry|skip|done) {_RUN} \S+|(?:{_COMMANDS})(?![\w-])(?: {_RUN})?)(?P<rest>(?:(?!\bctmupgrade )[^\n;`])*)"
)


def options_of(common: Common) -> list[tuple[str, str]]:
    """Return the options that every command needs here, with their values quoted for a shell."""
    given = (
        ("-c", None if str(common.cluster) == "cluster.yaml" else common.cluster),
        ("--state-dir", common.state_dir),
        ("--simulate", common.simulate),
        ("--strategy", common.strategy.value if common.strategy else None),
    )
    return [(option, shlex.quote(str(value))) for option, value in given if value is not None]


def place_words(common: Common) -> str:
    """Return the same as they are typed, each with a blank before it."""
    return "".join(f" {option} {value}" for option, value in options_of(common))


def from_anywhere(common: Common) -> Common:
    """Return the common options as they are typed in any folder: a page is read on another day, in another shell."""
    if common.simulate:
        place = replace(common, simulate=common.simulate.absolute())
    else:
        place = replace(common, cluster=(common.cluster or Path("cluster.yaml")).absolute())
    return replace(place, state_dir=common.state_dir.absolute()) if common.state_dir else place


def of_run(common: Common, files: Mapping[str, str]) -> Common:
    """Return the common options with which a run is found again.

    :param files: where the run's files are, from its journal, and the strategy that was typed; an old one does not say it.
    """
    typed = next((one for one in StrategyName if one.value == files.get("strategy")), None)
    if "simulate" in files:
        here = common.simulate and str(common.simulate.absolute()) == files["simulate"]
        fixture = common.simulate if here else Path(files["simulate"])
        return replace(common, simulate=fixture, cluster=Path("cluster.yaml"), strategy=typed)
    told = files.get("cluster", "")
    if not told:
        return replace(common, strategy=typed)
    here = common.cluster is not None and str(common.cluster.absolute()) == told
    cluster = common.cluster if here else Path(told)
    return replace(common, cluster=cluster, simulate=None, strategy=typed)


def placed(text: str, common: Common) -> str:
    """Return a text whose commands of ours have the options that they need."""
    options = options_of(common)

    def with_options(found: re.Match[str]) -> str:
        rest = found["rest"]
        more = "".join(f" {option} {value}" for option, value in options if f"{option} " not in f"{rest} ")
        return f"{found[0].removesuffix(rest)}{more}{rest}" if rest else f"{found[0]}{more}"

    return _OURS.sub(with_options, text) if options else text


def placed_findings(found: Iterable[Finding], common: Common) -> tuple[Finding, ...]:
    """Return findings whose remedies work as they are printed."""
    return tuple(replace(finding, remedy=placed(finding.remedy, common)) for finding in found)


def placed_plan(plan: Plan, common: Common) -> Plan:
    """Return a plan whose notes have commands that work as they are printed."""
    return replace(plan, notes=tuple(placed(note, common) for note in plan.notes))


def placed_report(report: Report, common: Common) -> Report:
    """Return a report whose commands work as they are printed."""

    journal = report.journal
    if journal is not None:
        check = f"ctmupgrade report {report.run} --verify --head {journal.head}"
        journal = replace(journal, check=placed(check, common))

    def all_of(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(placed(text, common) for text in texts)

    return replace(
        report, journal=journal,
        steps=tuple(replace(step, remedy=placed(step.remedy, common)) for step in report.steps),
        incidents=tuple(replace(one, remedy=placed(one.remedy, common)) for one in report.incidents),
        notes=all_of(report.notes), pending_reboots=all_of(report.pending_reboots), left_behind=all_of(report.left_behind),
    )  # fmt: skip
