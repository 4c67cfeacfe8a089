"""The installed program in the lab: runs of it, and what the lab's own logs say about them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.lab.cluster import TARGET, Lab
from tests.lab.standin import knobs

# scripts/test --onefile names the one file
PROGRAM = Path(os.environ.get("CTMUPGRADE_PROGRAM") or Path(sys.executable).with_name("ctmupgrade"))
QUICK = {
    "upgrade_seconds": 2.0,
    "reboot_seconds": 1.0,
    "start_seconds": 1.0,
    "backup_seconds": 0.3,
    "join_seconds": 0.5,
}
MISTAKES = (
    "PREMATURE-REBOOT", "PREMATURE-RESTART", "REPEATED-UPGRADE", "CONCURRENT-JOIN", "JOIN-OTHER-VERSION",
    "DELETE-WHILE-MEMBER", "BROKEN-JOIN", "upgrade-refused",
)  # fmt: skip
CHANGING_KINDS = ("api", "upgrade-call", "upgrade-start", "reboot", *MISTAKES)
# First words of a command line that change a node; behind `sudo`, `timeout` and `sh -c` the next ones count.
CHANGING_WORDS = {
    "chmod", "cp", "dd", "gunzip", "gzip", "kill", "ln", "mkdir", "mktemp", "mv", "nohup", "pkill", "rm", "rmdir",
    "rsync", "scp", "screen", "sed", "setsid", "sftp", "sftp-server", "sync", "tar", "tee", "touch", "truncate", "vi",
    "reboot", "ks_upgrade.sh",
}  # fmt: skip
PATIENCE = 150.0


@dataclass
class Site:
    """One lab and ctmupgrade's state folder beside it."""

    lab: Lab
    state: Path
    started: list[subprocess.Popen[Any]] = field(default_factory=list)

    # -- running the program -----------------------------------------------------------------------------------

    def argv(self, *words: str, state: Path | None = None) -> list[str]:
        cluster = str(self.lab.directory / "cluster.yaml")
        return [str(PROGRAM), *words, "-c", cluster, "--state-dir", str(state or self.state)]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        return self.lab.run(self.argv(*words), timeout=PATIENCE)

    def start(self, *words: str, state: Path | None = None) -> subprocess.Popen[Any]:
        """Starts it; what it says goes to a file, so that no pipe fills up."""
        with self._out(len(self.started)).open("wb") as out:
            process = self.lab.popen(
                self.argv(*words, state=state),
                None,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def _out(self, number: int) -> Path:
        folder = self.lab.directory.with_name(f"{self.lab.directory.name}-said")
        folder.mkdir(exist_ok=True)
        return folder / f"{number}.txt"

    def said(self) -> str:
        """What all started programs have said, in order."""
        return "\n".join(f"--- {n}\n{self._out(n).read_text()}" for n in range(len(self.started)))

    def ends(self, process: subprocess.Popen[Any], code: int = 0) -> str:
        """Waits for its end with that exit code. Returns what it said."""
        found = process.wait(PATIENCE)
        assert found == code, f"exit {found}, not {code}\n{self.said()}"
        return self._out(self.started.index(process)).read_text()

    def until(
        self, seen: Callable[[], object], what: str, process: subprocess.Popen[Any] | None = None
    ) -> None:
        """Waits for something in the lab, and no longer than ``process`` lives."""
        end = time.monotonic() + PATIENCE
        while not seen():
            assert time.monotonic() < end, f"never came: {what}\n{self.said()}"
            assert process is None or process.poll() is None, f"ended before: {what}\n{self.said()}"
            time.sleep(0.02)

    def kill(self, process: subprocess.Popen[Any]) -> None:
        """kill -9. ``ip netns exec`` becomes the program, so this hits the program itself."""
        process.kill()
        process.wait()

    def tune(self, old: str, new: str) -> None:
        """Changes a piece of cluster.yaml."""
        text = self.lab.layout.cluster_file.read_text()
        assert old in text
        self.lab.layout.cluster_file.write_text(text.replace(old, new))

    def close(self) -> None:
        """Ends what a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                self.kill(process)

    # -- what the lab's logs say -------------------------------------------------------------------------------

    def kinds(self, name: str) -> Counter[str]:
        return Counter(line["kind"] for line in self.lab.audit(name))

    def has(self, name: str, kind: str, count: int = 1) -> Callable[[], bool]:
        """Whether a node's audit log has so many lines of a kind, for :meth:`until`."""
        return lambda: self.kinds(name)[kind] >= count

    def lines(self) -> list[dict[str, Any]]:
        """The audit logs of all nodes in the order of time, each line with its node."""
        found = [{**line, "node": name} for name in self.lab.names for line in self.lab.audit(name)]
        return sorted(found, key=lambda line: line["at"])

    def changes(self) -> list[str]:
        """Everything in the audit logs that changes a node."""
        return [f"{x['node']}: {x['kind']}: {x['command']}" for x in self.lines() if is_changing(x)]

    def report(self) -> dict[str, Any]:
        said = self.run("report", "--format", "json")
        assert said.returncode == 0, said.stderr
        document: dict[str, Any] = json.loads(said.stdout)
        return document

    def nothing_was_upgraded(self) -> None:
        """A person's answer where the script died between its log and its screen session, and that they looked: an
        empty log alone does not tell (exit 6)."""
        document = self.report()
        asked = [node["name"] for node in document["nodes"] if node["state"] == "needs-operator"]
        assert len(asked) == 1, self.said()
        assert self.kinds(asked[0])["upgrade-start"] == 0, f"{self.changes()}\n{self.said()}"
        why = ["--reason", "its log is empty, nothing was upgraded"]
        assert self.run("node", "retry", str(document["run"]), asked[0], *why).returncode == 0

    def events(self) -> list[dict[str, Any]]:
        """The newest journal's events."""
        found = sorted(self.state.glob("*/*/journal.jsonl"))
        events = []
        for line in found[-1].read_text().splitlines() if found else []:
            with suppress(ValueError):  # one that is being written
                events.append(json.loads(line)["event"])
        return events

    def ended_well(self, *, calls: int = 1, upgrades: int = 1, reboots: int = 1) -> None:
        """All nodes are at the target by one upgrade and one boot each, and nothing of ours is left on them.

        :param calls: of the script; more than upgrades where one ended before it had begun.
        """
        for name in self.lab.names:
            kinds = self.kinds(name)
            assert self.lab.state(name)["version"] == TARGET, self.said()
            counts = {kind: kinds[kind] for kind in ("upgrade-call", "upgrade-start", "reboot")}
            assert (*counts.values(),) == (calls, upgrades, reboots), (
                f"{name}: {counts}\n{self.changes()}\n{self.said()}"
            )
            assert [kind for kind in MISTAKES if kinds[kind]] == [], self.said()
            left = self.lab.node(name, "ls", "-A", "/home/ksadmin").stdout.split()
            assert [file for file in left if file.endswith(".part") or file.startswith(".ctmupgrade")] == []
        document = self.report()
        assert (document["mode"], document["outcome"]) == ("LIVE", "done"), self.said()
        assert {node["state"] for node in document["nodes"]} == {"done"}
        assert self.run("report", "--verify").returncode == 0


def is_changing(line: dict[str, Any]) -> bool:
    """Whether a line of the audit log is about a change."""
    return line["kind"] in CHANGING_KINDS or (line["kind"] == "shell" and _changes(line["command"]))


def _changes(command: str) -> bool:
    """A redirection to a file counts as one; to a TCP port it is how bash connects."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*(tokens := list(lexer)), ";"]:
        if not set(word) <= set("();<>|&"):
            words.append(word)
        elif not set(word) & set("<>"):
            if _changing_words(words):
                return True
            words = []
    places = [place for word, place in pairwise(tokens) if set(word) <= set("<>&") and ">" in word]
    return any(not place.startswith("/dev/") and not place.isdigit() for place in places)


def _changing_words(words: list[str]) -> bool:
    match words:
        case ["sudo", "-n", *rest] | ["timeout", _, *rest] | ["sudo", *rest]:
            return rest[:1] != ["-l"] and _changing_words(rest)
        case ["sh" | "bash", "-c", text, *_]:
            return _changes(text)
        case ["systemctl", verb, *_]:
            return verb not in ("show", "status", "is-active")
        case [first, *_]:
            return Path(first).name in CHANGING_WORDS
        case _:
            return False


@contextmanager
def site(
    directory: Path, nodes: int = 3, *, waits: str = "poll: 0.3s\nstable_for: 0.5s", **more: Any
) -> Iterator[Site]:
    """A lab with short waits for the time of a test. ``behave``: knobs of all nodes over the quick ones."""
    behave = {**QUICK, **more.pop("behave", {})}
    with Lab.up(nodes, directory, behave=behave, clustered=nodes > 1, **more) as lab:
        made = Site(lab, lab.layout.state)
        made.tune("poll: 1s\nstable_for: 2s", waits)
        try:
            yield made
        finally:
            made.close()


# -- watching nodes ----------------------------------------------------------------------------------------------


@dataclass
class Watcher:
    """Looks at the nodes' own state again and again, from outside and past ctmupgrade."""

    lab: Lab
    # Each change of: the nodes that are away together, those with all data, the hosts that are joining.
    away: list[tuple[str, ...]] = field(default_factory=list)
    holders: list[tuple[str, ...]] = field(default_factory=list)
    joining: list[tuple[str, ...]] = field(default_factory=list)
    # when a node that is away now will serve at the earliest
    _back: dict[str, float] = field(default_factory=dict)

    def look(self, data: dict[str, Any] | None) -> None:
        away, holders, joining = set(), set(), set()
        for name, status in self.lab.status().items():
            state = self.lab.state(name)
            if status["state"] != "up" or _working(self.lab, name):
                start = knobs.load(self.lab.layout.node(name).shared)["start_seconds"]
                self._back[name] = time.monotonic() + float(start)
            if self._back.get(name, 0.0) > time.monotonic():
                away.add(name)
            if data is not None and state["data"] == data and not state["broken"]:
                holders.add(name)
            rows = (state["cluster"] or {"members": []})["members"]
            joining |= {row["host"] for row in rows if row["code"] not in ("r", "d")}
        for kept, now in ((self.away, away), (self.holders, holders), (self.joining, joining)):
            if not kept or kept[-1] != tuple(sorted(now)):
                kept.append(tuple(sorted(now)))


def _working(lab: Lab, name: str) -> bool:
    """Whether ks_upgrade.sh has begun there and the boot that ends it has not come."""
    return (lab.layout.node(name).shared / "upgrade.json").exists()


@contextmanager
def watching(lab: Lab, data: dict[str, Any] | None = None) -> Iterator[Watcher]:
    """A watcher for the time of the block. :param data: what a holder of the cluster's data has."""
    watcher, over = Watcher(lab), threading.Event()

    def loop() -> None:
        while not over.wait(0.05):
            watcher.look(data)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield watcher
    finally:
        over.set()
        thread.join()
