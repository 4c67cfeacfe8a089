"""Asks a node or its control plane one probe's question. Only looks: it is given Readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ctmupgrade.core.ksctl import certificate_trouble, sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks import ksctl_probes, shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.errors import (
    UNFORESEEN,
    AuthenticationError,
    ConnectionLostError,
    CtmUpgradeError,
    ForwardingRefusedError,
    HostKeyError,
    LoginRefusedError,
    ProgramError,
    TooMuchError,
    UnreachableError,
    named,
)
from ctmupgrade.ports import Reader, Reply

T = TypeVar("T")
MOST_PAGES = 100  # of a listing


def ask(reader: Reader, probe: Probe[T], *, timeout: float | None = None) -> Maybe[T]:
    """Return the probe's answer by the first way that gives one.

    :param timeout: seconds; None is the reader's own (30 for a shell, the configured one for ksctl).

    A connection that cannot be made ends the asking: the other ways use the same one. One that breaks is made
    anew, for a look harms nothing when it is repeated.
    """
    tried, answers = [], []  # in words for a person; and what was answered, of which alone meanings are read
    endless = False
    for way in probe.ways:
        try:
            reply = _read(reader, way.argv, timeout)
            return way.parse(reply.code, reply.out, reply.err)
        except NotUnderstoodError as error:
            tried.append(f"{way.argv[0]}: {error}")
            answers.append(error.said)
        except (HostKeyError, AuthenticationError) as error:
            return Unknown(said_by(error), unreachable=True, host_key=isinstance(error, HostKeyError))
        except (UnreachableError, ConnectionLostError) as error:
            return Unknown(error.brief, unreachable=True)
        except LoginRefusedError as error:
            return Unknown(said_by(error), login=True)
        except (ForwardingRefusedError, ProgramError) as error:  # the other ways go the same way
            trouble = certificate_trouble(error.details)
            return Unknown(said_by(error), certificate=trouble, remedy=error.remedy)
        except CtmUpgradeError as error:
            tried.append(said_by(error))
            answers.append(error.details)
            endless = endless or isinstance(error, TooMuchError)
        except UNFORESEEN as error:
            tried.append(f"{way.argv[0]}: {not_foreseen(error)}")
            answers.append("")
    return replace(_unknown(tried, answers), endless=endless)


def _unknown(tried: Sequence[str], answers: Sequence[str]) -> Unknown:
    """Return why no way told: every way's words, or of an endpoint that is not trusted the first's, for it is one."""
    said = "; ".join(answers)
    trouble = certificate_trouble(said)
    if trouble:
        tried = [words for words, answer in zip(tried, answers, strict=True) if certificate_trouble(answer)][
            :1
        ]
    return Unknown(
        "; ".join(dict.fromkeys(tried)),
        unreachable=sounds_away(said) and not trouble,
        login=sounds_like_login(said),
        certificate=trouble,
        later=sounds_later(said),
    )


LOST_AGAIN = 2  # so often a look whose connection broke is repeated at once


def boot_against(shell: Reader, earlier: BootMark) -> Maybe[BootMark]:
    """Return the boot mark, of a kind that can be compared with an earlier one where the node still tells it."""
    boot = ask(shell, shell_probes.BOOT)
    if isinstance(boot, Unknown) or boot.differs_from(earlier) is not None:
        return boot
    since = ask(shell, shell_probes.BOOT_TIME)
    return boot if isinstance(since, Unknown) else since


def _read(reader: Reader, argv: tuple[str, ...], timeout: float | None) -> Reply:
    for _ in range(LOST_AGAIN):
        try:
            return reader.read(*argv) if timeout is None else reader.read(*argv, timeout=timeout)
        except ConnectionLostError:
            continue
    return reader.read(*argv) if timeout is None else reader.read(*argv, timeout=timeout)


def said_by(error: CtmUpgradeError) -> str:
    """Return an error in words: what, and what the node answered."""
    return ". ".join(part for part in (error.brief, error.details) if part)


def not_foreseen(error: BaseException) -> str:
    """Return words for an error of a parser that nobody thought of: the answer is not understood."""
    return f"the answer is not understood ({named(error)})"


def every_page(
    reader: Reader, page: Callable[[int], Probe[tuple[T, ...]]], size: int = ksctl_probes.PAGE
) -> Maybe[tuple[T, ...]]:
    """Return all rows of a listing: the default page of 10 hides the newest. One that does not end is not known.

    :param size: rows that a whole page has.
    """
    rows: dict[T, None] = {}
    for _ in range(MOST_PAGES):
        found = ask(reader, page(len(rows)))
        if isinstance(found, Unknown):
            return found
        before = len(rows)
        rows |= dict.fromkeys(found)
        if len(found) < size or len(rows) == before:
            return tuple(rows)
    return Unknown(f"the listing does not end: {len(rows)} rows on {MOST_PAGES} pages")
