"""Twenty nodes for looks: their shells are sshd's, their control planes answer at once, and both write down what they
are asked. The same for whoever asks."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ctmupgrade.config.load import load_world
from ctmupgrade.core.looks import ksctl_probes, state_probes
from ctmupgrade.sim import SimClock, World
from ctmupgrade.sim.control import SimControl
from tests.bench.nodes import ROOT, Nodes, Server, program

WORLD = ROOT / "fixtures" / "scenarios" / "healthy-twenty" / "world.yaml"
ARCHIVE = "small_v2.21.0.tar.gz.gpg"
# What a node's shell says that this machine's would not, or not everywhere: each ends well and says something.
PROGRAMS = {
    "systemctl": "printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\n'",
    "nmcli": "printf 'GENERAL.DEVICE:eth0\\nGENERAL.TYPE:ethernet\\n'",
    "sudo": "echo '    (ALL) NOPASSWD: ALL'",
    "ls": "PATH=${PATH#*:}\nls \"$@\" 2>/dev/null\nexit 0",  # of folders that only an appliance has
}  # fmt: skip
ANSWERED = (
    ksctl_probes.SYSTEM, ksctl_probes.SERVICES, ksctl_probes.MEMBERSHIP, ksctl_probes.MEMBERS, ksctl_probes.SUMMARY,
    ksctl_probes.NTP, state_probes.DISK_ENCRYPTION, state_probes.ALARMS, state_probes.LICENCES, state_probes.INTERFACES,
    state_probes.HSM, state_probes.BACKUP_JOB, state_probes.RAFT, state_probes.TIME_SERVERS, state_probes.CLUSTER_ERRORS,
    state_probes.SCHEDULES, state_probes.QUORUM, state_probes.PROPERTIES, state_probes.ACCOUNTS,
    *(state_probes.certificate(name) for name in ("web", "kmip", "nae")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What one node was asked, in the order it came."""

    shell: tuple[str, ...]
    ksctl: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.shell) + len(self.ksctl)


class StandIns:
    """The nodes of a healthy cluster."""

    def __init__(self, nodes: Nodes) -> None:
        self.folder = nodes.folder
        self.world = World.from_dict(load_world(WORLD))
        self.names = list(self.world.nodes)
        self.ksctl = self._ksctl()
        self.servers: list[Server] = nodes.start(len(self.names), at_home=True, programs=self._programs())
        for server in self.servers:
            (server.home / ARCHIVE).write_bytes(b"\x1f\x8b")

    def url(self, server: Server) -> str:
        """Where ksctl is pointed for a node: the port is how the stand-in knows it."""
        return f"https://127.0.0.1:{server.port}"

    def slow(self, server: Server, seconds: float) -> None:
        """From now on each answer of a control plane takes so long."""
        (self.folder / f"{server.port}.slow").write_text(f"{seconds}")

    def renew(self) -> None:
        """Answers as of now, for a report that is minutes old proves nothing; and forgets what was asked."""
        self.world.clock = SimClock(datetime.now(UTC))
        self.world.touch()
        for name, server in zip(self.names, self.servers, strict=True):
            answers = self._answers(server)
            answers.mkdir(parents=True, exist_ok=True)
            for probe in ANSWERED:
                words = probe.ways[0].argv
                (answers / "-".join(words)).write_text(SimControl(self.world, name).read(*words).out)
            server.forget()
            self._calls(server).unlink(missing_ok=True)

    def asked(self) -> list[Asked]:
        """What each node was asked since."""
        return [
            Asked(tuple(server.asked), tuple(calls.read_text().splitlines() if calls.exists() else ()))
            for server in self.servers
            for calls in (self._calls(server),)
        ]

    def _answers(self, server: Server) -> Path:
        return self.folder / "answers" / str(server.port)

    def _calls(self, server: Server) -> Path:
        return self.folder / f"{server.port}.ksctl"

    def _ksctl(self) -> Path:
        folder = shlex.quote(str(self.folder))
        return program(
            self.folder / "ksctl",
            f"port=${{KSCTL_URL##*:}}\nprintf '%s\\n' \"$*\" >>{folder}/$port.ksctl\n"
            f'[ ! -e {folder}/$port.slow ] || sleep "$(cat {folder}/$port.slow)"\n'
            f'IFS=-\nexec cat {folder}/answers/"$port/$*"',
        )

    def _programs(self) -> Path:
        folder = self.folder / "programs"
        for name, text in PROGRAMS.items():
            program(folder / name, text)
        return folder
