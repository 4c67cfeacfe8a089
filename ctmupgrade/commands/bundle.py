"""``report --bundle``: what vendor support will ask for, in one file, secrets removed. Only looks."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade import __version__
from ctmupgrade.adapters.disk.private_file import write_private
from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.codec import plan_to_json, to_json
from ctmupgrade.collect.ask import ask
from ctmupgrade.commands import check
from ctmupgrade.commands.known_secrets import of_environment
from ctmupgrade.commands.runs import restore_world
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core import redact
from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.run.report import make_report
from ctmupgrade.errors import CtmUpgradeError, UsageError
from ctmupgrade.ports import Reader
from ctmupgrade.render import documents, fixture, markdown

LOGS = 3  # newest upgrade logs of a node
MOST_LOG = 4 * 2**20  # bytes of a log's end that are kept
LOG_SECONDS = 300.0
ABOUT = "about.json"


@dataclass(slots=True)
class Bundle:
    """Files by name, and what could not be had, with the reason."""

    files: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, text: str) -> None:
        """Add a text, secrets removed."""
        self.files[name] = redact.redacted(text)

    def data(self, name: str, value: object) -> None:
        """Add plain data as JSON, secrets removed."""
        self.text(name, json.dumps(redact.scrubbed(value), indent=2) + "\n")


def bundle(setup: Setup | None, folder: RunFolder | None, target: Path, why_no_nodes: str = "") -> Bundle:
    """Write the bundle: 0600, whole or not at all.

    :param setup: None where the nodes cannot be asked, for the reason ``why_no_nodes``.
    :param folder: the run; None where there is none.
    :raises UsageError: the file cannot be written.
    """
    if setup is not None:
        return _packed(setup, folder, target, why_no_nodes)
    with redact.knowing(of_environment(os.environ)):  # else wiring has told them
        return _packed(None, folder, target, why_no_nodes)


def _packed(setup: Setup | None, folder: RunFolder | None, target: Path, why_no_nodes: str) -> Bundle:
    made = Bundle()
    if setup is not None and folder is not None and (folder.path / "world.json").is_file():
        restore_world(folder, setup)
    if folder is None:
        made.missing["journal.jsonl"] = "there is no run"
    else:
        _add_run(made, folder)
    if setup is None:
        made.missing["nodes"] = why_no_nodes or "cluster.yaml cannot be read"
    else:
        _add_cluster(made, setup)
        _add_logs(made, setup)
    made.data(ABOUT, {
        "schema": 1, "ctmupgrade": __version__, "run": folder.run if folder else None,
        "files": sorted(made.files), "missing": made.missing,
    })  # fmt: skip
    _write(target, made.files)
    return made


def _add_run(made: Bundle, folder: RunFolder) -> None:
    """The journal line by line: one without a secret stays as it is, so that the chain can be verified."""
    lines = folder.journal.read_text(encoding="utf-8", errors="replace").splitlines()
    made.files["journal.jsonl"] = "".join(f"{_line(line)}\n" for line in lines)
    try:
        state, head = folder.state_and_head()
    except CtmUpgradeError as error:
        made.missing["report.md"] = error.brief
        return
    report = make_report(state, head)
    made.text("report.md", markdown.report_markdown(report) + "\n")
    made.data("report.json", documents.report_document(report))
    made.data("plan.json", plan_to_json(state.plan))


def _line(line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return redact.redacted(line)  # a torn last line
    clean = redact.scrubbed(value)
    return line if clean == value else json.dumps(clean)


def _add_cluster(made: Bundle, setup: Setup) -> None:
    """cluster.yaml with what a check needs and nothing that leads to a password; and a check of now."""
    made.text(
        "cluster.yaml",
        fixture.cluster_yaml(setup.cluster).replace("Recorded by ctmupgrade record", "Without secrets"),
    )
    result = check.check(setup)
    made.data(
        "check.json", documents.check_document(setup.cluster, setup.mode, result.facts, result.findings)
    )
    made.data("facts.json", to_json(result.facts))


def _add_logs(made: Bundle, setup: Setup) -> None:
    logs = setup.tools.gather(
        lambda name: dict(_logs(setup, name)), [node.name for node in setup.cluster.nodes]
    )
    for node, found in logs.items():
        for name, text in found.items():
            place = f"nodes/{node}/{name.rsplit('/', 1)[-1]}"
            if isinstance(text, Unknown):
                made.missing[place] = text.why
            else:
                made.text(place, text)


def _logs(setup: Setup, node: str) -> Iterator[tuple[str, str | Unknown]]:
    """The newest upgrade logs of a node, whole."""
    try:
        shell = setup.fleet.shell(node)
        names = ask(shell, shell_probes.LOG_LIST)
        if isinstance(names, Unknown):
            yield "upgrade logs", names
            return
        for name in names[-LOGS:]:
            yield name, _log(shell, name)
    except CtmUpgradeError as error:
        yield "upgrade logs", Unknown(error.brief)


def _log(shell: Reader, name: str) -> str | Unknown:
    """A log's end, which is all of it unless it is longer than any that was seen."""
    kept, heard, end = bytearray(), 0, time.monotonic() + LOG_SECONDS
    try:
        for piece in shell.stream("cat", name, timeout=120.0):
            heard += len(piece)
            kept = (kept + piece)[-MOST_LOG:]
            if heard > 4 * MOST_LOG or time.monotonic() > end:
                return Unknown(f"no end of it after {heard} bytes")
    except CtmUpgradeError as error:
        return Unknown(error.details or error.brief)
    return clean(kept.decode("utf-8", "replace"))


def _write(target: Path, files: dict[str, str]) -> None:
    root = target.name.split(".")[0] or "bundle"
    bodies = {f"{root}/{name}": files[name].encode("utf-8", "replace") for name in sorted(files)}
    packed = _zip(bodies) if target.suffix.lower() == ".zip" else _tar(bodies)
    try:
        write_private(target, packed)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror or error}") from None


def _tar(bodies: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, body in bodies.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(body), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


def _zip(bodies: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in bodies.items():
            file.writestr(name, body)
    return packed.getvalue()
