"""``report --bundle``: what is in it, what must not be in it, and that nothing is changed for it."""

from __future__ import annotations

import json
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

from ctmupgrade.adapters.disk.journal_file import verify_chain
from ctmupgrade.core.redact import redacted, scrubbed
from tests.support import broken, golden
from tests.support.golden import SCENARIOS


def _unpacked(file: Path) -> dict[str, str]:
    with tarfile.open(file, "r:gz") as tar:
        found = {m.name.partition("/")[2]: tar.extractfile(m) for m in tar.getmembers()}
        return {name: body.read().decode() for name, body in found.items() if body is not None}


def _stopped_run(tmp_path: Path, folder: Path) -> list[str]:
    common = ["--state-dir", str(tmp_path / "state"), "--simulate", str(folder)]
    assert golden.call("run", "--yes", *common)[0] == 5
    return common


def test_it_holds_what_support_asks_for(tmp_path: Path) -> None:
    common = _stopped_run(tmp_path, SCENARIOS / "upgrade-fails-on-node-2")
    file = tmp_path / "support.tar.gz"
    code, printed = golden.call("report", "--bundle", str(file), "--format", "json", *common)
    said, files = json.loads(printed), _unpacked(file)
    assert code == 0 and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(files) == set(said["files"]) == {*json.loads(files["about.json"])["files"], "about.json"}
    assert {
        "journal.jsonl",
        "report.md",
        "report.json",
        "plan.json",
        "cluster.yaml",
        "check.json",
        "facts.json",
    } <= set(files)
    logs = [name for name in files if name.startswith("nodes/ctm-2/ks_upgrade_")]
    assert len(logs) == 1 and "cannot migrate" in files[logs[0]]
    assert json.loads(files["report.json"])["state"] == "failed"
    assert {n["name"] for n in json.loads(files["check.json"])["nodes"]} == {"ctm-1", "ctm-2", "ctm-3"}
    journal = tmp_path / "journal.jsonl"
    journal.write_text(files["journal.jsonl"], encoding="utf-8")
    assert verify_chain(journal) == [], "the journal's lines are as they were"


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "fixture"
    shutil.copytree(SCENARIOS / "rebuild-three", folder)
    config = (
        (folder / "cluster.yaml")
        .read_text(encoding="utf-8")
        .replace("nodes:", "ksctl: {username: admin, password_command: pass show Tr0ub4dor}\nnodes:")
    )
    (folder / "cluster.yaml").write_text(config, encoding="utf-8")
    world = (
        (folder / "world.yaml")
        .read_text(encoding="utf-8")
        .replace("{name: ctm-2}", '{name: ctm-2, proxy: ["http://proxyuser:hunter2-proxy@10.0.0.1:3128"]}')
    )
    fault = 'faults:\n  - {kind: upgrade_fails, node: ctm-1, text: "Upgrade failed: password=hunter2-log Tr0ub4dor-env"}\n'
    (folder / "world.yaml").write_text(world + fault, encoding="utf-8")
    common = ["--state-dir", str(tmp_path / "state"), "--simulate", str(folder)]
    assert golden.call("run", "--yes", *common, "--survivor", "ctm-1")[0] == 5
    assert golden.call("report", "--bundle", str(tmp_path / "b.tar.gz"), *common)[0] == 0
    inside = "".join(_unpacked(tmp_path / "b.tar.gz").values())
    for secret in ("hunter2-proxy", "hunter2-log", "pass show", "password_command"):
        assert secret not in inside, secret
    journals = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "state").glob("*/*/journal.jsonl"))
    assert "hunter2-proxy" not in journals, "promise 8: settings are recorded without secrets"


def test_secrets_known_by_value_name_and_form() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
    said = redacted(f"{key} eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc s3cr3t! password: abcdef", ["s3cr3t!"])
    assert said == "*** *** *** password: ***"
    inner = {"smtp": {"password": "abc", "host": "h"}, "refresh_token": "x", "passwordPolicy": {"min": 8}}
    clean = scrubbed({"settings": json.dumps(inner), "n": 1, "list": ["ftp://a:b@h/"]})
    assert json.loads(clean["settings"]) == {
        "smtp": {"password": "***", "host": "h"}, "refresh_token": "***", "passwordPolicy": {"min": 8},
    }  # fmt: skip
    assert clean["list"] == ["ftp://a:***@h/"] and clean["n"] == 1


def test_without_a_run_and_with_a_dark_site_it_says_what_is_missing(tmp_path: Path) -> None:
    found = broken.case("nothing-answers")
    common = ["--state-dir", str(tmp_path / "state"), "--simulate", str(found.folder)]
    code, printed = golden.call("report", "--bundle", str(tmp_path / "b.tar.gz"), "--format", "json", *common)
    missing = json.loads(printed)["missing"]
    assert code == 0 and missing["journal.jsonl"] == "there is no run"
    assert {f"nodes/ctm-{i}/upgrade logs" for i in (1, 2, 3)} <= set(missing)
    assert "cluster.yaml" in _unpacked(tmp_path / "b.tar.gz")


def test_without_cluster_yaml_the_journal_alone_is_packed(tmp_path: Path) -> None:
    _stopped_run(tmp_path, SCENARIOS / "upgrade-fails-on-node-2")
    code, printed = golden.call(
        "report", "--bundle", str(tmp_path / "b.tar.gz"), "--state-dir", str(tmp_path / "state"),
        "-c", str(tmp_path / "cluster.yaml"),
    )  # fmt: skip
    assert code == 0 and "not in it: nodes" in printed
    assert {"journal.jsonl", "report.md", "plan.json"} <= set(_unpacked(tmp_path / "b.tar.gz"))


def test_a_name_that_ends_in_zip_is_a_zip(tmp_path: Path) -> None:
    """A tar.gz called .zip would be opened in vain at the vendor's."""
    common = _stopped_run(tmp_path, SCENARIOS / "upgrade-fails-on-node-2")
    assert golden.call("report", "--bundle", str(tmp_path / "b.zip"), *common)[0] == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as file:
        assert file.testzip() is None and "b/journal.jsonl" in file.namelist()
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    assert golden.call("report", "--bundle", str(tmp_path / "b.TGZ"), *common)[0] == 0
    assert "journal.jsonl" in _unpacked(tmp_path / "b.TGZ")


def test_a_place_that_takes_no_file_is_a_usage_error(tmp_path: Path) -> None:
    common = _stopped_run(tmp_path, SCENARIOS / "upgrade-fails-on-node-2")
    assert golden.call("report", "--bundle", str(tmp_path / "no" / "b.tar.gz"), *common)[0] == 2
