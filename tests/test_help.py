"""Help: every command's text is a golden file, has examples, and each example works as it is typed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.cli.examples import EXAMPLES, examples_of
from ctmupgrade.cli.meaning import _MEANINGLESS, RARELY_NEEDED, meaningless
from ctmupgrade.cli.opening import registry
from tests.support import help_texts
from tests.support.golden import SCENARIOS
from tests.support.help_texts import typed

ROOT = Path(__file__).parents[1]
COMMANDS = help_texts.commands()
STUCK = "upgrade-fails-on-node-2"
# What an example needs besides to run on a simulated cluster: another scenario, a rehearsal.
MORE = {
    "recover --gone ctm-3": "--simulate one-node-down", "handover run.ctm": "--dry-run", "take-over run.ctm": "--dry-run",
    "demo": "--pace 10000x", "demo --pace 600x": "--pace 10000x",
    "init --url https://10.0.0.11 -c prod.yaml": "--dry-run", "resume 20261205T22": "--dry-run",
    "resume latest --wait-for-window": "--dry-run", "resume": "--dry-run", "recover --yes": "--dry-run",
}  # fmt: skip
OF_A_RUN = {"status", "watch", "report", "pause", "abort", "node", "resume", "runs", "handover"}
# The codes that an example may end with: what it finds on this simulated cluster, never that it is typed wrong.
FINE = {0, 3, 4, 5, 6, 7}
REFUSED = {
    "notify",
    "notify --dry-run",
    "resume 20261205T22",
    "handover run.ctm",
    "take-over run.ctm",
}  # 2, but not as usage


def parser_of(name: str) -> object:
    command, rest = registry.find(name.split())
    assert command is not None and not rest
    return command


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return help_texts.helps(tmp_path_factory.mktemp("help"))


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "ctmupgrade")
def test_each_commands_help_is_as_it_was_read(texts: dict[str, str], name: str) -> None:
    file = f"{name.replace(' ', '-') or 'ctmupgrade'}.txt"
    assert texts[file] == (help_texts.HELP / file).read_text(encoding="utf-8"), "scripts/golden help"


def test_no_help_of_a_command_that_is_gone(texts: dict[str, str]) -> None:
    assert {path.name for path in help_texts.HELP.iterdir()} == {*texts}


def test_each_exit_codes_message_is_as_it_was_read(tmp_path: Path) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in help_texts.MESSAGES.iterdir()}
    assert help_texts.messages(tmp_path) == kept, "scripts/golden messages"


# -- examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "ctmupgrade")
def test_every_command_has_examples_of_its_own(name: str) -> None:
    """A new command: add them to cli/examples.py."""
    found = examples_of(name)
    assert found and all(
        does and (line == name or line.startswith(f"{name} ".lstrip())) for line, does in found
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the examples are typed: a stuck run, a plan, a cluster.yaml."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(SCENARIOS, folder / "scenarios")
    place = ["--simulate", "scenarios/healthy-three", "--state-dir", "state"]
    assert typed("plan", "-o", "plan.json", *place, folder=folder)[0] == 0
    assert (
        typed("run", "--yes", "--simulate", f"scenarios/{STUCK}", "--state-dir", "stuck", folder=folder)[0]
        == 5
    )
    yield folder


@pytest.mark.parametrize(
    "line", [line for name in COMMANDS if name not in ("", "serve") for line, _does in examples_of(name)]
)  # serve lasts until Ctrl-C: tests/test_serve.py
def test_an_example_works_as_it_is_typed(desk: Path, tmp_path: Path, line: str) -> None:
    words = shlex.split(f"{line} {MORE.get(line, '')}")
    of_a_run = words[0] in OF_A_RUN
    state = tmp_path / "state"
    if of_a_run:
        shutil.copytree(desk / "stuck", state)
    if "--simulate" in words:
        words[words.index("--simulate") + 1] = f"scenarios/{words[-1]}"
    elif words[0] not in ("path", "init", "demo"):
        words += ["--simulate", f"scenarios/{STUCK if of_a_run else 'healthy-three'}"]
    folder = tmp_path if words[0] == "init" else desk
    code, said, err = typed(*words, "--state-dir", str(state), folder=folder)
    assert code in FINE or (code == 2 and line in REFUSED), err
    assert "--help" not in err and "Traceback" not in said + err, err


def test_no_example_of_a_command_that_is_none() -> None:
    assert {*EXAMPLES} == {*COMMANDS}


# -- options -----------------------------------------------------------------------------------------------------


def test_what_means_nothing_is_an_option_and_is_still_taken(tmp_path: Path) -> None:
    for name in _MEANINGLESS:
        taken = {param.name for param in parser_of(name).params}  # type: ignore[attr-defined]
        assert meaningless(name) <= taken, name
    code, _said, err = typed("path", "2.18.1", "2.21.0", "--yes", "--state-dir", str(tmp_path))
    assert code == 0, err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name and registry.inner(name) is None])
def test_help_shows_what_means_something(texts: dict[str, str], name: str) -> None:
    said = texts[f"{name.replace(' ', '-')}.txt"]
    usual, _title, rare = said.partition("─ Rarely needed")
    for param in parser_of(name).params:  # type: ignore[attr-defined]
        if param.param_type_name != "option":
            continue
        shown = rare if param.name in RARELY_NEEDED else usual
        option = next(one for one in param.opts if one.startswith("--"))
        assert (f" {option} " in shown) is (param.name not in meaningless(name)), option


def test_the_manual_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "man"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_the_manual_page_is_without_faults() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-z", str(ROOT / "docs" / "ctmupgrade.1")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- what was probably meant -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("version", "did you mean --version?"), ("help", "did you mean --help?"),
        ("check --simulat x", "No such option: --simulat; did you mean --simulate?"),
        ("check --format jsn", "Invalid value for '--format': 'jsn' is not one of"),
        ("run --stop-after", "-> ctmupgrade run --help"), ("node skip latest ctm-1 --reason", "-> ctmupgrade node skip --help"),
        ("chekc", "did you mean check?"), ("node rety", "did you mean retry?"),
        ("check --only ntp_synchronized --simulate S", "did you mean ntp_synchronised?"),
        ("check --skip ntp_sync=x --simulate S", "did you mean ntp_synchronised?"),
        ("check --explain free_space", "did you mean free_space_sufficient?"),
        ("run --nodes ctm2 --simulate S", "did you mean ctm-2?"),
        ("run --stop-after ctm-22 --simulate S", "did you mean ctm-2?"),
        ("check --simulate scenarios/helthy-three", "did you mean scenarios/healthy-three?"),
        ("status lattest --state-dir stuck", "did you mean latest?"),
        ("node retry latest ctm2 --reason x --state-dir stuck", "did you mean ctm-2?"),
    ],
)  # fmt: skip
def test_a_near_miss_gets_a_hint(desk: Path, words: str, meant: str) -> None:
    code, _said, err = typed(*words.replace(" S", " scenarios/healthy-three").split(), folder=desk)
    assert code == 2 and meant in err, err


def test_what_is_as_near_to_several_is_no_hint(desk: Path) -> None:
    """At night a hint is followed: ctm-9 is no more ctm-3 than ctm-1."""
    for words in ("run --nodes ctm-9 --simulate scenarios/healthy-three",
                  "node skip latest ctm-9 --reason x --state-dir stuck"):  # fmt: skip
        code, _said, err = typed(*words.split(), folder=desk)
        assert code == 2 and "did you mean" not in err and "ctm-1, ctm-2, ctm-3" in err, err


def test_a_fixture_that_is_none_names_no_command_of_another_fixture(desk: Path) -> None:
    code, _said, err = typed("check", "--simulate", "nothing", folder=desk)
    assert code == 2 and "record DIR" in err and "record --simulate" not in err, err


def test_a_run_whose_id_is_typed_wrong(desk: Path) -> None:
    run = next((desk / "stuck").glob("*/*/journal.jsonl")).parent.name
    code, _said, err = typed("status", f"{run[:-2]}zz", "--state-dir", "stuck", folder=desk)
    assert code == 2 and f"did you mean {run}?" in err and "known runs:" in err


def test_several_checks_in_one_option(desk: Path) -> None:
    place = ["--simulate", "scenarios/healthy-three", "-v"]
    one, _out, _err = typed("check", "--only", "ntp_synchronised,free_space_sufficient", *place, folder=desk)
    both = typed(
        "check", "--only", "ntp_synchronised", "--only", "free_space_sufficient", *place, folder=desk
    )
    assert (one, _out) == both[:2] and "2 of 2 checks pass" in _out


def test_no_command_at_all_is_a_document_for_a_program() -> None:
    code, said, _err = typed("--format", "json")
    assert code == 2 and '"exit_code": 2' in said
