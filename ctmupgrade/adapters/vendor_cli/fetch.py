"""``ksctl.command: fetch``: each node's own ksctl, taken from that node, kept, and taken again after its version changed."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ctmupgrade.adapters.authorities import not_verifying, verifying
from ctmupgrade.adapters.local.reach import Place, Reach
from ctmupgrade.adapters.vendor_cli.images import NAME, ZipError, take_out, this_machine
from ctmupgrade.adapters.vendor_cli.shelf import Record, Shelf
from ctmupgrade.adapters.vendor_cli.web import DownloadError, Source, download
from ctmupgrade.core.ksctl import certificate_trouble, sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks import parse_ksctl
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.served import Served
from ctmupgrade.core.model import Node
from ctmupgrade.errors import UNFORESEEN, CtmUpgradeError, ProgramError, UnreachableError
from ctmupgrade.ports import Reply

PAGE = f"/downloads/{NAME}"  # docs/appliance.md 4.1: no login is needed there
_AGAIN = 10.0  # seconds until a download that failed is tried again: looks come one after the other
_AGAIN_WITH_OLD = 60.0  # the same where an older program is there to go on with
_AT_ONCE = 2  # downloads; the disk may be small

_VERSION_OF = {
    ("system", "info", "get"): parse_ksctl.system_info,
    ("version",): parse_ksctl.server_version,
}


class NodeProgram:
    """Implements :class:`ctmupgrade.adapters.local.ksctl.Program` for one node. Thread-safe."""

    def __init__(
        self,
        node: Node,
        reach: Reach,
        shelf: Shelf,
        *,
        say: Callable[[str], None],
        turns: threading.Semaphore | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """:param say: gets a line for what was taken. :param turns: bounds how many download at once.
        :param environ: the caller's, in which the certificates may be named that TLS trusts."""
        self._node, self._reach, self._shelf, self._say = node, reach, shelf, say
        self._turns, self._environ = turns or threading.Semaphore(_AT_ONCE), environ
        self._lock = threading.Lock()
        self._record: Record | None = None
        self._path: Path | None = None
        self._version = ""  # what the node said last
        self._doubted = self._renewed = False  # a kept one that is not understood; taken by this process
        self._failed: tuple[CtmUpgradeError, float] | None = None

    def path(self) -> Path:
        """Return the node's program: the kept one, or a new one where there is none or the node's version changed.

        :raises UnreachableError: the node does not answer. :raises ForwardingRefusedError: SSH does not lead there.
        :raises ProgramError: it has none for this machine, it is damaged, or nobody proves who answers.
        :raises ForeignStateError: others could have written to what is kept.
        """
        with self._lock:
            if self._path is None or not self._path.exists():  # another process may have removed an old one
                self._path = None
                self._kept()
            if self._path is None or self._outdated():
                self._take()
            if self._path is None:  # _take() raises then
                raise AssertionError("no program and no error")
            return self._path

    def heard(self, argv: Sequence[str], reply: Reply) -> None:
        """Take notice of an answer that tells the node's version."""
        parse = _VERSION_OF.get(tuple(argv))
        if parse is None:
            return
        if not reply.ok:
            self._doubted = self._doubted or _may_be_too_old(f"{reply.out} {reply.err}")
            return
        try:
            self._version = str(parse(reply.out).version)
        except (NotUnderstoodError, *UNFORESEEN):  # whoever asked says so
            return
        with self._lock:
            if self._record and not self._record.version:
                self._record = replace(self._record, version=self._version)
                with suppress(OSError):  # a full disk: it is told again, and no reason to fail a look
                    self._shelf.write(self._node.name, self._record)

    def served(self) -> Served | None:
        """Return what the node served, where its version of then is known; None where not."""
        with self._lock:
            record = self._record
        return Served(record.version, record.zipped) if record and record.version else None

    def _outdated(self) -> bool:
        known = self._record.version if self._record else ""
        if self._doubted and not self._renewed:
            return True
        return bool(known and self._version) and known != self._version

    def _kept(self) -> None:
        record = self._shelf.record(self._node.name)
        if record and record.platform == "-".join(this_machine()):
            self._path = self._shelf.program(record)
            self._record = record if self._path else None

    def _take(self) -> None:
        old = self._path is not None
        if self._failed and time.monotonic() - self._failed[1] < (_AGAIN_WITH_OLD if old else _AGAIN):
            if old:
                return
            error = self._failed[0]
            raise type(error)(error.brief, details=error.details, remedy=error.remedy)
        self._renewed = True
        try:
            with self._turns:
                self._remember(self._taken())
        except CtmUpgradeError as error:
            self._failed = (error, time.monotonic())
            if not old:
                raise
            self._say(f"{error.brief}; going on with the one taken before")
        else:
            self._failed = None

    def _remember(self, record: Record) -> None:
        self._record = record
        self._path = self._shelf.program(record)
        try:
            self._shelf.write(self._node.name, record)
        except OSError as error:
            raise self._refused(f"it cannot be kept: {error.strerror or error}") from error
        if self._path is None:
            raise self._refused("what was written is not what is read: is the disk sound?")

    def _taken(self) -> Record:
        system, machine = this_machine()
        if not self._shelf.runs_programs():
            raise self._refused(
                "the state folder's file system allows no programs (noexec)",
                remedy="Name a state folder elsewhere: --state-dir DIR, or CTMUPGRADE_STATE_DIR.",
            )
        try:
            with self._reach.open() as place, self._shelf.arriving() as zipped:
                source = Source(f"{self._node.url}{PAGE}", place.url, self._context(place))
                size = download(source, zipped.file)
                whole = zipped.sha256()
                with self._shelf.arriving() as program:
                    entry = take_out(zipped.file, program.file, system, machine)
                    kept = self._shelf.keep(program)
        except DownloadError as error:
            if error.away:
                raise UnreachableError(
                    f"{self._node.name}: no {NAME} from {self._node.url}: {error}"
                ) from error
            raise self._refused(str(error), error.said) from error
        except ZipError as error:
            raise self._refused(str(error)) from error
        except OSError as error:
            raise self._refused(f"it cannot be kept: {error.strerror or error}") from error
        self._say(f"{self._node.name}: {entry} taken from {NAME} ({size} bytes, sha256 {whole})")
        return Record(whole, kept, entry[:200], f"{system}-{machine}", self._version)

    def _context(self, place: Place) -> ssl.SSLContext | None:
        """How TLS is judged. :raises ProgramError: it cannot be, and nothing else proves who answers."""
        tls = self._node.url.startswith("https:")
        if place.proven or self._node.ksctl.nosslverify:
            return not_verifying() if tls else None
        if not tls:
            raise self._refused("a program comes only over https, or through SSH: http proves nobody")
        try:
            return verifying(self._environ)
        except OSError as error:  # ssl.SSLError is one
            named = self._environ.get("SSL_CERT_FILE", "the trusted certificates")
            raise self._refused(f"{named} cannot be used to verify TLS: {error.strerror or error}") from error

    def _refused(self, why: str, said: str = "", remedy: str = "") -> ProgramError:
        return ProgramError(
            f"{self._node.name}: {NAME} of {self._node.url} is not used: {why}",
            details=said,
            remedy=remedy
            or (
                "A certificate that is not trusted: export SSL_CERT_FILE=CA.pem, or ksctl.through_ssh: true. Or put a "
                f"ksctl of your own here and name it in ksctl.command. To look at it: {self._node.url}{PAGE}"
            ),
        )


def _may_be_too_old(said: str) -> bool:
    """Whether a program that a node does not answer may be that of an earlier version: nothing else explains it."""
    return not (
        sounds_away(said) or sounds_later(said) or sounds_like_login(said) or certificate_trouble(said)
    )


class VendorCli:
    """The programs of all nodes of a cluster."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        """:param home: the cluster's state folder. :param say: gets a line for what was taken."""
        self._shelf, self._say = Shelf(home), say
        self._turns = threading.Semaphore(_AT_ONCE)
        self._programs: dict[str, NodeProgram] = {}

    def of(self, node: Node, reach: Reach) -> NodeProgram:
        """Return a node's program. Nothing is downloaded before it is called for."""
        made = NodeProgram(node, reach, self._shelf, say=self._say, turns=self._turns)
        return self._programs.setdefault(node.name, made)

    def served(self) -> Mapping[str, Served]:
        """Return what the nodes served whose version is known."""
        found = {name: program.served() for name, program in self._programs.items()}
        return {name: one for name, one in found.items() if one}
