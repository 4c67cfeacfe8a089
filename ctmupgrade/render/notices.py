"""News of a run in the forms of those who are told: Slack, Teams, JSON, mail, syslog. Each escapes what means
something in its own form; the texts are clean already, each a single line.
"""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from ctmupgrade import __version__
from ctmupgrade.core.run.news import News, NewsKind

_SLACK_HEADER, _SLACK_TEXT = 150, 3000  # characters that a block takes (Slack's reference of blocks)
_SLACK_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What calls everybody, in Slack's look-alikes also as plain text.
_CALLS = re.compile(r"@(?=(?:channel|here|all|everyone)\b)")
_LONGEST_SYSLOG = 2048  # bytes that a receiver should take (RFC 5426, section 3.2)
_FACILITY = 1  # user-level (RFC 5424, section 6.2.1)
_SEVERITIES = {
    NewsKind.FAILURE: 3, NewsKind.QUESTION: 4, NewsKind.PAUSE: 4, NewsKind.START: 5, NewsKind.END: 5,
    NewsKind.NODE_DONE: 6, NewsKind.TEST: 6,
}  # fmt: skip
_SD_ID = "ctmupgrade@32473"  # we have no number of our own at IANA: this is the one for examples (RFC 5612)


def body(news: News, form: str) -> bytes:
    """Return what a webhook is sent. :param form: slack, teams or json."""
    document = {"slack": slack, "teams": teams}.get(form, plain)(news)
    return json.dumps(document).encode()


def plain(news: News) -> dict[str, object]:
    """Return the JSON document of a plain webhook (docs/notifications.md)."""
    return {
        "schema": 1, "event": news.kind.value, "at": news.at.isoformat(timespec="seconds"), "cluster": news.cluster,
        "run": news.run, "kind": news.what, "node": news.node, "state": news.state, "outcome": news.outcome,
        "exit_code": None if news.exit_code < 0 else news.exit_code, "by": news.by, "title": news.title,
        "text": "\n".join(news.lines), "version": __version__,
    }  # fmt: skip


def slack(news: News) -> dict[str, object]:
    """Return a message of a Slack webhook. Its blocks are plain text, in which only control sequences mean something;
    ``text`` is what a notification on a phone shows, and all that Slack's look-alikes show."""
    blocks = [{"type": "header", "text": _plain_text(news.title, _SLACK_HEADER)}]
    if news.lines or len(news.title) > _SLACK_HEADER:
        lines = (news.title, *news.lines) if len(news.title) > _SLACK_HEADER else news.lines
        blocks.append({"type": "section", "text": _plain_text("\n".join(lines), _SLACK_TEXT)})
    return {"text": _slack_text("\n".join((news.title, *news.lines))), "mrkdwn": False, "blocks": blocks}


def _plain_text(text: str, most: int) -> dict[str, object]:
    while len(escaped := _slack_text(text)) > most:
        text = f"{text[: len(text) * most // len(escaped) - 5]} ..."
    return {"type": "plain_text", "text": escaped, "emoji": False}


def _slack_text(text: str) -> str:
    escaped = re.sub("[&<>]", lambda found: _SLACK_MARKS[found[0]], text)
    return _CALLS.sub("(at)", escaped)


def teams(news: News) -> dict[str, object]:
    """Return a message of a Teams workflow: an Adaptive Card whose texts are runs, which no Markdown is read in."""
    rows = [_run(news.title, weight="Bolder", size="Medium"), *(_run(line) for line in news.lines)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "fallbackText": news.title, "msteams": {"width": "Full"}, "body": rows,
    }  # fmt: skip
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": news.title, "attachments": [attachment]}


def _run(text: str, **looks: str) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}


def mail(news: News, sender: str, to: tuple[str, ...]) -> bytes:
    """Return a whole mail; those of one run are one thread."""
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    message["From"] = f"ctmupgrade <{sender}>"
    message["To"] = ", ".join(to)
    message["Subject"] = news.title[:200]
    message["Date"] = format_datetime(news.at)
    number = f"{news.at:%Y%m%dT%H%M%S.%f}"
    message["Message-ID"] = f"<{news.run or 'no-run'}.{news.kind.value}.{number}@{domain}>"
    if news.run:
        message["References"] = f"<{news.run}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers it
    message["X-Ctmupgrade-Event"] = news.kind.value
    # Indented: a line that a node said begins with no word of ours.
    lines = [
        news.title,
        "",
        *(f"  {line}" for line in news.lines),
        "",
        f"at {news.at.isoformat(timespec='seconds')}",
    ]
    message.set_content("\n".join(lines) + "\n")
    return message.as_bytes()


def syslog(news: News, host: str, process: int) -> bytes:
    """Return a message of RFC 5424, without its framing.

    :param host: this machine's name. :param process: this process's number.
    """
    data = {
        "event": news.kind.value, "cluster": news.cluster, "run": news.run, "kind": news.what, "node": news.node,
        "state": news.state, "outcome": news.outcome, "exit_code": "" if news.exit_code < 0 else str(news.exit_code),
    }  # fmt: skip
    fields = " ".join(f'{name}="{_parameter(value)}"' for name, value in data.items() if value)
    head = (
        f"<{_FACILITY * 8 + _SEVERITIES[news.kind]}>1 {news.at.isoformat(timespec='milliseconds')} {_name(host, 255)} "
        f"ctmupgrade {process} {news.kind.value} [{_SD_ID} {fields}] "
    ).encode()
    text = " | ".join((news.title, *news.lines))
    mark = b"" if text.isascii() else b"\xef\xbb\xbf"  # what is not marked so is ASCII
    room = _LONGEST_SYSLOG - len(head) - len(mark)
    return head + mark + text.encode()[:room].decode(errors="ignore").encode()


def _parameter(value: str) -> str:
    return re.sub(r'["\\\]]', lambda found: f"\\{found[0]}", value)


def _name(text: str, most: int) -> str:
    """A header's field: printable ASCII without blanks, "-" where nothing is left."""
    return re.sub(r"[^!-~]", "", text)[:most] or "-"
