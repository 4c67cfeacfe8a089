"""The long link carries everything in order; its arithmetic, without a clock."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from tests.support.delay_proxy import Line, serve


def _send(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def test_bytes_arrive_as_they_were_sent() -> None:
    data, got = os.urandom(3_000_000), bytearray()
    with socket.create_server(("127.0.0.1", 0)) as echo, socket.create_server(("127.0.0.1", 0)) as front:

        def answer() -> None:
            near, _ = echo.accept()
            with near:
                while piece := near.recv(65_536):
                    near.sendall(piece)

        port = echo.getsockname()[1]
        threading.Thread(target=answer, daemon=True).start()
        lines = Line(0.005, 1e9), Line(0.005, 1e9)
        threading.Thread(target=serve, args=(front, port, *lines), daemon=True).start()
        with socket.create_connection(front.getsockname()) as client:
            threading.Thread(target=_send, args=(client, data), daemon=True).start()
            while piece := client.recv(65_536):
                got += piece
    assert bytes(got) == data


def test_what_enters_a_full_line_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "sleep", slept.append)
    line = Line(0.025, 1_000_000)
    assert line.enter(10_000) == pytest.approx(100.035) and not slept
    assert line.enter(90_000) == pytest.approx(100.125)
    assert slept == [pytest.approx(0.08)]
