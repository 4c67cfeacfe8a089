"""The runbook's commands, typed into a shell: what each program is called with, against the plan and against what the
tool sends itself."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.manual_commands import ksctl
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.new_instances import with_fresh
from ctmupgrade.core.plan.plan import Plan, make_plan
from ctmupgrade.render.manual import Book
from ctmupgrade.render.runbook import runbook_markdown
from tests.support.driver import ScenarioDrive
from tests.support.live import NAME, Signing
from tests.support.typing_hand import Called, Hand, blocks
from tests.support.world_run import Drive, make_world

SIGNER = "0123456789ABCDEF0123456789ABCDEF01234567"
CLUSTER = """cluster: book
strategy: {strategy}
target: {{archive: './an archive/{archive}', signer: {signer}{keyring}}}
ssh: {{identity_file: './a key'}}
ksctl: {{password_env: PW, timeout: 90}}
backup: {{directory: "./it's backed up", key_password_env: CTM_BACKUP_KEY_PASSWORD}}
nodes:
"""
NODES = (
    "{name: one, host: one.mgmt.example, port: 2222, url: 'https://one.example:8443', cluster_host: 10.0.0.11}",
    "{name: two, host: 'fd00::2', proxy_jump: 'me@jump.example:2022, [fd00::9]', url: 'https://[fd00::2]', "
    "cluster_host: 10.0.0.12, known_hosts: './known hosts', ksctl: {command: 'env other-ksctl', username: ops & co, "
    "nosslverify: true}}",
    "{name: three, host: 10.9.0.13, cluster_host: 10.0.0.13}",
)
URLS = {"one": "https://one.example:8443", "two": "https://[fd00::2]", "three": "https://10.9.0.13"}
REBUILD = Options(survivor="two", reset_before_join=True, shared_hsm_partition=True)
CHANGING = ("nodes delete", "cluster delete", "cluster new", "cluster fulljoin", "services reset")


def cluster_of(folder: Path, strategy: str, nodes: tuple[str, ...] = NODES, keyring: str = "") -> Cluster:
    file = folder / "cluster.yaml"
    ring = f", keyring: '{keyring}'" if keyring else ""
    text = CLUSTER.format(strategy=strategy, archive=NAME, signer=SIGNER, keyring=ring)
    file.write_text(text + "".join(f"  - {node}\n" for node in nodes))
    return load_cluster(file, simulated=True)


def drive_of(folder: Path, cluster: Cluster) -> Drive:
    """A simulated world behind that file. One node has a public address of its own."""
    addresses = {node.name: node.cluster_host for node in cluster.nodes}
    rows = [{"name": n, "host": a, "cluster_host": a} for n, a in addresses.items()]
    rows[-1]["public_address"] = "three.public.example"
    world = make_world(nodes=rows, clustered=cluster.strategy is not StrategyName.STANDALONE)
    options = REBUILD if cluster.strategy is StrategyName.REBUILD and len(rows) > 1 else Options()
    drive = Drive(world, folder, strategy=cluster.strategy, options=options)
    drive.cluster = replace(cluster, backup=replace(cluster.backup, directory=folder / "backups"))
    return drive


def book_of(drive: Drive, cluster: Cluster) -> tuple[Plan, str]:
    result, plan = check.plan(drive.setup())
    return plan, runbook_markdown(plan, cluster, result.facts, result.findings)


def typed(folder: Path, strategy: str, count: int = 3) -> tuple[Plan, dict[str, list[Called]]]:
    cluster = cluster_of(folder, strategy, NODES[:count])
    plan, book = book_of(drive_of(folder, cluster), cluster)
    called = Hand(folder).through(book)
    assert list(called) == [step.id for step in plan.steps]
    return plan, called


def asked(calls: list[Called]) -> list[Called]:
    return [one for one in calls if one.program.endswith("ksctl")]


@pytest.mark.parametrize(
    ("strategy", "count"), [("in-place", 3), ("rebuild", 3), ("rebuild", 1), ("standalone", 1)]
)
def test_each_ksctl_is_told_the_node_that_its_step_is_about(
    tmp_path: Path, strategy: str, count: int
) -> None:
    plan, called = typed(tmp_path, strategy, count)
    names = list(URLS)[:count]
    for step in plan.steps:
        urls = [one.url for one in asked(called[step.id])]
        match step.action.kind:
            case "gate":
                assert urls == [URLS[name] for name in names]
            case "remove" | "join":
                assert urls and set(urls) == {URLS["two"]}, "the survivor decides about members"
            case "await" | "settle" if strategy == "in-place":
                assert set(urls[:-1]) == {URLS[step.node]}
                assert urls[-1] in URLS.values() and urls[-1] != URLS[step.node], "others must see it so"
            case _:
                assert set(urls) <= {URLS[step.node]} if step.node else not urls
    every = [one for calls in called.values() for one in asked(calls)]
    assert {one.url for one in every} == {URLS[name] for name in names}
    for one in every:
        of_two = one.url == URLS["two"]
        assert one.program == ("other-ksctl" if of_two else "ksctl")
        told = {k: v for k, v in one.env.items() if k != "KSCTL_URL"}
        assert told == ({"KSCTL_USERNAME": "ops & co", "KSCTL_NOSSLVERIFY": "true"} if of_two else {})


def test_what_changes_the_cluster_is_what_the_tool_sends(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, "rebuild")
    drive = drive_of(tmp_path, cluster)
    _, book = book_of(drive, cluster)
    by_hand = [
        (one.url, *one.argv)
        for calls in Hand(tmp_path).through(book).values()
        for one in asked(calls)
        if any(words in shlex.join(one.argv) for words in CHANGING)
    ]
    assert drive.start() == 0
    sent = [(URLS[e.node], *e.detail.split()[1:]) for e in drive.world.of_kind("change")]
    sent = [words for words in sent if any(said in " ".join(words) for said in CHANGING)]
    assert sorted(map(bare, by_hand)) == sorted(map(bare, sent))
    assert len(by_hand) == 2 + 3 + 1 + 2 + 2  # removed, unclustered, new, reset, joined
    join = next(words for words in by_hand if "10.0.0.13" in words)
    assert join[join.index("--newnodepublic") + 1] == "three.public.example"


def bare(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without the consent, which a person gives at the prompt, and without the name of the file with the login."""
    return tuple(
        "FILE" if "login.yaml" in w or w == "{joiner}" else w for w in words if w not in ("-y", "--yes")
    )


def test_a_joiners_login_is_in_a_file_of_its_own_without_its_password(tmp_path: Path) -> None:
    _, called = typed(tmp_path, "rebuild")
    for name in ("one", "three"):
        (join,) = [one for one in called[f"join:{name}"] if "fulljoin" in one.argv]
        lines = dict(line.split(": ", 1) for line in join.file.splitlines())
        assert {k: json.loads(v) for k, v in lines.items()} == {
            "KSCTL_URL": URLS[name], "KSCTL_USERNAME": "admin", "KSCTL_PASSWORD": "PASSWORD",
            "KSCTL_NOSSLVERIFY": False,
        }  # fmt: skip
        assert join.mode == "0o600"
    assert not list((tmp_path / "typed here").glob("*.yaml")), "they are removed afterwards"


def test_a_member_that_does_not_tell_leaves_its_address_to_the_person(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, "rebuild")
    drive = drive_of(tmp_path, cluster)
    result, plan = check.plan(drive.setup())
    silent = replace(result.facts.nodes["three"], members=Unknown("it does not answer"))
    facts = replace(result.facts, nodes={**result.facts.nodes, "three": silent})
    text = blocks(runbook_markdown(plan, cluster, facts, ()))["join:three"]
    assert "and --newnodepublic ADDRESS, where one was recorded" in text


def test_ssh_and_scp_go_the_same_way(tmp_path: Path) -> None:
    plan, called = typed(tmp_path, "in-place")
    key = ("-i", str(tmp_path / "a key"))
    known = ("-o", f'UserKnownHostsFile="{tmp_path / "known hosts"}"')
    ways = {
        "one": (("2222",), key, "ksadmin@one.mgmt.example", "ksadmin@one.mgmt.example:."),
        "two": (
            (),
            (*key, *known, "-J", "me@jump.example:2022,[fd00::9]"),
            "ksadmin@fd00::2",
            "ksadmin@[fd00::2]:.",
        ),
        "three": ((), key, "ksadmin@10.9.0.13", "ksadmin@10.9.0.13:."),
    }
    archive = str(tmp_path / "an archive" / NAME)
    script = f"sudo /opt/keysecure/ks_upgrade.sh -f {NAME}"
    for name, (port, way, shell, place) in ways.items():
        scp, ssh = called[f"stage:{name}"]
        assert (scp.program, scp.argv) == ("scp", (*(("-P", *port) if port else ()), *way, archive, place))
        to = (*(("-p", *port) if port else ()), *way, shell)
        assert (ssh.program, ssh.argv) == ("ssh", (*to, f"sha256sum {NAME}"))
        (upgrade,) = called[f"upgrade:{name}"]
        assert upgrade.argv == ("-t", *to, script)
        before, reboot, after = called[f"reboot:{name}"]
        assert reboot.argv == ("-t", *to, "sudo reboot")
        assert before == after and after.argv[-1] == "cat /proc/sys/kernel/random/boot_id", "it proves it"
        assert called[f"await:{name}"][0].argv == (*to, "systemctl status keysecure")
    assert plan.target.archive == NAME


def test_the_very_machine_is_reached_without_ssh(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, "standalone", ("{name: one, host: local}",))
    _, book = book_of(drive_of(tmp_path, cluster), cluster)
    called = Hand(tmp_path).through(book)
    assert not {one.program for calls in called.values() for one in calls} & {"ssh", "scp"}
    assert called["stage:one"][0].argv == (str(tmp_path / "an archive" / NAME), f"{tmp_path}/")
    assert called["upgrade:one"][0].argv == ("/opt/keysecure/ks_upgrade.sh", "-f", NAME)
    assert {one.url for one in asked(called["await:one"])} == {"https://localhost"}


def test_through_ssh_each_line_opens_its_own_way(tmp_path: Path) -> None:
    """Also to the joiner, whose login file leads there."""
    nodes = tuple(
        node.removesuffix("}") + ", ksctl: {through_ssh: true, command: fetch}}"
        for node in (NODES[0], NODES[2])
    )
    cluster = cluster_of(tmp_path, "rebuild", (nodes[0], NODES[1], nodes[1]))
    _, book = book_of(drive_of(tmp_path, cluster), cluster)
    assert (
        "ksctl, for PATH: the one for this machine in `https://one.example:8443/downloads/ksctl_images.zip`"
        in book
    )
    for name, calls in Hand(tmp_path).through(book).items():
        open_to = ""
        for one in calls:
            if "-L" in one.argv:
                open_to = one.argv[one.argv.index("-L") + 1]
            elif one.program == "ksctl":
                port = one.url.removeprefix("https://127.0.0.1:")
                assert open_to.startswith(f"127.0.0.1:{port}:") and one.env["KSCTL_NOSSLVERIFY"] == "true"
            if one.file and name == "join:one":
                port = json.loads(one.file.split("\n")[0].partition(": ")[2]).rsplit(":", 1)[1]
                assert open_to == f"127.0.0.1:{port}:one.example:8443"
                assert "KSCTL_NOSSLVERIFY: true" in one.file


def test_a_new_instance_is_spoken_to_itself(tmp_path: Path) -> None:
    pairs = (("one", "fd00::99"),)
    old = cluster_of(tmp_path, "rebuild")
    result, _ = check.plan(drive_of(tmp_path, old).setup())
    cluster = with_fresh(old, pairs)
    facts = replace(result.facts, fresh={"one-new": result.facts.nodes["one"]})
    plan = make_plan(facts, cluster, replace(REBUILD, fresh=pairs))
    called = Hand(tmp_path).through(runbook_markdown(plan, cluster, facts, ()))
    assert {one.url for one in asked(called["await:one-new"])} == {"https://[fd00::99]"}
    (join,) = [one for one in called["join:one-new"] if "fulljoin" in one.argv]
    assert join.url == URLS["two"]
    assert join.argv[join.argv.index("--newnodehost") + 1] == "fd00::99"
    assert 'KSCTL_URL: "https://[fd00::99]"' in join.file


def test_an_ipv6_address_without_a_url_gets_one_that_is_valid(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, "standalone", ("{name: one, host: 'fd00::1'}",))
    _, book = book_of(drive_of(tmp_path, cluster), cluster)
    assert {one.url for one in asked(Hand(tmp_path).through(book)["await:one"])} == {"https://[fd00::1]"}


# -- before the steps --------------------------------------------------------------------------------------------


def test_logins_say_where_a_password_comes_from_and_never_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", "s3cret-of-ksctl")
    cluster = cluster_of(tmp_path, "in-place")
    _, book = book_of(drive_of(tmp_path, cluster), cluster)
    assert "s3cret" not in book
    logins = book.partition("## Logins")[2].partition("## Steps")[0]
    line = next(part for part in logins.split("`") if "KSCTL_PASSWORD" in part)
    typed = f"printf 's3cret-of-ksctl\\n' | {{ {line}; printf %s \"$KSCTL_PASSWORD\"; }}"
    assert Hand(tmp_path).type(typed).stdout == "s3cret-of-ksctl", "a new shell has no variable with it"
    assert "ctmupgrade has it in PW" in logins and "`export KSCTL_USERNAME=admin`" in logins
    assert "export KSCTL_TIMEOUT=90" in logins
    assert f"`ssh-add '{tmp_path / 'a key'}'`" in logins


def test_remedies_name_the_node_too(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, "in-place")
    drive = drive_of(tmp_path, cluster)
    drive.world.nodes["three"].up_at = drive.world.nodes["three"].ready_at = drive.world.now + 90_000
    _, book = book_of(drive, cluster)
    before = book.partition("## Go or no-go")[2].partition("## Point of no return")[0]
    remedies = re.findall(r"(?:To do: |; )`([^`]+)`", before)
    hand = Hand(tmp_path)
    ours = [
        one for text in remedies if "ksctl " in text and ": " not in text for one in asked(hand.calls(text))
    ]
    assert ours and {one.url for one in ours} <= set(URLS.values())
    lists = [text for text in remedies if "cluster nodes list" in text]
    itself = [text for text in lists if "# must answer" in text]
    others = {one.url for text in lists if text not in itself for one in asked(hand.calls(text))}
    assert others and URLS["three"] not in others, "it is down: another one must tell"
    assert {one.url for text in itself for one in asked(hand.calls(text))} == {URLS["three"]}, (
        "it must answer"
    )
    (login,) = [one for text in remedies if text.startswith("ssh ") for one in hand.calls(text)]
    assert login.argv == ("-i", str(tmp_path / "a key"), "ksadmin@10.9.0.13")


@pytest.mark.parametrize("program", ["other-ksctl", "env ksctl", "/opt/a/ksctl", "ksctl"])
def test_a_remedy_that_names_its_node_stays_as_it_is(tmp_path: Path, program: str) -> None:
    cluster = cluster_of(tmp_path, "in-place", tuple(n.replace("env other-ksctl", program) for n in NODES))
    plan, _ = book_of(drive_of(tmp_path, cluster), cluster)
    book = Book(plan, cluster)
    for node in cluster.nodes:
        named = ksctl(node, "cluster", "nodes", "list", note="must answer")
        assert book.addressed(named, node.name) == named
        both = book.addressed(f"{named}; ksctl system info get", node.name)
        assert both == f"{named}; {ksctl(node, 'system', 'info', 'get')}"
    with_path = "/opt/b/ksctl cluster nodes list"
    assert book.addressed(with_path, "two") == with_path, "not the program that cluster.yaml names"


# -- gpg, the real one -------------------------------------------------------------------------------------------


def block_for(folder: Path, signing: Signing, keyring: str) -> str:
    cluster = cluster_of(folder, "in-place", keyring=keyring)
    cluster = replace(cluster, target=replace(cluster.target, signer=signing.fingerprint))
    archive = cluster.target.archive
    archive.parent.mkdir()
    signing.sign(archive, 5_000)
    drive = drive_of(folder, cluster)
    drive.cluster = replace(drive.cluster, target=replace(cluster.target, signer=SIGNER))
    return blocks(book_of(drive, cluster)[1])["verify-archive"]


def test_gpg_trusts_the_configured_keyring_and_nothing_else(tmp_path: Path, signing: Signing) -> None:
    (tmp_path / "the vendor's.asc").write_bytes(signing.gpg("--armor", "--export", signing.fingerprint))
    block = block_for(tmp_path, signing, "./the vendor''s.asc")
    hand, home = Hand(tmp_path, ()), signing.home / "of a person"
    home.mkdir()
    done = hand.type(block, LC_ALL="C", HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "Good signature from" in done.stderr
    assert signing.fingerprint in block
    assert not list(home.iterdir()), "the keyring is gone afterwards"
    # A key in the person's own keyring must not count.
    (tmp_path / "the vendor's.asc").write_bytes(other_key(tmp_path))
    done = hand.type(block, LC_ALL="C", HOME=str(home), GNUPGHOME=str(signing.home))
    assert done.returncode != 0
    assert "No public key" in done.stderr and "Good signature" not in done.stderr
    subprocess.run(["gpgconf", "--homedir", str(home / "ctmupgrade-gpg"), "--kill", "all"], check=False)


def other_key(folder: Path) -> bytes:
    home = folder / "other"
    home.mkdir(mode=0o700)
    other = Signing(home)
    try:
        other.gpg("--passphrase", "", "--quick-gen-key", "Other <o@example.com>", "ed25519", "sign", "never")
        return other.gpg("--armor", "--export")
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_gpg_uses_the_persons_own_keyring_where_none_is_configured(tmp_path: Path, signing: Signing) -> None:
    done = Hand(tmp_path, ()).type(block_for(tmp_path, signing, ""), LC_ALL="C", GNUPGHOME=str(signing.home))
    assert done.returncode == 0, done.stderr
    assert "Good signature from" in done.stderr


@pytest.mark.parametrize("scenario", ["healthy-three", "rebuild-three", "rebuild-two", "standalone"])
def test_the_scenarios_books_can_be_typed(tmp_path: Path, scenario: str) -> None:
    """With the world's own addresses; every line is a shell's, and every ksctl has a URL."""
    drive = ScenarioDrive(scenario, tmp_path)
    _, book = book_of(drive, drive.cluster)
    called = Hand(tmp_path).through(book)
    urls = {node.url for node in drive.cluster.nodes}
    assert {one.url for calls in called.values() for one in asked(calls)} == urls
