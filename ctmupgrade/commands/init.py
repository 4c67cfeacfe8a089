"""``init``: a cluster.yaml to start from."""

from __future__ import annotations

import os
import subprocess
from importlib import resources

from ctmupgrade.adapters.local.process import network_environ
from ctmupgrade.core.looks import parse_ksctl
from ctmupgrade.core.looks.facts import Member
from ctmupgrade.core.looks.parse_ksctl import NotUnderstoodError

_EXAMPLE = "10.0.0.11", "10.0.0.12", "10.0.0.13"


def commented_cluster(url: str) -> tuple[str, str]:
    """The file's text, and where its nodes come from in words.

    :param url: a member's URL, or "" for what ksctl's own configuration says.
    """
    members, said = _ask(url)
    nodes = "\n".join(_node(i, m) for i, m in enumerate(members, 1)) or "\n".join(
        _node(i, Member("", host, "")) for i, host in enumerate(_EXAMPLE, 1)
    )
    text = resources.files("ctmupgrade.config").joinpath("cluster.example.yaml").read_text(encoding="utf-8")
    return text.replace("@NODES@", nodes), said


def _node(number: int, member: Member) -> str:
    host = member.host or "CHANGE"
    lines = [f"  - name: ctm-{number}", f"    host: {host}"]
    public = member.public_address.removeprefix("https://")
    if public and public != host:
        lines.append(f"    url: https://{public}")
        lines.append(f"    cluster_host: {host}")
    return "\n".join(lines)


def _ask(url: str) -> tuple[tuple[Member, ...], str]:
    own = {name: value for name, value in os.environ.items() if name.upper().startswith(("KSCTL_", "XDG_"))}
    environ = {**network_environ(), **own, "KSCTL_RESP": "json", **({"KSCTL_URL": url} if url else {})}
    if "KSCTL_PASSWORD" not in environ and "KSCTL_JWT" not in environ:
        return (), "the nodes are examples: KSCTL_PASSWORD is not set, so no cluster was asked"
    try:
        answer = subprocess.run(
            ["ksctl", "cluster", "nodes", "list"], env=environ, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        if not answer.stdout.strip():
            raise NotUnderstoodError(
                parse_ksctl.excerpt(answer.stderr) or f"it ended with {answer.returncode}"
            )
        members = parse_ksctl.members(answer.stdout)
    except FileNotFoundError:
        return (), "the nodes are examples: there is no ksctl on this machine"
    except (OSError, subprocess.SubprocessError, NotUnderstoodError) as error:
        return (), f"the nodes are examples: ksctl did not list any ({error})"
    return members, f"{len(members)} node(s) by ksctl cluster nodes list"
