"""Names are resolved within seconds, each once, all at once; a resolver that hangs or lies costs no more."""

from __future__ import annotations

import threading
import time

import pytest

from ctmupgrade.adapters.local.names import MOST, ResolvedNames
from ctmupgrade.core.names import NoNames, address_in


def test_this_machines_own_name_and_addresses() -> None:
    found = ResolvedNames().addresses(
        ["localhost", "127.0.0.1", "[::1]", "::ffff:10.0.0.1", "fe80::1%eth0", ""]
    )
    assert found["localhost"] & {"127.0.0.1", "::1"}
    assert found["127.0.0.1"] == {"127.0.0.1"} and found["[::1]"] == {"::1"}
    assert found["::ffff:10.0.0.1"] == {"10.0.0.1"} and found["fe80::1%eth0"] == {"fe80::1"}
    assert found[""] == frozenset()


@pytest.mark.parametrize("host", ["a" * 300, "\u00e4" * 70, "a..b", "no such\0name", "-", "."])
def test_what_is_no_name_has_no_address(host: str) -> None:
    assert ResolvedNames().addresses([host]) == {host: frozenset()}


def test_a_resolver_that_hangs_costs_one_time_limit_for_all_names() -> None:
    hang, asked = threading.Event(), []

    def resolve(host: str) -> frozenset[str]:
        asked.append(host)
        if host != "good":
            hang.wait(30)
        return frozenset({"10.0.0.1"})

    names = ResolvedNames(resolve, limit=0.2)
    began = time.monotonic()
    found = names.addresses([*(f"n{i}" for i in range(20)), "good"])
    assert found["good"] == {"10.0.0.1"} and found["n7"] == frozenset()
    names.addresses([f"n{i}" for i in range(20)])  # not asked again at once
    assert time.monotonic() - began < 20 * 0.2 and len(asked) == 21
    hang.set()


def test_a_name_is_asked_once_and_no_thousands_of_names_are() -> None:
    asked: list[str] = []

    def resolve(host: str) -> frozenset[str]:
        asked.append(host)
        return frozenset({"10.0.0.1"})

    names = ResolvedNames(resolve)
    for _ in range(3):
        names.addresses(["a", "b"])
    assert sorted(asked) == ["a", "b"]
    names.addresses([f"n{i}" for i in range(3000)])
    assert len(asked) == MOST


def test_without_a_network_only_addresses_are_known() -> None:
    assert NoNames().addresses(["localhost", "10.0.0.1"]) == {
        "localhost": frozenset(),
        "10.0.0.1": {"10.0.0.1"},
    }
    assert address_in("010.0.0.1") == "" and address_in("2001:DB8:0::1") == "2001:db8::1"
