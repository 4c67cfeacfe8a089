"""Examples for each command's help: what is typed, and what it does. ``tests/test_help.py`` types them all."""

from __future__ import annotations

from collections.abc import Mapping

Example = tuple[str, str]  # what is typed behind "ctmupgrade", and what it does

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "": (
        ("init", "write a cluster.yaml to begin with"),
        ("check", "days before: every check, changes nothing"),
        ("run", "in the window: check, plan, ask, upgrade"),
        ("resume", "go on after a pause, a failure, a crash"),
    ),
    "check": (
        ("check", "every check, all nodes at once"),
        ("check --only free_space_sufficient,ntp_synchronised", "two checks alone"),
        ("check --explain replication_caught_up", "what it makes sure, and how to fix it"),
        ("check --skip ntp_synchronised='CHG-4711'", "waive one, with the reason"),
        ("check --format json", "for a program"),
    ),
    "plan": (
        ("plan", "the steps, why, how long"),
        ("plan -o plan.json", "for a review; run --plan plan.json executes it"),
        ("plan --order ctm-3,ctm-1,ctm-2", "in another order"),
    ),
    "verify": (
        ("verify ./upgrade_v2.21.0.tar.gz.gpg", "with signer and keyring of cluster.yaml"),
    ),
    "path": (
        ("path 2.18.1 2.21.0", "every hop, with its rules"),
    ),
    "runbook": (
        ("runbook -o book.md", "a page to print, with every command to type by hand"),
    ),
    "notify": (
        ("notify", "a test message to all"),
        ("notify --dry-run", "only say who would get one"),
    ),
    "record": (
        ("record ./recorded", "then: ctmupgrade check --simulate ./recorded"),
    ),
    "init": (
        ("init", "write ./cluster.yaml"),
        ("init --url https://10.0.0.11 -c prod.yaml", "ask this member for the nodes"),
    ),
    "run": (
        ("run", "check, plan, ask, upgrade"),
        ("run --plan plan.json", "only what was reviewed"),
        ("run --dry-run", "check and plan, change nothing"),
        ("run --stop-after ctm-1", "pause when the first node is done"),
        ("run --yes --format json", "from a scheduler"),
    ),
    "resume": (
        ("resume", "go on with the latest run"),
        ("resume 20261205T22", "a run by its beginning"),
        ("resume latest --wait-for-window", "wait until the next window begins"),
    ),
    "stage": (
        ("stage", "the archive onto every node"),
        ("stage --nodes ctm-2 --limit-rate 20M", "onto one node, slowly"),
    ),
    "backup": (
        ("backup", "of each node that has no fresh one"),
        ("backup --nodes ctm-1", "of one node"),
    ),
    "recover": (
        ("recover", "what is wrong, and the way back; changes nothing"),
        ("recover --gone ctm-3", "a node that is lost for good"),
        ("recover --yes", "take the way back"),
    ),
    "restore": (
        ("restore --dry-run", "from which backup, onto which node"),
        ("restore --on ctm-1", "ask, then bring the cluster back"),
    ),
    "drill": (
        ("drill --on spare=10.0.0.99", "with the newest backup"),
    ),
    "demo": (
        ("demo", "a minute, with one fault on the way"),
        ("demo --pace 600x", "faster"),
    ),
    "serve": (
        ("serve", "the latest run; prints its address first"),
        ("serve latest --port 8080", "at a port that a tunnel leads to"),
    ),
    "status": (
        ("status", "of the latest run"),
        ("status --format json", "for a program"),
    ),
    "watch": (
        ("watch", "follow the run until it ends or pauses"),
    ),
    "runs": (
        ("runs", "newest first"),
    ),
    "pause": (
        ("pause", "stop after the step in hand"),
    ),
    "abort": (
        ("abort", "show what is left, ask, end it"),
        ("abort latest --dry-run", "only say which run is meant"),
    ),
    "node": (
        ("node retry latest ctm-2 --reason 'disk replaced'", "run the failed step again"),
    ),
    "node retry": (
        ("node retry latest ctm-2 --reason 'disk replaced'", "then: ctmupgrade resume"),
    ),
    "node skip": (
        ("node skip latest ctm-2 --reason 'vendor case 4711'", "do nothing more on it"),
    ),
    "node done": (
        ("node done latest ctm-2 --reason 'upgraded by hand'", "its failed step counts as done"),
    ),
    "report": (
        ("report", "of the latest run, as Markdown"),
        ("report -o done.html", "one page for the change record"),
        ("report --verify", "is the journal whole?"),
        ("report --bundle support.tar.gz", "for vendor support, secrets removed"),
    ),
    "handover": (
        ("handover run.ctm", "pack the latest run for a colleague"),
    ),
    "take-over": (
        ("take-over run.ctm", "on the other machine: go on with it"),
    ),
}  # fmt: skip


def examples_of(command: str) -> tuple[Example, ...]:
    """Return the examples of a command that is named as it is typed; of the program itself for ""."""
    return EXAMPLES.get(command, ())
