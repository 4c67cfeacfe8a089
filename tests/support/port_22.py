"""A whole cluster of which this machine reaches nothing but SSH: the urls are names that only the nodes know."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade.adapters.vendor_cli.images import this_machine
from ctmupgrade.core.model import Secret
from ctmupgrade.sim.control import SimControl
from tests.support.control_plane import Plane, Said, certificate, images, ksctl_bytes, start_plane
from tests.support.live import Live


@dataclass
class Port22:
    """A cluster whose control planes are behind its SSH servers."""

    live: Live
    planes: dict[str, Plane] = field(default_factory=dict)

    def close(self) -> None:
        for plane in self.planes.values():
            plane.close()


def answers_of(live: Live, name: str) -> Callable[[tuple[str, ...], str | None], Said]:
    """What a node's control plane answers; a file that ksctl is to write goes back with the answer."""

    def answer(argv: tuple[str, ...], password: str | None) -> Said:
        with tempfile.TemporaryDirectory() as folder:
            target = argv[argv.index("--file") + 1] if "--file" in argv else ""
            here = Path(folder) / "file"
            words = tuple(str(here) if word == target and target else word for word in argv)
            with live.fleet.lock:
                control = SimControl(live.world, name)
                said = control.change(*words, answer=Secret(password) if password else None)
            data = base64.b64encode(here.read_bytes()).decode() if here.is_file() else ""
        return said.code, said.out.replace(str(here), target), said.err, {target: data} if data else {}

    return answer


def only_port_22(live: Live, folder: Path, ksctl: str = "fetch", ssh: str = "") -> Port22:
    """Take every other way to the nodes from a cluster. ``ssh``: more keys of it, as the jump host.

    The certificates are of a name that no url has: nobody but the host key proves who answers.
    """
    made, pem = Port22(live), certificate(folder, "nobody.example")
    system, machine = this_machine()
    for name, url in live.fleet.urls.items():
        plane = made.planes[name] = start_plane(pem, answers_of(live, name))
        plane.zipped = images(**{f"{system}-{machine}": ksctl_bytes()})
        live.fleet.places[name, url.removeprefix("https://"), 443] = plane.port
    text = live.cluster.read_text()
    text = text.replace(
        f"ksctl: {{command: {live.fleet.ksctl}", f"ksctl: {{command: {ksctl}, through_ssh: true"
    )
    live.cluster.write_text(text.replace("ssh: {", f"ssh: {{{ssh}", 1))
    return made
