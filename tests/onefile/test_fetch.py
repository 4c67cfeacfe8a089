"""TLS out of the one file: a node's ksctl is taken from who is proven, by the machine's or the operator's authorities."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.vendor_cli.images import this_machine
from tests.support.control_plane import Plane, certificate, images, ksctl_bytes, start_plane
from tests.support.live import PROGRAM, Live, Signing, start_live
from tests.support.narrow import Place
from tests.support.port_22 import answers_of

HOSTS_FILES = (
    "certs/ca-certificates.crt",
    "ca-bundle.pem",
    "cert.pem",
)  # below /etc/ssl: Debian, SUSE, Alpine


@dataclass
class Served:
    """A node whose control plane has a certificate for 127.0.0.1, and a folder with that of another name."""

    live: Live
    plane: Plane
    trusted: Path
    other: Path

    def check(self, *, more: str = "", runs: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `check` where nothing may be written but the state, with no other variables than these.

        :param runs: the state folder allows programs.
        """
        live = self.live
        env = {k: v for k, v in live.environ.items() if k.startswith("LIVE_")} | environ
        more += f"\nmount -o remount,bind,exec {live.state}" if runs else ""
        place = Place(
            [live.state, live.folder / "backups"],
            runnable=[live.folder],
            environ=env,
            cwd=live.folder,
            user=0,
            more=more,
        )
        return place.run(PROGRAM, "check", "-c", live.cluster, "--state-dir", live.state)

    def taken(self) -> list[Path]:
        return list(self.live.state.glob("live/ksctl/program-*"))


@pytest.fixture
def served(folder: Path, signing: Signing) -> Iterator[Served]:
    live = start_live(
        folder / "live", signing, nodes=1, more={"clustered": False}, extra="strategy: standalone"
    )
    live.state.mkdir(mode=0o700)
    (live.folder / "backups").mkdir()
    trusted, other = certificate(live.folder, "127.0.0.1"), certificate(live.folder, "elsewhere.example")
    plane = start_plane(trusted, answers_of(live, "ctm-1"))
    system, machine = this_machine()
    plane.zipped = images(**{f"{system}-{machine}": ksctl_bytes()})
    text = live.cluster.read_text().replace(f"command: {live.fleet.ksctl}", "command: fetch")
    live.cluster.write_text(text.replace(live.fleet.urls["ctm-1"], f"https://127.0.0.1:{plane.port}"))
    yield Served(live, plane, trusted, other)
    plane.close()
    live.close()


def test_with_the_operators_authority_it_is_taken_and_run(served: Served) -> None:
    done = served.check(SSL_CERT_FILE=str(served.trusted))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [stat.S_IMODE(path.stat().st_mode) for path in served.taken()] == [0o700]
    assert ["system", "info", "get"] in served.plane.asked, "what was taken was run"


@pytest.mark.parametrize("name", HOSTS_FILES)
def test_with_the_machines_authorities(served: Served, name: str) -> None:
    more = (
        f"mount -t tmpfs -o mode=755 ssl /etc/ssl; mkdir /etc/ssl/certs; cp {served.trusted} /etc/ssl/{name}"
    )
    served.check(more=more)
    assert len(served.taken()) == served.plane.downloads == 1


@pytest.mark.parametrize("trusted", ["nobody", "another name", "a missing file"])
def test_who_is_not_proven_is_refused(served: Served, trusted: str) -> None:
    named: dict[str, dict[str, Any]] = {
        "another name": {"SSL_CERT_FILE": str(served.other)},
        "a missing file": {"SSL_CERT_FILE": "/nowhere"},
    }
    done = served.check(**named.get(trusted, {}))
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3, text
    assert "ksctl_images.zip" in text and "SSL_CERT_FILE" in text
    assert served.plane.downloads == 0 and served.taken() == [] and served.live.changes() == []


def test_a_state_folder_that_allows_no_programs_is_named(served: Served) -> None:
    done = served.check(runs=False, SSL_CERT_FILE=str(served.trusted))
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3 and "allows no programs (noexec)" in text and "--state-dir DIR" in text, text
    assert served.plane.downloads == 0


def test_unless_the_operator_says_so(served: Served) -> None:
    text = served.live.cluster.read_text()
    served.live.cluster.write_text(text.replace("command: fetch", "command: fetch, nosslverify: true"))
    done = served.check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(served.taken()) == 1
