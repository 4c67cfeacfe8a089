"""Notifications: real receivers on loopback, around runs of the real loop and of the installed program."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.notify import outbox
from ctmupgrade.adapters.notify.errors import NotDeliveredError
from ctmupgrade.adapters.notify.mail import MailSender
from ctmupgrade.adapters.notify.metrics_file import MetricsFile
from ctmupgrade.adapters.notify.outbox import Outbox
from ctmupgrade.adapters.notify.system_log import SyslogSender
from ctmupgrade.adapters.notify.webhook import WebhookSender
from ctmupgrade.cli.questions import ask, heard
from ctmupgrade.commands.known_secrets import known_secrets
from ctmupgrade.commands.notices import Notices
from ctmupgrade.commands.notify import try_receivers
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.receivers import Mail, Receiver, Syslog, Webhook
from ctmupgrade.core.redact import knowing
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.events import Event
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.errors import Interrupted, UsageError
from ctmupgrade.sim import Fault
from tests.support import receivers
from tests.support.control_plane import certificate
from tests.support.desk import Desk
from tests.support.live import PATIENCE, Live
from tests.support.receivers import mail_server, silent, system_log, webhook
from tests.support.world_run import Drive, at_step, make_world


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and the certificate that it signs itself: a CA file too."""
    return certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@contextmanager
def told(run: Drive, *to: Receiver, **more: Any) -> Iterator[Notices]:
    """Lets a driven run's events go to receivers, as the command line does."""
    cluster = Cluster("test", run.strategy, run.cluster.target, (), run.cluster.backup, notify=to, **more)
    desk = Notices(cluster, Mode.LIVE, run.world.clock, lambda text: text)
    hook = run.hook

    def seen(step: str, event: Event | None, tick: Any) -> None:
        hook(step, event, tick)
        if event is not None and run.executor is not None:
            desk.see(run.executor.state, event)

    run.hook = seen
    yield desk
    assert desk.close() == []


def drive(folder: Path, nodes: int = 2, **settings: Any) -> Drive:
    return Drive(make_world(nodes), folder, settings=settings)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[receivers.Posted]:
    with webhook() as box:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{box.port}/services/T0/secret-token-4711-abc")
        yield box


def kinds(box: receivers.Inbox, count: int) -> list[tuple[str, str]]:
    """Which events came, and of which node."""
    return [(document["event"], document["node"]) for _path, _headers, document in box.wait(count)]


# -- what is told ------------------------------------------------------------------------------------------------


def test_a_run_that_goes_well(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    with told(run, Webhook("HOOK")):
        assert run.start() == 0
    assert kinds(hook, 3) == [("node-done", "ctm-1"), ("node-done", "ctm-2"), ("end", "")]
    _path, headers, last = hook.items[-1]
    assert headers["Content-Type"] == "application/json"
    assert (last["schema"], last["cluster"], last["outcome"], last["exit_code"]) == (1, "test", "done", 0)
    assert last["title"] == "Upgrade of test to 2.21.0: done"
    assert "2.20.0+15016 -> 2.21.0" in hook.items[0][2]["text"]
    assert "ctmupgrade report" in last["text"]


def test_a_failure_is_told_once_and_then_what_comes_of_it(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    run.hook = at_step(run.world, "upgrade:ctm-1", Fault("upgrade_fails", "ctm-1"))
    with told(run, Webhook("HOOK")):
        assert run.start() == 5
    assert kinds(hook, 1) == [("failure", "ctm-1")], "the pause follows at once, and is not told besides"
    failed = hook.items[0][2]
    assert failed["title"].endswith("ctm-1 failed") and failed["exit_code"] == 5
    assert "ctmupgrade node retry" in failed["text"] or "ctmupgrade resume" in failed["text"]


def test_what_a_person_must_decide_is_a_question(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    state, _event = failing(run, "x")
    event = journal.StepFailed("upgrade:ctm-1", "nobody knows", "ctmupgrade node done r-1 ctm-1", 6, True)
    with told(run, Webhook("HOOK")) as desk:
        desk.see(journal.apply(state, event, state.at), event)
    assert kinds(hook, 1) == [("question", "ctm-1")]
    assert hook.items[0][2]["title"].endswith("ctm-1: a person must decide")


def test_a_pause_and_a_resume(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    asked = [journal.StopAsked("pause", "ops@desk")]
    run.requests = lambda: [asked.pop()] if asked and len(run.journal.lines) > 4 else []
    with told(run, Webhook("HOOK")) as desk:
        assert run.start() == 7
        assert kinds(hook, 1) == [("pause", "")]
        state = run.state
        resumed = journal.RunResumed("ops@desk", 1, "0")
        desk.see(journal.apply(state, resumed, state.at), resumed)
        assert kinds(hook, 2)[-1] == ("start", "")
    assert (
        "ctmupgrade resume" in hook.items[0][2]["text"] and "resumed by ops@desk" in hook.items[1][2]["title"]
    )


def test_a_start_a_question_and_a_process_that_goes(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    started = journal.RunStarted("r-1", "test", Mode.LIVE, run.plan(), "ops@desk", 1, "0")
    with told(run, Webhook("HOOK")) as desk:
        desk.question("Go on?")
        desk.see(journal.start(started, run.world.clock.now()), started)
        desk.question("Upgrade ctm-1 now?")
        desk.left(Interrupted())
        desk.refused(3, ["free_space_sufficient: ctm-1: 1 GB is free"])
        titles = [document["title"] for _path, _headers, document in hook.wait(5)]
    assert titles == [
        "test: a question waits: Go on?",
        "Upgrade of test to 2.21.0: started by ops@desk",
        "Upgrade of test to 2.21.0: a question waits: Upgrade ctm-1 now?",
        "Upgrade of test to 2.21.0: ctmupgrade has left the run (exit 130)",
        "test: the run did not begin: it is blocked by checks (exit 3); nothing was changed",
    ]
    assert [kind for kind, _node in kinds(hook, 5)] == ["question", "start", "question", "pause", "failure"]


def test_a_question_at_the_terminal_is_told_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, _size: int | None = -1) -> str:  # type: ignore[override]
            assert said == ["Upgrade ctm-1 now?"], "told before anybody has answered"
            return "y\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    with heard(said.append):
        assert ask("Upgrade ctm-1 now?")
    assert ask("Upgrade ctm-1 now?") and len(said) == 1


def test_nothing_is_told_of_what_is_only_rehearsed(tmp_path: Path, hook: receivers.Posted) -> None:
    run = drive(tmp_path)
    cluster = Cluster("test", run.strategy, run.cluster.target, (), run.cluster.backup,
                      notify=(Webhook("HOOK"),), metrics=tmp_path / "m.prom")  # fmt: skip
    for mode in (Mode.DRY_RUN, Mode.SIMULATED):
        desk = Notices(cluster, mode, run.world.clock, str)
        started = journal.RunStarted("r-1", "test", mode, run.plan(), "ops@desk", 1, "0")
        desk.see(journal.start(started, run.world.clock.now()), started)
        desk.question("Go on?")
        assert desk.close() == []
    assert hook.items == [] and not (tmp_path / "m.prom").exists()


# -- in which form -----------------------------------------------------------------------------------------------

HOSTILE = 'a <!channel> & <https://evil.example|click> *b* _c_ @here "x" \\ ]\x1b[2J\r\nBcc: evil@example.com'


def failing(run: Drive, text: str) -> tuple[RunState, Event]:
    """A run in which a node says something."""
    started = journal.RunStarted("r-1", "test", Mode.LIVE, run.plan(), "ops@desk", 1, "0")
    state = journal.start(started, run.world.clock.now())
    event = journal.StepFailed("upgrade:ctm-1", text, text, 5)
    return journal.apply(state, event, state.at), event


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    return drive(tmp_path_factory.mktemp("run"))


def test_slack_reads_no_command_of_a_node(run: Drive, hook: receivers.Posted) -> None:
    with told(run, Webhook("HOOK", "slack")) as desk:
        desk.see(*failing(run, HOSTILE))
    document = hook.wait()[0][2]
    assert document["mrkdwn"] is False
    assert [block["type"] for block in document["blocks"]] == ["header", "section"]
    assert {block["text"]["type"] for block in document["blocks"]} == {"plain_text"}
    for text in (document["text"], document["blocks"][1]["text"]["text"]):
        assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in text
        assert "<" not in text and "\x1b" not in text and "@here" not in text


def test_what_slack_would_refuse_for_its_length_is_cut(run: Drive, hook: receivers.Posted) -> None:
    with told(run, Webhook("HOOK", "slack")) as desk:
        desk.see(*failing(run, "\n".join(["<" * 400] * 30)))
    header, section = (block["text"]["text"] for block in hook.wait()[0][2]["blocks"])
    assert len(header) <= 150 and 2900 <= len(section) <= 3000


def test_teams_reads_no_markdown_of_a_node(run: Drive, hook: receivers.Posted) -> None:
    with told(run, Webhook("HOOK", "teams")) as desk:
        desk.see(*failing(run, HOSTILE))
    (attachment,) = hook.wait()[0][2]["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    runs = [one for row in attachment["content"]["body"] for one in row["inlines"]]
    assert {one["type"] for one in runs} == {"TextRun"}, "a TextBlock would be read as Markdown"
    assert any("*b* _c_" in one["text"] for one in runs) and "\x1b" not in json.dumps(runs)


def test_a_mail_has_the_headers_that_we_wrote(run: Drive) -> None:
    with mail_server() as box:
        with told(
            run, Mail(("ops@example.com", "boss@example.com"), "ctm@example.com", "127.0.0.1", box.port)
        ) as desk:
            desk.see(*failing(run, HOSTILE + "\n.\nQUIT"))
        (mail,) = box.wait()
    assert (mail.sender, mail.to) == ("ctm@example.com", ("ops@example.com", "boss@example.com"))
    assert mail.message["Subject"] == "Upgrade of test to 2.21.0: ctm-1 failed"
    assert mail.message["Bcc"] is None and mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["References"] == "<r-1@example.com>" and mail.message["Date"]
    text = mail.message.get_content()
    assert "Bcc: evil@example.com" in text and "\r\n  .\r\n  QUIT" in text, "in the text, they do nothing"
    assert "\x1b" not in text
    assert not mail.encrypted and mail.login == ""


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_line_for_a_system_log(run: Drive, pem: Path, transport: Any) -> None:
    trust = pem if transport == "tls" else None
    with (
        system_log(transport, trust) as box,
        told(run, Syslog(transport, "127.0.0.1", box.port, trust)) as desk,
    ):
        desk.see(*failing(run, HOSTILE + " \u00e4"))
        line = box.wait()[0].decode()
    head, mark, message = line.partition("\ufeff")
    assert mark, "what is not ASCII is marked as UTF-8"
    fields = head.split(" ", 7)
    assert fields[0] == "<11>1", "user-level, an error"
    assert fields[2] and fields[3:6] == ["ctmupgrade", str(os.getpid()), "failure"]
    assert line.count('node="ctm-1"') == 1 and 'exit_code="5"] ' in head
    assert "upgrade:ctm-1: a <!channel>" in message and "\n" not in line and "\x1b" not in line


def test_structured_data_is_escaped() -> None:
    from ctmupgrade.core.run.news import News, NewsKind
    from ctmupgrade.render.notices import syslog

    news = News(NewsKind.END, make_world(1).clock.now(), 'a"b\\c]d', "x" * 5000)
    line = syslog(news, "h\u00f6st name\n", 1)
    assert b'cluster="a\\"b\\\\c\\]d"' in line and b" hstname ctmupgrade 1 end [" in line
    assert len(line) == 2048, "a receiver may cut what is longer"


def test_no_secret_is_told(run: Drive, hook: receivers.Posted) -> None:
    cluster = Cluster(
        "t", run.strategy, run.cluster.target, (), run.cluster.backup, notify=(Webhook("HOOK"),)
    )
    assert cluster.secret_variables == ("CTM_BACKUP_KEY_PASSWORD", "HOOK")
    said = f"posting to {os.environ['HOOK']} or /secret-token-4711-abc; password: hunter2x; key simulated-key-password"
    with knowing(known_secrets(cluster, os.environ)), told(run, Webhook("HOOK")) as desk:
        desk.see(*failing(run, said))
    text = json.dumps(hook.wait()[0][2])
    assert not [word for word in ("secret-token", "hunter2x", "simulated-key-password") if word in text]


# -- how it is delivered -----------------------------------------------------------------------------------------


def why(send: Callable[[bytes], None]) -> str:
    with pytest.raises(NotDeliveredError) as caught:
        send(b"{}")
    return str(caught.value)


def test_a_webhook_is_trusted_by_its_certificate(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook(pem) as box:
        monkeypatch.setenv("HOOK", f"https://ops:p%40ss@127.0.0.1:{box.port}/x?y=z\n")
        assert "not trusted" in why(WebhookSender(Webhook("HOOK")).send)
        WebhookSender(Webhook("HOOK", ca_file=pem)).send(b"{}")
        ((path, headers, _document),) = box.items
        assert path == "/x?y=z" and headers["Authorization"] == "Basic b3BzOnBAc3M="
        monkeypatch.setenv("HOOK", f"https://localhost:{box.port}/x")
        assert "not trusted" in why(WebhookSender(Webhook("HOOK", ca_file=pem)).send), (
            "the name is verified too"
        )
    assert "no certificates" in why(WebhookSender(Webhook("HOOK", ca_file=pem.parent / "none")).send)


def test_a_redirect_is_not_followed(hook: receivers.Posted) -> None:
    with webhook() as other:
        for status in (302, 307):
            hook.status, hook.location = status, f"http://127.0.0.1:{other.port}/other"
            assert "a redirect, which is not followed" in why(WebhookSender(Webhook("HOOK")).send)
        assert other.items == []


def test_a_refusal_is_told_with_its_words(hook: receivers.Posted) -> None:
    hook.status = 403
    assert why(WebhookSender(Webhook("HOOK")).send) == 'it answers 403: "invalid_token"'


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/x",
        "ftp://h/x",
        "https://",
        "https://h:x/secret",
        "https://h/secret x",
        "https://h:0/x",
    ],
)
def test_a_variable_without_a_url_is_not_printed_back(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HOOK", url)
    said = why(WebhookSender(Webhook("HOOK")).send)
    assert said.startswith("the variable HOOK") and "secret" not in said


def test_a_proxy_is_asked_unless_the_host_is_left_out(
    hook: receivers.Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        WebhookSender(Webhook("HOOK")).send(b"{}")
        assert proxy.wait()[0][0] == os.environ["HOOK"] and hook.items == []
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        WebhookSender(Webhook("HOOK")).send(b"{}")
        assert len(hook.wait()) == 1


def mail(port: int, **more: Any) -> Mail:
    return Mail(("ops@example.com", "b@example.com"), "ctm@example.com", "127.0.0.1", port, **more)


def test_mail_is_encrypted_where_it_can_be(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    login = {"user": "ops", "password_env": "MAIL_PASSWORD"}
    with mail_server(pem) as box:
        assert "not trusted" in why(MailSender(mail(box.port)).send), "never in clear text instead"
        MailSender(mail(box.port, ca_file=pem, **login)).send(b"Subject: x\r\n\r\nx\r\n")
        (got,) = box.items
        assert got.encrypted and got.login == "/ops/s3cret"
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        assert "it refuses the login: 535" in why(MailSender(mail(box.port, ca_file=pem, **login)).send)
        monkeypatch.delenv("MAIL_PASSWORD")
        assert "MAIL_PASSWORD is not set" in why(MailSender(mail(box.port, ca_file=pem, **login)).send)
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    with mail_server() as box:
        assert "the password is not sent" in why(MailSender(mail(box.port, **login)).send)
        assert box.items == []


def test_mail_to_a_port_that_begins_with_tls(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server(pem, at_once=True) as box:
        monkeypatch.setattr("ctmupgrade.adapters.notify.mail.SMTPS", box.port)
        MailSender(mail(box.port, ca_file=pem)).send(b"Subject: x\r\n\r\nx\r\n")
        assert box.items[0].encrypted


def test_a_mailbox_that_is_refused_is_told_and_the_other_one_served() -> None:
    with mail_server(refused="b@example.com", late=True) as box:
        assert "1 of 2 mailboxes are refused: b@example.com" in why(MailSender(mail(box.port)).send)
        assert box.items[0].to == ("ops@example.com",)


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as box:
        port = box.port
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{port}/")
    for sender in (
        WebhookSender(Webhook("HOOK")), MailSender(mail(port)), SyslogSender(Syslog("tcp", "127.0.0.1", port)),
        SyslogSender(Syslog("tls", "127.0.0.1", port)),
    ):  # fmt: skip
        assert why(sender.send) == "Connection refused"


def test_a_mail_server_that_says_nothing_did_not_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctmupgrade.adapters.notify.mail.SILENCE", 0.1)
    with silent() as box:
        assert why(MailSender(mail(box.port)).send).startswith("no answer for ")


def test_syslog_over_tls_proves_the_receiver(pem: Path) -> None:
    with system_log("tls", pem) as box:
        assert "not trusted" in why(SyslogSender(Syslog("tls", "127.0.0.1", box.port)).send)


# -- nothing is delayed ------------------------------------------------------------------------------------------


class Stuck:
    """A receiver that answers when it is let go."""

    def __init__(self) -> None:
        self.free, self.taken = threading.Event(), list[bytes]()

    def send(self, payload: bytes) -> None:
        self.free.wait()
        self.taken.append(payload)


def test_a_receiver_that_never_answers_delays_neither_the_run_nor_another_one(
    tmp_path: Path, hook: receivers.Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its silence is longer than the run: what the other one gets must not wait for it."""
    monkeypatch.setattr("ctmupgrade.commands.notices.FLUSH", 0.2)
    run = drive(tmp_path)
    with silent() as dead:
        monkeypatch.setenv("DEAD", f"http://127.0.0.1:{dead.port}/")
        to = (Webhook("DEAD"), mail(dead.port), Syslog("tls", "127.0.0.1", dead.port), Webhook("HOOK"))
        cluster = Cluster("t", run.strategy, run.cluster.target, (), run.cluster.backup, notify=to)
        desk = Notices(cluster, Mode.LIVE, run.world.clock, str)
        run.hook = lambda _s, event, _t: (
            desk.see(run.executor.state, event) if event and run.executor else None
        )
        assert run.start() == 0
        assert kinds(hook, 3)[-1] == ("end", "")
        dead.wait(3)
        assert sorted(desk.close()) == [
            f"mail through 127.0.0.1:{dead.port}: 3 messages could not be delivered in time",
            f"syslog tls://127.0.0.1:{dead.port}: 3 messages could not be delivered in time",
            "the json webhook of DEAD: 3 messages could not be delivered in time",
        ]


def test_trouble_is_told_once_and_the_next_message_is_tried() -> None:
    box, fails = Outbox(), ["once", "twice"]
    came = list[bytes]()

    class Sender:
        def send(self, payload: bytes) -> None:
            if fails:
                raise NotDeliveredError(fails.pop(0))
            came.append(payload)

    number = box.add("it", Sender())
    box.put(number, b"1")
    assert box.close() == ["it: once; the run goes on, and this is not said again"]
    box.put(number, b"2")
    assert box.close() == [] and box.trouble() == []
    box.put(number, b"3")
    assert box.close() == [] and came == [b"3"]
    assert box.results() == [("it", "")]


def test_a_bug_in_a_sender_is_trouble_like_any_other() -> None:
    class Sender:
        def send(self, payload: bytes) -> None:
            raise RuntimeError("password in here")

    box = Outbox()
    box.put(box.add("it", Sender()), b"1")
    assert box.close() == ["it: it cannot be sent: RuntimeError; the run goes on, and this is not said again"]


def test_the_queue_is_bounded_and_the_newest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "STUCK", 0.0)
    box, stuck = Outbox(), Stuck()
    number = box.add("it", stuck)
    box.put(number, b"first")
    while not box.trouble():  # it is being sent
        time.sleep(0.001)
    for count in range(outbox.MOST + 50):
        box.put(number, b"%d" % count)
    stuck.free.set()
    assert box.close(receivers.PATIENCE) == []
    assert stuck.taken == [b"first", *(b"%d" % count for count in range(50, outbox.MOST + 50))]


# -- numbers -----------------------------------------------------------------------------------------------------


def test_numbers_for_a_collector(tmp_path: Path) -> None:
    run, file = drive(tmp_path), tmp_path / "ctm.prom"
    seen = list[str]()
    with told(run, metrics=file):
        watched = run.hook

        def look(step: str, event: Event | None, tick: Any) -> None:
            watched(step, event, tick)
            seen.extend([file.read_text()] if file.exists() else [])

        run.hook = look
        assert run.start() == 0
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644 and [p.name for p in tmp_path.glob(".ctm*")] == []
    for whole in (text, *seen):
        assert whole.endswith("\n") and whole.count("# TYPE") == 9, "whole at any moment"
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['ctmupgrade_run_state{cluster="test",state="done"}'] == "1"
    assert samples['ctmupgrade_run_nodes{cluster="test",state="done"}'] == "2"
    assert samples['ctmupgrade_run_exit_code{cluster="test"}'] == "0"
    finished = samples['ctmupgrade_run_finished_timestamp_seconds{cluster="test"}']
    assert float(finished) == pytest.approx(run.state.at.timestamp(), abs=1e-3)
    assert 'outcome="done"' in text


def test_the_exposition_format_is_kept(run: Drive) -> None:
    """By the grammar of Prometheus' text format: names, escaped label values, one family after the other."""
    import re

    from ctmupgrade.render.metrics import metrics_text

    state, _event = failing(run, "x")
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    sample = re.compile(rf"([a-z_]+)\{{{label}(?:,{label})*\}} -?\d+(?:\.\d+)?")
    families = list[str]()
    for line in metrics_text(state).splitlines():
        if line.startswith("#"):
            families.append(line.split()[2])
        else:
            found = sample.fullmatch(line)
            assert found and found[1] == families[-1], line
    assert families[::2] == families[1::2] and len({*families}) == len(families) // 2


def test_a_place_where_no_file_can_be_is_trouble(tmp_path: Path) -> None:
    said = why(MetricsFile(tmp_path / "none" / "a.prom").send)
    assert said == "No such file or directory"


def test_what_somebody_put_in_its_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours")
    (tmp_path / "ours").chmod(0o600)
    for name in (f".a.prom.{os.getpid()}", f".a.prom.{os.getpid()}.part"):
        os.link(tmp_path / "ours", tmp_path / name)
    MetricsFile(tmp_path / "a.prom").send(b"numbers")
    assert (tmp_path / "a.prom").read_bytes() == b"numbers" and (tmp_path / "ours").read_text() == "ours"
    assert stat.S_IMODE((tmp_path / "a.prom").stat().st_mode) == 0o644
    assert len(list(tmp_path.iterdir())) == 4 and Path(os.devnull).is_char_device()


# -- the command -------------------------------------------------------------------------------------------------


def cluster_with(folder: Path, entries: str) -> Path:
    file = folder / "cluster.yaml"
    (folder / "a.gpg").write_bytes(b"x")
    file.write_text(
        "cluster: c\ntarget: {archive: ./a.gpg, version: 2.21.0, signer: 0123456789ABCDEF0123456789ABCDEF01234567}\n"
        f"nodes: [{{name: n-1, host: 127.0.0.1}}]\nnotify:\n{entries}"
    )
    return file


def test_receivers_can_be_tried(tmp_path: Path, hook: receivers.Posted) -> None:
    desk = Desk(tmp_path)
    cluster_with(tmp_path, "  - webhook: {url_env: HOOK}\n  - webhook: {url_env: NOT_SET, format: slack}\n")
    (tmp_path / "a.gpg").unlink()  # they are tried weeks before the archive is there
    said = desk.type("notify", HOOK=os.environ["HOOK"])
    assert said.returncode == 4, said.stderr
    assert said.stdout.splitlines() == [
        "sent    the json webhook of HOOK",
        "FAILED  the slack webhook of NOT_SET: the variable NOT_SET is not set",
    ]
    assert kinds(hook, 1) == [("test", "")]
    rows = json.loads(desk.type("notify", "--format", "json", HOOK=os.environ["HOOK"]).stdout)["receivers"]
    assert [(row["sent"], bool(row["error"])) for row in rows] == [(True, False), (False, True)]
    said = desk.type("notify", "--dry-run", "--format", "json", HOOK=os.environ["HOOK"])
    document = json.loads(said.stdout)
    assert said.returncode == 0 and document["mode"] == "DRY-RUN"
    assert document["receivers"][0] == {"receiver": "the json webhook of HOOK", "sent": False, "error": ""}
    assert len(hook.items) == 2, "a dry run sends nothing"


def test_no_receiver_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(cluster_with(tmp_path, "").read_text().replace("notify:\n", ""))
    with pytest.raises(UsageError, match="names no receiver"):
        try_receivers(CommandRequest(cluster=tmp_path / "cluster.yaml"))


def test_the_installed_program_tells_all_three(go_live: Callable[..., Live], tmp_path: Path) -> None:
    """And a fourth one, which accepts and never answers, is told of once."""
    with webhook() as box, mail_server() as mails, system_log("udp") as lines, silent() as dead:
        extra = f"""notify:
  - {{webhook: {{url_env: HOOK}}}}
  - {{webhook: {{url_env: DEAD, format: slack}}}}
  - {{mail: {{to: [ops@example.com], from: ctm@example.com, smtp: "127.0.0.1:{mails.port}"}}}}
  - {{syslog: {{address: "udp://127.0.0.1:{lines.port}"}}}}
metrics: {tmp_path}/ctm.prom"""
        live = go_live(nodes=1, extra=f"{extra}\nstrategy: standalone", more={"clustered": False})
        environ = {
            f"{name}": f"http://127.0.0.1:{one.port}/token-{name}"
            for name, one in (("HOOK", box), ("DEAD", dead))
        }
        said = live.run("run", "--yes", timeout=PATIENCE, **environ)
        assert said.returncode == 0, said.stdout + said.stderr
        assert [kind for kind, _node in kinds(box, 3)] == ["start", "node-done", "end"]
        assert [one.message["X-Ctmupgrade-Event"] for one in mails.wait(3)] == ["start", "node-done", "end"]
        assert [line.split()[5] for line in lines.wait(3)] == [b"start", b"node-done", b"end"]
    assert said.stderr.count("notify: the slack webhook of DEAD: ") == 1
    assert "token-" not in said.stdout + said.stderr
    assert 'state="done"} 1' in (tmp_path / "ctm.prom").read_text()
