"""The byte stream under an SSH connection: TCP, a ProxyCommand's pipes, or a jump host's forwarding."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress

from ctmupgrade.adapters.local.process import kill
from ctmupgrade.adapters.ssh.prompt_socket import PromptSocket

_KEPT = 4096  # bytes of what a ProxyCommand says about itself


class CommandSocket(socket.socket):
    """The stream of a ProxyCommand of ~/.ssh/config. The command ends with it."""

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, command: str, environ: Mapping[str, str]) -> None:
        """:raises OSError: it cannot be started."""
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        super().__init__(ours.family, ours.type, ours.proto, fileno=ours.detach())
        self.process = process
        self._said = bytearray()
        threading.Thread(target=self._hear, daemon=True).start()

    def said(self) -> str:
        """Return what the command said about itself, most often why it ended."""
        return bytes(self._said).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the stream and the command. Never raises."""
        with suppress(OSError):
            super().close()
        process, self.process = self.process, None
        if process:
            kill(process)

    def _hear(self) -> None:
        pipe = self.process.stderr if self.process else None
        if pipe is None:
            return
        with pipe, suppress(OSError, ValueError):
            while piece := os.read(pipe.fileno(), _KEPT):
                self._said += piece
                del self._said[:-_KEPT]


def tcp(
    host: str,
    port: int,
    patience: float,
    *,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    bind: str | None = None,
) -> PromptSocket:
    """Return a connected socket that notices a dead peer (paramiko's own has 10 times our latency).

    :param patience: seconds for each address. :param bind: the address of ours to come from.
    :raises socket.gaierror: the name is not known. :raises OSError: no address answers.
    """
    last: OSError = OSError("no address")
    try:
        addresses = socket.getaddrinfo(host, port, family, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(str(error)) from error
    for kind, stream, protocol, _, address in addresses:
        sock = PromptSocket(kind, stream, protocol)
        try:
            sock.settimeout(patience)
            sock.tune()
            if bind:
                sock.bind((bind, 0))
            sock.connect(address)
        except TimeoutError:
            sock.close()
            last = OSError(f"no answer within {patience:g} s")
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last
