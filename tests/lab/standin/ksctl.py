"""The operator's ``ksctl``: words and flags to calls of the API, answers as the vendor's CLI prints them."""

from __future__ import annotations

import os
import sys
import time
from _json import encode_basestring_ascii as quoted

from . import wire
from .ksctl_config import GLOBAL, UsageError, prompt, settings, split
from .ksctl_files import FILES
from .ksctl_join import fulljoin

TYPE_CHECKING = False  # importing typing would be a good part of a short-lived program's run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BUILD = "2.20.0+99999"  # client and server builds differ
LISTS = {
    "cluster nodes list": "nodes", "ntp servers list": "system/ntp/servers", "backup list": "backups",
    "backupkeys list": "backupkeys", "alarms list": "system/alarms", "interfaces list": "configs/interfaces",
    "licensing licenses list": "licensing/licenses", "licensing features list": "licensing/features",
    "licensing trials list": "licensing/trials", "properties list": "configs/properties", "proxy list": "proxy",
    "rot-keys list": "system/rot-keys", "hsm servers list": "hsm/servers", "products list": "system/products",
    "scheduler configs list": "scheduler/job-configs", "cluster errors": "cluster/errors",
    "keys list": "vault/keys2", "users list": "usermgmt/users",
}  # fmt: skip
GETS = {
    "system info get": "system/info", "cluster info": "cluster", "cluster summary": "cluster/summary",
    "ntp status": "system/ntp/status", "services status": "system/services/status",
    "backup status": "backupStatus", "licensing lockdata": "licensing/lockdata",
    "diskenc status": "locker/diskenc/status", "banners get": "system/banners",
}  # fmt: skip
# (method, path, {flag: field of the body})
CHANGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "system info set": ("PATCH", "system/info", {"--name": "name"}),
    "cluster nodes get": ("GET", "nodes/{id}", {}),
    "cluster nodes delete": ("DELETE", "nodes/{id}", {}),
    "cluster new": ("POST", "cluster/new", {"--host": "localNodeHost", "--public-address": "publicAddress"}),
    "cluster delete": ("DELETE", "cluster", {}),
    "ntp servers add": ("POST", "system/ntp/servers", {"--host": "host"}),
    "ntp servers delete": ("DELETE", "system/ntp/servers/{host}", {}),
    "services restart": ("POST", "system/services/restart", {"--service-names": "services", "--delay": "delay"}),
    "services reset": ("POST", "system/services/reset", {"--delay": "delay"}),
    "backup create": (
        "POST", "backups",
        {"--scope": "scope", "--tied-to-hsm": "tiedToHSM", "--keyid": "keyID", "--description": "description", "--filters": "filters"},
    ),
    "backup get": ("GET", "backups/{id}", {}),
    "backup delete": ("DELETE", "backups/{id}", {}),
    "backup restore": ("POST", "backups/{id}/restore", {"--force": "force"}),
    "backupkeys create": ("POST", "backupkeys", {}),
    "backupkeys get": ("GET", "backupkeys/{id}", {}),
    "backupkeys delete": ("DELETE", "backupkeys/{id}", {}),
    "backupkeys default": ("POST", "backupkeys/{id}/default", {}),
    "products enable": ("POST", "system/products", {"--name": "name"}),
    "products disable": ("POST", "system/products", {"--name": "name"}),
}  # fmt: skip
ASKS = ("cluster nodes delete", "cluster delete", "services reset", "services restart", "cluster fulljoin")
PLAIN = frozenset(
    (
        "-y",
        "--yes",
        "--id",
        "--host",
        "--limit",
        "--skip",
        "--force",
        "--overall-status",
        "--service-names",
        "--scope",
        "--state",
        "--severity",
    )
)


class RefusedError(Exception):
    """An error body of the API."""


class Client:
    """One node's API, with the login."""

    def __init__(self, found: dict[str, str]) -> None:
        url = found.get("KSCTL_URL", "https://localhost")
        place = url.partition("://")[2].strip("/")
        self.url, (self.host, _, port) = url, place.partition(":")
        self.port = int(port or 443)
        self.timeout = float(found.get("KSCTL_TIMEOUT", 30))
        self.user = found.get("KSCTL_USERNAME", "admin")
        self.password = found.get("KSCTL_PASSWORD", "")

    def call(self, method: str, path: str, body: Any = None, *, accept: str = "*/*") -> bytes:
        """A call's answer. :raises RefusedError: an error body. :raises UsageError: no answer."""
        login = (self.user, self.password or prompt("password: "))
        target = f"/api/v1/{path}"
        words = {"GET": "Get", "POST": "Post", "DELETE": "Delete", "PATCH": "Patch"}[method]
        try:
            status, text = wire.call(
                self.host,
                self.port,
                method,
                target,
                body=body,
                login=login,
                timeout=self.timeout,
                accept=accept,
            )
        except TimeoutError:
            raise UsageError(f'{words} "{self.url}{target}": context deadline exceeded') from None
        except ConnectionRefusedError:
            place = f"dial tcp {self.host}:{self.port}: connect: connection refused"
            raise UsageError(f'{words} "{self.url}{target}": {place}') from None
        except OSError as error:
            raise UsageError(
                f'{words} "{self.url}{target}": {(error.strerror or str(error)).lower()}'
            ) from None
        if status >= 400:
            raise RefusedError(text.decode())
        return text

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """A call's answer as JSON; errors as :meth:`call`."""
        import json  # see wire.py

        return json.loads(self.call(method, path, body))

    def show(self, path: str) -> None:
        """Prints what is there; errors as :meth:`call`."""
        sys.stdout.write(self.call("GET", path, accept=wire.INDENTED).decode() + "\n")


def show(value: Any) -> None:
    """Prints JSON as the vendor's CLI does."""
    import json

    sys.stdout.write(json.dumps(value, indent="\t").replace("\t", "        ") + "\n")


def _check_flags(flags: dict[str, str], allowed: set[str]) -> None:
    for flag in flags:
        if flag not in allowed | GLOBAL.keys() | PLAIN:
            raise UsageError(f"Error: unknown flag: {flag}")


def _list(client: Client, command: str, flags: dict[str, str]) -> None:
    limit = flags.get("--limit", "256" if command == "cluster nodes list" else "10")
    client.show(f"{LISTS[command]}?skip={flags.get('--skip', '0')}&limit={limit}")


def _change(client: Client, command: str, flags: dict[str, str]) -> None:
    method, path, fields = CHANGES[command]
    _check_flags(flags, set(fields))
    for part in ("id", "host"):
        if "{" + part + "}" in path:
            if not flags.get(f"--{part}"):
                raise UsageError(f'Error: required flag(s) "{part}" not set')
            path = path.replace("{" + part + "}", flags[f"--{part}"])
    if command == "cluster nodes delete" and "--force" in flags:
        path += "?force=true"
    body: dict[str, Any] = {field: flags[flag] for flag, field in fields.items() if flag in flags}
    if command.startswith("products "):
        body["state"] = command.split()[1] + "d"
    body |= {name: True for name in ("force", "tiedToHSM") if name in body}
    answer = client.json(method, path, None if method in ("GET", "DELETE") else body)
    if answer:
        show(answer)


def _version(client: Client) -> None:
    info = client.json("GET", "system/info")
    server = {"server_model": info["model"], "server_version": info["version"]}
    show({"version": BUILD, "build_date": "Mon Jan  6 16:21:26 UTC 2025", **server})


def run(argv: list[str]) -> int:
    """One command. :raises UsageError: wrong words, or no answer. :raises RefusedError: an error body."""
    words, flags = split(argv)
    command = " ".join(words)
    client = Client(settings(flags))
    if command in ASKS and not flags.keys() & {"-y", "--yes"}:
        question = "join" if command.endswith("join") else "continue"
        if prompt(f"Are you sure want to {question}? [y/N] ").lower() not in ("y", "yes"):
            return 1
    special: dict[str, Callable[[Client, dict[str, str]], Any]] = {**FILES, "cluster fulljoin": fulljoin}
    if command in LISTS:
        _check_flags(flags, set())
        _list(client, command, flags)
    elif command in GETS:
        _check_flags(flags, set())
        client.show(GETS[command])
    elif command in CHANGES:
        _change(client, command, flags)
    elif command == "version":
        _version(client)
    elif command in special:
        special[command](client, flags)
    else:
        raise UsageError(f'Error: unknown command "{command}" for "ksctl"')
    return 0


def _record(audit: str, argv: list[str]) -> None:
    words = ", ".join(quoted(word) for word in argv)
    url = quoted(os.environ.get("KSCTL_URL", ""))
    with open(audit, "a") as file:
        file.write(f'{{"at": {time.time()}, "pid": {os.getpid()}, "url": {url}, "argv": [{words}]}}\n')


def main(audit: str) -> int:
    """Records its own argument list, runs, and exits as the vendor's CLI does."""
    argv = sys.argv[1:]
    _record(audit, argv)
    try:
        return run(argv)
    except RefusedError as error:
        import json

        try:
            show(json.loads(str(error)))
        except ValueError:
            sys.stdout.write(f"{error}\n")
        return 1
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
