"""The vendor CLI: its environment, its prompts, its files, and that no secret gets out."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.local.ksctl import KsctlControl
from ctmupgrade.adapters.local.reach import DirectReach
from ctmupgrade.adapters.local.secrets import Scrubber, readable_by_others
from ctmupgrade.adapters.own_program import REMOVE_AFTER_US
from ctmupgrade.core.ksctl import sounds_like_login
from ctmupgrade.core.model import KsctlSettings, Node, Secret, SshSettings
from ctmupgrade.errors import ConnectionLostError, NodeError, TooMuchError, UsageError
from ctmupgrade.ports import Control
from tests.adapters.conftest import left_running

pytestmark = pytest.mark.usefixtures("home")

PASSWORD = 'p"w &0815'
ANSWER = "answer 4711"

FAKE = """#!{python}
import getpass, json, os, sys, time
def ask(prompt):
    return getpass.getpass(prompt)
what, rest = sys.argv[1], sys.argv[2:]
if what == "env":
    json.dump({{k: v for k, v in os.environ.items()}} | {{"argv": sys.argv[1:]}}, open(rest[0], "w"))
    home = os.environ["HOME"]
    print(json.dumps({{"pw": os.environ["KSCTL_PASSWORD"], "home": os.listdir(home), "stdin": sys.stdin.read(),
                      "mode": oct(os.stat(home).st_mode & 0o777)}}))
elif what == "tty":
    print(json.dumps([ask("Backup key password: "), ask("Repeat passphrase: ")]))
elif what == "stderr-prompt":
    sys.stderr.write("Enter password for the backup key? "); sys.stderr.flush()
    print("got", sys.stdin.readline().strip())
elif what == "endless":
    while True: ask("Backup key password: ")
elif what == "unanswered":
    sys.stdout.write("Password: "); sys.stdout.flush()
    if not sys.stdin.readline(): sys.exit(1)
elif what == "asks":
    try: print("typed", ask(rest[0]))
    except EOFError: sys.exit(1)
elif what == "file":
    print(rest[0], oct(os.stat(rest[0]).st_mode & 0o777), open(rest[0]).read()); sys.exit(int(rest[1]))
elif what == "sleep":
    os.fork(); time.sleep(60)
elif what == "big":
    sys.stdout.write("x" * 100000 + os.environ["KSCTL_PASSWORD"] + "y" * 100000)
elif what == "forever":
    while True: (sys.stderr if rest else sys.stdout).write("x" * 65536)
elif what == "fail":
    print("connection refused", file=sys.stderr); sys.exit(1)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "ksctl"
    path.parent.mkdir()
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(0o755)
    return path


def control(fake: Path, tmp_path: Path, **settings: object) -> KsctlControl:
    given: dict[str, object] = {"command": f"'{fake}'", "password_env": "MY_PW", "timeout": 20.0, **settings}
    node = Node("ctm-1", "10.0.0.11", "https://10.0.0.11", "10.0.0.11", SshSettings(), KsctlSettings(**given))  # type: ignore[arg-type]
    environ = os.environ | {
        "MY_PW": PASSWORD,
        "KSCTL_JWT": "token",
        "KSCTL_URL": "https://elsewhere",
        "ksctl_config": "x",
        "XDG_CONFIG_HOME": "/x",
    }
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    return KsctlControl(node, environ=environ, home_root=root)


def test_it_is_a_control(fake: Path, tmp_path: Path) -> None:
    it: Control = control(fake, tmp_path)
    assert it.read("fail").code == 1


def test_configuration_by_environment_only(fake: Path, tmp_path: Path) -> None:
    said = json.loads(control(fake, tmp_path, nosslverify=True).read("env", str(tmp_path / "seen")).out)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["argv"] == ["env", str(tmp_path / "seen")]
    assert {name: value for name, value in seen.items() if name.upper().startswith("KSCTL")} == {
        "KSCTL_URL": "https://10.0.0.11",
        "KSCTL_USERNAME": "admin",
        "KSCTL_PASSWORD": PASSWORD,
        "KSCTL_NOSSLVERIFY": "true",
        "KSCTL_TIMEOUT": "20",
        "KSCTL_RESP": "json",
        "KSCTL_VERBOSITY": "false",
    }
    assert not {"MY_PW", "XDG_CONFIG_HOME"} & set(seen)
    assert seen["LC_ALL"] == "C"
    assert Path(seen["HOME"]).parent == tmp_path / "root"
    assert (said["home"], said["mode"], said["stdin"]) == ([], "0o700", "")
    assert said["pw"] == "***"


def test_private_folder_goes_at_close(fake: Path, tmp_path: Path) -> None:
    it = control(fake, tmp_path)
    it.read("fail")
    assert list((tmp_path / "root").iterdir())
    it.close()
    assert not list((tmp_path / "root").iterdir())
    it.read("fail")
    it.close()
    assert not list((tmp_path / "root").iterdir())


def test_password_from_file_and_command(fake: Path, tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text(PASSWORD + "\n")
    for place in ({"password_file": file}, {"password_command": f"cat '{file}'"}):
        control(fake, tmp_path, password_env=None, **place).read("env", str(tmp_path / "seen"))
        assert json.loads((tmp_path / "seen").read_text())["KSCTL_PASSWORD"] == PASSWORD


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ({"password_env": "NOT_SET"}, "NOT_SET"),
        ({"password_file": Path("/absent")}, "password_file"),
        ({"password_command": "sh -c 'echo why >&2; exit 3'"}, "ended with 3"),
        ({"password_command": "no-such-program"}, "cannot be started"),
        ({"password_command": "true"}, "is empty"),
        ({"password_command": "cat /dev/zero"}, "longer than 65536 bytes"),
        ({"password_command": "sh -c 'yes 4711 >&2; true'"}, "longer than 65536 bytes"),
        ({"password_command": "sh -c 'yes 4711 & exit 0'"}, "longer than 65536 bytes"),
        ({}, "KSCTL_PASSWORD"),
    ],
)
def test_missing_password_names_its_place(
    fake: Path, tmp_path: Path, place: dict[str, object], says: str
) -> None:
    it = control(fake, tmp_path, **{"password_env": None, **place})
    with pytest.raises(UsageError, match=says):
        it.read("fail")
    assert not left_running("yes", "4711"), "what a command has started goes with it"


def test_a_password_file_that_holds_more_than_a_password_is_refused(fake: Path, tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("x" * 65_537)
    with pytest.raises(UsageError, match="longer than 65536 bytes"):
        control(fake, tmp_path, password_env=None, password_file=file).read("fail")


def test_prompts_are_answered_on_a_terminal(fake: Path, tmp_path: Path) -> None:
    reply = control(fake, tmp_path).change("tty", answer=Secret(ANSWER))
    assert (reply.code, json.loads(reply.out)) == (0, ["***", "***"])
    assert "assphrase" not in reply.err and "assword" not in reply.err, (
        "no answered prompt is part of the answer"
    )
    assert ANSWER not in reply.err
    assert not sounds_like_login(f"{reply.out} {reply.err}")


def test_prompts_on_stderr_are_answered(fake: Path, tmp_path: Path) -> None:
    assert control(fake, tmp_path).change("stderr-prompt", answer=Secret(ANSWER)).out == "got ***\n"


@pytest.mark.parametrize(
    "prompt", ["Login password for the backup user: ", "Backup key password for admin: "]
)
def test_the_backup_keys_password_is_typed_at_no_other_prompt(
    fake: Path, tmp_path: Path, prompt: str
) -> None:
    it = control(fake, tmp_path, timeout=5.0)
    with pytest.raises(NodeError, match="asks for a password") as caught:
        it.change("asks", prompt, answer=Secret(ANSWER))
    assert "does not name the backup key" in caught.value.details
    assert not children()


@pytest.mark.parametrize("prompt", ["Enter the password of the backup key: ", "Password: "])
def test_it_is_typed_at_those_that_name_the_backup_key_or_nothing(
    fake: Path, tmp_path: Path, prompt: str
) -> None:
    assert control(fake, tmp_path).change("asks", prompt, answer=Secret(ANSWER)).out == "typed ***\n"


def test_ksctl_gets_what_it_needs_and_nothing_else(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTHER_PW", "CTM_BACKUP_KEY_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "s3cr3t-of-another")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    control(fake, tmp_path).read("env", str(tmp_path / "seen"))
    seen = json.loads((tmp_path / "seen").read_text())
    assert "s3cr3t-of-another" not in seen.values() and seen["https_proxy"] == "http://proxy:3128"
    assert list(seen.values()).count(PASSWORD) == 1


def test_a_password_command_gets_no_other_secret(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSCTL_PASSWORD", "theirs")
    monkeypatch.setenv("OTHER_PW", "theirs")
    monkeypatch.setenv("VAULT_ADDR", "needed")
    command = "sh -c 'echo $OTHER_PW$KSCTL_PASSWORD$VAULT_ADDR'"
    settings = KsctlSettings(command=f"'{fake}'", password_command=command)
    node = Node("n", "h", "https://h", "h", SshSettings(), settings)
    KsctlControl(node, home_root=tmp_path, withheld=["OTHER_PW"]).read("env", str(tmp_path / "seen"))
    assert json.loads((tmp_path / "seen").read_text())["KSCTL_PASSWORD"] == "needed"


def test_files_of_ksctl_are_its_owners_alone(fake: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        control(fake, tmp_path).read("env", str(tmp_path / "seen"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o600


def test_a_password_file_that_others_can_write_is_refused(fake: Path, tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text(PASSWORD)
    file.chmod(0o622)
    with pytest.raises(UsageError, match="others can write") as caught:
        control(fake, tmp_path, password_env=None, password_file=file).read("fail")
    assert caught.value.remedy == f"chmod 600 {file}"
    file.chmod(0o640)
    assert "chmod 600" in readable_by_others(file)
    file.chmod(0o600)
    assert readable_by_others(file) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_password_file_of_another_user_is_refused(fake: Path, tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    os.chown(file, 65534, -1)
    with pytest.raises(UsageError, match="belongs to nobody, who can change it"):
        control(fake, tmp_path, password_env=None, password_file=file).read("fail")


def test_a_password_that_is_no_text_is_refused(fake: Path, tmp_path: Path) -> None:
    for data, says in ((b"abc\xff\xfe", "UTF-8"), (b"abc\0def", "zero byte")):
        file = tmp_path / "pw"
        file.write_bytes(data)
        file.chmod(0o600)
        for place in ({"password_file": file}, {"password_command": f"cat '{file}'"}):
            with pytest.raises(UsageError, match=says) as caught:
                control(fake, tmp_path, password_env=None, **place).read("fail")
            assert "abc" not in str(vars(caught.value))


def test_a_password_that_was_typed_as_its_command_is_not_shown(fake: Path, tmp_path: Path) -> None:
    for command in ("hunter2hunter2", "sh -c 'exit 3 # hunter2hunter2'", "'hunter2hunter2"):
        with pytest.raises(UsageError) as caught:
            control(fake, tmp_path, password_env=None, password_command=command).read("fail")
        assert "hunter2" not in f"{vars(caught.value)} {caught.value.__cause__}"


def test_answer_that_is_not_needed(fake: Path, tmp_path: Path) -> None:
    assert control(fake, tmp_path).change("fail", answer=Secret(ANSWER)).err == "connection refused\n"


def test_endless_prompts_are_given_up(fake: Path, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="asks for a password"):
        control(fake, tmp_path).change("endless", answer=Secret(ANSWER))
    assert not children()


@pytest.mark.parametrize("how", ["read", "change"])
def test_unanswered_prompt_is_an_error(fake: Path, tmp_path: Path, how: str) -> None:
    it = control(fake, tmp_path)
    with pytest.raises(NodeError, match="asks for a password"):
        it.read("unanswered") if how == "read" else it.change("unanswered")


def test_secret_files_are_private_and_removed(fake: Path, tmp_path: Path) -> None:
    for code in (0, 3):
        it = control(fake, tmp_path)
        reply = it.change("file", "{key}", str(code), files={"key": Secret("line one\nline two")})
        path, mode, content = reply.out.strip().split(" ", 2)
        assert (reply.code, mode, content) == (code, "0o600", "***")
        assert not Path(path).exists()


def test_secret_files_are_removed_when_it_cannot_start(fake: Path, tmp_path: Path) -> None:
    it = control(fake, tmp_path)
    fake.unlink()
    with pytest.raises(NodeError):
        it.change("file", "{key}", files={"key": Secret("x")})
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]


def children() -> list[psutil.Process]:
    """What runs for us, but for the helper that would clean up after us."""
    alive = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if REMOVE_AFTER_US not in one.cmdline()]


@pytest.mark.parametrize("answer", [None, Secret(ANSWER)])
def test_own_timeout_is_lost_and_ends_the_group(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Secret | None
) -> None:
    monkeypatch.setattr("ctmupgrade.adapters.local.ksctl._GRACE", 0.5)
    with pytest.raises(ConnectionLostError, match="did not end within"):
        control(fake, tmp_path).change("sleep", timeout=0.5, answer=answer)
    time.sleep(0.2)
    assert not children()


def test_missing_ksctl_says_where_it_comes_from(fake: Path, tmp_path: Path) -> None:
    fake.unlink()
    with pytest.raises(NodeError, match="cannot be started") as caught:
        control(fake, tmp_path).read("fail")
    assert "https://10.0.0.11/downloads/ksctl_images.zip" in caught.value.remedy


def test_program_that_is_not_executable(fake: Path, tmp_path: Path) -> None:
    fake.chmod(stat.S_IRUSR)
    with pytest.raises(NodeError, match="cannot be started"):
        control(fake, tmp_path).read("fail")


def test_stream_is_scrubbed_over_its_pieces(fake: Path, tmp_path: Path) -> None:
    whole = b"".join(control(fake, tmp_path).stream("big"))
    assert whole == b"x" * 100_000 + b"***" + b"y" * 100_000
    with pytest.raises(NodeError, match="ended with 1"):
        list(control(fake, tmp_path).stream("fail"))


def test_scrubber_finds_every_spelling() -> None:
    scrub = Scrubber([Secret('aä"b cd'), Secret("")])
    assert scrub.text('aä"b cd|aä\\"b cd|a%C3%A4%22b%20cd|abcd'.encode()) == "***|***|***|abcd"
    pieces = [scrub.feed(bytes([byte])) for byte in '1aä"b cd2aä"b'.encode()]
    assert b"".join(pieces) + scrub.rest() == '1***2aä"b'.encode()


def test_no_secret_in_a_command_line(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctmupgrade.adapters.local.ksctl._GRACE", 1.0)
    import threading

    seen: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for one in psutil.Process().children(recursive=True):
                try:
                    seen.extend(one.cmdline())
                except psutil.Error:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    it = control(fake, tmp_path)
    with pytest.raises(ConnectionLostError) as caught:
        it.change("sleep", "{f}", timeout=0.5, answer=Secret(ANSWER), files={"f": Secret("filed 99")})
    stop.set()
    thread.join()
    assert seen
    for secret in (PASSWORD, ANSWER, "filed 99"):
        assert not any(secret in word for word in seen)
        assert secret not in str(vars(caught.value))


@pytest.mark.parametrize("where", [(), ("err",)], ids=["out", "err"])
def test_an_answer_without_an_end_is_stopped(fake: Path, tmp_path: Path, where: tuple[str, ...]) -> None:
    with pytest.raises(TooMuchError, match="longer than"):
        control(fake, tmp_path).read("forever", *where)
    with pytest.raises(ConnectionLostError, match="longer than"):
        control(fake, tmp_path).change("forever", *where)


@pytest.mark.parametrize(
    ("url", "proven"),
    [
        ("https://127.0.0.1", True), ("https://localhost:8443", True), ("https://[::1]", True),
        ("https://192.0.2.7", False), ("https://localhost.example", False), ("https://[2001:db8::1]", False),
    ],
)  # fmt: skip
def test_on_the_nodes_own_shell_its_own_addresses_need_no_certificate(url: str, proven: bool) -> None:
    """As through SSH; without through_ssh, and for what may be somebody else's, TLS judges."""
    settings = KsctlSettings(through_ssh=True)
    node = Node("ctm-1", "local", url, "localhost", SshSettings(), settings)
    with DirectReach(node).open() as place:
        assert (place.url, place.proven) == (url, proven)
    for other in (replace(node, host="10.0.0.1"), replace(node, ksctl=KsctlSettings())):
        with DirectReach(other).open() as place:
            assert not place.proven
