"""What is worse than before, topic by topic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.run.before_after import NOTHING_SEEN, WORSE, compared, looks_after, worse_findings
from ctmupgrade.core.run.observed import Observed, observed_words
from ctmupgrade.core.run.seen_events import NodesSeen, Seen
from ctmupgrade.core.run.topics import MOST_ITEMS, seen_of
from ctmupgrade.render.observed import no_worse

AT = datetime(2026, 1, 10, 21, 0, tzinfo=UTC)
# topic: before, after, what is told ("" where nothing is worse)
CASES = {
    "alarms": ({}, {"Disk Full": "critical"}, "new: Disk Full"),
    "alarms gone": ({"Disk Full": ""}, {}, ""),
    "cluster_errors": ({}, {"no leader": ""}, "new: no leader"),
    "services": ({"nae-kmip": "started"}, {"nae-kmip": "error"}, "nae-kmip was started, is error"),
    "services missing": ({"web": "started"}, {}, "web was started, is gone"),
    "services better": ({"csm": "error"}, {"csm": "started", "new": "starting"}, ""),
    "licences": ({"Virtual": "active"}, {}, "Virtual is gone"),
    "licences worse": ({"Virtual": "active"}, {"Virtual": "expired"}, "Virtual was active, is expired"),
    "interfaces": ({"kmip": "enabled"}, {"kmip": "disabled"}, "kmip was enabled, is disabled"),
    "certificates": ({"web": "a" * 64}, {"web": "b" * 64}, "that of web is another one"),
    "certificates unread": ({"web": "a" * 64}, {}, ""),
    "products": ({"cte": "enabled"}, {"cte": "disabled"}, "cte was enabled, is disabled"),
    "products more": ({"cte": "disabled"}, {"cte": "enabled"}, ""),
    "time_servers": ({"ntp1": "", "ntp2": ""}, {"ntp1": ""}, "ntp2 is gone"),
    "counts": ({"keys": "1000", "users": "7"}, {"keys": "989", "users": "6"}, "keys 1000 -> 989; users 7 -> 6"),
    "counts about": ({"keys": "1000", "domains": "2"}, {"keys": "995", "domains": "2"}, ""),
    "counts unreadable": ({"keys": "٣٣٣", "users": "9" * 400}, {"keys": "x", "users": ""}, ""),
    "cte_clients": ({"healthy": "40"}, {"healthy": "37", "error": "3"}, "healthy 40 -> 37; error 0 -> 3"),
    "cte_clients more": ({"healthy": "40", "error": "3"}, {"healthy": "43"}, ""),
}  # fmt: skip


def looks(before: Seen, *after: Seen):  # type: ignore[no-untyped-def]
    held = looks_after(NOTHING_SEEN, NodesSeen("before", {"ctm-1": before}), AT)
    for seen in after:
        held = looks_after(held, NodesSeen("after_node", {"ctm-1": seen}), AT)
    return held


@pytest.mark.parametrize("case", CASES)
def test_only_what_is_worse_is_a_finding(case: str) -> None:
    topic, (before, after, text) = case.split(" ", maxsplit=1)[0], CASES[case]
    found = list(worse_findings(looks(Seen.of({topic: before}), Seen.of({topic: after}))))
    assert [(f.check, f.node) for f in found] == ([(topic, "ctm-1")] if text else [])
    assert not text or text in found[0].summary
    assert {one.split(" ")[0] for one in CASES} == set(WORSE), "each topic has a case"


def test_what_cannot_be_known_is_told_and_is_no_finding() -> None:
    held = looks(Seen.of({"alarms": {}}), Seen(not_known={"alarms": "no answer"}))
    (line,) = compared(held)
    assert (line.verdict, line.text) == ("not known", "not known now: no answer")
    assert not list(worse_findings(held))
    never = looks(Seen(), Seen.of({"counts": {"keys": "1"}}))
    assert [one.text for one in compared(never)] == ["not known before: nobody looked"]


def test_nothing_is_called_no_worse_that_could_not_be_looked_at() -> None:
    failed = Seen(not_known={"alarms": "no answer"})
    held = looks(Seen.of({"alarms": {}}), failed)
    said = observed_words(NodesSeen("end", {"ctm-1": failed}), Observed(held))
    assert "could be compared" in said and "not known now: ctm-1: alarms" in said
    assert "could be compared" in no_worse(compared(held))
    for unknown_before in (Seen(), failed):
        held = looks(unknown_before, failed)
        assert observed_words(NodesSeen("end", {"ctm-1": failed}), Observed(held)).endswith(
            ": nothing is worse than before the run"
        )
        assert no_worse(compared(held)) == "nothing is worse than before"


def test_a_later_look_that_fails_hides_nothing_of_an_earlier_one() -> None:
    worse = Seen.of({"alarms": {"Disk Full": ""}})
    held = looks(Seen.of({"alarms": {}}), worse, Seen(not_known={"alarms": "no answer"}))
    (finding,) = worse_findings(held)
    assert "new: Disk Full" in finding.summary and "no answer" in finding.summary
    assert not list(worse_findings(looks(Seen.of({"alarms": {}}), worse, Seen.of({"alarms": {}})))), (
        "it is over"
    )


def test_the_first_look_before_counts() -> None:
    held = looks_after(
        looks(Seen.of({"alarms": {}})), NodesSeen("before", {"ctm-1": Seen.of({"alarms": {"x": ""}})}), AT
    )
    assert held.before["ctm-1"].topics["alarms"] == {}


def test_a_look_is_kept_short_clean_and_without_secrets() -> None:
    seen = seen_of({
        "alarms": {"a\x1b[2J\n" + "b" * 500: "password=hunter2hunter2"},
        "products": {str(i): "" for i in range(MOST_ITEMS + 1)},
        "services": Unknown("no\nanswer"),
    })  # fmt: skip
    ((name, value),) = seen.topics["alarms"].items()
    assert len(name) <= 120 and "\x1b" not in name and "\n" not in name and "hunter2" not in value
    assert "too many" in seen.not_known["products"] and seen.not_known["services"] == "no answer"
