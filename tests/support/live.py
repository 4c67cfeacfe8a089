"""A whole cluster for the installed program: SSH servers, ksctl, a signed archive, cluster.yaml, state folder."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ctmupgrade.sim import World
from tests.support.sshd import SshFleet, start_fleet

# scripts/test --onefile names the one file
PROGRAM = Path(os.environ.get("CTMUPGRADE_PROGRAM") or Path(sys.executable).with_name("ctmupgrade"))
NAME = "610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v2.21.0_RevA.tar.gz.gpg"
SPEED = 20.0  # the world's seconds in one of ours
# In the world's seconds: an upgrade is over in 1.5 of ours.
TIMES = {
    "upgrade_s": 30.0, "db_lock_s": 4.0, "reboot_s": 20.0, "start_s": 10.0, "backup_s": 10.0, "linger_s": 1.0,
}  # fmt: skip
PASSWORD, KEY_PASSWORD = (
    "ksctl-Passw0rd-3b91",
    "backup-key-Passw0rd-77aa",
)  # looked for in everything that is written
PATIENCE = 120.0  # seconds until something that must happen is given up; a busy machine is slow


@dataclass
class Signing:
    """A gpg home with one key that signs archives."""

    home: Path
    fingerprint: str = ""

    def gpg(self, *argv: str, data: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "-q", *argv]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    def sign(self, path: Path, size: int) -> None:
        """A signed archive of about ``size`` bytes that no compression makes smaller."""
        data = random.Random(size).randbytes(size)
        path.write_bytes(self.gpg("-z", "0", "-u", self.fingerprint, "-s", data=data))


@contextmanager
def signing_key() -> Iterator[Signing]:
    """A key for the time of a session. Its home has a short path: gpg-agent's socket must fit."""
    home = Path(tempfile.mkdtemp(prefix="ctm-gpg-"))
    made = Signing(home)
    try:
        made.gpg("--passphrase", "", "--quick-gen-key", "Vendor <v@example.com>", "ed25519", "sign", "never")
        rows = made.gpg("--with-colons", "--list-secret-keys").decode().split("\n")
        made.fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr"))
        yield made
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Live:
    """One test's cluster and the ways of running ctmupgrade against it."""

    folder: Path
    world: World
    fleet: SshFleet
    state: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster.yaml"

    def argv(self, *words: str) -> list[str]:
        return [str(PROGRAM), *words, "-c", str(self.cluster), "--state-dir", str(self.state)]

    def run(self, *words: str, timeout: float = PATIENCE, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs the installed program to its end."""
        return subprocess.run(
            self.argv(*words), env={**self.environ, **environ}, cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def start(self, *words: str, state: Path | None = None) -> subprocess.Popen[str]:
        """Starts it; what it says goes to ``out-N`` in the folder, so that no pipe fills up."""
        out = self.folder / f"out-{len(self.started)}"
        # However the tests were started (nohup, a job in the background), these signals reach the program.
        argv = ["env", "--default-signal=HUP,INT", str(PROGRAM), *words]
        argv += ["-c", str(self.cluster), "--state-dir", str(state or self.state)]
        with out.open("wb") as file:
            made = subprocess.Popen(
                argv, env=self.environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        self.started.append(made)
        return made

    def said(self, process: subprocess.Popen[str]) -> str:
        """What a started program has said so far."""
        return (self.folder / f"out-{self.started.index(process)}").read_text(encoding="utf-8")

    def until(self, process: subprocess.Popen[str], seen: Callable[[World], object], what: str) -> None:
        """Waits for something in the world while a program runs."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with self.fleet.lock:
                if seen(self.world):
                    return
            assert process.poll() is None, f"ended before: {what}\n{self.said(process)}"
            time.sleep(0.02)
        raise AssertionError(f"never came: {what}\n{self.said(process)}")

    def until_step(self, process: subprocess.Popen[str], step: str, event: str = "step-started") -> None:
        """Waits for an event of a step in the journal."""
        wanted = (event.replace("-", "_"), step)

        def seen(_world: World) -> bool:
            return any(
                (str(e.get("kind", "")).replace("-", "_"), e.get("step")) == wanted for e in self.events()
            )

        self.until(process, seen, f"{event} {step}")

    def journals(self) -> list[Path]:
        return sorted(self.state.glob("*/*/journal.jsonl"))

    def events(self) -> list[dict[str, Any]]:
        """The newest journal's events; a line that is being written does not count yet."""
        found = self.journals()
        lines = found[-1].read_text(encoding="utf-8").splitlines() if found else []
        events = []
        for line in lines:
            with suppress(ValueError):
                events.append(json.loads(line)["event"])
        return events

    def report(self) -> dict[str, Any]:
        said = self.run("report", "--format", "json")
        assert said.returncode == 0, said.stderr
        document: dict[str, Any] = json.loads(said.stdout)
        return document

    def kinds(self, kind: str, node: str = "") -> list[str]:
        """Details of the world's events of a kind."""
        with self.fleet.lock:
            return [e.detail for e in self.world.of_kind(kind, node)]

    def changes(self) -> list[str]:
        return self.kinds("change")

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9."""
        process.kill()
        process.wait()

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self.fleet.close()


def cluster_text(fleet: SshFleet, signer: str, name: str, extra: str = "", top: str = "") -> str:
    """cluster.yaml for a fleet. ``extra``: more keys; ``top``: replaces the short waits."""
    waits = (
        top or "poll: 0.2s\nstable_for: 0.4s\ntimeouts: {upload: 1m, upgrade: 1m, reboot: 1m, service: 1m}"
    )
    nodes = "\n".join(
        f"  - {{name: {n}, host: 127.0.0.1, port: {fleet.ports[n]}, url: '{fleet.urls[n]}', "
        f"cluster_host: {fleet.world.nodes[n].cluster_host}}}"
        for n, server in fleet.servers.items()
        if server.host == "127.0.0.1"  # not a spare
    )
    return f"""cluster: {name}
target: {{archive: ./{NAME}, signer: {signer}, keyring: ./vendor.asc}}
ssh: {{identity_file: {fleet.client_key_path}, known_hosts: {fleet.known_hosts}}}
ksctl: {{command: {fleet.ksctl}, password_env: LIVE_KSCTL, timeout: 30}}
backup: {{directory: ./backups, key_password_env: LIVE_KEY}}
{waits}
{extra}
nodes:
{nodes}
"""


def make_world(
    archive: Path, signer: str, nodes: int, defaults: Mapping[str, Any], more: Mapping[str, Any]
) -> World:
    """A cluster that accepts exactly this archive."""
    data = archive.read_bytes()
    held = {"name": NAME, "size": len(data), "sha256": sha256(data).hexdigest(), "signer": signer}
    world = {
        "archive": held,
        "defaults": {**defaults, "times": {**TIMES, **defaults.get("times", {})}},
        "nodes": [{"name": f"ctm-{i + 1}"} for i in range(nodes)],
        "clustered": True,
    }
    return World.from_dict({**world, **more})


def start_live(
    folder: Path,
    signing: Signing,
    *,
    nodes: int = 3,
    size: int = 300_000,
    speed: float = SPEED,
    extra: str = "",
    waits: str = "",
    more: Mapping[str, Any] | None = None,
    **defaults: Any,
) -> Live:
    """Everything for one test. ``defaults``: traits of every node of the world; ``more``: of the world."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / NAME
    signing.sign(archive, size)
    (folder / "vendor.asc").write_bytes(signing.gpg("--armor", "--export", signing.fingerprint))
    world = make_world(archive, signing.fingerprint, nodes, defaults, more or {})
    fleet = start_fleet(world, folder / "fleet", speed)
    made = Live(folder, world, fleet, folder / "state", clean_environ(folder))
    made.cluster.write_text(cluster_text(fleet, signing.fingerprint, "live", extra, waits))
    return made


def clean_environ(folder: Path, drop: Sequence[str] = ("SSH_AUTH_SOCK",)) -> dict[str, str]:
    """An environment with a home of its own, in which nothing of the caller's is found."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in drop and not k.startswith(("CTMUPGRADE_", "KSCTL_", "XDG_"))
    }
    own = {
        "HOME": str(home),
        "LIVE_KSCTL": PASSWORD,
        "LIVE_KEY": KEY_PASSWORD,
        "TMPDIR": str(home),
        "COLUMNS": "150",
    }
    return {**kept, **own}
