"""A run that goes to another machine: ``handover`` and ``take-over`` with real SSH servers, and what the nodes, which
both machines see, allow of two takers, killed takers, and files that were changed on their way."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.disk.handover_file import Draft, read_packed, unpack
from ctmupgrade.adapters.disk.journal_file import verify_chain
from ctmupgrade.adapters.disk.run_store import FileRecord
from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.commands import control, handover_marks
from ctmupgrade.commands import recover as recovering
from ctmupgrade.commands import run as running
from ctmupgrade.commands.handover import handover
from ctmupgrade.commands.handover_marks import Taker
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.take_over import read_offered, take_over
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.journal import RunResumed, RunTakenOver, StepNoted, StepStarted
from ctmupgrade.errors import (
    BlockedError,
    ConfigError,
    CtmUpgradeError,
    LockedError,
    UnreachableError,
    UsageError,
)
from ctmupgrade.ports import Tools
from ctmupgrade.sim import SimFleet, SimVerifier, World, timeline
from ctmupgrade.sim.files import source_hash
from ctmupgrade.sim.tasks import VirtualTasks
from tests.support.live import KEY_PASSWORD, NAME, PASSWORD, Live, clean_environ
from tests.support.world_run import Killed, make_cluster, make_world

GoLive = Callable[..., Live]
LONG = {"times": {"upgrade_s": 60.0}}  # 3 s of ours


def _colleague(live: Live, name: str = "colleague") -> Live:
    """Another machine: a home, a state folder and files of its own, and the same nodes."""
    folder = live.folder.with_name(name)
    folder.mkdir()
    for file in (NAME, "vendor.asc", "cluster.yaml"):
        shutil.copy(live.folder / file, folder / file)
    environ = clean_environ(folder) | {"LOGNAME": name, "USER": name}
    return replace(live, folder=folder, state=folder / "state", environ=environ, started=[])


@pytest.mark.slow
def test_a_run_goes_on_elsewhere_in_the_middle_of_node_2(go_live: GoLive) -> None:
    live = go_live(**LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.of_kind("upgrade_started", "ctm-2"), "the upgrade of ctm-2")
    file = live.folder / "run.handover"
    refused = live.run("handover", str(file))
    assert refused.returncode == 8 and not file.exists(), refused.stderr
    live.kill(process)
    told = live.run("handover", str(file))
    assert told.returncode == 0, told.stderr
    danger = told.stdout.partition("Danger:")[2]
    assert "ctm-2" in danger and "ctmupgrade take-over run.handover" in danger, told.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert not {PASSWORD, KEY_PASSWORD} & {
        word for word in (PASSWORD, KEY_PASSWORD) if word.encode() in file.read_bytes()
    }
    other = _colleague(live)
    shutil.copy(file, other.folder / "it")
    (other.folder / "cluster.yaml").unlink()  # the packed one is put there
    taking = other.start("take-over", str(other.folder / "it"))
    live.until(taking, lambda w: w.of_kind("upgrade_started", "ctm-3"), "the upgrade of ctm-3")
    assert live.run("resume").returncode == 8
    assert taking.wait(120) == 0, other.said(taking)
    _ended_well_over_both(live, other)
    _only_there(live, file)


def _ended_well_over_both(live: Live, other: Live) -> None:
    assert [live.kinds("upgrade_started", name) for name in live.world.nodes] == [
        ["2.21.0+15451 by ctmupgrade"]
    ] * 3
    assert [len(live.kinds("reboot", name)) for name in live.world.nodes] == [1, 1, 1]
    assert other.run("report", "--verify").returncode == 0
    document = other.report()
    assert (document["outcome"], document["state"]) == ("done", "done")
    kinds = [one["kind"] for one in document["incidents"]]
    assert kinds.index("handed-over") < kinds.index("taken-over") < kinds.index("resume")
    (first,), (second,) = live.journals(), other.journals()
    assert second.read_bytes().startswith(first.read_bytes()), "one chain over both machines"
    marks = {folder for node in live.world.nodes.values() for folder in node.folders}
    assert not [folder for folder in marks if folder.endswith(".ctmupgrade-run")]
    kept = sorted(path.name for path in (other.folder / "backups").iterdir())
    assert len([name for name in kept if name.endswith(".manifest.json")]) == 3


def _only_there(live: Live, file: Path) -> None:
    """The machine that it came from says where it went; so do the nodes to whoever has the file too."""
    for words in (["resume"], ["take-over", str(file)], ["handover", str(live.folder / "again")]):
        refused = live.run(*words)
        assert refused.returncode == 8, (words, refused.stdout, refused.stderr)
        assert "colleague@" in refused.stderr, refused.stderr
    third = _colleague(live, "third")
    assert third.run("take-over", str(file)).returncode == 8
    assert third.journals() == []
    assert live.run("report", "--verify").returncode == 0
    assert live.run("status").returncode == 0
    assert live.run("run", "--yes").returncode == 0, "the run has ended there, and the nodes are free"


@pytest.mark.slow
def test_nobody_took_it_so_it_goes_on_here(go_live: GoLive) -> None:
    """And the file is worth nothing from then on. A dry run hands nothing over."""
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone", **LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.of_kind("upgrade_started", "ctm-1"), "the upgrade")
    live.kill(process)
    file = live.folder / "run.handover"
    assert live.run("handover", str(file), "--dry-run").returncode == 0 and not file.exists()
    made = live.run("handover", str(file), "--without-backups", "--format", "json")
    document = json.loads(made.stdout)
    assert (document["offered_by"], [one["included"] for one in document["backups"]]) == (["ctm-1"], [False])
    assert set(document["summary"]) == {"done", "doing", "next", "danger"}
    decided = live.run("node", "retry", document["run"], "ctm-1", "--reason", "x")
    assert decided.returncode == 8, "its journal ends in the hand-over"
    resumed = live.start("resume")
    assert resumed.wait(120) == 0, live.said(resumed)
    assert live.run("report", "--verify").returncode == 0
    late = _colleague(live).run("take-over", str(file))
    assert late.returncode == 8 and "was taken over by" in late.stderr, late.stderr


# -- the same in one process, in virtual time ------------------------------------------------------------------------


@dataclass
class Machine:
    """One of two machines that reach the same nodes: a state folder and a cluster.yaml of its own."""

    world: World
    folder: Path
    own: str = ""  # the node that is this machine

    def setup(self, **more: Any) -> Setup:
        """A new process there. It is a live one: marks, anchors and locks count."""
        own = self.own
        self.folder.mkdir(exist_ok=True)
        file, world = self.folder / "cluster.yaml", self.world
        file.write_text("cluster: test\n")
        store = BackupStore(self.folder / "backups", "test")
        cluster = make_cluster(world)
        cluster = replace(cluster, backup=replace(cluster.backup, directory=self.folder / "backups"))
        cluster = replace(
            cluster, nodes=tuple(replace(n, host="local") if n.name == own else n for n in cluster.nodes)
        )
        archive = self.folder / cluster.target.archive.name
        archive.touch()  # the verifier is the world's
        cluster = replace(cluster, target=replace(cluster.target, archive=archive))
        timeline.hang_up(world)
        tools = Tools(
            SimFleet(world), SimVerifier(world), world.clock, one_by_one,
            lambda: VirtualTasks(world.clock), store,
            prefix_hash=lambda length: source_hash(world, "archive", length), rest_hash=lambda _offset: ("", ""),
            unusable_store=store.unusable,
        )  # fmt: skip
        return Setup(CommandRequest(cluster=file, state_dir=self.folder / "state", **more), cluster, tools)

    def run_until(self, step: str) -> None:
        """Begins a run, and is killed right after a step began."""

        def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
            if isinstance(event, StepNoted) and event.step == step:
                raise Killed

        with pytest.raises(Killed):
            running.run(self.setup(), RunOptions(watch=watch))

    def hand_over(self, name: str = "it", **more: Any) -> Path:
        """Packs it. Returns the file."""
        handover(self.setup(), None, self.folder / name, **more)
        return self.folder / name

    def take_over(self, file: Path) -> running.Outcome:
        return take_over(self.setup(), RunOptions(), read_offered(file))

    def resume(self) -> running.Outcome:
        return resume(self.setup(), RunOptions(), None)

    @property
    def journal(self) -> Path:
        (found,) = self.folder.glob("state/*/*/journal.jsonl")
        return found


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Machine, Machine]:
    """Two machines, and a run that was killed on the first one in the middle of node 2."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    world = make_world(3)
    first, second = Machine(world, tmp_path / "first"), Machine(world, tmp_path / "second")
    first.run_until("upgrade:ctm-2")
    return first, second


def test_it_goes_on_on_the_second_machine_alone(
    two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    file = first.hand_over()
    monkeypatch.setenv("LOGNAME", "colleague")
    ended = second.take_over(file)
    assert ended.code == 0 and ended.state is not None and ended.state.outcome == "done"
    assert [len(second.world.of_kind("upgrade_started", name)) for name in second.world.nodes] == [1, 1, 1]
    assert verify_chain(second.journal) == []
    assert second.journal.read_bytes().startswith(first.journal.read_bytes())
    assert not [f for n in second.world.nodes.values() for f in n.folders if ".ctmupgrade-run" in f]
    for refused in (first.resume, lambda: first.take_over(file), lambda: first.hand_over("again")):
        with pytest.raises(LockedError, match=f"taken over by colleague@.* at {ended.state.at:%Y}?"):
            refused()
    assert "ctm-3" in "".join(path.name for path in (second.folder / "backups").iterdir())
    assert first.setup().home.is_dir() and running.run(first.setup(), RunOptions()).code == 0, (
        "its nodes are free"
    )


def test_what_is_called_local_is_another_machine_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`host: local` in the cluster.yaml that came with the file: unless it is shown to be that appliance, nothing is taken.

    The other machine is told apart by its boot; a reboot of the simulated node is as good."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    world = make_world(3)
    first = Machine(world, tmp_path / "first", own="ctm-1")
    first.run_until("upgrade:ctm-2")
    file = first.hand_over()
    elsewhere = Machine(first.world, tmp_path / "second", own="ctm-1")
    timeline.reboot(world, world.nodes["ctm-1"], world.now, "it is another one", linger=0.0)
    world.clock.advance(1000.0)
    with pytest.raises(UsageError, match="nothing shows that this machine is ctm-1") as refused:
        elsewhere.take_over(file)
    assert "host: ADDRESS   # of ctm-1" in refused.value.remedy and not list(
        elsewhere.folder.glob("state/*/*/journal.jsonl")
    )
    elsewhere.own = ""
    monkeypatch.setenv("LOGNAME", "colleague")
    assert elsewhere.take_over(file).code == 0


def test_on_a_node_that_is_not_the_last_one_it_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reboot would end the process while ctm-3 is still to be upgraded. So of a cluster.yaml that was changed here."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    first = Machine(make_world(3), tmp_path / "first")
    first.run_until("upgrade:ctm-2")
    first.own = "ctm-2"
    with pytest.raises(BlockedError, match="upgrades ctm-2 before ctm-3"):
        first.resume()
    first.own = ""
    file = first.hand_over()
    second = Machine(first.world, tmp_path / "second", own="ctm-2")
    with pytest.raises(BlockedError, match="upgrades ctm-2 before ctm-3"):
        second.take_over(file)
    second.own = "ctm-3"
    monkeypatch.setenv("LOGNAME", "colleague")
    assert second.take_over(file).state is not None


def test_on_the_own_node_itself_it_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another account of it."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    world = make_world(3)
    first, second = (Machine(world, tmp_path / name, own="ctm-1") for name in ("first", "second"))
    first.run_until("upgrade:ctm-2")
    file = first.hand_over()
    monkeypatch.setenv("LOGNAME", "colleague")
    assert second.take_over(file).state is not None
    assert second.journal.is_file()


def test_the_marks_name_the_second_machine(
    two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    file = first.hand_over()
    monkeypatch.setenv("LOGNAME", "colleague")
    seen: list[str] = []

    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted) and not seen:
            seen.extend(f for n in second.world.nodes.values() for f in n.folders if "/.ctmupgrade-run/" in f)

    take_over(second.setup(), RunOptions(watch=watch), read_offered(file))
    owners = [folder for folder in seen if "__" in folder]
    assert len(owners) == 3 and all("__colleague@" in folder for folder in owners), seen


def test_where_nobody_took_it_the_first_machine_goes_on(two: tuple[Machine, Machine]) -> None:
    first, second = two
    file = first.hand_over()
    assert first.resume().code == 0
    with pytest.raises(LockedError, match="was taken over by"):
        second.take_over(file)
    assert not list(second.folder.glob("state/*/*/journal.jsonl"))


@pytest.mark.parametrize(("step", "goes_on"), [("reboot:ctm-3", True), ("upgrade:ctm-2", False)])
def test_a_resume_misses_the_archive_where_a_node_is_left_to_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, goes_on: bool
) -> None:
    """It takes gigabytes: behind the last upgrade, whoever has made room goes on all the same."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    machine = Machine(make_world(3), tmp_path / "here")
    machine.run_until(step)
    made = machine.setup()
    made.cluster.target.archive.unlink()
    if goes_on:
        assert resume(made, RunOptions(), None).code == 0
        return
    with pytest.raises(ConfigError, match=r"target\.archive: there is no file"):
        resume(made, RunOptions(), None)
    assert machine.resume().code == 0, "it is there again"


def test_a_second_hand_over_makes_the_first_file_worthless(two: tuple[Machine, Machine]) -> None:
    first, second = two
    early, late = first.hand_over("early"), first.hand_over("late")
    with pytest.raises(LockedError):
        second.take_over(early)
    assert second.take_over(late).code == 0


def test_there_and_back_is_one_chain(two: tuple[Machine, Machine]) -> None:
    first, second = two
    taken = read_offered(first.hand_over())

    def stop(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted):
            raise Killed

    with pytest.raises(Killed):
        take_over(second.setup(), RunOptions(watch=stop), taken)
    assert first.take_over(second.hand_over()).code == 0
    assert verify_chain(first.journal) == []
    with pytest.raises(LockedError):
        second.resume()


@pytest.mark.parametrize("at", [RunTakenOver, RunResumed])
def test_a_taker_that_is_killed_takes_it_again(
    two: tuple[Machine, Machine], at: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its journal and the nodes, and right after them."""
    first, second = two
    file = first.hand_over()
    append = FileRecord.append

    def killed(self: FileRecord, event: Any, when: Any) -> None:
        append(self, event, when)
        if isinstance(event, at):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(FileRecord, "append", killed)
        with pytest.raises(Killed):
            second.take_over(file)
    assert second.take_over(file).code == 0
    with pytest.raises(LockedError):
        first.resume()


def test_a_hand_over_that_is_killed_has_handed_nothing_over(
    two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _second = two
    for place in ("offer", "answering"):
        with monkeypatch.context() as patched:
            patched.setattr(handover_marks, place, _dies)
            with pytest.raises(Killed):
                first.hand_over()
        assert not (first.folder / "it").exists()
        assert not [path for path in first.folder.iterdir() if path.name.startswith(".it")]
    assert first.resume().code == 0


def _dies(*_a: Any, **_k: Any) -> Any:
    raise Killed


def test_nodes_that_cannot_be_asked_decide_nothing(two: tuple[Machine, Machine]) -> None:
    """Two of three are away: another machine may have it by them."""
    first, second = two
    file = first.hand_over()
    for name in ("ctm-1", "ctm-3"):
        first.world.nodes[name].down_from, first.world.nodes[name].up_at = (
            first.world.now,
            first.world.now + 1e6,
        )
    with pytest.raises(LockedError, match="whether another machine goes on with it is not known"):
        first.resume()
    with pytest.raises(LockedError):
        second.take_over(file)


def test_the_nodes_vouch_for_the_file(two: tuple[Machine, Machine]) -> None:
    """One that was packed again with another journal has every hash right, and is not what the nodes offer."""
    first, second = two
    file = first.hand_over()
    packed = read_packed(file)
    draft = Draft(first.folder / "forged")
    about = {name: value for name, value in packed.about.items() if name not in ("schema", "members")}
    draft.write({**about, "by": "eve"}, packed.texts, [])
    draft.keep()
    with pytest.raises(BlockedError, match="is not the file that ctm-1, ctm-2, ctm-3 offer"):
        second.take_over(first.folder / "forged")
    assert not list(second.folder.glob("state/*/*/journal.jsonl"))


def test_an_aborted_copy_frees_no_node(two: tuple[Machine, Machine]) -> None:
    """What was handed over goes on elsewhere, whatever this machine's own journal says of it."""
    first, second = two
    file = first.hand_over()
    assert recovering.look(first.setup(), OperatorInput()).unfinished is None, "recover would take its place"
    with pytest.raises(LockedError, match="nothing more is written"):
        control.ask_stop(first.setup().request, "test", None, "abort")
    stopped: list[bool] = []

    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted) and not stopped:
            stopped.append(True)
            with pytest.raises(LockedError, match="works on this cluster"):
                running.run(first.setup(), RunOptions())

    take_over(second.setup(), RunOptions(watch=watch), read_offered(file))
    assert stopped


# -- two takers --------------------------------------------------------------------------------------------------

RUN, TICKET, DIGEST = "20260110T210000-0001234", "0" * 16, "f" * 64


def _takers() -> tuple[Taker, Taker]:
    return Taker("a" * 16, "ann@one", "2026-01-10T21:00:00"), Taker(
        "b" * 16, "bob@two", "2026-01-10T21:00:01"
    )


def _take(world: World, mine: Taker, nodes: tuple[str, ...] = ("ctm-1", "ctm-2", "ctm-3")) -> None:
    handover_marks.take(SimFleet(world), nodes, RUN, TICKET, mine, lambda _line: None)


def _offered(count: int = 3) -> World:
    world = make_world(count)
    handover_marks.offer(SimFleet(world), list(world.nodes), RUN, TICKET, DIGEST)
    return world


def _away(world: World, name: str) -> None:
    timeline.reboot(world, world.nodes[name], world.now, "power loss", linger=0.0)
    world.clock.advance(1)


def test_one_of_two_takers_has_it() -> None:
    world, (ann, bob) = _offered(), _takers()
    _take(world, ann)
    _take(world, ann)  # who was killed takes it again
    with pytest.raises(LockedError, match="taken over by ann@one at 2026-01-10T21:00:00"):
        _take(world, bob)
    seen = handover_marks.look(SimFleet(world), list(world.nodes), RUN, TICKET)
    assert set(seen.taken.values()) == {ann} and not seen.offers


def test_the_faster_one_has_it_where_both_have_looked() -> None:
    """Bob takes the first node between Ann's look and her own taking."""
    world, (ann, bob) = _offered(), _takers()

    class Overtaken(SimFleet):
        looks = 0

        def shell(self, node: str) -> Any:
            self.looks += 1
            if self.looks == len(world.nodes) + 1:
                _take(world, bob)
            return super().shell(node)

    with pytest.raises(LockedError, match="taken over by bob@two"):
        handover_marks.take(Overtaken(world), list(world.nodes), RUN, TICKET, ann, lambda _line: None)
    seen = handover_marks.look(SimFleet(world), list(world.nodes), RUN, TICKET)
    assert set(seen.taken.values()) == {bob}


def test_a_killed_taker_is_found_by_its_name() -> None:
    world, (ann, bob) = _offered(), _takers()
    SimFleet(world).shell("ctm-1").change("mkdir", f"{handover_marks.FOLDER}/{ann.folder(RUN, TICKET)}")
    with pytest.raises(LockedError, match="ann@one"):
        _take(world, bob)
    _take(world, ann)


def test_too_few_nodes_that_answer_prove_nothing() -> None:
    world, (ann, _bob) = _offered(), _takers()
    _away(world, "ctm-1")
    _take(world, ann)  # two of three
    world = _offered(2)
    _away(world, "ctm-1")
    with pytest.raises(UnreachableError, match="too few nodes answer"):
        _take(world, ann, ("ctm-1", "ctm-2"))


def test_an_offer_of_another_run_is_not_taken() -> None:
    world, (ann, _bob) = make_world(3), _takers()
    handover_marks.offer(SimFleet(world), ["ctm-1"], "20260110T210000-0009999", TICKET, DIGEST)
    seen = handover_marks.look(SimFleet(world), ["ctm-1"], RUN, TICKET)
    assert not seen.offers and not seen.taken
    _away(world, "ctm-2")
    with pytest.raises(CtmUpgradeError):
        _take(world, ann)


# -- the file ----------------------------------------------------------------------------------------------------

TEXTS = {"summary.md": b"# page\n", "cluster.yaml": b"cluster: lab\n", "journal.jsonl": b"{}\n"}


def _packed(folder: Path, **about: Any) -> Path:
    backup = folder / "lab-ctm-1-b1.backup"
    backup.write_bytes(b"b" * 70_000)
    draft = Draft(folder / "it")
    draft.write({"run": RUN, **about}, TEXTS, [backup])
    draft.keep()
    return folder / "it"


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    file = _packed(tmp_path)
    with tarfile.open(file) as tar:  # anybody can look into it
        assert tar.getnames() == ["handover.json", *TEXTS, "files/0000"]
    found, place = read_packed(file), tmp_path / "there"
    place.mkdir()
    assert found.texts == TEXTS and found.about["run"] == RUN
    (made,) = unpack(found, place, "lab-")
    assert made.read_bytes() == b"b" * 70_000 and made.stat().st_mode & 0o777 == 0o600
    assert unpack(found, place, "lab-") == [made], "twice is once"
    made.write_bytes(b"else")
    with pytest.raises(UsageError, match="another file of that name"):
        unpack(found, place, "lab-")
    with pytest.raises(UsageError, match="no file of this cluster"):
        unpack(found, place, "other-")
    with pytest.raises(UsageError, match="it is there already"):
        Draft(file)


@pytest.mark.parametrize("at", [0, 300, 600, 1500, 2600, 3100, -72_000, -30_000])
def test_a_changed_byte_is_noticed(tmp_path: Path, at: int) -> None:
    file = _packed(tmp_path)
    good, data = read_packed(file).digest, bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    place = tmp_path / "there"
    place.mkdir()
    try:
        found = read_packed(file)
        unpack(found, place, "lab-")
    except UsageError:
        return
    assert found.digest != good, "the nodes' offer names another file"


@pytest.mark.parametrize("length", [0, 100, 512, 1700, 4000, 40_000])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, length: int) -> None:
    file = _packed(tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UsageError, match="no whole hand-over file"):
        read_packed(file)


def _forged(
    tmp_path: Path, members: list[tuple[str, bytes]], rows: list[dict[str, Any]], kind: bytes = b"0"
) -> Path:
    head = json.dumps({"schema": 1, "members": rows}).encode()
    file = tmp_path / "forged"
    with file.open("wb") as out:
        for name, data in [("handover.json", head), *members]:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind if name.startswith("files/") else b"0"
            out.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict") + data + bytes(-len(data) % 512))
    file.chmod(0o600)
    return file


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../evil"},
        {"name": "/etc/evil"},
        {"name": ".hidden"},
        {"name": "a\nb"},
        {"member": "../evil"},
        {"member": "files/1"},
        {"size": -1},
        {"size": 10**18},
        {"size": "1"},
        {"sha256": "x"},
        {"name": "summary.md"},
    ],
    ids=str,
)
def test_what_lists_anything_else_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = [
        {"member": name, "size": len(data), "sha256": sha256(data).hexdigest(), "name": ""}
        for name, data in TEXTS.items()
    ]
    one = {"member": "files/0000", "size": 1, "sha256": sha256(b"x").hexdigest(), "name": "lab-x"}
    good = _forged(tmp_path, [*TEXTS.items(), ("files/0000", b"x")], [*rows, one])
    assert read_packed(good).files[0].name == "lab-x"
    bad = {**one, **change}
    with pytest.raises(UsageError):
        read_packed(_forged(tmp_path, [*TEXTS.items(), (str(bad["member"]), b"x")], [*rows, bad]))


@pytest.mark.parametrize("kind", [b"1", b"2", b"5", b"x", b"L", b"S"])
def test_a_link_or_a_header_of_another_kind_is_refused(tmp_path: Path, kind: bytes) -> None:
    rows = [
        {"member": n, "size": len(d), "sha256": sha256(d).hexdigest(), "name": ""} for n, d in TEXTS.items()
    ]
    one = {"member": "files/0000", "size": 1, "sha256": sha256(b"x").hexdigest(), "name": "lab-x"}
    with pytest.raises(UsageError):
        read_packed(_forged(tmp_path, [*TEXTS.items(), ("files/0000", b"x")], [*rows, one], kind))


def test_others_may_not_write_to_it(tmp_path: Path) -> None:
    file = _packed(tmp_path)
    file.chmod(0o666)
    with pytest.raises(CtmUpgradeError, match="others than its owner may write"):
        read_packed(file)
