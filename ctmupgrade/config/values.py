"""The types of cluster.yaml's values, each read in the one form that the docs name.

Nothing is converted that was not written in that form: a lax reading opens gates (a number that becomes a time of
1970 opens the maintenance window; ``no`` where a text is wanted becomes the text of it). What other YAML readers
would take for a number, or for true or false, is a text only in quotes.
"""

from __future__ import annotations

import re
import shlex
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ctmupgrade.config.addresses import host, jumps, log_address, mailbox, server, url
from ctmupgrade.core.model import LOCAL
from ctmupgrade.core.version import Version

_BOOL = re.compile(r"(?i:true|false|yes|no|on|off)", re.ASCII)
_NUMBER = re.compile(  # of YAML 1.1 or 1.2: octal, hexadecimal, with underscores, of base 60, with an exponent
    r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?i:inf))|\.(?i:nan)",
    re.ASCII,
)
_DURATION = re.compile(
    r"(?:(\d{1,30})d)?(?:(\d{1,30})h)?(?:(\d{1,30})m)?(?:(\d{1,30}(?:\.\d{1,9})?)s)?(?:(\d{1,30})ms)?",
    re.ASCII,
)
_LONGEST = timedelta(days=366)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,6})?")
_MOMENT = re.compile(
    r"2[01]\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)",
    re.ASCII,
)
_DAY = re.compile(r"2[01]\d\d-\d\d-\d\d", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_TEXT_EXPECTED = "a text (string) is expected"
_LONGEST_TEXT = 4096  # characters; no path or command of this kind is longer


class Scalar(str):
    """The text of one YAML value as it stands in the file. :ivar bare: without quotes."""

    __slots__ = ("bare",)
    bare: bool

    @classmethod
    def of(cls, text: str, *, bare: bool) -> Scalar:
        """Return ``text`` with how it was written."""
        made = cls(text)
        made.bare = bare
        return made

    @property
    def reads_as(self) -> str:
        """Return what YAML readers take it for, other than a text; "" where it is one for all of them."""
        if not self.bare:
            return ""
        if _BOOL.fullmatch(self):
            return "true or false"
        return "number" if _NUMBER.fullmatch(self) else ""


def _refusal(text: str) -> PydanticCustomError:
    """A complaint that says all; the value is not shown with it."""
    return PydanticCustomError("said", "{text}", {"text": text})


def _bare(value: object) -> bool:
    return isinstance(value, Scalar) and value.bare


def _written(value: object, expected: str) -> str:
    """The text of a scalar. :raises ValueError: it is a list, or keys and values."""
    if not isinstance(value, str):
        raise ValueError(expected)
    return str(value).strip()


def _text(value: object) -> object:
    if isinstance(value, Scalar) and value.reads_as:
        raise PydanticCustomError("quotes", "{reads_as}", {"reads_as": value.reads_as})
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise _refusal(f"a text of at most {_LONGEST_TEXT} characters is expected")
    return str(value) if isinstance(value, str) else value


def _whole(value: object) -> int:
    expected = "a whole number (integer) in plain digits is expected"
    text = _written(value, expected)
    if not _WHOLE.fullmatch(text):
        raise ValueError(expected)
    if not _bare(value):
        raise _refusal(f"a number is expected, without quotes: {text}")
    return int(text)


def _flag(value: object) -> bool:
    if not isinstance(value, Scalar) or value not in ("true", "false", "True", "False", "TRUE", "FALSE"):
        raise ValueError("true or false is expected (a boolean)")
    if not value.bare:
        raise _refusal(f"true or false is expected, without quotes: {value}")
    return value.lower() == "true"


def duration(value: object) -> timedelta:
    """Read ``90s``, ``5m``, ``2h``, ``1h30m``. :raises ValueError: anything else."""
    expected = "a duration like 90s, 5m or 2h is expected"
    found = _DURATION.fullmatch(_written(value, expected))
    if not found or not any(found.groups()):
        raise ValueError(expected)
    days, hours, minutes, seconds, milliseconds = (float(text or 0) for text in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds + milliseconds / 1000
    if total > _LONGEST.total_seconds():
        raise ValueError(f"a duration of at most {_LONGEST.days} days is expected")
    return timedelta(seconds=total)


def _positive(value: object) -> timedelta:
    found = duration(value)
    if found <= timedelta(0):
        raise ValueError("a duration longer than nothing is expected")
    return found


def _seconds(value: object) -> float:
    expected = "seconds, or a duration like 90s, 5m or 2h, are expected"
    text = _written(value, expected)
    if not _DECIMAL.fullmatch(text):
        if _bare(value) and Scalar.of(text, bare=True).reads_as:
            raise ValueError(expected)
        return duration(value).total_seconds()
    if not _bare(value):
        raise _refusal(f"a number is expected, without quotes: {text}")
    if float(text) > _LONGEST.total_seconds():
        raise ValueError(f"at most {_LONGEST.days} days are expected")
    return float(text)


def _moment(value: object) -> datetime:
    expected = "a time with its timezone is expected, like 2026-12-05T22:00:00+01:00"
    text = _written(value, expected)
    if not _MOMENT.fullmatch(text):
        raise ValueError(expected)
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # a 30th of February, an hour 25
        raise ValueError(expected) from None


def _until(value: object) -> datetime:
    """A time, or a day: then up to its end, by the clock of this machine."""
    text = _written(value, expected := "a day like 2026-12-31, or a time with its timezone, is expected")
    if not _DAY.fullmatch(text):
        if not _MOMENT.fullmatch(text):
            raise ValueError(expected)
        return _moment(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(expected) from None
    return datetime.combine(day + timedelta(days=1), time()).astimezone()


def _host(value: object) -> str:
    return host(_written(_text(value), _TEXT_EXPECTED))


def _host_among_nodes(value: object) -> str:
    name = _host(value)
    if name.casefold() == LOCAL:
        raise ValueError(
            "the address is expected that the other nodes have for it; `local` is a word for host alone"
        )
    return name


def _user(value: object) -> str:
    expected = "a user's name is expected, without blanks and without a dash first"
    text = _written(_text(value), _TEXT_EXPECTED)
    if not text or text.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError(expected)
    return text


def is_name(text: str) -> bool:
    """Return whether a cluster or a node may be called so: it becomes a folder, and a part of step ids."""
    return bool(_NAME.fullmatch(text))


def looks_like_an_option(archive: Path) -> str:
    """Return what to say of an archive that the appliance's programs would take for an option; "" where they would not."""
    if not archive.name.startswith("-"):
        return ""
    new = archive.with_name(archive.name.lstrip("-"))
    return (
        f"{archive.name}: programs on the appliance take a name that begins with a dash for an option; rename it: "
        f"mv {shlex.quote(str(archive))} {shlex.quote(str(new))}"
    )


def _name(value: object) -> str:
    expected = "a name of letters, digits, dots, dashes and underscores is expected, a letter or digit first"
    text = _written(_text(value), _TEXT_EXPECTED)
    if not is_name(text):
        raise ValueError(expected)
    return text


def _jumps(value: object) -> str:
    return jumps(_written(_text(value), _TEXT_EXPECTED))


def _url(value: object) -> str:
    text = _written(_text(value), _TEXT_EXPECTED)
    if "@" in text:
        raise _refusal(
            "a URL without a name and password is expected: those have keys of their own under ksctl"
        )
    return url(text)


def _mailbox(value: object) -> str:
    return mailbox(_written(_text(value), _TEXT_EXPECTED))


def _without_login(value: object) -> str:
    """The text of an address that has no place for a name and password; one that has them is not shown."""
    text = _written(_text(value), _TEXT_EXPECTED)
    if "@" in text:
        raise _refusal("an address without a name and password is expected: those have keys of their own")
    return text


def _server(value: object) -> tuple[str, int]:
    return server(_without_login(value))


def _log_address(value: object) -> tuple[str, str, int]:
    return log_address(_without_login(value))


def _host_key(value: object) -> str:
    expected = "SHA256: and 43 characters are expected, as ssh-keygen -l prints a fingerprint"
    text = _written(_text(value), _TEXT_EXPECTED)
    if not _HOST_KEY.fullmatch(text):
        raise ValueError(expected)
    return text


def _fingerprint(value: object) -> str:
    expected = "the full fingerprint is expected: 40 hexadecimal digits (gpg --fingerprint)"
    text = re.sub(r"[\s:]", "", _written(value, expected)).removeprefix("0x").upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", text):
        raise ValueError(expected)
    return text


def _version(value: object) -> Version:
    text = _written(value, "X.Y.Z or X.Y.Z+BUILD is expected")
    if text[:1] in ("v", "V"):
        raise ValueError(f"X.Y.Z or X.Y.Z+BUILD is expected, without a v: {text[1:]}")
    return Version.parse(text)


def _variable(value: object) -> str:
    """A variable's name. What is none may be the password itself: it is not shown."""
    text = _written(_text(value), _TEXT_EXPECTED)
    if not _VARIABLE.fullmatch(text):
        raise _refusal(
            "the name of an environment variable is expected (letters, digits and _), not the password itself"
        )
    return text


def _command(value: object) -> str:
    expected = "a command line is expected, as a shell would split it into words"
    text = _written(_text(value), _TEXT_EXPECTED)
    try:
        words = shlex.split(text)
    except ValueError as error:  # a quote that is not closed
        raise _refusal(f"{expected}: {str(error).lower()}") from None
    if not words:
        raise _refusal(f"{expected}, not an empty one")
    return text


Text: TypeAlias = Annotated[str, Field(min_length=1), BeforeValidator(_text)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
Port: TypeAlias = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=65535)]
Host: TypeAlias = Annotated[str, BeforeValidator(_host)]
HostAmongNodes: TypeAlias = Annotated[str, BeforeValidator(_host_among_nodes)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(_positive)]
DurationOrNone: TypeAlias = Annotated[timedelta, BeforeValidator(duration)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Moment: TypeAlias = Annotated[datetime, BeforeValidator(_moment)]
Until: TypeAlias = Annotated[datetime, BeforeValidator(_until)]
Fingerprint: TypeAlias = Annotated[str, BeforeValidator(_fingerprint)]
AnyVersion: TypeAlias = Annotated[Any, BeforeValidator(_version)]
Name: TypeAlias = Annotated[str, BeforeValidator(_name)]
User: TypeAlias = Annotated[str, BeforeValidator(_user)]
Jumps: TypeAlias = Annotated[str, BeforeValidator(_jumps)]
HostKey: TypeAlias = Annotated[str, BeforeValidator(_host_key)]
Mailbox: TypeAlias = Annotated[str, BeforeValidator(_mailbox)]
Server: TypeAlias = Annotated[tuple[str, int], BeforeValidator(_server, json_schema_input_type=str)]
LogAddress: TypeAlias = Annotated[
    tuple[str, str, int], BeforeValidator(_log_address, json_schema_input_type=str)
]
Url: TypeAlias = Annotated[str, BeforeValidator(_url)]
Variable: TypeAlias = Annotated[str, BeforeValidator(_variable)]
Command: TypeAlias = Annotated[str, BeforeValidator(_command)]
