"""Secrets are hidden by value in every spelling, by name in every form, and by what they look like."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
import urllib.parse
from collections.abc import Callable

import pytest

from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.redact import MOST_FOREIGN, SecretValues, foreign, hidden, knowing, redacted, scrubbed

VALUES = (
    'Kp-S3cr3t&<x>"q', "it's a b\\c", "pä$$wörd-😀-x", "p@ss/w:rd%25", 'back\\\\sl"ash', "'''quotes'''", "+ + +z",
    "tab\there", "Ünïcödé", "plainpassword", "ends with \\", "#!§$%&/()=?", "密码密码密",
)  # fmt: skip


def go_json(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)[1:-1]
    for char in "&<>\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def base64_of(before: str, after: str = "") -> Callable[[str], str]:
    return lambda value: base64.b64encode(f"{before}{value}{after}".encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": lambda v: json.dumps(v)[1:-1],
    "json, not only ASCII": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "Go's JSON": go_json,
    "Go's JSON in JSON": lambda v: go_json(go_json(v)),
    "JSON in JSON in JSON": lambda v: json.dumps(json.dumps(json.dumps(v)[1:-1])[1:-1])[1:-1],
    "shell": shlex.quote,
    "shell, backslashes": lambda v: "".join(c if c.isalnum() else f"\\{c}" for c in v),
    "shell, another way": lambda v: v.replace("'", "'\\''"),
    "shell in a shell": lambda v: shlex.quote(shlex.quote(v)),
    "a unit": lambda v: v.replace("%", "%%"),
    "SQL": lambda v: v.replace("'", "''"),
    "percent": lambda v: urllib.parse.quote(v, safe=""),
    "percent, path": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "html": html.escape,
    "html, but quotes": lambda v: html.escape(v, quote=False),
    "Go's html": lambda v: html.escape(v).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "xml": lambda v: v.encode("ascii", "xmlcharrefreplace").decode(),
    "repr": lambda v: repr(v)[1:-1],
    "ascii": lambda v: ascii(v)[1:-1],
    "octal": lambda v: "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\{b:03o}" for b in v.encode()),
    "read as Latin-1": lambda v: v.encode().decode("latin-1"),
    "not read": lambda v: v.encode().decode("ascii", "replace"),
    "base64": base64_of(""),
    "base64 with a user": base64_of("admin:"),
    "base64 in the middle": base64_of("a:", "\n"),
    "base64 for URLs": lambda v: base64.urlsafe_b64encode(f"user:{v}".encode()).decode(),
    "hexadecimal": lambda v: v.encode().hex(),
    "flat": lambda v: " ".join(v.split()),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_known_value_is_hidden_in_every_spelling(how: str) -> None:
    for value in VALUES:
        spelled = SPELLINGS[how](value)
        assert SecretValues([value]).hide(f"<{spelled}>").strip("<>'\"\\") == "***", (value, spelled)


V = "hunter2-Abcdefgh-ijklmnopqr"
BROKEN: dict[str, Callable[[str], str]] = {
    "a line end": lambda v: f"{v[:9]}\n{v[9:]}",
    "folded, as YAML does": lambda v: f"{v[:9]}\n      {v[9:]}",
    "a shell's next line": lambda v: f"{v[:9]}\\\n{v[9:]}",
    "zero widths": "\u200b".join,
    "a soft hyphen and a mark": lambda v: f"{v[:3]}\u00ad{v[3:6]}\u2066{v[6:]}",
    "blanks": " ".join,
    "hex with colons": lambda v: v.encode().hex(":"),
    "hex with colons, upper": lambda v: v.encode().hex(":").upper(),
    "hex with blanks": lambda v: v.encode().hex(" ", 2),
    "xxd -p": lambda v: v.encode().hex()[:30] + "\n" + v.encode().hex()[30:],
    "base32": lambda v: base64.b32encode(v.encode()).decode(),
    "base32 in the middle": lambda v: base64.b32encode(f"ab{v}z".encode()).decode(),
    "base64, wrapped": lambda v: base64.encodebytes(b"q" * 48 + v.encode() + b"z" * 9).decode(),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_known_value_is_hidden_whatever_is_put_between(how: str) -> None:
    broken = BROKEN[how](V)
    clean = SecretValues([V]).hide(f"x: {broken} y")
    assert clean.startswith("x: ***") and clean.endswith(" y") and clean.count("***") == 1
    assert len(clean) < 40


def test_a_dump_of_a_known_value_is_hidden_with_its_text() -> None:
    data, lines = f"user={V}\n".encode(), []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(f"{at:08x}: {row.hex(' ', 2):39}  {shown}")
    assert SecretValues([V]).hide("\n".join(["a", *lines, "b"])) == f"a\n***\n***\n{lines[2]}\nb"


def test_what_is_near_a_broken_value_stays() -> None:
    known = SecretValues([V])
    assert known.hide(f"key=ab {V[:9]}\n{V[9:]} =next") == "key=ab *** =next"
    for text in ("hunter2 Abcdefgh", "00:11:22:33:44:55 is its address", "a\u200bb \n c"):
        assert known.hide(text) == text


def test_what_is_too_long_is_cut_before_it_is_searched_and_not_within_a_value() -> None:
    with knowing([V]):
        clean = foreign("x " * (MOST_FOREIGN // 2 - 4) + V + " password=1 " + "y " * MOST_FOREIGN)
    assert len(clean) < MOST_FOREIGN + 100 and "characters more" in clean
    assert "hunter" not in clean and "y" not in clean


def test_longer_and_overlapping_values_leave_no_rest() -> None:
    known = SecretValues(["hunter2", "hunter2000", "2000er"])
    assert known.hide("a hunter2 b hunter2000 c hunter2000er d") == "a *** b *** c *** d"


def test_short_values_do_not_eat_the_text() -> None:
    known = SecretValues(["", "a", "abc", "b4nk"])
    assert known.hide("abc a cab bank b4nk, b4nkers, 'b4nk'") == "abc a cab bank ***, b4nkers, '***'"


def test_every_line_of_a_value_is_one() -> None:
    known = SecretValues(["first line\nsecond line\n"])
    assert known.hide("x second line, first line y") == "x ***, *** y"
    assert known.hide("first line\\nsecond line") == "***"


def test_what_is_known_is_hidden_in_foreign_text_and_data_for_as_long_as_it_counts() -> None:
    with knowing(["Tr0ub4dor"]):
        assert foreign("FATAL: login with Tr0u\x00b4dor failed") == "FATAL: login with *** failed"
        assert scrubbed({"Tr0ub4dor": ["x Tr0ub4dor", 7]}) == {"***": ["x ***", 7]}
        assert hidden('{"a": "Tr0ub4dor"}') == '{"a": "***"}'
    with knowing(["12345678"]):
        assert scrubbed([12345678, 1234567]) == ["***", 1234567]
    assert foreign("Tr0ub4dor") == "Tr0ub4dor"


S = "Xk9-sEcReT7"
KEY = "\n".join(
    [
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
        "q83vEjRWeJASNFZ4kKvN7xI0VniQEjRWeJCrze8S",
        "c2VjcmV0",
    ]
)
FORMS = {
    "--password X": f"ksctl --password {S} users list",
    "--password=X": f"ksctl --password={S}",
    "--password 'X Y'": f"ksctl --password 'a {S}' x",
    "--bkpassword X": f"backupkeys download --bkpassword {S} --id 7",
    "--pin X": f"p11tool --pin {S}",
    "-password X": f"java -jar x.jar -storepassword {S} go",
    "--token X": f"vault --token {S}",
    "argv as JSON": f'["ksctl", "--password", "{S}"]',
    "-pX": f"mysql -u root -p{S} db",
    "-p X": f"sshpass -p {S} ssh root@h",
    "-a X": f"redis-cli -h x -a {S} ping",
    "-c X": f"snmpget -v2c -c {S} host",
    "pass:X": f"openssl rsa -passin pass:{S} -in k",
    "curl -u": f"curl -u admin:{S} https://h/",
    "curl -u, a password with a colon": f"curl -sk -u 'admin:x:{S}' https://h/",
    "curl --user": f"curl --user admin:{S} https://h/",
    "smbclient -U": f"smbclient -U bob%{S} //h/s",
    "Basic": f"got Basic {base64.b64encode(('admin:' + S).encode()).decode()} refused",
    "Authorization: Basic": "Authorization: Basic YWRtaW46WGs5LXNFY1JlVDc=",
    "Authorization: Bearer": f'curl -H "Authorization: Bearer {S}"',
    "Authorization: else": f"Proxy-Authorization: Digest username=admin, response={S}",
    "Authorization as JSON": f'{{"headers": {{"Authorization": "Token {S}"}}}}',
    "Bearer": f"sent bearer {S}.{S}",
    "Cookie": f"Cookie: a=b; session={S}",
    "Set-Cookie": f"< Set-Cookie: sid={S}; HttpOnly",
    "json": f'{{"password": "{S}"}}',
    "json, cut off": f'x {{"password": "{S}',
    "json in a text": f'body: {{"user": "a", "adminPassword":"{S}", "x": 1}}',
    "json in json": json.dumps({"body": json.dumps({"password": f'a"{S}'})}),
    "json in a log line": 'level=error msg="body {\\"password\\":\\"a\\\\\\"' + S + '\\"}"',
    "json number": 'got {"pin": 90817263} here',
    "json list": f'got {{"passwords": ["a", "{S}"]}} here',
    "name and value": f'{{"name": "smtp.password", "value": "{S}"}}',
    "pin=": f"slot=1 pin={S}",
    "hsm_pin": f"hsm_pin: {S}",
    "userPin": f'{{"userPin":"{S}"',
    "password=": f"FATAL: login admin password={S} failed",
    "password: X": f"login: admin, password: {S}, again",
    "a password with a quote": f'password=ab"{S} x',
    "a password with a slash": f"password=ab/{S} x",
    "a password with a comma": f"login failed, password: ab,{S} x",
    "a password with an ampersand": f"password=ab&{S} x",
    "a password in quotes with one": f'password="a\\"{S}" x',
    "a shell's word": f"password='a'\\''{S}' x",
    "environment": f"KSCTL_PASSWORD={S} ksctl login",
    "PGPASSWORD": f"PGPASSWORD={S} psql",
    "pwd": f"MYSQL_PWD={S}; pwd={S}",
    "api_key": f"api_key={S}",
    "apiKey": f'"apiKey": "{S}"',
    "X-API-Key": f"X-Api-Key: {S}",
    "client_secret": f"grant&client_secret={S}&x=1",
    "community": f"snmp community: {S}",
    "rocommunity": f"rocommunity {S} 10.0.0.0/8",
    "yaml": f"user: a\npassword: some {S} with blanks\nport: 1",
    "yaml, a list": f"- passphrase: some {S} with blanks",
    "yaml, a block": f"x:\n  secret: |\n    line one\n    {S}\n  y: 1",
    "yaml, quoted": f"password: 'it''s {S} x'",
    "xml": f"<user>a</user><password>{S}</password>",
    "xml, an attribute": f'<db user="a" password="{S}"/>',
    "ini": f"[db]\npassword = {S}\n",
    "netrc": f"machine h login admin password {S}",
    "said": f"tried the password {S} in vain",
    "SQL": f"ALTER USER a IDENTIFIED BY '{S}'",
    "url": f"postgres://admin:{S}@db/x",
    "url, @ and / in it": f"postgres://admin:p@x/{S}@db:5432/x",
    "url, a quote in it": f'https://admin:p"{S}@h/',
    "url without a user": f"redis://:{S}@h:6379",
    "url with a token": "https://0123456789abcdefSECRET@git.example.com/x",
    "web token": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{S}",
    "PEM": f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY----- done",
    "PEM without END": f"x\n-----BEGIN PRIVATE KEY-----\n{KEY}\nand then it failed",
    "PEM on one line": "-----BEGIN EC PRIVATE KEY-----" + KEY.replace("\n", "\\n") + "\\n",
    "PEM, folded": "-----BEGIN ENCRYPTED PRIVATE KEY----- " + KEY.replace("\n", " "),
    "PEM with headers": f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{KEY}\n",
    "OpenSSH": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\n-----END OPENSSH PRIVATE KEY-----",
    "PGP": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{KEY}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----",
    "SSH2": f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n{KEY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    "PuTTY": f"PuTTY-User-Key-File-3: ssh-ed25519\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 3\n{KEY}\nPrivate-MAC: 00",
    "GitHub": "ghp_0123456789abcdefghijSECRET",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "xml with an attribute": f'<Password type="x">{S}</Password>',
    "xml in a space": f'<ns:adminPassword xsi:type="xsd:string">{S}</ns:adminPassword>',
    "xml, CDATA": f"<password><![CDATA[{S}]]></password>",
    "xml, CDATA and an attribute": f"<password a='b'><![CDATA[{S}]]></password>",
    "xml, a property": f'<property name="db.password" value="{S}"/>',
    "xml, an entry": f'<entry key="password">{S}</entry>',
    "keytool": f"keytool -list -storepass {S} -keypass {S}",
    "bindpw": f"bindpw: {S}",
    "bindpw in a file": f"bindpw {S}x1\nbindpw={S}",
    "-Dpw": f"java -Dpw={S} -jar x.jar",
    "-D...Password": f"java -Djavax.net.ssl.keyStorePassword={S}",
    "Password for": f"Password for admin: {S}",
    "Password of": f"passphrase of 'the key': x\nPIN for slot-0: {S}\n",
    "passphrase X": f"with passphrase {S} it opens",
    "secret X": f"radius uses secret {S}",
    "community X": f"snmp community {S} ro",
    "SAS": f"https://x.blob.core.windows.net/b/f?sv=2020&sig={S}%3D&se=2026",
    "Oracle": f"sqlplus scott/{S}@db",
    "a kind before it": f"username ops password 7 {S}",
    "a kind before it, alone": f"enable secret 5 {S}",
    "sudo -S": f"echo {S} | sudo -S reboot",
    "sudo -S, quoted": f"printf '{S}\\n' | sudo -k -S -p '' reboot",
    "htpasswd -b": f"htpasswd -b /etc/f admin {S}",
    "htpasswd -nbB": f"htpasswd -nbB -C 10 admin {S}",
    "age": "x AGE-SECRET-KEY-1QQQSECRETQQQQQQQ y",
    "shadow": "root:$6$rounds=5000$saltsalt$abcSECRETdefghijklmnopq:19000:0:99999:7:::",
    "bcrypt": "admin:$2y$10$SECRETabcdefghijklmnopqrstu",
    "yescrypt": "a:$y$j9T$SECRETSECRET$abcdefghij:1",
    "master_key": f"master_key: {S}",
    "kek": f"kek={S} x",
    "seed": f"seed: {S}",
    "JWK": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "public", "d": S}),
}  # fmt: skip
PARTS = (S, *KEY.split("\n"), "YWRtaW46", "90817263", "SECRET", "AKIA", "eyJzdWIi")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["text", "foreign", "data", "line", "twice"])
def test_a_secret_is_hidden_by_its_form(form: str, how: str) -> None:
    text = FORMS[form]
    hide: dict[str, Callable[[str], str]] = {
        "text": redacted,
        "foreign": foreign,
        "data": lambda t: json.dumps(scrubbed({"log": [t]})),
        "line": lambda t: redacted(f"Nov 29 10:00:00 host app[17]: - {t}"),
        "twice": lambda t: foreign(foreign(t)),
    }
    clean = hide[how](text)
    assert "***" in clean
    assert [part for part in PARTS if part in clean] == [], clean


def test_what_is_cut_off_is_cleaned_first() -> None:
    with knowing(["Tr0ub4dor-and-more"]):
        assert "Tr0u" not in excerpt(f"{'x ' * 75}Tr0ub4dor-and-more and on", 160)


def test_what_is_no_secret_stays() -> None:
    for text in (
        "host key of 10.0.0.1 is SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdefg",
        "key_password_env: CTM_BACKUP_KEY_PASSWORD",
        "password_policy: {min: 8}",
        "export CTM_BACKUP_KEY_PASSWORD=...   # and name it",
        "https://10.0.0.11:443/downloads/ksctl_images.zip and https://h/x?mail=a@b.example",
        "scp root@10.0.0.1:/tmp/x . ; ssh -p 2222 -p2222 root@h",
        "18 of 20 checks pass, 1 manual; spinning: 3; mapping=4; pinned: yes",
        "    (ALL) NOPASSWD: ALL\n    (root) PASSWD: /sbin/reboot",  # sudo -l
        "basic authentication failed; bearer certificate refused",
        "the variable KSPW (ksctl.password_env) is not set -> export KSPW=...",
        "the variable DB_PW is not set; export MYPW=... KSCTL_PWD=...",
        'Post "https://10.0.0.1/api/v1/auth/tokens": dial tcp 10.0.0.1:443: connect: connection refused',
        "Get https://10.0.0.1/secret: x509: certificate signed by unknown authority",
        "open /run/secrets/token: no such file or directory; cat ./x/password: Permission denied",
        "host/ctm-1@EXAMPLE.COM, docker pull vendor/tool@sha256:" + "ab" * 32,
        "the master key id: 4711; kek_version: 3; kekId=7; a community edition; secret my-tls1 not found",
        "<passwordPolicy type='x'>strict</passwordPolicy></password>text",
        "echo done | sudo tee /etc/x; $1$2 costs $5",
        "Password for admin: see the vault of the team",
        "the password is wrong; a password is required; Password policy of 12 characters",
        "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n-----END CERTIFICATE-----",
    ):
        assert redacted(text) == text
    kept = {
        "passwordPolicy": {"min": 8},
        "pin": None,
        "token": True,
        "secret": "",
        "count": 3,
        "tokenDuration": 300,
    }
    assert scrubbed(kept) == kept


def test_data_by_name() -> None:
    rows = {
        "smtp": {"password": ["a", 1], "host": "h"},
        "pin": 1234,
        "secret": {"deep": {"er": "x"}},
        "d": "kept",
    }
    assert scrubbed(rows) == {
        "smtp": {"password": ["***", "***"], "host": "h"}, "pin": "***", "secret": {"deep": {"er": "***"}}, "d": "kept",
    }  # fmt: skip


HARD = (
    "pin=", 'pin="', "pin='x\n", "pin=[", "pin>", "<pin>", "password: |\n", "--password ", "-u a:", "mysql ", "cookie:",
    "authorization: ", "basic ", "a://b:", "a://b:c@", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaaa.", "eyJ", "password ",
    "password_expir", "Private-Lines: 1\n", "identified by ", "com2sec a b ", "login a password ", "\\", '"', "'", "a", " ",
    "\n", "{", "[", "ghp_", "pin=\\\"", "pin='\\", "-", "--p", "A" * 20 + "\n", "PuTTY-User-Key-File-3", "=", "%", "\u20ac",
    "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n",
)  # fmt: skip


@pytest.mark.parametrize("piece", HARD)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (32_768 // len(piece))
    before = time.process_time()
    with knowing(VALUES[:4]):
        redacted(text)
        redacted(text + "\nx")
    assert time.process_time() - before < 5.0, "two times 32 KiB; what is quadratic takes minutes"
