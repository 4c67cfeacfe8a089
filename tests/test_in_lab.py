"""The installed program in the lab: real systemd, sshd, sudo and reboots. What happened is read from the nodes' own
audit logs and state, not from what ctmupgrade says."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab import keys
from tests.lab.cluster import TARGET, Lab
from tests.support.in_lab import Site, site, watching

_OK, _WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}"),
]
HASHES = ["sha1sum", "sha256sum", "sha512sum", "shasum", "md5sum", "cksum", "openssl", "perl", "python3"]
POOR = [
    *HASHES,
    "pgrep",
    "ps",
    "screen",
    "awk",
    "gawk",
    "stat",
    "sftp",
    "scp",
    "tail",
    "head",
    "find",
    "xxd",
    "od",
]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three nodes that nothing upgrades, for the tests that only look; each leaves them as they were."""
    with site(tmp_path_factory.mktemp("calm") / "lab", 3) as made:
        yield made


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a lab of the test's own; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *a, **k: stack.enter_context(site(tmp_path / "lab", *a, **k))


# -- looks -------------------------------------------------------------------------------------------------------


def test_looks_change_nothing(calm: Site) -> None:
    for words in (["check"], ["plan"], ["runbook"], ["run", "--dry-run", "--yes"]):
        said = calm.run(*words)
        assert said.returncode == 0, said.stdout + said.stderr
        assert calm.changes() == [], words
    seen = Counter(str(line["command"]).replace("sudo -n ", "sudo ").split()[0] for line in calm.lines())
    print("\nfirst words of the command lines that were seen:", dict(seen))
    assert seen, "nothing was looked at"
    assert {line["kind"] for line in calm.lines()} == {"shell"}
    assert {line["tty"] for line in calm.lines()} == {False}


def test_a_cut_between_two_nodes_blocks_and_names_them(calm: Site) -> None:
    calm.lab.cut("ctm-1", "ctm-2")
    try:
        calm.until(lambda: calm.run("check").returncode == 3, "a check that blocks")
        said = calm.run("check")
    finally:
        calm.lab.heal("ctm-1", "ctm-2")
        calm.lab.wait_ready()
    assert said.returncode == 3
    lines = [x for x in said.stdout.splitlines() if x.startswith("BLOCK") and "5432" in x]
    assert any("ctm-1" in line and "ctm-2" in line for line in lines), said.stdout
    assert not any("ctm-3" in line for line in lines), said.stdout
    assert calm.changes() == []


def test_a_journal_without_its_first_line_stops_nobody(calm: Site) -> None:
    """What a process leaves that is killed between making the file and writing to it."""
    journal = calm.state / f"lab-{calm.lab.layout.ident}" / "20260101T000000-dead" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    for torn in ("", '{"seq": 1, "at": "20'):
        journal.write_text(torn)
        said = calm.run("resume")
        assert said.returncode == 2, said.stdout + said.stderr
        assert "nothing to resume" in said.stderr
    shutil.rmtree(journal.parent)


# -- the whole way -----------------------------------------------------------------------------------------------


def test_three_nodes(go: Callable[..., Site]) -> None:
    made = go(3)
    with watching(made.lab) as seen:
        made.ends(made.start("run", "--yes"))
    made.ended_well()
    assert {len(nodes) for nodes in seen.away} == {0, 1}, seen.away
    assert {name for nodes in seen.away for name in nodes} == set(made.lab.names)
    assert made.run("run", "--yes").returncode == 0
    assert [made.kinds(name)["reboot"] for name in made.lab.names] == [1, 1, 1], (
        "a cluster at its target is left alone"
    )


@pytest.mark.slow
def test_two_runs_at_the_same_moment(go: Callable[..., Site]) -> None:
    made = go(2)
    states = [made.state, made.lab.directory.with_name("other")]
    both = [made.start("run", "--yes", state=state) for state in states]
    codes = [process.wait(150) for process in both]
    assert sorted(codes) == [0, 8], made.said()
    made.state = states[codes.index(0)]
    run = next(made.state.glob("*/*/journal.jsonl")).parent.name
    assert run in made.ends(both[codes.index(8)], 8)
    made.ended_well()
    made.state = states[codes.index(8)]
    assert [e["step"] for e in made.events() if e.get("step")] == [], "the loser began a step"


# -- kill -9 -----------------------------------------------------------------------------------------------------


def uploaded(made: Site, name: str) -> int:
    """Bytes of an upload that is under way."""
    found = made.lab.node(name, "sh", "-c", "stat -c %s /home/ksadmin/.*.part 2>/dev/null").stdout.split()
    return max(map(int, found), default=0)


def test_killed_in_the_upload_the_upgrade_and_the_reboot(go: Callable[..., Site]) -> None:
    made = go(2, archive_size="300M", behave={"upgrade_seconds": 4.0, "reboot_seconds": 3.0})
    process = made.start("run", "--yes")
    made.until(lambda: 30e6 < uploaded(made, "ctm-2") < 280e6, "half an upload", process)
    made.kill(process)
    process = made.start("resume")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade of ctm-1", process)
    made.kill(process)
    process = made.start("resume")
    made.until(made.has("ctm-1", "reboot"), "the reboot of ctm-1", process)
    made.kill(process)
    made.ends(made.start("resume"))
    made.ended_well()
    assert "continuing at" in made.said(), "the upload begins from nothing"


def _begun(made: Site, knob: str) -> Callable[[], object]:
    """Whether the script is where it is slow now: looking at the archive, or with a log and no screen session."""
    if knob == "check_seconds":
        return made.has("ctm-1", "upgrade-call")
    return lambda: "ks_upgrade_" in made.lab.node("ctm-1", "ls", "/home/ksadmin").stdout


@pytest.mark.slow
@pytest.mark.parametrize("knob", ["check_seconds", "launch_seconds"])
def test_killed_before_the_script_has_its_screen_session(go: Callable[..., Site], knob: str) -> None:
    """While it looks at the archive, and between its empty log and the session: its terminal outlives us."""
    made = go(1, behave={knob: 3.0})
    process = made.start("run", "--yes")

    made.until(_begun(made, knob), "the script's start", process)
    made.kill(process)
    assert made.kinds("ctm-1")["upgrade-start"] == 0
    made.ends(made.start("resume"))
    made.ended_well()


@pytest.mark.slow
def test_killed_where_the_script_never_gets_a_screen_session(go: Callable[..., Site]) -> None:
    made = go(1, behave={"tty": "foreground", "upgrade_seconds": 4.0})
    process = made.start("run", "--yes")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade", process)
    made.kill(process)
    made.ends(made.start("resume"))
    made.ended_well()


@pytest.mark.slow
@pytest.mark.parametrize("knob", ["check_seconds", "launch_seconds"])
def test_a_connection_that_breaks_before_the_script_has_its_screen_session(
    go: Callable[..., Site], knob: str
) -> None:
    """The script ends with it. No log, or an empty one, does not prove that nothing was upgraded: a person is asked,
    and their answer followed."""
    made = go(1, behave={knob: 3.0})
    process = made.start("run", "--yes")
    made.until(_begun(made, knob), "the script's start", process)
    assert made.lab.kill_sessions("ctm-1") > 0
    said = made.ends(process, 6)
    assert "whether ks_upgrade.sh succeeded is not known" in said and "do not reboot ctm-1" in said
    assert (made.kinds("ctm-1")["upgrade-start"], made.kinds("ctm-1")["reboot"]) == (0, 0)
    made.ends(made.start("resume"), 6)
    made.nothing_was_upgraded()
    made.ends(made.start("resume"))
    made.ended_well(calls=2)


@pytest.mark.slow
def test_killed_before_its_journal_began(go: Callable[..., Site]) -> None:
    """The marks stand on the nodes already: they must not lock out the run that comes next."""
    made = go(2)
    process = made.start("run", "--yes")
    made.until(
        lambda: any(x["command"].startswith("mkdir") for x in made.lab.audit("ctm-1")), "a mark", process
    )
    made.kill(process)
    made.ends(made.start("resume" if made.events() else "run", "--yes"))
    made.ended_well()


# -- lines that break ----------------------------------------------------------------------------------------------


def test_a_dropped_connection_and_a_silent_one(go: Callable[..., Site]) -> None:
    made = go(2, behave={"upgrade_seconds": 5.0})
    process = made.start("run", "--yes")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade of ctm-1", process)
    time.sleep(1)
    assert made.lab.kill_sessions("ctm-1") > 0
    made.until(made.has("ctm-2", "upgrade-start"), "the upgrade of ctm-2", process)
    time.sleep(1)
    made.lab.drop("ctm-2")
    time.sleep(10)
    made.lab.undrop("ctm-2")
    made.ends(process)
    made.ended_well()


@pytest.mark.slow
def test_a_line_that_is_silent_for_a_minute_does_not_end_a_script_without_a_screen_session(
    go: Callable[..., Site],
) -> None:
    made = go(1, behave={"tty": "foreground", "upgrade_seconds": 70.0})
    process = made.start("run", "--yes")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade", process)
    made.lab.drop("ctm-1")
    time.sleep(60)
    made.lab.undrop("ctm-1")
    made.ends(process)
    made.ended_well()


# -- what is not known of appliances -----------------------------------------------------------------------------


def test_poor_shells_odd_terminals_lies_and_slow_services(go: Callable[..., Site]) -> None:
    made = go(3)
    odd = {"log_dir": "/var/log", "tty": "foreground", "exit_code": 7}
    made.lab.behave("ctm-1", shell_without=POOR, restricted=True)
    made.lab.behave("ctm-2", start_seconds=8, **odd)
    made.lab.behave("ctm-3", tty="background", exit_code=3, log_dir="/tmp")
    made.lab.wait_ready()
    made.ends(made.start("run", "--yes"))
    made.ended_well()


def test_a_shell_without_anything_blocks_with_a_remedy(go: Callable[..., Site]) -> None:
    made = go(1)
    made.lab.node("ctm-1", "sh", "-c", "rm -f /var/lib/lab/bin/*")
    said = made.run("run", "--yes")
    assert said.returncode == 3, said.stdout + said.stderr
    stops = re.split(r"^(?:BLOCK|UNKNOWN) ", said.stdout, flags=re.MULTILINE)[1:]
    assert stops and all("  -> " in stop for stop in stops), said.stdout
    assert made.changes() == []


@pytest.mark.slow
def test_success_by_exit_code_and_a_failure_in_the_log(go: Callable[..., Site]) -> None:
    made = go(1, behave={"fail": "middle", "exit_code": 0})
    said = made.ends(made.start("run", "--yes"), 5)
    run = str(made.report()["run"])
    assert f"ctmupgrade node retry {run} ctm-1" in said
    assert made.kinds("ctm-1")["reboot"] == 0
    made.ends(made.start("resume"), 5)  # nothing was mended
    assert made.kinds("ctm-1")["upgrade-call"] == 1
    made.lab.behave("ctm-1", fail="none", exit_code="")
    assert made.run("node", "retry", run, "ctm-1", "--reason", "mended").returncode == 0
    made.ends(made.start("resume"))
    made.ended_well(calls=2, upgrades=2)


def test_another_host_key_after_the_reboot(go: Callable[..., Site]) -> None:
    made = go(1, behave={"reboot": "new_host_key"})
    said = made.ends(made.start("run", "--yes"), 4)
    assert "host key" in said
    node = made.lab.layout.node("ctm-1")
    made.lab.layout.known_hosts.write_text(keys.known_hosts_line(node))
    made.ends(made.start("resume"))
    made.ended_well()


# -- rebuild -----------------------------------------------------------------------------------------------------


def own_settings(made: Site, name: str) -> tuple[str, list[str]]:
    state = made.lab.state(name)
    return state["name"], state["ntp"]


def test_rebuild(go: Callable[..., Site]) -> None:
    made = go(3, behave={"join_seconds": 1.5})
    for number, name in enumerate(made.lab.names):
        assert (
            made.lab.ksctl(name, "ntp", "servers", "add", "--host", f"time{number}.example.net").returncode
            == 0
        )
    before = {name: own_settings(made, name) for name in made.lab.names}
    data = made.lab.state("ctm-1")["data"]
    assert data
    with watching(made.lab, data) as seen:
        made.ends(made.start("run", "--yes", "--strategy", "rebuild"))
    made.ended_well()
    assert {name: made.lab.state(name)["data"] for name in made.lab.names} == dict.fromkeys(
        made.lab.names, data
    )
    assert {name: own_settings(made, name) for name in made.lab.names} == before
    _one_cluster(made)
    print("\nholders of the data, at each change:", seen.holders)
    assert min(len(nodes) for nodes in seen.holders) >= 1, seen.holders
    assert max(len(hosts) for hosts in seen.joining) == 1, seen.joining
    assert len({host for hosts in seen.joining for host in hosts}) == 2, "two nodes join the survivor"


def _one_cluster(made: Site) -> None:
    made.lab.wait_ready()
    clusters = [made.lab.state(name)["cluster"] for name in made.lab.names]
    assert len({cluster["id"] for cluster in clusters}) == 1
    hosts = {made.lab.address(name) for name in made.lab.names}
    assert all({row["host"] for row in cluster["members"]} == hosts for cluster in clusters)
    assert {made.lab.state(name)["version"] for name in made.lab.names} == {TARGET}
