"""What is installed is locked with hashes, and the bill of materials says so in a form that others read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]
LOCKS = ("constraints.txt", "scripts/requirements.lock")


def _locked(name: str) -> dict[str, tuple[str, int]]:
    """Package -> its version, and how many hashes its files have."""
    found = {}
    for entry in (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        pinned = re.match(r"([a-z0-9-]+)==(\S+) ", entry)
        assert pinned, entry[:60]
        found[pinned[1]] = pinned[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_library_is_pinned_with_hashes(name: str) -> None:
    locked = _locked(name)
    assert [package for package, (_, hashes) in locked.items() if not hashes] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"]]
    if name != "constraints.txt":
        wanted += [*project["dependency-groups"]["dev"], *project["build-system"]["requires"]]
    names = {re.split(r"[\[<>=]", one)[0].lower().replace(".", "-").replace("_", "-") for one in wanted}
    assert names - set(locked) == set()


def test_users_and_developers_have_the_same_versions() -> None:
    users, developers = (_locked(name) for name in LOCKS)
    assert {name: users[name] for name in users} == {name: developers[name] for name in users}


def test_what_builds_is_pinned_and_nothing_is_installed_unlocked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for one in project["build-system"]["requires"]:
        name, _, version = one.partition("==")
        assert _locked(LOCKS[1])[name][0] == version
    installs = re.findall(r"pip install.*", (ROOT / "scripts" / "prepare").read_text(encoding="utf-8"))
    assert any("--require-hashes" in line and "requirements.lock" in line for line in installs)
    assert all("--no-build-isolation" in line for line in installs if " -e ." in line)


def test_the_bill_of_materials_is_valid_complete_and_always_the_same(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "sbom")]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    subprocess.run([*script, str(tmp_path / "sbom.json")], check=True)
    assert (tmp_path / "sbom.json").read_text(encoding="utf-8") == text
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "ctmupgrade"
    parts = {part["name"]: part for part in document["components"]}
    assert {name: part["version"] for name, part in parts.items()} == {
        name: version for name, (version, _) in _locked(LOCKS[0]).items()
    }
    assert all(part["purl"].startswith("pkg:pypi/") and part["hashes"] for part in parts.values())


def test_what_the_one_file_is_compiled_of_is_pinned_and_in_its_bill_of_materials() -> None:
    pins = tomllib.loads((ROOT / "scripts" / "onefile" / "sources.toml").read_text(encoding="utf-8"))
    digests = [pins["zig"]["sha256"], *(one for part in pins["debian"] for one in part["files"].values())]
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in digests) and all(
        part["files"] for part in pins["debian"]
    )
    script = [sys.executable, str(ROOT / "scripts" / "sbom"), "--onefile"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    wanted = {part["name"] for part in pins["debian"] if part["into"]} | {"ziglang"} | set(_locked(LOCKS[0]))
    assert set(parts) == wanted
    for part in pins["debian"]:
        if part["into"]:
            held = {one["content"] for one in parts[part["name"]]["hashes"]}
            assert held == set(part["files"].values()) and parts[part["name"]]["licenses"]


@pytest.mark.parametrize("text", ["rich==15.0.0\n", "rich>=13 --hash=sha256:" + "0" * 64 + "\n"])
def test_what_is_not_locked_is_in_no_bill_of_materials(tmp_path: Path, text: str) -> None:
    for name in ("scripts/sbom", "pyproject.toml", "ctmupgrade/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "constraints.txt").write_text(text)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "scripts" / "sbom")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "not a pinned version with hashes" in done.stderr
