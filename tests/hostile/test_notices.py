"""What nodes say, in notifications: no form of them becomes another message by it."""

from __future__ import annotations

import json
from email import message_from_bytes, policy

import pytest

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.news import News, news_of
from ctmupgrade.render import notices
from tests.hostile import corpus
from tests.support.world_run import Drive, make_world


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> journal.RunState:
    drive = Drive(make_world(2), tmp_path_factory.mktemp("drive"))
    event = journal.RunStarted("r-1", "test", Mode.LIVE, drive.plan(), "ops@desk", 1, "0")
    return journal.start(event, drive.world.clock.now())


def told(started: journal.RunState, text: str) -> News:
    event = journal.StepFailed("upgrade:ctm-1", text, text, 5)
    news = news_of(event, None, journal.apply(started, event, started.at), None)
    assert news is not None
    return news


@pytest.mark.parametrize("text", corpus.TEXTS.values(), ids=corpus.TEXTS.keys())
def test_a_notification_is_one_whatever_a_node_says(started: journal.RunState, text: str) -> None:
    news = told(started, text)
    for form in ("json", "slack", "teams"):
        document = corpus.check_json(notices.body(news, form).decode())
        assert corpus.MARK in json.dumps(document)
    slack = notices.slack(news)
    assert "<" not in json.dumps(slack) and "@here" not in json.dumps(slack)
    line = notices.syslog(news, "h", 1).decode()
    corpus.check_plain(line.replace("\ufeff", ""))
    assert "\n" not in line and len(line.encode()) <= 2048
    mail = message_from_bytes(notices.mail(news, "a@b.c", ("d@e.f",)), policy=policy.default)
    assert mail.keys() == message_from_bytes(notices.mail(told(started, "x"), "a@b.c", ("d@e.f",))).keys()
    corpus.check_plain(mail.get_content().replace("\r\n", "\n"))
