"""What the docs name is there: tests in the security page, files that pages link to."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its stubs are a package of their own
from ruamel.yaml import YAML

from ctmupgrade.config.json_schema import cluster_schema
from tests.support.live import PROGRAM, clean_environ

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_finding_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) > 50
    lacking = [
        f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert not lacking


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_sites_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = {
        line
        for block in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL)
        for line in block.split("\n")
    }
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert sorted(pages - named) == []


@pytest.mark.slow
def test_the_tutorials_commands_work(tmp_path: Path) -> None:
    """In their order, in a folder in which `fixtures` is; each must end with 0."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert lines[0] == "scripts/prepare" and lines[1].startswith("export PATH=")
    environ = {
        **clean_environ(tmp_path), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
        "CTMUPGRADE_STATE_DIR": str(tmp_path / "tutorial-state"),
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-ex"], input="\n".join(lines[2:]), cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "checks"], ids=lambda page: page.name)
def test_commands_in_the_docs_are_commands(page: Path) -> None:
    """Every `ctmupgrade COMMAND` in a block that can be pasted is one, with options that it has."""
    from ctmupgrade.cli.app import fill_registry
    from ctmupgrade.cli.opening import registry

    fill_registry()
    known = set(registry.names)
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    typed = re.findall(r"^(?:\$ )?ctmupgrade ([a-z][a-z-]*)", "\n".join(blocks), re.MULTILINE)
    assert [word for word in typed if word not in known] == []


def test_the_schema_for_editors_takes_the_example_and_no_wrong_key() -> None:
    page = (ROOT / "docs" / "cluster.schema.json").read_text(encoding="utf-8")
    assert json.loads(page) == cluster_schema(), "scripts/pages"
    schema = Draft202012Validator(cluster_schema())
    text = (ROOT / "ctmupgrade" / "config" / "cluster.example.yaml").read_text(encoding="utf-8")
    example = YAML(typ="safe").load(text.replace("@NODES@", "  - {name: a, host: 10.0.0.1}"))
    example["target"]["signer"] = "0" * 40
    assert [error.message for error in schema.iter_errors(example)] == []
    assert list(schema.iter_errors({**example, "polll": "5s"}))
    assert list(schema.iter_errors({**example, "poll": "5 s"}))
    assert list(schema.iter_errors({**example, "strategy": "by-hand"}))
