"""Stands between sshd and its real sftp-server, and lets no write be answered before many wait for it.

``filter_sftp.py LOG WANTED SFTP-SERVER`` notes in LOG the most writes that were without an answer at once. As
soon as WANTED of them are, their answers go out; where so many never come (for ``GIVE_UP`` seconds), all do.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

WRITE = 6  # SSH_FXP_WRITE
GIVE_UP = 15.0  # seconds; only a client that sends fewer ever waits so long


def packets(source: IO[bytes]) -> Iterator[bytes]:
    """Whole SFTP packets with their length in front, to the end."""
    while len(head := source.read(4)) == 4:
        yield head + source.read(int.from_bytes(head, "big"))


class Filter:
    """The writes that wait, and the answers to them that are held back."""

    def __init__(self, log: Path, wanted: int) -> None:
        self.log, self.wanted = log, wanted
        self.most, self.patient = 0, True
        self.waiting: set[bytes] = set()  # numbers of requests
        self.due: set[bytes] = set()  # those that may be answered
        self.change = threading.Condition()

    def requests(self, source: BinaryIO, server: IO[bytes]) -> None:
        """From the client to the server, counted."""
        for packet in packets(source):
            if packet[4] == WRITE:
                with self.change:
                    self.waiting.add(packet[5:9])
                    self.most = max(self.most, len(self.waiting))
                    self.log.write_text(str(self.most))
                    if len(self.waiting) >= self.wanted or not self.patient:
                        self.due |= self.waiting
                        self.waiting.clear()
                        self.change.notify_all()
            server.write(packet)
            server.flush()
        server.close()

    def answers(self, server: IO[bytes], target: BinaryIO) -> None:
        """From the server to the client, those of writes when they are due."""
        for packet in packets(server):
            number = packet[5:9]
            with self.change:
                held = number in self.waiting
                if held and not self.change.wait_for(lambda n=number: n in self.due, GIVE_UP):  # type: ignore[misc]
                    self.patient = False
                    self.due |= self.waiting
                    self.waiting.clear()
                self.due.discard(number)
            target.write(packet)
            target.flush()


def main(log: str, wanted: str, *server: str) -> None:
    """The program."""
    own = Filter(Path(log), int(wanted))
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        there = threading.Thread(target=own.requests, args=(sys.stdin.buffer, child.stdin), daemon=True)
        there.start()
        own.answers(child.stdout, sys.stdout.buffer)


if __name__ == "__main__":
    main(*sys.argv[1:])
