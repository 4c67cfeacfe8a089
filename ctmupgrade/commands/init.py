"""``init``: a cluster.yaml to start from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import resources

from ctmupgrade.adapters.local.process import network_environ
from ctmupgrade.core.looks import parse_ksctl
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.excerpt import not_told
from ctmupgrade.core.model import url_of
from ctmupgrade.errors import UNFORESEEN

_EXAMPLE = "10.0.0.11", "10.0.0.12", "10.0.0.13"
_SECONDS = 60.0  # for ksctl
_CHANGE = "CHANGE"


def commented_cluster(url: str) -> tuple[str, str]:
    """Return the file's text, and where its nodes come from in words.

    :param url: a member's URL, or "" for what ksctl's own configuration says.
    """
    members, said = _ask(url)
    nodes = [_node(i, m) for i, m in enumerate(members or [Member("", host, "") for host in _EXAMPLE], 1)]
    example = (
        resources.files("ctmupgrade.config").joinpath("cluster.example.yaml").read_text(encoding="utf-8")
    )
    text = example.replace("@NODES@", "\n".join(_lines(node) for node in nodes))
    _prove(text, example, nodes)
    return text, said


def _node(number: int, member: Member) -> dict[str, str]:
    """What of a node may be written down: its addresses, where they are addresses."""
    host = _host(member.host) or _CHANGE
    node = {"name": f"ctm-{number}", "host": host}
    public = _host(member.public_address.removeprefix("https://"))
    if public and public != host:
        node |= {"url": url_of(public), "cluster_host": host}
    return node


def _host(text: str) -> str:
    """A host that a node names, "" where it is none. It would be read as a part of the file.

    No appliance is this machine: ``local`` and addresses of this machine are refused, else commands meant for a node
    would run here.
    """
    from ctmupgrade.config.addresses import host, this_machine

    try:
        found = host(text)
    except ValueError:
        return ""
    return "" if this_machine(found) else found


def _lines(node: Mapping[str, str]) -> str:
    """A node in YAML, of which JSON is a part: whatever a value has in it, it is one value."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in node.items()]
    if node["host"] == _CHANGE:
        lines[1] += "   # what the node calls itself is no host that can be reached from here"
    return "  - " + "\n    ".join(lines)


def _prove(text: str, example: str, nodes: list[dict[str, str]]) -> None:
    """Read the file as it would be read: it has the example's keys and these nodes, nothing else.

    :raises AssertionError: it has not; nothing of it may be written.
    """
    from ruamel.yaml import YAML

    found = YAML(typ="safe", pure=True).load(text)
    keys = YAML(typ="safe", pure=True).load(example.replace("@NODES@", "  []"))
    if found != keys | {"nodes": nodes}:
        raise AssertionError("what was made of the nodes' answers is read as something else")


def _ask(url: str) -> tuple[tuple[Member, ...], str]:
    from ctmupgrade.adapters.local.process import StoppedError, started
    from ctmupgrade.ports import MOST_ANSWER, Reply

    own = {name: value for name, value in os.environ.items() if name.upper().startswith(("KSCTL_", "XDG_"))}
    environ = {**network_environ(), **own, "KSCTL_RESP": "json", **({"KSCTL_URL": url} if url else {})}
    if "KSCTL_PASSWORD" not in environ and "KSCTL_JWT" not in environ:
        return (), "the nodes are examples: KSCTL_PASSWORD is not set, so no cluster was asked"
    heard = {"out": bytearray(), "err": bytearray()}
    try:
        with started(["ksctl", "cluster", "nodes", "list"], environ=environ) as running:
            for name, piece in running.pieces(total=_SECONDS, most=MOST_ANSWER):
                heard[name] += piece
            code = running.process.returncode
        answer = Reply(code, *(bytes(heard[name]).decode("utf-8", "replace") for name in ("out", "err")))
        if not answer.out.strip():
            raise not_told(answer.err, f"it ended with {code}")
        members = parse_ksctl.members(answer.out)
    except FileNotFoundError:
        return (), "the nodes are examples: there is no ksctl on this machine"
    except StoppedError as why:
        return (), f"the nodes are examples: ksctl did not list any ({why.endless or 'no answer'})"
    except (OSError, *UNFORESEEN) as error:
        return (), f"the nodes are examples: ksctl did not list any ({error})"
    return members, f"{len(members)} node{'' if len(members) == 1 else 's'} by ksctl cluster nodes list"
