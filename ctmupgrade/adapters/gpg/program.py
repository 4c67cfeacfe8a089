"""gpg as a child process: raw status lines, an end in time, and standard input of our choice."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import gnupg  # type: ignore[import-untyped,unused-ignore]

from ctmupgrade.adapters.gpg.ended_in_time import end_session, ended_in_time
from ctmupgrade.adapters.gpg.verdict import Status, hear

SHORT = 60.0  # seconds for a call that reads keys; with a keyring of 64 MiB it is a few


class GpgProgram(gnupg.GPG):  # type: ignore[misc,unused-ignore]
    """python-gnupg with raw status lines, a time limit for each call, and its child at hand."""

    result_map = {**gnupg.GPG.result_map, "verify": Status, "import": Status}  # noqa: RUF012
    child: subprocess.Popen[bytes] | None = None
    limit = SHORT
    stopped = False

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Any:  # noqa: ARG002 - the library's own signature
        return self._start(args, subprocess.PIPE)

    def _start(self, args: list[str], stdin: int) -> subprocess.Popen[bytes]:
        # A session of its own: where gpg is a script, what it has started ends with it.
        self.child = subprocess.Popen(
            self.make_args(args, None), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.env, start_new_session=True,
        )  # fmt: skip
        if self.stopped:  # while it was being started, by another thread
            self.stop()
        return self.child

    def _collect_output(self, process: Any, result: Any, writer: Any = None, stdin: Any = None) -> Any:
        with ended_in_time(self.gpgbinary, self.limit, self.stop):
            return super()._collect_output(process, result, writer, stdin)

    def _read_response(self, stream: Any, result: Any) -> None:
        hear(stream.stream, result)  # the library splits lines where gpg does not

    def stop(self) -> None:
        """End the child, with all that it has started, and any that is started later."""
        self.stopped = True
        end_session(self.child)

    def import_file(self, path: Path, *options: str) -> Status:
        """Import keys from a file, never through a pipe: gpg stops reading where a keyring is damaged.

        :raises UsageError: it does not end in time.
        """
        said = Status(self)
        self._collect_output(self._start(["--import", *options, str(path)], subprocess.DEVNULL), said)
        return said

    def verify_descriptor(self, fd: int, limit: float) -> Status:
        """Verify the signed message that ``fd`` reads, from its present offset to the end.

        gpg gets the open file itself. By its name it might open another one: whoever may rename a folder
        above it can swap it between two openings.

        :param limit: seconds. :raises UsageError: it does not end in time.
        """
        self.limit = limit
        said = Status(self)
        self._collect_output(self._start(["--verify", "-"], fd), said)
        return said
