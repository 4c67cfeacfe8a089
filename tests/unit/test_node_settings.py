"""Settings before and after: what counts as a difference."""

from __future__ import annotations

from typing import Any

import pytest

from ctmupgrade.core.node_settings import differences

EMPTY: tuple[Any, ...] = ({"resources": []}, {"resources": None}, {}, [], {"resources": [], "total": 0})


@pytest.mark.parametrize("after", EMPTY, ids=repr)
@pytest.mark.parametrize("before", EMPTY, ids=repr)
def test_an_empty_list_is_empty_in_every_spelling(before: Any, after: Any) -> None:
    assert list(differences({"hsm": before}, {"hsm": after})) == []


def test_what_is_gone_or_new_is_told() -> None:
    one = {"resources": [{"name": "a", "on": False}]}
    for before, after in ((one, EMPTY[0]), (EMPTY[1], one), (one, {"resources": [{"name": "a"}]})):
        assert [name for name, _ in differences({"hsm": before}, {"hsm": after})] == ["hsm"]
