"""Every key of cluster.yaml takes values of its own kind and form, and no other: walked over the whole schema.

A lax reading opens gates: ``window.start: 20301205`` was taken for a time of 1970, and the window stood open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from ctmupgrade.config.load import load_cluster
from ctmupgrade.config.schema import MODELS, FileKeys
from ctmupgrade.errors import ExitCode, UsageError

SIGNER = "0123456789ABCDEF0123456789ABCDEF01234567"
# What is written for a key, as YAML: what is right, and what is not.
RIGHT = {
    "flag": ["true", "false", "True"],
    "port": ["1", "22", "65535"],
    "seconds": ["300", "0.5", "5m", "90s"],
    "duration": ["90s", "5m", "2h", "1h30m", "1d", "0.5s", "'5m'"],
    "moment": ["2030-12-05T22:00:00+01:00", "'2030-12-05T22:00:00Z'", "2030-12-05T22:00+05:30"],
    "until": ["2030-12-31", "'2030-12-31'", "2030-12-31T12:00:00Z"],
    "text": ["abc", "'12'", '"true"', "./a-b_c.d"],
    "command": ["ksctl", "'pass show ctm'", "./x.sh -a 1"],
    "variable": ["CTM_PASSWORD", "a", "_X1"],
    "name": ["ctm-1", "'12'", "a.b_c"],
    "user": ["ops", "'12'"],
    "host": ["10.0.0.9", "ctm-9.example.com", "'[2001:db8::9]'", "2001:db8::9", "local"],
    "among nodes": ["10.0.0.9", "ctm-9.example.com", "2001:db8::9"],
    "url": [
        "https://h",
        "https://10.0.0.9:8443/",
        "https://[2001:db8::9]:443",
        "http://127.0.0.1:8080",
        "http://localhost",
    ],
    "jumps": ["ops@b", "b:22,c", "ssh://ops@b:22"],
    "host_key": [f"SHA256:{'a' * 43}"],
    "fingerprint": [SIGNER, f"'{SIGNER}'", "1" * 40],
    "version": ["2.21.0", "'2.21.0+15016'"],
    "strategy": ["in-place", "rebuild", "standalone"],
    "check": ["ntp_synchronised"],
    "argv": ["[a]", """['./x y.sh', "{x}", '{"a": 1}', '12']""", "[a, --b=c]"],
    "names": ["[]", "[A, HTTP_TOKEN]"],
    "place": ["here", "node"],
    "whens": ["[check]", "[check, after_node]"],
    "form": ["slack", "teams", "json"],
    "mailbox": ["ops@example.com", "'a.b+c@mx'"],
    "mailboxes": ["[ops@example.com]", "[a@b.c, 'd@e.f']"],
    "server": ["mail.example.com", "'mail.example.com:587'", "10.0.0.9:465", "'[2001:db8::9]:25'"],
    "log_address": ["udp://log.example.com:514", "tcp://10.0.0.9", "'tls://[2001:db8::9]:6514'"],
    "prom": ["./a.prom"],
}
NUMBERS = [
    "12",
    "-1",
    "0",
    "1.5",
    "2_222",
    "0x1F",
    "0o17",
    "017",
    "1e3",
    ".inf",
    "-.inf",
    ".nan",
    ".NaN",
    "1:30",
    "12:30:45",
]
TRUTHS = ["true", "false", "yes", "No", "on", "OFF", "TRUE"]
HOLDERS = ["[a]", "{a: b}", "[]", "null", "~", "", "!thing a", "!!python/name:os.system a", "!!binary YQ=="]
ODD = ['"a\\0b"', '"a\\e[2Jb"', '"a\\u202Eb"', '"a\\nb"', '"\\uFEFFa"', '"a\\u2028b"', '"\\ud800"']
WRONG = {
    "flag": [*NUMBERS, "1", "yes", "no", "on", "off", "y", "t", "tRUE", '"true"', "'false'", "perhaps", "2030-01-01"],
    "port": [
        "0", "-1", "+22", "65536", "1.5", "22.0", "2_222", "0x16", "0o26", "022", "2e1", ".inf", ".nan", "1:30", "many", "true",
        '"22"', "99999999999999999999", "\uff12\uff12", "2030-01-01",
    ],
    "seconds": [
        "0", "-1", "+5", "1_0", "0x10", "0o17", "0300", "1e3", ".5", "5.", ".inf", ".nan", "1:30", "true", "yes", '"300"', "5 m",
        "5x", "-5m", "9" * 400, "1e999", "\uff15", "0s", "2030-01-01",
    ],
    "duration": [
        *[n for n in NUMBERS if n != "0"], "5", "5 m", "-5m", "+5m", "5M", "1.5h", "m", "5mm", "PT5M", "5min", "0x5m", "5_0m",
        "9" * 25 + "h", "367d", "\uff15m", "true", "1e3s", "2030-01-01", "' '",
    ],
    "moment": [
        *NUMBERS, "20301205", "2200", "2030-12-05", "2030-12-05T22:00:00", "'2030-12-05 22:00:00'", "20301205T220000Z",
        "2030-W49-4T22:00:00Z", "2030-12-05T22Z", "2030-12-05T25:00:00Z", "2030-02-30T22:00:00Z", "2030-12-05T22:00:60Z",
        "2030-12-05T22:00:00+25:00", "2030-12-05T22:00:00+0100", "2030-12-05T22:00:00 CET", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "tonight", "now", "true", "1733432400000", "'1733432400'",
        "2030-12-05T22:00:00,5Z", "\uff12030-12-05T22:00:00Z", "2030-12-05T22:00:00+01:00[Europe/Berlin]",
    ],
    "until": [*NUMBERS, "20301231", "2030", "2030-13-01", "2030-02-30", "2030-12-31T12:00:00", "never", "true", "0001-01-01"],
    "text": [*NUMBERS, *TRUTHS, *ODD, '""', f'"{"a" * 5000}"'],
    "command": [*NUMBERS, *TRUTHS, *ODD, '""', '" "', "\"it's\""],
    "variable": [*NUMBERS, *TRUTHS, *ODD, '""', "secret123!", "1A", '"A B"', "A-B", "$A", "A=b", "\u00c4"],
    "name": [*NUMBERS, *TRUTHS, *ODD, '""', '"a b"', "../etc", "-a", ".a", "\u00e4", f"{'a' * 64}"],
    "user": [*NUMBERS, *TRUTHS, *ODD, '""', '"a b"', "-oX"],
    "host": [
        *NUMBERS, *TRUTHS, *ODD, '""', "https://h", '"h:22"', '"[::1]:22"', "a;reboot", "-oX=y", "010.0.0.1", "'167772161'",
        "10.0.0.256", "10.1.", "0x7f.1", "'[::1'", "1::2::3", "\uff11\uff10.0.0.1", "h/x", "'user@h'", "a" * 254,
    ],
    "among nodes": [*NUMBERS, *TRUTHS, *ODD, '""', "local", "Local", '"h:22"', "a;reboot"],
    "url": [
        *NUMBERS, *TRUTHS, *ODD, '""', "h", "ftp://h", "https://", "https://h/x", "https://h?x", '"https://h#x"', "https://h:0",
        "https://h:65536", "https://h:x", "http://10.0.0.9", "http://ctm-1", "http://localhost.example.com", "http://127.1",
        "http://[2001:db8::9]", "http://0.0.0.0", "https://a;b", "https://admin:pa@h", "https://admin:pa/ss@h", "https://010.1.1.1",
        "https:\\\\h", "https://[::1", "http://127.0.0.1.example.com", "http://127.0.0.1@10.0.0.9",
    ],
    "jumps": [*NUMBERS, *TRUTHS, *ODD, '""', "-oX@b", "ops@-oX", "b:70000", "'a,,b'", "'a b'"],
    "host_key": [*NUMBERS, *TRUTHS, *ODD, '""', "SHA256:short", f"MD5:{'a' * 43}"],
    "fingerprint": [*NUMBERS, *TRUTHS, '""', "0x89ABCDEF", f"{SIGNER}0", f"{SIGNER[:-1]}G", "CHANGE"],
    "version": [*NUMBERS, *TRUTHS, '""', "v2.21.0", "2.21", "newest", "\uff12.21.0", "2.21.0.1", "2.21.\u0663", "9" * 5000 + ".1.1"],
    "strategy": [*NUMBERS, *TRUTHS, '""', "sideways", "In-Place", "inplace"],
    "check": [*NUMBERS, *TRUTHS, '""', "no_such_check", "archive_signature_good"],
    "argv": ["5", "a", "true", "[5]", "[a, true]", "[a, [b]]", '[""]', '[a, "a\\0b"]', '["{node}", a]'],
    "names": ["5", "a", "true", "[5]", "[A-B]", "[KSCTL_PASSWORD]"],
    "place": [*NUMBERS, *TRUTHS, '""', "there", "Here"],
    "whens": ["5", "check", "[]", "[sometimes]", "[check, 5]"],
    "form": [*NUMBERS, *TRUTHS, '""', "Slack", "xml"],
    "mailbox": [
        *NUMBERS, *TRUTHS, *ODD, '""', "ops", "'@b.c'", "'a@b c'", "'a b@c.d'", "'Ops <a@b.c>'", "'a@b.c, d@e.f'", "a@b@c",
        '"a@b.c\\nBcc: d@e.f"', '"a@b.c\\r\\nBcc: d@e.f"', "'<a@b.c>'", "a@-b", "a@010.0.0.1", f"{'a' * 65}@b.c", "\u00e4@b.c",
    ],
    "mailboxes": ["5", "a@b.c", "true", "[]", "[5]", "[a]", "['a b@c']"],
    "server": [
        *[n for n in NUMBERS if n != "0"], *TRUTHS, *ODD, '""', "smtp://h", "h:0", "h:65536", "h:x", "a;b", "'[::1'", "h/x",
        "'ops:pw@h:25'", "-h",
    ],
    "log_address": [
        *NUMBERS, *TRUTHS, *ODD, '""', "h:514", "http://h", "udp://", "udp://h:0", "UDP://h", "tls://h:65536", "tcp://a;b",
        "'tcp://ops:pw@h'", "unix:///dev/log",
    ],
    "prom": [*NUMBERS, *TRUTHS, *ODD, '""', "./a.txt", "./prom", "./a.prom.bak"],
}  # fmt: skip
LISTS = ["5", "a", "true", "{a: b}", "null"]  # in place of a list
JUMP = {
    "user": "user", "port": "port", "identity_file": "text", "passphrase_env": "variable", "known_hosts": "text",
}  # fmt: skip
SSH = {
    "user": "user", "port": "port", "identity_file": "text", "passphrase_env": "variable", "known_hosts": "text",
    "proxy_jump": "jumps", "config": "text",
    **{f"jump.{key}": kind for key, kind in JUMP.items()},
}  # fmt: skip
KSCTL = {
    "command": "command", "through_ssh": "flag", "username": "text", "auth_domain": "text", "domain": "text",
    "password_env": "variable", "password_file": "text", "password_command": "command", "nosslverify": "flag",
    "timeout": "seconds",
}  # fmt: skip
KEYS = {
    "cluster": "name", "strategy": "strategy", "poll": "duration", "stable_for": "duration",
    **{f"target.{k}": v for k, v in {"archive": "text", "version": "version", "signer": "fingerprint", "keyring": "text"}.items()},
    **{f"ssh.{k}": v for k, v in SSH.items()},
    **{f"ksctl.{k}": v for k, v in KSCTL.items()},
    "backup.directory": "text", "backup.key_password_env": "variable", "backup.max_age": "duration", "backup.proven_within": "duration",
    "window.start": "moment", "window.finish_by": "moment",
    **{f"timeouts.{k}": "duration" for k in ("upload", "upgrade", "reboot", "service", "join", "backup", "stuck")},
    **{f"hooks.{k}": "argv" for k in ("before_run", "before_node", "after_node", "after_run")},
    "hooks.timeout": "duration", "hooks.environment": "names",
    **{f"contacts.0.{k}": "text" for k in ("name", "role", "phone", "mail")},
    "checks.own.0.name": "name", "checks.own.0.run": "argv", "checks.own.0.on": "place", "checks.own.0.when": "whens",
    "checks.own.0.timeout": "duration", "checks.own.0.environment": "names",
    "checks.skip.0.check": "check", "checks.skip.0.reason": "text", "checks.skip.0.until": "until",
    **{f"nodes.1.{k}": v for k, v in {"name": "name", "host": "host", "url": "url", "cluster_host": "among nodes", "host_key": "host_key"}.items()},
    **{f"nodes.1.{k}": v for k, v in SSH.items()},
    **{f"nodes.1.ssh.{k}": v for k, v in SSH.items()},
    **{f"nodes.1.ksctl.{k}": v for k, v in KSCTL.items()},
    "metrics": "prom",
    **{f"notify.0.webhook.{k}": v for k, v in {"url_env": "variable", "format": "form", "ca_file": "text"}.items()},
    **{f"notify.0.mail.{k}": v for k, v in {
        "to": "mailboxes", "from": "mailbox", "smtp": "server", "user": "user", "password_env": "variable", "ca_file": "text",
    }.items()},
    "notify.0.syslog.address": "log_address", "notify.0.syslog.ca_file": "text",
}  # fmt: skip
LISTED = ("nodes", "skip", "own", "contacts", "notify")  # keys of which there may be several
# Of the same type as another key that is tried with all values: some of them do.
ALIKE = [
    k
    for k in KEYS
    if k.startswith(("nodes.1.ssh.", "nodes.1.ksctl.", "timeouts.", "contacts.", "checks.own.0.timeout"))
    or (k.startswith("notify.0.") and KEYS[k] in ("text", "user", "variable"))
    or k.removeprefix("nodes.1.") in SSH
]
FOREIGN = (
    "instance of",
    "valid dictionary",
    "after validation",
    "Input should",
    "Keys",
    "unable to parse",
    "Traceback",
)
RECEIVERS: dict[str, dict[str, object]] = {
    "webhook": {"url_env": "HOOK"},
    "mail": {
        "to": ["a@b.c"],
        "from": "d@e.f",
        "smtp": "mx:25",
        "user": "ops",
        "password_env": "MAIL_PASSWORD",
    },
    "syslog": {"address": "tls://log"},
}
RAW = "RAW:"  # what is behind it is YAML already


def document(path: str = "", raw: str = "") -> str:
    """A right file with ``raw`` written for one key; a key a line, but for what is in ``raw``."""
    values: dict[str, object] = {
        "cluster": "c",
        "target": {"archive": "./a.gpg", "version": "2.21.0", "signer": SIGNER},
        "nodes": [{"name": "n-1", "host": "10.0.0.1"}, {"name": "n-2", "host": "10.0.0.2"}],
    }
    if path.startswith("checks.skip"):
        values["checks"] = {"skip": [{"check": "clocks_agree", "reason": "why", "until": "2030-12-31"}]}
    if path.startswith("checks.own"):
        values["checks"] = {"own": [{"name": "mine", "run": ["./mine"]}]}
    if path.startswith("contacts"):
        values["contacts"] = [{"name": "Storage on call"}]
    if path.startswith("notify."):
        kind = path.split(".")[2]
        values["notify"] = [{kind: dict(RECEIVERS[kind])}]
    if path:
        at: object = values
        *holders, last = path.split(".")
        for part in holders:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})  # type: ignore[attr-defined]
        at[last] = RAW + raw  # type: ignore[index]
    return "\n".join(_lines(values)) + "\n"


def _lines(value: object, indent: str = "") -> Iterator[str]:
    rows = value.items() if isinstance(value, dict) else [(None, item) for item in value]  # type: ignore[attr-defined]
    for key, item in rows:
        head = f"{indent}-" if key is None else f"{indent}{key}:"
        if isinstance(item, dict | list):
            yield head
            yield from _lines(item, indent + "  ")
        else:
            yield f"{head} {item[len(RAW) :] if item.startswith(RAW) else json.dumps(item)}"


def line_of(text: str, path: str) -> int:
    """The line in which the last key of ``path`` was written."""
    lines = text.splitlines()
    last = path.rsplit(".", maxsplit=1)[-1]
    found = [i for i, line in enumerate(lines, 1) if line.strip().startswith(f"{last}:")]
    return found[-1] if path.startswith(("nodes.1", "checks", "contacts", "notify")) else found[0]


def refused(tmp_path: Path, text: str) -> str:
    """All that is said of a file, which must be wrong."""
    file = tmp_path / "cluster.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError) as caught:
        load_cluster(file, simulated=True)
    assert caught.value.exit_code is ExitCode.USAGE and caught.value.remedy
    said = f"{caught.value.brief}\n{caught.value.details}".strip()
    assert said.isprintable() or "\n" in said
    assert not [word for word in FOREIGN if word in said], said
    return said


def _leaves(model: type[BaseModel], at: str = "") -> Iterator[str]:
    """Every key of the schema that holds a value."""
    for key in (field.alias or name for name, field in model.model_fields.items()):
        path = f"{at}{key}"
        inner = None if at in ("timeouts.", "contacts.0.") else MODELS.get(key)
        if inner is None or inner is model:
            yield path
        elif key in LISTED:
            yield from _leaves(inner, f"{path}.{1 if key == 'nodes' else 0}.")
        else:
            yield from _leaves(inner, f"{path}.")


def test_the_table_has_every_key_of_the_schema() -> None:
    assert {*_leaves(FileKeys)} == {*KEYS}


@pytest.mark.parametrize("path", KEYS)
def test_values_of_the_right_form_are_taken(tmp_path: Path, path: str) -> None:
    file = tmp_path / "cluster.yaml"
    for raw in RIGHT[KEYS[path]]:
        file.write_text(document(path, raw))
        assert load_cluster(file, simulated=True).name, raw


@pytest.mark.parametrize("path", KEYS)
def test_values_of_another_kind_or_form_are_refused_with_their_line(tmp_path: Path, path: str) -> None:
    takes_lists = KEYS[path] in ("argv", "names", "whens", "mailboxes")
    wrong = [*WRONG[KEYS[path]], *([] if takes_lists else HOLDERS)]
    for raw in wrong[::7] if path in ALIKE else wrong:
        text = document(path, raw)
        said = refused(tmp_path, text)
        line = line_of(text, path)
        assert said.startswith(f"cluster.yaml:{line}: "), (raw, line, said)
        assert path.rsplit(".", maxsplit=1)[-1] in said.splitlines()[0], (raw, said)
        assert said.count("\n") == 0, (raw, said)


@pytest.mark.parametrize("path", ["nodes", "checks.skip", "checks.own", "contacts", "notify"])
@pytest.mark.parametrize("raw", LISTS)
def test_something_else_for_a_list(tmp_path: Path, path: str, raw: str) -> None:
    text = document(path, raw)
    assert refused(tmp_path, text).startswith(f"cluster.yaml:{line_of(text, path)}: {path}: ")


@pytest.mark.parametrize(
    "path",
    [
        "target",
        "ssh",
        "ksctl",
        "backup",
        "window",
        "timeouts",
        "checks",
        "hooks",
        "nodes.1.ssh",
        "nodes.1.ksctl",
    ],
)
@pytest.mark.parametrize("raw", ["5", "a", "true", "[a]", "null", "2030-01-01"])
def test_something_else_for_keys(tmp_path: Path, path: str, raw: str) -> None:
    text = document(path, raw)
    said = refused(tmp_path, text)
    assert said.startswith(f"cluster.yaml:{line_of(text, path)}: "), said
    assert said.count("\n") == 0, said


# -- keys that ask for nothing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "raw"), [("checks.own", "[]"), ("hooks", "{}"), ("notify", "[]"), ("ksctl.through_ssh", "false")]
)
def test_a_key_that_asks_for_nothing_is_taken(tmp_path: Path, path: str, raw: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(document(path, raw))
    assert load_cluster(file, simulated=True).name == "c"


def test_where_ksctl_comes_from_and_how_it_reaches_a_node(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    for path in ("ksctl", "nodes.1.ksctl"):
        file.write_text(document(path, "{command: fetch, through_ssh: true}"))
        own = [
            (node.ksctl.fetched, node.ksctl.through_ssh) for node in load_cluster(file, simulated=True).nodes
        ]
        assert own == [(path == "ksctl",) * 2, (True, True)]


def test_each_node_may_be_its_own_loopback_behind_ssh(tmp_path: Path) -> None:
    """The url is as the node sees it: two nodes have the same one, and are not one appliance."""
    nodes = '[{name: n-1, host: 10.0.0.1, url: "https://127.0.0.1"}, {name: n-2, host: 10.0.0.2, url: "https://127.0.0.1"}]'
    assert "appears twice" in refused(tmp_path, document("nodes", nodes))
    text = document("nodes", nodes)
    (tmp_path / "cluster.yaml").write_text(text + "ksctl: {through_ssh: true}\n")
    assert len(load_cluster(tmp_path / "cluster.yaml", simulated=True).nodes) == 2
    same = (text + "ksctl: {through_ssh: true}\n").replace("127.0.0.1", "10.0.0.1")
    assert "appears twice" in refused(tmp_path, same)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("hooks.before_run", "node"), ("hooks.before_run", "outcome"), ("hooks.before_node", "outcome"),
        ("hooks.after_run", "node"), ("checks.own.0.run", "outcome"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_filled_in_there(tmp_path: Path, path: str, name: str) -> None:
    said = refused(tmp_path, document(path, f'[a, "x{{{name}}}y"]'))
    assert said.startswith(f"cluster.yaml:{line_of(document(path, '[a]'), path)}: ") and f"{{{name}}}" in said


def test_own_checks_have_names_of_their_own(tmp_path: Path) -> None:
    text = document("checks.own.0.name", "clocks_agree")
    assert "is a check of ctmupgrade's own already" in refused(tmp_path, text)
    text = document("checks.own", "[{name: a, run: [x]}, {name: a, run: [y]}]")
    assert "'a' appears twice" in refused(tmp_path, text)
    text = document("checks.own", "[{name: a, run: [x]}, {name: A, run: [y]}]")
    assert "'A' appears twice (names must differ in more than capitals)" in refused(tmp_path, text)
    text = document("checks.own.0.name", "Clocks_Agree")
    assert "is a check of ctmupgrade's own already" in refused(tmp_path, text)


def test_an_own_check_may_be_skipped_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(
        document("checks", "{own: [{name: a, run: [x]}], skip: [{check: a, reason: why, until: 2030-12-31}]}")
    )
    assert load_cluster(file, simulated=True).skips[0].check == "a"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("[{}]", "notify[0]: one of webhook, mail, syslog is expected"),
        ("[{webhook: {url_env: A}, syslog: {address: udp://h}}]", "found webhook and syslog, which are entries of their own"),
        ("[{webhok: {url_env: A}}]", "did you mean webhook?"),
        ("[{mail: {to: [a@b.c], sender: d@e.f, smtp: h}}]", "notify[0].mail.from: is missing"),
        ("[{mail: {to: [a@b.c], from: d@e.f, smtp: h, frm: x}}]", "did you mean from?"),
        ("[{mail: {to: [a@b.c], from: d@e.f, smtp: h, user: ops}}]", "notify[0].mail.user: is given without password_env"),
        ("[{mail: {to: [a@b.c], from: d@e.f, smtp: h, password_env: P}}]", "is given without user"),
        ("[{syslog: {address: tcp://h, ca_file: ./ca.pem}}]", "notify[0].syslog.ca_file: is for tls://"),
        ("[{webhook: {url_env: 'https://hooks.example.com/T0/SECRET'}}]", "the name of an environment variable is expected"),
        ("[{webhook: {url: 'https://hooks.example.com/T0/SECRET'}}]", "did you mean url_env?"),
    ],
)  # fmt: skip
def test_a_receiver_that_is_none(tmp_path: Path, raw: str, why: str) -> None:
    said = refused(tmp_path, document("notify", raw))
    assert why in said and "SECRET" not in said


def test_programs_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "a.gpg").write_bytes(b"x")
    (tmp_path / "flat.sh").write_text("#!/bin/sh\n")
    file = tmp_path / "cluster.yaml"
    for raw, why in (
        ("[./none.sh]", "there is no file"),
        ("[./flat.sh]", "cannot be executed"),
        ("[no-such-program-7]", "in PATH"),
    ):
        file.write_text(document("hooks.before_node", raw))
        with pytest.raises(UsageError) as caught:
            load_cluster(file)
        assert why in caught.value.brief


# -- what a password may be is not printed back ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        *[(path, "Hunter2!x") for path, kind in KEYS.items() if kind == "variable"],
        *[(path, "12345678") for path in KEYS if "password" in path],
        *[(path, "[Hunter2]") for path in KEYS if "password" in path],
        *[(path, raw) for path in KEYS if "password" in path for raw in ("*Hunter2", "!Hunter2", "!Hunter2!x y")],
        ("ksctl.password", "Hunter2"), ("ksctl.Password", "Hunter2"), ("ssh.passphrase", "Hunter2"), ("backup.key_password", "Hunter2"),
        ("ksctl", "admin:Hunter2"), ("nodes.1.url", "https://admin:Hunter2@h"), ("nodes.1.url", "https://admin:Hun/ter2@h"),
        ("nodes.1.host", "'admin:Hunter2@h'"), ("ssh.proxy_jump", "'ops:Hunter2@-h'"), ("nodes.1.url", "http://x:Hunter2@h#@y"),
    ],
)  # fmt: skip
def test_a_value_that_may_be_a_password_is_not_printed_back(tmp_path: Path, path: str, raw: str) -> None:
    said = refused(tmp_path, document(path, raw))
    assert "unter2" not in said and "ter2@" not in said and "12345678" not in said
    assert "did you mean password_env" not in said


# -- who is one appliance --------------------------------------------------------------------------------------

TWO = """cluster: c
target: {archive: ./a.gpg, version: 2.21.0, signer: SIGNER}
nodes:
  - name: n-1
    host: 10.0.0.1
    port: 2201
  - name: n-2
    host: 10.0.0.1
    port: 2202
""".replace("SIGNER", SIGNER)


def test_two_nodes_with_one_default_url_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, TWO)
    assert said == (
        "cluster.yaml:7: nodes[1].url: is https://10.0.0.1 by default, as that of n-1 (line 4): each node needs a url of "
        "its own, at which it and no other node answers"
    )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("https://h", "https://H/"), ("https://h:443", "https://h"), ("https://10.0.0.1", ""), ("", "https://10.0.0.1:443/"),
        ("https://[2001:db8::1]", "https://[2001:db8:0::1]:443"), ("http://127.0.0.1", "http://127.0.0.1:80"), ("https://h.", "https://h"),
    ],
)  # fmt: skip
def test_urls_that_are_one_but_for_their_spelling_are_refused(tmp_path: Path, one: str, two: str) -> None:
    text = TWO
    for port, url in (("2201", one), ("2202", two)):
        text = text.replace(port, f"{port}\n    url: {url}" if url else port)
    assert "nodes[1].url: " in refused(tmp_path, text)


def test_a_host_is_one_with_the_default_port_and_without(tmp_path: Path) -> None:
    text = TWO.replace("    port: 2201\n", "").replace("port: 2202", "port: 22")
    assert "nodes[1].host: '10.0.0.1' appears twice" in refused(tmp_path, text)


# -- merge keys, brackets, the order of complaints -----------------------------------------------------------------


def test_merge_keys_are_read_and_what_is_written_wins(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(
        document().partition("nodes:")[0]
        + "nodes:\n  - &one\n    name: a\n    host: h1\n    user: ops\n    ksctl: &k {username: u, timeout: 60}\n"
        "  - <<: *one\n    name: b\n    host: h2\n    ksctl:\n      <<: [*k, {timeout: 5, nosslverify: true}]\n      username: v\n"
    )
    second = load_cluster(file, simulated=True).nodes[1]
    assert (second.name, second.host, second.ssh.user) == ("b", "h2", "ops")
    assert (second.ksctl.username, second.ksctl.timeout, second.ksctl.nosslverify) == ("v", 60, True)


@pytest.mark.parametrize("value", ["5", "[5]", "null", "text"])
def test_a_merge_key_of_something_else_is_refused(tmp_path: Path, value: str) -> None:
    said = refused(tmp_path, document() + f"ssh:\n  <<: {value}\n")
    assert "ssh.<<: an alias of keys and values is expected, like *defaults" in said


def test_a_merge_of_itself_and_one_of_thousands_end(tmp_path: Path) -> None:
    assert "refers to itself" in refused(tmp_path, document() + "ssh: &s\n  <<: *s\n")
    many = "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9))
    assert "more than 5000 values" in refused(tmp_path, f"a0: &a0 {{x: 1}}\n{many}\n" + document())


def test_wrong_keys_in_a_merged_part_are_told_at_their_own_line(tmp_path: Path) -> None:
    text = document() + "ssh: &s\n  port: many\nbackup:\n  <<: *s\n"
    line = line_of(text, "port")
    lines = refused(tmp_path, text).splitlines()
    assert [said.partition(": ")[0] for said in lines] == [f"cluster.yaml:{line}"] * 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cluster: c\nnodes: [\n", 2), ("cluster: c\ntimeouts: {upload: 2h\npoll: 5s\nstable_for: 1s\n", 2),
        ("cluster: c\ntarget:\n  archive: 'abc\npoll: 5s\n", 3), ('cluster: "c\nnodes: 1\n', 1), ("cluster: c\nnodes: [a, b\n\n\n", 2),
    ],
)  # fmt: skip
def test_what_is_not_closed_is_told_where_it_opens(tmp_path: Path, text: str, line: int) -> None:
    said = refused(tmp_path, text)
    assert said.startswith(f"cluster.yaml:{line}: not YAML: ") and "is not closed" in said


def test_problems_come_in_the_order_of_their_lines_one_of_each(tmp_path: Path) -> None:
    nodes = "".join(f"  - {{name: n{i}, host: 10.0.0.{i}}}\n" for i in range(1, 21))
    text = f"cluster: c\nssh:\n  identity_file: ./gone\npoll: x\nnodes:\n{nodes}stabel_for: 1s\ntarget: {{archive: ./gone.gpg}}\n"
    lines = refused(tmp_path, text).splitlines()
    numbers = [int(said.split(":")[1]) for said in lines]
    assert numbers == sorted(numbers) == [4, 26, 27]


def test_a_missing_file_is_told_once(tmp_path: Path) -> None:
    nodes = "".join(f"  - {{name: n{i}, host: 10.0.0.{i}}}\n" for i in range(1, 21))
    head = f"cluster: c\ntarget: {{archive: ./a.gpg, version: 2.21.0, signer: {SIGNER}}}\n"
    (tmp_path / "a.gpg").write_bytes(b"x")
    file = tmp_path / "cluster.yaml"
    for text, also in (
        (f"{head}ssh:\n  identity_file: ./gone\nnodes:\n{nodes}", ""),
        (
            head + "nodes:\n" + nodes.replace("}", ", identity_file: ./gone}"),
            f" (the same in line {', '.join(map(str, range(5, 24)))})",
        ),
    ):
        file.write_text(text)
        with pytest.raises(UsageError) as caught:
            load_cluster(file)
        assert caught.value.brief.endswith(f"there is no file {tmp_path / 'gone'}{also}")
        assert caught.value.details == ""


@pytest.mark.parametrize(
    "name", [f"./{'a' * 300}_v2.21.0.gpg", "./loop/x_v2.21.0.gpg", "./a_v2.\u0661.0.gpg"]
)
def test_a_path_that_cannot_be_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    file = tmp_path / "cluster.yaml"
    file.write_text(document("target.archive", f'"{name}"'))
    with pytest.raises(UsageError) as caught:
        load_cluster(file)
    assert caught.value.brief.startswith("cluster.yaml:3: target.archive: ")


def test_times_are_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(document("window.start", "2030-12-05T22:00:00+01:00"))
    assert load_cluster(file, simulated=True).window.start == datetime(2030, 12, 5, 21, tzinfo=UTC)
    file.write_text(document("checks.skip.0.until", "2030-12-31"))
    until = load_cluster(file, simulated=True).skips[0].until
    assert until == datetime(2031, 1, 1).astimezone() and until.tzinfo is not None
    file.write_text(document("poll", "1h30m"))
    assert load_cluster(file, simulated=True).poll == timedelta(minutes=90)
