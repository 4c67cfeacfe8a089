"""Answers of ksctl as values; what is not understood is refused, never guessed."""

from __future__ import annotations

import json

import pytest

from ctmupgrade.core.looks import answer_fields, json_rows, parse_ksctl, parse_state
from ctmupgrade.core.looks.excerpt import NotUnderstoodError

PARSERS = (
    parse_ksctl.system_info, parse_ksctl.server_version, parse_ksctl.membership, parse_ksctl.members,
    parse_ksctl.summary, parse_ksctl.services, parse_ksctl.ntp, parse_ksctl.backups, parse_ksctl.backup_keys,
    parse_state.disk_encryption,
)  # fmt: skip
ODD = (
    "", "null", "[]", "{", '{"a":', "Segmentation fault", '{"code":5,"codeDesc":"NCERRUnauthorizedAccess: no"}',
    '{"message":"internal error"}', "<html>login</html>", '"text"', "\x00\x01",
)  # fmt: skip


@pytest.mark.parametrize("parse", PARSERS, ids=lambda p: p.__name__)
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_what_is_no_answer_is_not_understood(parse: object, text: str) -> None:
    if text == "[]" and parse in (parse_ksctl.members, parse_ksctl.backups, parse_ksctl.backup_keys):
        assert parse(text) == ()  # some releases answer with the rows alone
        return
    with pytest.raises(NotUnderstoodError):
        parse(text)  # type: ignore[operator]


def test_a_notice_before_the_answer_is_passed_over() -> None:
    text = 'Warning: the certificate expires soon\n{"version":"2.20.0+15016","model":"k170v"}'
    assert str(parse_ksctl.system_info(text).version) == "2.20.0+15016"


@pytest.mark.parametrize(
    "behind", ["[2]", "\n[ ]", ' [{"a": 1}]', "[[]]", '["x"]', "[-1]", "[null]", "{}", "] [true]"]
)
def test_a_second_document_of_any_kind_is_not_understood(behind: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse_ksctl.system_info('{"version":"2.20.0+15016","model":"k170v"}' + behind)
    with pytest.raises(NotUnderstoodError):
        parse_ksctl.members("[]" + behind)


@pytest.mark.parametrize("behind", ["\n", "\n[user@ctm ~]$ ", " done [ok]"])
def test_words_behind_the_answer_are_passed_over(behind: str) -> None:
    assert str(parse_ksctl.system_info('{"version":"2.20.0+15016"}' + behind).version) == "2.20.0+15016"


def test_an_unclustered_node_has_neither_id_nor_code() -> None:
    said = parse_ksctl.membership(
        '{"nodeID":"","status":{"code":"none","description":"not clustered"},"nodeCount":0}'
    )
    assert not said.clustered
    assert parse_ksctl.membership('{"nodeID":"a","status":{"code":"r"}}').clustered


def test_an_empty_list_may_be_null() -> None:
    assert parse_ksctl.members('{"skip":0,"limit":10,"total":0,"resources":null}') == ()


def test_a_member_without_a_port_is_an_older_server_s() -> None:
    [row] = parse_ksctl.members(
        json.dumps({"resources": [{"nodeID": "a", "host": "h", "status": {"code": "r"}}]})
    )
    assert row.ready and row.port is None


@pytest.mark.parametrize(
    ("rows", "started"),
    [({"nae": "started"}, True), ({"nae": "starting"}, False), ({"nae": "started", "csm": "disabled"}, True)],
)
def test_services(rows: dict[str, str], started: bool) -> None:
    listed = [{"name": name, "status": state} for name, state in rows.items()]
    said = parse_ksctl.services(json.dumps({"status": "started", "services": listed}))
    assert said.started is started


def test_a_followed_time_server_is_marked() -> None:
    head = "     remote           refid      st t when poll reach\n=======\n"
    assert parse_ksctl.ntp(json.dumps({"ntpq": f"{head}*10.0.0.1     .GPS.   1 u  1 64 377\n"})).synchronised
    assert not parse_ksctl.ntp(
        json.dumps({"ntpq": f"{head} 10.0.0.1     .INIT.  16 u  - 64 0\n"})
    ).synchronised


@pytest.mark.parametrize(
    ("text", "attended"), [('{"attendedBoot":true}', True), ('{"status":"not encrypted"}', False)]
)
def test_attended_boot(text: str, attended: bool) -> None:
    assert parse_state.disk_encryption(text).attended is attended


def test_nanoseconds_are_cut() -> None:
    moment = answer_fields.instant("2026-01-10T21:00:00.123456789Z")
    assert moment is not None and moment.microsecond == 123456
    assert answer_fields.instant("yesterday") is None


@pytest.mark.parametrize("one", [{"name": "web", "status": "error"}, {"status": "error"}])
@pytest.mark.parametrize("order", [1, -1])
def test_no_service_hides_another_one_of_its_name(one: dict[str, str], order: int) -> None:
    rows = [{**one, "status": "started"}, one, {**one, "status": "started"}][::order]
    found = parse_ksctl.services(json.dumps({"status": "started", "services": rows}))
    assert sorted(found.by_name.values()) == ["error", "started", "started"]


@pytest.mark.parametrize("rows", [{"web": "started", "kmip": "error"}, "kmip: error", ["error"], [None]])
def test_services_of_another_form_are_not_left_out(rows: object) -> None:
    with pytest.raises(NotUnderstoodError):
        parse_ksctl.services(json.dumps({"status": "started", "services": rows}))


@pytest.mark.parametrize("parse", [parse_ksctl.members, parse_ksctl.backups, parse_ksctl.backup_keys])
@pytest.mark.parametrize("row", [None, "ctm-2", 2, [{}]])
def test_what_is_no_row_of_a_list_is_not_left_out(parse: object, row: object) -> None:
    text = json.dumps({"total": 2, "resources": [{"nodeID": "a", "id": "a"}, row]})
    with pytest.raises(NotUnderstoodError):
        parse(text)  # type: ignore[operator]


def test_capitals_change_no_state() -> None:
    """A code in capitals counts where its own words say the same: no list of codes has any."""
    rows = [{"name": "web", "status": "Started"}, {"name": "csm", "status": "DISABLED"}]
    assert parse_ksctl.services(json.dumps({"status": "STARTED", "services": rows})).started
    node = {"nodeID": "a", "host": "h", "status": {"code": "R", "description": "Ready"}}
    [row] = parse_ksctl.members(json.dumps([node]))
    assert row.ready
    [row] = parse_ksctl.members(json.dumps([{**node, "status": {"code": "R", "description": "removing"}}]))
    assert not row.ready
    left = {"nodeID": "", "status": {"code": "NONE", "description": "Not clustered"}}
    assert not parse_ksctl.membership(json.dumps(left)).clustered


@pytest.mark.parametrize("total", [2, 99])
def test_a_list_of_members_that_is_cut_off_is_not_understood(total: int) -> None:
    rows = json.dumps(
        {"skip": 0, "limit": 1, "total": total, "resources": [{"nodeID": "a" * 32, "host": "10.0.0.1"}]}
    )
    with pytest.raises(NotUnderstoodError, match=f"only 1 of {total} members"):
        parse_ksctl.members(rows)


@pytest.mark.parametrize("text", ["-", "--help", "-a1"])
def test_an_id_is_never_an_option(text: str) -> None:
    for read in (json_rows.backup_id, json_rows.node_id):
        with pytest.raises(NotUnderstoodError):
            read(text)
        assert read("a-1") == "a-1" and read("") == ""
