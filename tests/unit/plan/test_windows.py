"""A plan in its maintenance window: clock times, zones, what fits."""

from __future__ import annotations

from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.steps import RemoveNode, RunUpgrade, Settle, StageArchive, Step
from ctmupgrade.core.plan.windows import fit_lines, fit_summary, latest, not_begun, window_fit

T = datetime.fromisoformat
MINUTE = 60


def chain(*names: str, staging: int = 30) -> list[Step]:
    """Nodes one after another: 40 minutes of script and 20 of settling each, after an upload."""
    steps = [Step("stage", names[0], StageArchive(), "", (), staging * MINUTE)]
    before = "stage"
    for name in names:
        steps.append(Step(f"upgrade:{name}", name, RunUpgrade(), "", (before,), 40 * MINUTE))
        steps.append(Step(f"settle:{name}", name, Settle(), "", (f"upgrade:{name}",), 20 * MINUTE))
        before = f"settle:{name}"
    return steps


def fit(window: Window, now: str, steps: list[Step], **more: object):  # type: ignore[no-untyped-def]
    found = window_fit(window, steps, more.pop("strategy", StrategyName.IN_PLACE), T(now), **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_two_of_three_fit_with_their_clock_times() -> None:
    window = Window(T("2026-12-05T22:00:00+01:00"), T("2026-12-06T00:30:00+01:00"))
    found = fit(window, "2026-12-05T12:00:00+00:00", chain("a", "b", "c"))
    assert (found.fitting, found.partial, found.whole) == (2, True, False)
    assert fit_summary(found).startswith("2 of 3 nodes fit into the maintenance window from 2026-12-05 22:00")
    lines = list(fit_lines(found))
    assert lines[0] == "a: 2026-12-05 22:00+01:00 to 23:00, at worst 23:15", "uploads are done before"
    assert lines[2].endswith("does not fit") and "2026-12-06 00:00+01:00" in lines[2]


def test_uploads_that_are_late_take_their_time_from_the_window() -> None:
    window = Window(T("2026-12-05T22:00:00+01:00"), T("2026-12-06T00:30:00+01:00"))
    found = fit(window, "2026-12-05T21:10:00+00:00", chain("a", "b", "c"))
    assert next(iter(fit_lines(found))).startswith("a: 2026-12-05 22:40+01:00 to 23:40")
    assert found.fitting == 1


def test_the_night_in_which_the_clocks_go_back_has_an_hour_more() -> None:
    """Berlin, 2026-10-25: 03:00 +02:00 is 02:00 +01:00. From 22:00 to 02:30 are five and a half hours, not four and a half."""
    window = Window(T("2026-10-24T22:00:00+02:00"), T("2026-10-25T02:30:00+01:00"))
    found = fit(window, "2026-10-24T12:00:00+02:00", chain("a", "b", "c", "d", "e"))
    assert found.fitting == 5
    assert fit_summary(found).endswith("from 2026-10-24 22:00+02:00 to 2026-10-25 02:30+01:00")
    assert "2026-10-24 21:00+01:00" in next(iter(fit_lines(found))), "each time says its offset"


def test_the_night_in_which_the_clocks_go_forward_has_an_hour_less() -> None:
    window = Window(T("2026-03-28T22:00:00+01:00"), T("2026-03-29T03:30:00+02:00"))
    assert fit(window, "2026-03-28T12:00:00+01:00", chain("a", "b", "c", "d", "e")).fitting == 4


def test_none_overtakes_one_that_does_not_fit() -> None:
    window = Window(None, T("2026-12-05T23:00:00+00:00"))
    steps = [
        Step("upgrade:a", "a", RunUpgrade(), "", (), 3 * 3600),
        Step("upgrade:b", "b", RunUpgrade(), "", (), 60),
    ]
    found = fit(window, "2026-12-05T22:00:00+00:00", steps)
    assert [times.fits for times in found.nodes] == [False, True] and found.fitting == 0


def test_what_is_seconds_too_long_is_not_told_as_fitting() -> None:
    """A node that would be done at 23:40:42 does not fit until 23:40, and the message must not say "until 23:40"."""
    window = Window(None, T("2026-12-05T23:40:00+01:00"))
    assert latest(window, T("2026-12-05T22:40:42+00:00")) == "2026-12-05 23:41+01:00"
    assert latest(window, T("2026-12-05T22:40:00+00:00")) == "2026-12-05 23:40+01:00"


def test_what_is_done_needs_no_room() -> None:
    window = Window(None, T("2026-12-06T00:30:00+00:00"))
    steps = chain("a", "b")
    over = {step.id for step in steps if step.id != "settle:b" and step.id != "upgrade:b"}
    found = fit(window, "2026-12-05T23:00:00+00:00", steps, over=over)
    assert [times.node for times in found.nodes] == ["b"] and found.whole


def test_a_rebuild_fits_as_a_whole_or_not_at_all() -> None:
    window = Window(None, T("2026-12-06T00:30:00+00:00"))
    steps = [Step("remove:b", "b", RemoveNode("a", "1"), "", (), 60), *chain("a", "b", staging=0)]
    rebuild = StrategyName.REBUILD
    assert not fit(window, "2026-12-05T22:30:00+00:00", steps, strategy=rebuild).whole
    found = fit(window, "2026-12-05T21:30:00+00:00", steps, strategy=rebuild)
    assert found.whole and not found.partial and len(found.nodes) == 1
    assert "the whole rebuild fits" in fit_summary(found)


def test_a_plan_of_an_earlier_version_does_not_tell_the_worst() -> None:
    assert worst_of(Step("u", "a", RunUpgrade(), "", (), 60)) == 1860
    assert worst_of(Step("u", "a", RunUpgrade(), "", (), 4000)) == 5000
    assert worst_of(Step("s", "a", Settle(), "", (), 60)) == 75
    assert worst_of(Step("u", "a", RunUpgrade(), "", (), 60, worst_s=90)) == 90


def test_a_window_without_an_end_has_room_for_all() -> None:
    start = T("2026-12-05T22:00:00+01:00")
    assert window_fit(Window(start), chain("a"), StrategyName.IN_PLACE, start) is None
    assert not_begun(Window(start), start - timedelta(seconds=1)).endswith("2026-12-05 22:00+01:00")
    assert not_begun(Window(start), start) == ""
