"""``ksctl cluster fulljoin``: talks to the member it is pointed at, and to the joining node."""

from __future__ import annotations

import sys
import time

from .ksctl_config import UsageError, read_file

TYPE_CHECKING = False  # importing typing would be a good part of a short-lived program's run time
if TYPE_CHECKING:
    from typing import Any


def _joiner_settings(flags: dict[str, str], timeout: float) -> dict[str, str]:
    found = {"KSCTL_TIMEOUT": str(timeout)}
    if "--newnodeconfig" in flags:
        try:
            return found | read_file(flags["--newnodeconfig"])
        except OSError as error:
            raise UsageError(f"Error: open {flags['--newnodeconfig']}: {error.strerror}") from error
    wanted = {
        "--newnodeurl": "KSCTL_URL",
        "--newnodeuser": "KSCTL_USERNAME",
        "--newnodepass": "KSCTL_PASSWORD",
    }
    return found | {name: flags[flag] for flag, name in wanted.items() if flag in flags}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _must_be_started(client: Any, who: str) -> None:
    state = client.json("GET", "system/services/status")["status"]
    if state != "started":
        raise UsageError(f"Error: {who} is not ready: services are {state}")


def fulljoin(client: Any, flags: dict[str, str]) -> None:
    """Runs the four calls of a join; ``--block`` waits until the joiner is ready."""
    for flag in ("--member", "--newnodehost"):
        if not flags.get(flag):
            raise UsageError(f'Error: required flag(s) "{flag[2:]}" not set')
    joiner = type(client)(_joiner_settings(flags, client.timeout))
    host, public = flags["--newnodehost"], flags.get("--newnodepublic", flags["--newnodehost"])
    _say("Checking if member is ready")
    _must_be_started(client, "member")
    _say("Checking if joining node is ready")
    _must_be_started(joiner, "joining node")
    _say("Getting CSR from joining node")
    asked = joiner.json("POST", "cluster/csr", {"localNodeHost": host, "publicAddress": public})
    _say("Getting Certificate and CA Chain from member node")
    shared = "--shared-hsm-partition" in flags
    wish = {"csr": asked["csr"], "newNodeHost": host, "publicAddress": public, "shared_hsm_partition": shared}
    signed = client.json("POST", "nodes", wish)
    _say("Joining new node to cluster")
    body = {**signed, "localNodeHost": host, "localNodePort": 5432, "localNodePublicAddress": public}
    body |= {"memberNodeHost": flags["--member"], "memberNodePort": 5432, "blocking": False}
    joiner.json("POST", "cluster/join", body)
    if "--block" in flags:
        _wait(client, host)


def _wait(client: Any, host: str) -> None:
    deadline = time.monotonic() + client.timeout
    while time.monotonic() < deadline:
        rows = client.json("GET", "nodes?limit=256")["resources"]
        if any(row["host"] == host and row["status"]["code"] == "r" for row in rows):
            return
        time.sleep(0.2)
    raise UsageError("Error: context deadline exceeded")
