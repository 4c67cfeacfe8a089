"""``run --plan FILE``: what was reviewed is what is done, or nothing is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.codec import plan_to_json, sealed
from ctmupgrade.commands import check
from ctmupgrade.commands import run as running
from ctmupgrade.commands.plan_file import (
    ReviewedPlan,
    ReviewedPlanError,
    read_plan,
    refuse_difference,
    with_options_of,
)
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import setup
from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.errors import BlockedError, UsageError
from ctmupgrade.render.documents import times_document
from tests.support.world_run import world_of

SCENARIOS = Path(__file__).parents[1] / "fixtures" / "scenarios"
Document = dict[str, Any]


def _planned(scenario: str, folder: Path) -> Plan:
    with setup(CommandRequest(state_dir=folder, simulate=SCENARIOS / scenario)) as made:
        return check.plan(made)[1]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    folder = tmp_path_factory.mktemp("plans")
    return {name: _planned(name, folder) for name in ("healthy-three", "rebuild-three", "standalone")}


def _reviewed(document: Document, folder: Path) -> ReviewedPlan:
    """As it comes from the disk."""
    place = folder / "plan.json"
    place.write_text(json.dumps(document))
    return read_plan(place)


def _file_of(now: Plan) -> Document:
    """What ``plan -o`` writes."""
    document: Document = json.loads(json.dumps(sealed(plan_to_json(now) | {"times": times_document(now)})))
    return document


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from _leaves(part, (*path, key))
    if not isinstance(value, dict | list) or not value:
        yield path


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return ["x"]
        case _:
            return "x"


@pytest.mark.parametrize("name", ["healthy-three", "rebuild-three", "standalone"])
def test_a_change_of_any_field_is_refused(plans: dict[str, Plan], name: str) -> None:
    now = plans[name]
    document = _file_of(now)
    for path in _leaves(document):
        changed = copy.deepcopy(document)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = _other(place[path[-1]])
        with pytest.raises(ReviewedPlanError):
            refuse_difference(ReviewedPlan(Path("plan.json"), changed, now), now)
    refuse_difference(ReviewedPlan(Path("plan.json"), document, now), now)


@pytest.mark.parametrize("name", ["healthy-three", "rebuild-three", "standalone"])
def test_a_change_of_any_field_is_refused_with_a_digest_that_fits(plans: dict[str, Plan], name: str) -> None:
    """Who can write the file can seal it: each field is compared with our own plan besides. Times decide nothing."""
    now = plans[name]
    document = _file_of(now)
    compared = [
        path
        for path in _leaves(document)
        if path[0] not in ("schema", "window", "times", "digest")
        and path[-1] not in ("estimate_s", "worst_s")
    ]
    assert {path[0] for path in compared} >= {"steps", "basis", "clients", "id"}
    for path in compared:
        changed = copy.deepcopy(document)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = _other(place[path[-1]])
        del changed["digest"]
        with pytest.raises(ReviewedPlanError) as refused:
            refuse_difference(ReviewedPlan(Path("plan.json"), sealed(changed), now), now)
        assert "digest" not in refused.value.brief


@pytest.mark.parametrize("name", ["healthy-three", "rebuild-three", "standalone"])
def test_a_file_that_lacks_any_step_is_refused_as_different(
    plans: dict[str, Plan], name: str, tmp_path: Path
) -> None:
    """As somebody's editor leaves it: the steps after it still name the one that is gone."""
    now = plans[name]
    document = _file_of(now)
    for number in range(len(document["steps"])):
        changed = copy.deepcopy(document)
        del changed["steps"][number]
        with pytest.raises(ReviewedPlanError):
            refuse_difference(_reviewed(changed, tmp_path), now)
    changed = copy.deepcopy(document)
    changed["steps"].reverse()
    with pytest.raises(ReviewedPlanError):
        refuse_difference(_reviewed(changed, tmp_path), now)


def _without(*kinds: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        steps = [s for s in document["steps"] if s["action"] not in kinds]
        left = {s["id"] for s in steps}
        document["steps"] = [{**s, "after": [a for a in s["after"] if a in left]} for s in steps]

    return change


def _all_at_once(document: Document) -> None:
    for step in document["steps"]:
        step["after"] = []
        if step["action"] == "upgrade":
            step["details"]["alone"] = True


def _ghost(document: Document) -> None:
    """SECURITY C2 c."""
    details = {"kind": "reset", "via": ""}
    step = {"id": "reset:ctm-1", "node": "", "action": "reset", "details": details, "why": "", "after": []}
    document["steps"] = [{**step, "estimate_s": 1, "holders": -1}]
    document["versions"]["ghost"] = "2.20.0"


def _unknown_field(document: Document) -> None:
    document["steps"][0]["force"] = True


def _twice(document: Document) -> None:
    document["steps"].append(document["steps"][0])


def _other_order(document: Document) -> None:
    document["steps"].reverse()


CHANGES = {
    "no verification, no backup, no gate": _without("verify-archive", "backup", "gate", "await", "settle"),
    "no backup": _without("backup"),
    "no settings": _without("record-settings"),
    "all at once": _all_at_once,
    "a ghost": _ghost,
    "an unknown field": _unknown_field,
    "a step twice": _twice,
    "another order": _other_order,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_plan_that_was_changed_changes_nothing(plans: dict[str, Plan], tmp_path: Path, what: str) -> None:
    document = json.loads(json.dumps(plan_to_json(plans["healthy-three"])))
    CHANGES[what](document)
    reviewed = _reviewed(document, tmp_path)
    with setup(CommandRequest(state_dir=tmp_path, simulate=SCENARIOS / "healthy-three")) as made:
        with pytest.raises(ReviewedPlanError) as refused:
            running.run(made, running.RunOptions(reviewed=reviewed))
        assert not list(world_of(made).changes())
    assert refused.value.exit_code == 3
    assert "step" in refused.value.brief


def test_the_differences_are_named_in_words(plans: dict[str, Plan]) -> None:
    now = plans["healthy-three"]
    document = json.loads(json.dumps(plan_to_json(now)))
    _without("verify-archive")(document)
    document["target"]["signer"] = "0" * 40
    with pytest.raises(ReviewedPlanError) as refused:
        refuse_difference(ReviewedPlan(Path("plan.json"), document, now), now)
    said = f"{refused.value.brief}\n{refused.value.details}"
    assert f"target.signer: was {'0' * 40}" in said
    assert "step verify-archive: it is not in the file" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skips", (("backup_downloaded_with_key", "x"),)),
        ("force_path", True),
        ("allow_downgrade", True),
        ("accept_attended_boot", True),
        ("shared_hsm_partition", True),
        ("fresh", (("ctm-1", "10.9.9.9"),)),
    ],
)
def test_a_file_loosens_no_safeguard(plans: dict[str, Plan], tmp_path: Path, name: str, value: Any) -> None:
    document = json.loads(json.dumps(plan_to_json(plans["healthy-three"])))
    document["options"][name] = value
    with pytest.raises(BlockedError):
        with_options_of(_reviewed(document, tmp_path), Options())
    assert getattr(with_options_of(_reviewed(document, tmp_path), Options(**{name: value})), name) == value


def test_harmless_options_are_taken_from_the_file(plans: dict[str, Plan], tmp_path: Path) -> None:
    document = json.loads(json.dumps(plan_to_json(plans["healthy-three"])))
    document["options"]["order"] = ["ctm-3", "ctm-2", "ctm-1"]
    assert with_options_of(_reviewed(document, tmp_path), Options()).order == ("ctm-3", "ctm-2", "ctm-1")
    assert with_options_of(_reviewed(document, tmp_path), Options(order=("ctm-2",))).order == ("ctm-2",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"not JSON", "it is not a plan: not JSON, or cut short (line 1, column 1)"),
        (b'{"steps": ', "it is not a plan: not JSON, or cut short (line 1"),
        (b'{"cluster": "a", "cluster": "b"}', "it is not a plan: a key is there twice"),
        (b"{} {}", "it is not a plan: there is more behind its end"),
        (b"[1]", "it is not a plan"),
        (b'{"steps": ["x"]}', "it is not a plan"),
        (b'{"steps": [[1]]}', "it is not a plan"),
        (b"\xff\xfe", "it is no text"),
        (b"[" * 200_000, "64 levels"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number of 5000 digits"),
    ],
)
def test_a_file_that_is_no_plan_is_named_in_plain_words(tmp_path: Path, text: bytes, said: str) -> None:
    place = tmp_path / "plan.json"
    place.write_bytes(text)
    with pytest.raises(UsageError) as refused:
        read_plan(place)
    assert "plan.json" in refused.value.brief
    assert said in refused.value.brief


def test_a_file_that_cannot_be_read_is_named_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_plan(tmp_path / "gone.json")
    with pytest.raises(UsageError, match="it is no file"):
        read_plan(tmp_path)


@pytest.mark.parametrize("schema", [2, 1.0, True, "1", None])
def test_a_plan_of_another_schema_is_none_of_ours(
    plans: dict[str, Plan], tmp_path: Path, schema: object
) -> None:
    document = json.loads(json.dumps(plan_to_json(plans["healthy-three"]))) | {"schema": schema}
    with pytest.raises(UsageError, match="it is not a plan of this version: schema 1 is expected"):
        _reviewed(document, tmp_path)


def test_times_that_were_changed_in_the_file_are_named(plans: dict[str, Plan], tmp_path: Path) -> None:
    """They decide nothing; but somebody has read them, and agreed to an outage of that length."""
    now = plans["healthy-three"]
    whole = _file_of(now)
    refuse_difference(_reviewed(whole, tmp_path), now)
    upgrade = next(n for n, step in enumerate(whole["steps"]) if step["action"] == "upgrade")
    of_times = [path for path in _leaves(whole) if path[0] == "times"]
    for path in [*of_times, ("steps", upgrade, "estimate_s"), ("steps", upgrade, "worst_s")]:
        changed = copy.deepcopy(whole)
        place: Any = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = _other(place[path[-1]])
        with pytest.raises(ReviewedPlanError, match="times: they are not the sums"):
            refuse_difference(_reviewed(changed, tmp_path), now)


def test_what_runs_have_taught_since_is_no_difference(plans: dict[str, Plan]) -> None:
    """``plan -o``, ``stage``, ``run --plan``: the uploads have told how fast the links are."""
    now = plans["healthy-three"]
    steps = tuple(replace(step, estimate_s=7, worst_s=9) for step in now.steps)
    document = _file_of(now)
    taught = {name: said.replace("38 min", "1 h 04 min") for name, said in now.clients.items()}
    assert taught != now.clients
    refuse_difference(
        ReviewedPlan(Path("plan.json"), document, now), replace(now, steps=steps, clients=taught)
    )
