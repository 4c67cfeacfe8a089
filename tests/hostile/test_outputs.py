"""What nodes say is data: each hostile text, in every place a node can put it, through every output."""

from __future__ import annotations

import json
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.journal_file import JournalFile
from ctmupgrade.adapters.disk.run_store import folders
from ctmupgrade.adapters.transcripts import TRANSCRIPT, Recorder, RecordingLooks
from ctmupgrade.codec import event_to_json
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.commands.live import Follower
from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities
from ctmupgrade.core.overview.overview import make_overview
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.run.seen_events import ClientPort, Seen
from ctmupgrade.render import live
from ctmupgrade.render.board import Board
from ctmupgrade.render.board_lines import Size, board_lines
from ctmupgrade.render.escape import markdown
from ctmupgrade.render.fixture import cluster_yaml
from ctmupgrade.render.status import status_lines
from tests.hostile import corpus
from tests.hostile.nodes import ChangedLooks, in_json, in_shell
from tests.support.golden import call
from tests.support.world_run import RUN, Drive, make_world

TEXTS = pytest.mark.parametrize("text", corpus.TEXTS.values(), ids=corpus.TEXTS.keys())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """A run that went well, whose journal gets other words."""
    drive = Drive(make_world(2), tmp_path_factory.mktemp("drive"))
    assert drive.start() == 0
    return drive


def events(drive: Drive, text: str) -> list[journal.Event]:
    """The run's journal with a text wherever a node's or a program's words are, and what a failed run has."""
    step = drive.state.plan.steps[-1].id
    made: list[journal.Event] = []
    for event in drive.journal.lines:
        value = json.loads(event[0])
        if value["kind"] == "step-done":
            value["evidence"] = {key: f"{one}{text}" for key, one in value["evidence"].items()}
        if value["kind"] in ("step-noted", "run-ended"):
            continue
        made.append(journal_event(value))
    return [
        *made,
        journal.StepReopened(step, text),
        journal.StepStarted(step, {"before": text}),
        journal.StepNoted(step, text),
        journal.NodeDecided("ctm-1", "retry", text, text),
        journal.StepFailed(step, text, text, 5),
        *_observed(drive, text),
        journal.RunPaused(text, 5),
    ]


def _observed(drive: Drive, text: str) -> list[journal.Event]:
    """What a run has seen beside its steps."""
    text = text.encode(
        "utf-8", "replace"
    ).decode()  # it is cleaned where it comes in, and a name must stay one
    port, now = ClientPort("ctm-1", text, text, 5696), drive.world.clock.now()
    return [
        journal.NodesSeen("before", {"ctm-1": Seen.of({"alarms": {}, "services": {text: "started"}})}),
        journal.NodesSeen(
            "end", {"ctm-1": Seen.of({"alarms": {text: text}, "services": {text: text}}, {"products": text})}
        ),
        journal.PortsWatched((port,), 5.0, {"ctm-2": text}),
        journal.PortsSeen(now, {port.key: True}),
        journal.PortsSeen(now, {port.key: False}, {port.key: text}),
    ]


def journal_event(value: dict[str, Any]) -> journal.Event:
    from ctmupgrade.codec import event_from_json

    return event_from_json(value)


def written(finished: Drive, folder: Path, text: str) -> Path:
    """A state folder with that journal."""
    file = JournalFile.create(folder / finished.cluster.name / RUN / "journal.jsonl", durable=False)
    for event in events(finished, text):
        file.append(event_to_json(event), finished.world.clock.now())
    file.close()
    return folder


def documents_of(state: Path) -> list[list[str]]:
    """What the report's Markdown and its page are, without their words."""
    texts = []
    for name in ("report.md", "report.html"):
        call("report", RUN, "-o", str(state / name), "--state-dir", str(state))
        texts.append((state / name).read_text(encoding="utf-8"))
    sight = Follower(next(iter(folders(state / "test")))).look()
    assert sight.report is not None
    glance = live.Glance(sight.report, sight.report.why)
    texts += [
        live.live_file(sight.report),
        live.served_page(glance, "nonce"),
        live.served_news(glance)["html"],
    ]
    assert all(corpus.MARK in text for text in texts)
    return [corpus.shape(texts[0]), *(corpus.html_tags(text) for text in texts[1:])]


@pytest.fixture(scope="module")
def shapes(finished: Drive, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What the documents are with harmless words."""
    return documents_of(written(finished, tmp_path_factory.mktemp("fine"), corpus.MARK))


@TEXTS
def test_a_run_is_shown_as_data(finished: Drive, shapes: list[list[str]], tmp_path: Path, text: str) -> None:
    """status, report (Markdown, HTML, JSON), watch, runs and the bundle, of a run in which all words are a node's."""
    state = written(finished, tmp_path, text)
    place = ["--state-dir", str(state)]
    outputs = {}
    for words in (["status"], ["report"], ["watch"], ["report", "--verify"]):
        outputs[" ".join(words)] = call(*words, RUN, *place)[1]
        corpus.check_plain(outputs[" ".join(words)])
    document = corpus.check_json(call("status", RUN, "--format", "json", *place)[1])
    assert corpus.MARK in json.dumps(document)
    for line in call("watch", RUN, "--format", "json", *place)[1].splitlines():
        corpus.check_json(line)
    data, bundle = state / "report.json", state / "report.tgz"
    call("report", RUN, "-o", str(data), *place)
    corpus.check_json(data.read_text(encoding="utf-8"))
    assert documents_of(state) == shapes, "the same documents as with other words"
    call("report", RUN, "--bundle", str(bundle), *place)
    if bundle.exists():
        with tarfile.open(bundle) as tar:
            for name in tar.getnames():
                found = tar.extractfile(name)
                assert found and ".." not in name
                body = found.read().decode()
                if not name.endswith(
                    "journal.jsonl"
                ):  # as it is, for its chain; what is read of it is cleaned
                    assert corpus.harmful(body) == [], name


@TEXTS
def test_the_board_shows_it_as_data(finished: Drive, text: str) -> None:
    state = journal.replay((event, finished.world.clock.now()) for event in events(finished, text))
    from ctmupgrade.core.ticks import Waiting

    now = finished.world.clock.now()
    board = Board(finished.world.clock.now, Activities(Window()))
    step = state.plan.steps[-1].id
    board.take(state, journal.StepNoted(step, text), step, None)
    board.take(state, None, step, Waiting(1.0, text, now, now))
    found = board.look()
    assert found is not None
    for width in (80, 200):
        lines = [line.plain for line in board_lines(*found, Size(width, 50))]
        assert corpus.harmful("\n".join(lines)) == [] and not [line for line in lines if "\n" in line]
    live = replace(state, outcome="", paused="")
    view = make_overview(live, board.activities.doing(now), now, alive=True)
    printed = "\n".join(status_lines(make_report(live), view, text, 80))
    assert corpus.harmful(printed) == []


def recorded(folder: Path, text: str, *, ids: bool = False) -> Path:
    """A recorded cluster all of whose answers have a text in them."""
    drive = Drive(make_world(2), folder)
    looks = ChangedLooks(drive.world, in_shell(text), in_json(text, ids=ids), only="ctm-2" if ids else "")
    target = replace(drive.cluster.target, archive=folder / drive.cluster.target.archive)
    cluster = replace(drive.cluster, target=target)
    (folder / "cluster.yaml").write_text(cluster_yaml(cluster), encoding="utf-8")
    archive = {"size": 1, "sha256": "0" * 64, "signer": cluster.target.signer}
    with (folder / TRANSCRIPT).open("w", encoding="utf-8") as file:
        file.write(
            json.dumps({"schema": 1, "at": drive.world.clock.now().isoformat(), "archive": archive}) + "\n"
        )
        collect_nodes(
            RecordingLooks(looks, Recorder(file)), cluster, drive.world.clock, drive.setup().tools.gather
        )
    return folder


@pytest.mark.parametrize("ids", [False, True], ids=["words", "ids too"])
@TEXTS
def test_looks_are_shown_as_data(tmp_path: Path, text: str, ids: bool) -> None:
    """check, plan and runbook of a cluster whose answers have the text everywhere."""
    place = ["--simulate", str(recorded(tmp_path, text, ids=ids)), "--state-dir", str(tmp_path / "state")]
    for words in (["check", "-v"], ["plan"], ["recover"]):
        code, said = call(*words, *place)
        assert code in (0, 3, 4, 6), (code, said)
        corpus.check_plain(said)
    code, said = call("check", "--format", "json", *place)
    document = corpus.check_json(said)
    assert (code, {node["name"] for node in document["nodes"]}) == (code, {"ctm-1", "ctm-2"})
    if ids:
        good = [f for f in document["findings"] if f["node"] == "ctm-1" and f["verdict"] == "pass"]
        assert good, "one node's answers make nothing of the other one unknown"
    corpus.check_json(call("plan", "--format", "json", *place)[1])
    book = tmp_path / "book.md"
    assert call("runbook", "-o", str(book), *place)[0] in (0, 3, 4)
    if book.exists():
        shape = corpus.shape(book.read_text(encoding="utf-8"))
        assert shape.count("fenceesh") == 0 and corpus.forged_lines(book.read_text(encoding="utf-8")) == []


OF_THIS_MACHINE = (
    "local", "LOCAL", "local.", "localhost", "Localhost", "localhost.", "localhost4", "localhost6", "x.localhost",
    "localhost.localdomain", "localhost4.localdomain4", "ip6-localhost", "ip6-loopback", "127.0.0.1", "127.1.2.3",
    "0.0.0.0", "0.1.2.3", "::1", "[::1]", "::", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::1%lo",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_THIS_MACHINE)
def test_no_node_is_this_machine_because_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`host: local` runs a node's commands here."""
    rows = [
        {"nodeID": "a", "host": name},
        {"nodeID": "b", "host": "10.0.0.2", "publicAddress": name},
        {"nodeID": "c", "host": "10.0.0.3", "publicAddress": f"https://{name}"},
        {"nodeID": "d", "host": name, "publicAddress": "d.example"},
        {"nodeID": "e", "host": "ctm.local", "publicAddress": "localhost-5.example"},
    ]
    assert _made_of(tmp_path, monkeypatch, rows)["nodes"] == [
        {"name": "ctm-1", "host": "CHANGE"},
        {"name": "ctm-2", "host": "10.0.0.2"},
        {"name": "ctm-3", "host": "10.0.0.3"},
        {"name": "ctm-4", "host": "CHANGE", "url": "https://d.example", "cluster_host": "CHANGE"},
        {
            "name": "ctm-5",
            "host": "ctm.local",
            "url": "https://localhost-5.example",
            "cluster_host": "ctm.local",
        },
    ]


def _made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, str]]) -> dict[str, Any]:
    """What ``init`` writes where a ksctl lists these members, as it is read."""
    from ruamel.yaml import YAML

    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"resources": rows}))
    ksctl = tmp_path / "ksctl"
    ksctl.write_text(f"#!/bin/sh\ncat {shlex.quote(str(answer))}\n")
    ksctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("KSCTL_PASSWORD", "x")
    from ctmupgrade.commands.init import commented_cluster

    made, _ = commented_cluster("")
    assert corpus.MARK not in made
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(made)
    return found


@TEXTS
def test_init_writes_addresses_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    rows = [
        {"nodeID": "a", "host": f"{text} x"}, {"nodeID": "b", "host": "10.0.0.2", "publicAddress": f"{text} x"},
        {"nodeID": "c", "host": "10.0.0.3", "publicAddress": "b.example"},
    ]  # fmt: skip
    found = _made_of(tmp_path, monkeypatch, rows)
    assert found["nodes"] == [
        {"name": "ctm-1", "host": "CHANGE"},
        {"name": "ctm-2", "host": "10.0.0.2"},
        {"name": "ctm-3", "host": "10.0.0.3", "url": "https://b.example", "cluster_host": "10.0.0.3"},
    ]
    assert set(found) == {
        "cluster",
        "strategy",
        "target",
        "ssh",
        "ksctl",
        "backup",
        "timeouts",
        "poll",
        "stable_for",
        "nodes",
    }


@pytest.mark.parametrize("before", ["", "x", " ", "(", "s"])
@pytest.mark.parametrize(
    "link", ["ftp://e.example/x", "http://e.example", "https://e.example", "FTP://e.example"]
)
def test_no_address_becomes_a_link_wherever_it_stands(before: str, link: str) -> None:
    assert r"\://" in markdown(before + link)
