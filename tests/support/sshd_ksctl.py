"""A fake ``ksctl`` program, and the socket behind which the test's world answers it."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

from ctmupgrade.core.model import Secret
from ctmupgrade.sim import World
from ctmupgrade.sim.control import SimControl


class Bridge:
    """Where the fake ksctl asks: one JSON line there, one back."""

    def __init__(self, world: World, lock: threading.RLock) -> None:
        self.world, self.lock = world, lock
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self.seen: list[dict[str, object]] = []  # every request, for tests about secrets and counts
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self, url: str) -> list[str]:
        """The command lines that one node's control plane got so far."""
        return [" ".join(map(str, one["argv"])) for one in self.seen if one["url"] == url]  # type: ignore[call-overload]

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, client.makefile("rw", encoding="utf-8") as file:
            request = json.loads(file.readline())
            self.seen.append(request)
            host = (urlparse(str(request["url"])).hostname or "").removesuffix(".sim")
            name = next((node.name for node in self.world.nodes.values() if node.host == host), host)
            argv = tuple(str(word) for word in request["argv"])
            answer = Secret(str(request["answer"])) if request.get("answer") else None
            with self.lock:
                if name not in self.world.nodes:
                    reply = (1, "", f"Error: dial tcp: lookup {name}: no such host\n")
                else:
                    said = SimControl(self.world, name).change(*argv, answer=answer)
                    reply = (said.code, said.out, said.err)
            file.write(json.dumps(reply) + "\n")
            file.flush()


def write_program(path: Path, port: int) -> None:
    """The program itself, executable."""
    path.write_text(KSCTL.format(python=sys.executable, port=port))
    path.chmod(0o755)


KSCTL = '''#!{python} -IS
"""A fake ksctl: asks the test's world over a socket."""
import json, os, socket, sys

argv, answer = sys.argv[1:], None
if not os.environ.get("KSCTL_PASSWORD"):
    sys.stdout.write("password:"); sys.stdout.flush()
    sys.stdin.readline()
    sys.exit(1)
asks = {{"download": (b"Backup key password: ", b"Confirm password: "), "upload": (b"Backup key password: ",)}}
if argv[:1] == ["backupkeys"] and argv[1] in asks and not any(a.startswith("--bkpassword") for a in argv):
    terminal = os.open("/dev/tty", os.O_RDWR)
    for prompt in asks[argv[1]]:
        os.write(terminal, prompt)
        answer = b""
        while not answer.endswith(b"\\n"):
            answer += os.read(terminal, 1)
    answer = answer.decode().strip()
with socket.create_connection(("127.0.0.1", {port})) as link, link.makefile("rw") as file:
    file.write(json.dumps({{"url": os.environ.get("KSCTL_URL", ""), "argv": argv, "answer": answer}}) + "\\n")
    file.flush()
    code, out, err = json.loads(file.readline())
sys.stdout.write(out); sys.stderr.write(err)
sys.exit(code)
'''
