"""What the adapters are wired for, counted at the servers: connections, looks, limits, hashes. Nothing is timed.

The program's own wiring (:func:`ctmupgrade.commands.wiring.setup`) in this process, against real SSH servers and a
ksctl of its own process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ctmupgrade.adapters.gpg import prefix_hash
from ctmupgrade.collect.collect import all_health, collect_nodes
from ctmupgrade.commands import check
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.core.looks.file_probes import MIB
from ctmupgrade.errors import NodeError
from ctmupgrade.sim import files
from ctmupgrade.sim.state import File
from tests.support import golden
from tests.support.live import NAME, Live
from tests.support.staging import part_of, sha256
from tests.support.virtual_time import limits_in_virtual_time

GoLive = Callable[..., Live]


@pytest.fixture
def wired(go_live: GoLive, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Live]:
    """A cluster that this very process may look at as the program would."""

    def start(**wishes: object) -> Live:
        live = go_live(**wishes)
        for name in ("HOME", "LIVE_KSCTL", "LIVE_KEY"):
            monkeypatch.setenv(name, live.environ[name])
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        return live

    return start


@contextmanager
def wiring(live: Live, **wishes: int) -> Iterator[Setup]:
    with setup(CommandRequest(cluster=live.cluster, state_dir=live.state, **wishes)) as made:  # type: ignore[arg-type]
        yield made


def connections(live: Live) -> dict[str, int]:
    return {name: server.connections for name, server in live.fleet.servers.items()}


def asked(live: Live) -> dict[str, list[str]]:
    return {name: server.asked for name, server in live.fleet.servers.items()}


def asked_of_ksctl(live: Live) -> dict[str, list[str]]:
    bridge = live.fleet.bridge
    assert bridge
    return {name: bridge.asked(url) for name, url in live.fleet.urls.items()}


# -- how often is asked ----------------------------------------------------------------------------


# Of a healthy member that answers the first way of each question. A look more is a round trip more for each
# node, a call of ksctl more a login more at its control plane: whoever adds one means to.
POLLED = ["systemctl show -p LoadState -p ActiveState -p SubState keysecure", "ps -eo args", "date +%s.%N"]
GREETED = "ls -d ."  # once for a connection: does the shell greet before every output?
POLLED_BY_KSCTL = ["cluster nodes list", "system info get", "services status", "cluster summary"]
CHECKED = [
    "ls",
    GREETED,
    "cat /proc/sys/kernel/random/boot_id",
    "df -P -k / .",
    "df -P -i / .",
    "cat /proc/mounts",
    "nmcli -t -f GENERAL.DEVICE,GENERAL.TYPE,DHCP4 device show",
    POLLED[0],
    "sudo -n -l",
    "date +%s.%N",
    "ps -eo args",
    "ls -1 . /opt/keysecure/logs /var/log /var/log/keysecure /opt/keysecure /tmp /root",
    f"ls -ln {NAME}",
]
CHECKED_BY_KSCTL = [
    *POLLED_BY_KSCTL, "ntp status", "diskenc status", "hsm servers list", "alarms list --limit 256",
    "licensing licenses list --limit 256", "backup status", "ntp servers list --limit 256", "cluster info",
    "interfaces list --limit 256", *(f"interfaces certificate get --name {name}" for name in ("web", "kmip", "nae")),
]  # fmt: skip
# Asked of one member each, for all would say the same.
SHARED_BY_KSCTL = [
    "cluster errors", "properties list --limit 256", "scheduler configs list --limit 256", "users list --limit 256",
    "quorum-policy status", "cte clients list --limit 1",
]  # fmt: skip


def test_a_check_enters_each_node_once_and_asks_each_question_once(wired: GoLive) -> None:
    live = wired(nodes=3)
    with wiring(live) as made:
        assert check.check(made).findings
    assert connections(live) == dict.fromkeys(live.fleet.servers, 1)
    once = {name: sorted(questions) for name, questions in asked(live).items()}
    assert once == dict.fromkeys(live.fleet.servers, sorted(CHECKED))
    by_ksctl = asked_of_ksctl(live)
    for questions in by_ksctl.values():
        assert sorted({*questions} - {*SHARED_BY_KSCTL}) == sorted(CHECKED_BY_KSCTL)
        assert len(questions) == len({*questions})
    all_asked = [question for questions in by_ksctl.values() for question in questions]
    assert sorted(one for one in all_asked if one in SHARED_BY_KSCTL) == sorted(SHARED_BY_KSCTL)


def test_what_is_polled_is_asked_over_one_connection(wired: GoLive) -> None:
    live = wired(nodes=2)
    with wiring(live) as made:
        for _ in range(3):
            all_health(made.fleet, made.cluster, made.clock, made.tools.gather)
    assert connections(live) == dict.fromkeys(live.fleet.servers, 1)
    questions = [POLLED[0], GREETED, *POLLED[1:], *POLLED, *POLLED]
    assert asked(live) == dict.fromkeys(live.fleet.servers, questions)
    assert asked_of_ksctl(live) == dict.fromkeys(live.fleet.servers, 3 * POLLED_BY_KSCTL)


# -- at once ---------------------------------------------------------------------------------------


def test_twenty_nodes_are_looked_at_at_once(wired: GoLive) -> None:
    """No node answers the first look before all twenty were asked: with a place less none would."""
    live = wired(nodes=20)
    live.fleet.together = threading.Barrier(20, timeout=25)  # a look is given up after 30 s of silence
    with wiring(live) as made:
        nodes = collect_nodes(made.fleet, made.cluster, made.clock, made.tools.gather)
    assert not live.fleet.together.broken, "they were asked one after another"
    assert [facts.shell for facts in nodes.values()] == [True] * 20


# -- limits ----------------------------------------------------------------------------------------

RATE = 100_000  # bytes per second
PIECE = 262_144  # the most that is sent at once, for which nobody waits afterwards


@pytest.mark.parametrize(
    ("rate", "node_rate", "takes"),
    [
        (RATE, 0, [1.0, 2.0]),  # the second has to wait for what the first has booked
        (0, RATE, [1.0, 1.0]),
        (RATE, RATE // 4, [4.0]),
        (RATE // 4, RATE, [4.0, 8.0]),
    ],
    ids=["together", "each node", "a node's is lower", "that of all is lower"],
)
def test_limits_reach_the_uploads(
    wired: GoLive, monkeypatch: pytest.MonkeyPatch, rate: int, node_rate: int, takes: list[float]
) -> None:
    """In virtual time, and as if all uploads began at its beginning: how long each takes, in the time that
    the file takes at RATE."""
    time = limits_in_virtual_time(monkeypatch)
    live = wired(nodes=2, size=2_000_000)
    archive = live.folder / NAME
    size = archive.stat().st_size
    last_piece = PIECE / min(one for one in (rate, node_rate) if one)
    with wiring(live, rate=rate, node_rate=node_rate) as made:
        check.verify(made)
        for name, factor in zip(live.fleet.servers, takes, strict=False):
            time.now = 0.0
            *_, last = made.fleet.shell(name).upload(archive, NAME)
            assert last.done == size
            assert factor * size / RATE - last_piece <= time.now <= factor * size / RATE


def test_only_the_verified_file_is_uploaded(wired: GoLive) -> None:
    """SECURITY H1: another one has its name when it was verified."""
    live = wired(nodes=1, size=300_000)
    archive = live.folder / NAME
    genuine = archive.read_bytes()
    with wiring(live) as made:
        shell = made.fleet.shell("ctm-1")
        with pytest.raises(NodeError, match="was not verified"):
            list(shell.upload(archive, NAME))
        check.verify(made)
        aside = archive.rename(archive.with_name("aside"))
        archive.write_bytes(b"evil" * (len(genuine) // 4))
        aside.rename(archive)
        with pytest.raises(NodeError, match="has changed since"):
            list(shell.upload(archive, NAME))
        check.verify(made)
        *_, last = shell.upload(archive, NAME)
        assert last.done == len(genuine)
    assert live.world.nodes["ctm-1"].files[files.absolute(NAME)].data == genuine


# -- hashes ----------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[prefix_hash.PrefixHashes]:
    """Whatever hashes beginnings of files here, for its ``bytes_read``."""
    made: list[prefix_hash.PrefixHashes] = []

    class Counted(prefix_hash.PrefixHashes):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(prefix_hash, "PrefixHashes", Counted)
    return made


def test_nodes_that_go_on_have_the_archive_hashed_once(
    wired: GoLive, counted: list[prefix_hash.PrefixHashes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three nodes have the same beginning of it; here its hash is known already, from the verification."""
    monkeypatch.setattr(prefix_hash, "STEP", MIB)
    live = wired(nodes=3, size=4 * MIB + 4711)
    archive = live.folder / NAME
    begun = File(3 * MIB, data=archive.read_bytes()[: 3 * MIB])
    with live.fleet.lock:
        for node in live.world.nodes.values():
            node.files[files.absolute(part_of(archive, sha256(archive)))] = begun
    code, said = golden.call("stage", "--yes", "-c", str(live.cluster), "--state-dir", str(live.state))
    assert code == 0, said
    assert said.count("continuing at 3 MiB") == 3
    assert [one.bytes_read for one in counted] == [0], "by anything but the verification"
    for node in live.world.nodes.values():
        assert node.files[files.absolute(NAME)].data == archive.read_bytes()


def test_what_is_hashed_here_is_hashed_once(
    wired: GoLive, counted: list[prefix_hash.PrefixHashes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the verification has read it, too, and by however many nodes it is asked for at the same time.
    What lies behind is read once for each, and nothing before it again."""
    monkeypatch.setattr(prefix_hash, "STEP", MIB)
    live = wired(nodes=1, size=4 * MIB)
    with wiring(live) as made:
        names = [f"ctm-{number}" for number in range(20)]
        assert len(set(made.tools.gather(lambda _name: made.tools.prefix_hash(3 * MIB), names).values())) == 1
        assert [one.bytes_read for one in counted] == [3 * MIB]
        made.tools.rest_hash(3 * MIB)
        size = (live.folder / NAME).stat().st_size
        assert [one.bytes_read for one in counted] == [size]
