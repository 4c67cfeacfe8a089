"""Somebody who has only ``escape.md`` and a simulated cluster: reads the commands in its blocks, types them, looks at the
answers, waits where it says until when, and leaves out what it says is done.

Knows no more than a careful person: how to read JSON, what words in capitals stand for, to say y where ksctl asks, to try
again in a minute where nothing answers.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctmupgrade.core.model import Cluster, Node, Secret
from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Reply
from ctmupgrade.sim import SimFleet, World, timeline
from ctmupgrade.sim.order import parse
from ctmupgrade.sim.orders import is_change

MINUTE, PATIENCE = 60.0, 240
ASKS = ("cluster delete", "cluster nodes delete", "cluster fulljoin", "services reset")
_VERDICT = re.compile(r"^(?:> )?(While|Where) this (no longer )?shows `([^`]+)`, it (?:still runs|is done)")


@dataclass(frozen=True)
class Block:
    """Commands, and what the page says of their answers: (it runs, it must be gone, the words)."""

    lines: tuple[str, ...]
    verdicts: tuple[tuple[bool, bool, str], ...] = ()


def units(page: str, part: str) -> Iterator[tuple[str, list[Block]]]:
    """Each heading below a part of the page, with its blocks of commands."""
    _, there, text = page.partition(f"\n## {part}\n")
    assert there or "Nothing is left to do" in page
    for unit in re.split(r"(?m)^#{3,4} ", re.split(r"(?m)^## ", text)[0]):
        heading, _, body = unit.partition("\n")
        yield heading, list(_blocks(body))


def _blocks(body: str) -> Iterator[Block]:
    found: list[Block] = []
    lines: list[str] | None = None
    for line in body.splitlines():
        if lines is not None and line == "```":
            found.append(Block(tuple(lines)))
            lines = None
        elif lines is not None:
            lines.append(line)
        elif line == "```sh":
            lines = []
        elif found and (said := _VERDICT.match(line)):
            verdict = (said[1] == "While", bool(said[2]), said[3])
            found[-1] = Block(found[-1].lines, (*found[-1].verdicts, verdict))
    yield from found


@dataclass
class Person:
    """Types on the machine that ran ctmupgrade."""

    world: World
    cluster: Cluster
    folder: Path
    fleet: SimFleet = field(init=False)
    stands_for: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)  # answers that the page said to keep
    typed: list[str] = field(default_factory=list)
    last: Reply = field(default_factory=lambda: Reply(0, "", ""))
    boots: dict[str, str] = field(default_factory=dict)  # what was shown before a reboot

    def __post_init__(self) -> None:
        self.fleet = SimFleet(self.world)

    def follow(self, page: str, part: str) -> None:
        """Type all of a part of the page, some minutes after ctmupgrade died."""
        self._wait(2 * MINUTE)
        for heading, blocks in units(page, part):
            for block in blocks:
                if block.verdicts:
                    if self._is_done(block):
                        break
                else:
                    self._type(block.lines, heading)

    def _wait(self, seconds: float = MINUTE) -> None:
        self.world.clock.advance(seconds)
        timeline.catch_up(self.world)

    def _is_done(self, block: Block) -> bool:
        for _ in range(PATIENCE):
            answer = self._answer(block.lines[0])
            said = answer.out + answer.err
            if any(runs and words in said for runs, _, words in block.verdicts):
                self._wait()
                continue
            if answer.code and "No such file" not in said:  # nothing answers: a node boots
                self._wait()
                continue
            return any((words in said) is not gone for runs, gone, words in block.verdicts if not runs)
        raise AssertionError(f"{block.lines[0]}: does not end")

    def _type(self, lines: tuple[str, ...], heading: str) -> None:
        rest = iter(lines)
        for line in rest:
            if "<<'END'" in line:
                body = []
                while (more := next(rest)) != "END":
                    body.append(more)
                continue
            command, _, note = line.partition("   # ")
            if line.startswith("# until it shows: "):
                assert "succeeded" in self.last.out, f"{heading}: {self.last.out[-300:]}"
            if line.startswith("# type these again"):
                self._wait()
            if command.startswith("#"):
                continue
            for one in self._meant(command):
                self.last = self._until(one, note)

    def _until(self, command: str, note: str) -> Reply:
        """Type it until it shows what the note says; without one until it answers."""
        good, reply = _reading(note), self.last
        if note.startswith("until it shows something else"):
            good = lambda out: out != self.boots[command]  # noqa: E731
        if command.startswith("sha256sum "):  # of an archive that a simulated cluster does not have
            return Reply(0, "", "")
        for _ in range(PATIENCE):
            reply = self._answer(command)
            if reply.code == 0 and good(reply.out):
                if note == "keep what it shows":
                    self.boots[command] = reply.out
                self._learn(command, reply.out)
                return reply
            if note.startswith('"not clustered" is no error') and "not clustered" in reply.out + reply.err:
                return reply
            if "is already part" in reply.out + reply.err or "not clustered" in reply.out + reply.err:
                raise AssertionError(f"{command}: {reply.out}{reply.err}")
            self._wait()
        raise AssertionError(
            f"{command}: never shows: {note or 'an answer'}: {reply.out[:500]}{reply.err[:500]}"
        )

    def _meant(self, command: str) -> list[str]:
        """The command with what the words in capitals stand for; none, or several, where it is for each of some."""
        url = re.search(r"KSCTL_URL=(\S+)", command)
        kept = self.kept.get(url[1], {}) if url else {}
        if "TIME-SERVER" in command:
            now = self.world.nodes[self._node_of(url[1] if url else "").name].ntp.servers
            return [command.replace("TIME-SERVER", host) for host in kept.get("ntp", []) if host not in now]
        if "--name NAME" in command:
            return (
                [command.replace("--name NAME", f"--name {shlex.quote(kept['name'])}")]
                if kept.get("name")
                else []
            )
        if "PRODUCT" in command:
            return []
        for word, value in self.stands_for.items():
            command = command.replace(word, value)
        assert not re.search(r"\b(?:BACKUP|KEY|NODE)-ID\b", command), command
        return [command]

    def _learn(self, command: str, out: str) -> None:
        if " backup create" in command:
            self.stands_for["BACKUP-ID"] = json.loads(out)["id"]
        elif " backupkeys list" in command:
            self.stands_for["KEY-ID"] = next(
                r["id"] for r in json.loads(out)["resources"] if r.get("default")
            )
        url = re.search(r"KSCTL_URL=(\S+)", command)
        if url and " system info get" in command:
            self.kept.setdefault(url[1], {}).setdefault("name", json.loads(out).get("name", ""))
        if url and " ntp servers list" in command:
            hosts = [row["host"] for row in json.loads(out)["resources"]]
            self.kept.setdefault(url[1], {}).setdefault("ntp", hosts)

    def _answer(self, command: str) -> Reply:
        """What the shell shows. Whoever reads "connection refused" reads on."""
        self.typed.append(command)
        timeline.catch_up(self.world)
        try:
            return self._carried_out(shlex.split(command.partition(" | ")[0], comments=True))
        except CtmUpgradeError as error:
            closed = "sudo reboot" in command and "closed by remote host" in error.brief
            return Reply(0 if closed else 255, "", error.brief)

    def _carried_out(self, words: list[str]) -> Reply:
        environ: dict[str, str] = {}
        while "=" in words[0] and words[0].startswith("KSCTL_"):
            name, _, value = words.pop(0).partition("=")
            environ[name] = value
        program, *rest = words
        if program == "ksctl":
            return self._ksctl(self._node_of(environ["KSCTL_URL"]), rest)
        if program == "ssh":
            return self._ssh(rest)
        if program == "scp":
            source, target = rest[-2:]
            node = self._node_at(target.removesuffix(":."))
            for sent in self.fleet.shell(node.name).upload(Path(source), Path(source).name):
                self._wait(sent.pause)
            return Reply(0, "", "")
        assert program in ("gpg", "mkdir", "rm", "ls", "diff"), words
        return Reply(0, "", "")

    def _node_of(self, url: str) -> Node:
        return next(n for n in (*self.cluster.nodes, *self.cluster.fresh) if n.url == url)

    def _node_at(self, place: str) -> Node:
        host = place.rpartition("@")[2]
        return next(n for n in (*self.cluster.nodes, *self.cluster.fresh) if n.host == host)

    def _ksctl(self, node: Node, argv: list[str]) -> Reply:
        control = self.fleet.control(node.name)
        if not is_change(parse(tuple(argv)).words) and argv[:2] not in (
            ["backup", "download"],
            ["backupkeys", "download"],
        ):
            return _with_errors(control.read(*argv))
        sure = ["-y"] if any(" ".join(argv).startswith(words) for words in ASKS) else []
        if "--file" in argv:
            at = argv.index("--file") + 1
            argv[at] = str(self.folder / Path(argv[at]).name)
        return _with_errors(
            control.change(*argv, *sure, answer=Secret("typed") if argv[0] == "backupkeys" else None)
        )

    def _ssh(self, words: list[str]) -> Reply:
        terminal = words[0] == "-t"
        place, command = words[-2:]
        node = self._node_at(place)
        shell, argv = self.fleet.shell(node.name), shlex.split(command)
        if "ks_upgrade.sh" in command and terminal:
            screen, text = shell.terminal(*argv), ""
            while True:
                seen = screen.look()
                text += seen.text
                if seen.ended:
                    return Reply(0, text, "")
                self._wait(30)
        if argv[-1].endswith("*.log"):
            names = [
                one
                for one in shell.read("ls", "-1", ".").out.split()
                if re.fullmatch(r"ks_upgrade_.*\.log", one)
            ]
            texts = [shell.read(*argv[:-1], name).out for name in names]
            return (
                Reply(0, "".join(texts), "")
                if names
                else Reply(1, "", f"tail: {argv[-1]}: No such file or directory")
            )
        if argv[0] in ("sudo", "rm"):
            return shell.change(*argv)
        return shell.read(*argv)


def _with_errors(reply: Reply) -> Reply:
    """Errors of the API stand in the answer too, whatever the exit code."""
    return Reply(reply.code or (1 if '"codeDesc"' in reply.out[:80] else 0), reply.out, reply.err)


def _rows(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["resources"]
    return found


_NOTES: dict[str, Callable[[str], bool]] = {
    "until all are ready": lambda out: all(row["status"]["code"] == "r" for row in _rows(out)),
    "until all are started": lambda out: all(s["status"] in ("started", "disabled") for s in json.loads(out)["services"]),
    "until it is complete": lambda out: json.loads(out)["status"] in ("completed", "complete", "success"),
    "until it is in none": lambda out: json.loads(out)["status"]["code"] == "none",
    "until it is ready": lambda out: json.loads(out)["status"]["code"] == "r",
    "until it answers, and is active": lambda out: "Active: active" in out,
}  # fmt: skip


def _reading(note: str) -> Callable[[str], bool]:
    """How an answer is read that a note tells to wait for."""
    if note in _NOTES:
        return _NOTES[note]
    if found := re.match(r"until (\S+) is ready", note):
        host = found[1]
        return lambda out: any(r["host"] == host and r["status"]["code"] == "r" for r in _rows(out))
    if found := re.match(r"until (\S+) is not in it", note):
        gone = found[1]
        return lambda out: all(row["host"] != gone for row in _rows(out))
    if found := re.match(r"version (\S+)", note):
        version = found[1]
        return lambda out: str(json.loads(out)["version"]).startswith(version)
    if found := re.match(r"must be (\S+)", note):
        sha256 = found[1]
        return lambda out: out.split()[0] == sha256
    return lambda _out: True
