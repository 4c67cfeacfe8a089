"""The form of cluster.yaml: its keys, their types, and the texts for values of another form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Address
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ctmupgrade.core.model import Version
from ctmupgrade.core.modes import StrategyName

MAX_NODES = 20  # vendor page "Clusters and Nodes"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_LONGEST = timedelta(days=366)
_HOST = re.compile(r"(?!-)[\w.-]+")
_WITH_PORT = re.compile(r"([^:]+|\[[^\]]+\]):(\d+)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_JUMP = re.compile(r"(?:ssh://)?(?:(?!-)[^@\s,]+@)?(\[[^\]]+\]|[^@:\[\]\s]+)(?::(\d{1,5}))?/?", re.ASCII)
_HOST_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


def duration(value: object) -> timedelta:
    """``90s``, ``5m``, ``2h``, ``1h30m``. :raises ValueError: anything else."""
    found = _DURATION.fullmatch(str(value).strip())
    if not found or not any(found.groups()):
        raise ValueError("a duration like 90s, 5m or 2h is expected")
    days, hours, minutes, seconds, milliseconds = (float(text or 0) for text in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds + milliseconds / 1000
    if total > _LONGEST.total_seconds():
        raise ValueError(f"a duration of at most {_LONGEST.days} days is expected")
    return timedelta(seconds=total)


def _positive(value: object) -> timedelta:
    found = duration(value)
    if found <= timedelta(0):
        raise ValueError("a duration longer than nothing is expected")
    return found


def _seconds(value: object) -> float:
    text = str(value).strip()
    return float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else duration(text).total_seconds()


def host(value: object) -> str:
    """A host name or an IP address; one of IPv6 with or without brackets, which it loses.

    :raises ValueError: anything else. It goes into command lines here and on other nodes: nothing in it may mean
        anything to a shell or to ssh.
    """
    text = str(value).strip()
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        raise ValueError(f"a host without a port is expected; port: {with_port.group(2)} is a key of its own")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare and _is_ipv6(bare):
        return bare
    if not _HOST.fullmatch(text):
        raise ValueError("a host name or an IP address is expected, without a scheme, port or blanks")
    return text


def _is_ipv6(text: str) -> bool:
    address, sign, zone = text.partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return bool(not sign or re.fullmatch(r"(?!-)[\w.-]+", zone, re.ASCII))


def _is_host(text: str) -> bool:
    try:
        return bool(host(text))
    except ValueError:
        return False


def _user(value: str) -> str:
    text = value.strip()
    if not text or text.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("a user's name is expected, without blanks and without a dash first")
    return text


def _name(value: str) -> str:
    text = value.strip()
    if not _NAME.fullmatch(text):
        raise ValueError(
            "a name of letters, digits, dots, dashes and underscores is expected, a letter or digit first"
        )
    return text


def _jumps(value: str) -> str:
    text = value.strip()
    for spec in text.split(","):
        found = _JUMP.fullmatch(spec.strip())
        if not found or not _is_host(found.group(1)) or int(found.group(2) or 22) not in range(1, 65536):
            raise ValueError("user@host or user@host:port is expected, several with commas between them")
    return text


def _host_key(value: str) -> str:
    text = value.strip()
    if not _HOST_KEY.fullmatch(text):
        raise ValueError("SHA256: and 43 characters are expected, as ssh-keygen -l prints a fingerprint")
    return text


def _url(value: object) -> str:
    text = str(value).strip()
    if not re.fullmatch(r"https?://[^\s/]+/?", text):
        raise ValueError("https://HOST or https://HOST:PORT is expected")
    if "@" in text:
        raise ValueError(
            "a URL without a name and password is expected: those have keys of their own under ksctl"
        )
    return text


def _fingerprint(value: object) -> str:
    text = re.sub(r"[\s:]", "", str(value)).removeprefix("0x").upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", text):
        raise ValueError("the full fingerprint is expected: 40 hexadecimal digits (gpg --fingerprint)")
    return text


def _version(value: object) -> Version:
    text = str(value).strip()
    if text[:1] in ("v", "V"):
        raise ValueError(f"X.Y.Z or X.Y.Z+BUILD is expected, without a v: {text[1:]}")
    return Version.parse(text)


Host: TypeAlias = Annotated[str, BeforeValidator(host)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(_positive)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Fingerprint: TypeAlias = Annotated[str, BeforeValidator(_fingerprint)]
AnyVersion: TypeAlias = Annotated[Any, BeforeValidator(_version)]
Name: TypeAlias = Annotated[str, AfterValidator(_name)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SshKeys(Strict):
    user: Annotated[str, AfterValidator(_user)] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    identity_file: Text | None = None
    passphrase_env: Text | None = None
    known_hosts: Text | None = None
    proxy_jump: Annotated[str, AfterValidator(_jumps)] | None = None


class KsctlKeys(Strict):
    command: Text | None = None
    username: Text | None = None
    password_env: Text | None = None
    password_file: Text | None = None
    password_command: Text | None = None
    nosslverify: bool | None = None
    timeout: Seconds | None = None


class TargetKeys(Strict):
    archive: Text
    version: AnyVersion | None = None
    signer: Fingerprint
    keyring: Text | None = None


class BackupKeys(Strict):
    directory: Text = "./backups"
    key_password_env: Text | None = None
    max_age: Duration = timedelta(hours=24)


class WindowKeys(Strict):
    start: AwareDatetime | None = None
    finish_by: AwareDatetime | None = None


class TimeoutKeys(Strict):
    upload: Duration | None = None
    upgrade: Duration | None = None
    reboot: Duration | None = None
    service: Duration | None = None
    join: Duration | None = None
    backup: Duration | None = None
    stuck: Duration | None = None


class NodeKeys(SshKeys):
    """A node; the keys of ``ssh`` may stand here directly or under ``ssh:``."""

    name: Name
    host: Host
    url: Annotated[str, BeforeValidator(_url)] | None = None
    cluster_host: Host | None = None
    host_key: Annotated[str, AfterValidator(_host_key)] | None = None
    ssh: SshKeys = SshKeys()
    ksctl: KsctlKeys = KsctlKeys()


class FileKeys(Strict):
    cluster: Name
    strategy: StrategyName = StrategyName.IN_PLACE
    target: TargetKeys
    ssh: SshKeys = SshKeys()
    ksctl: KsctlKeys = KsctlKeys()
    backup: BackupKeys = BackupKeys()
    window: WindowKeys = WindowKeys()
    timeouts: TimeoutKeys = TimeoutKeys()
    poll: Duration = timedelta(seconds=5)
    stable_for: Annotated[timedelta, BeforeValidator(duration)] = timedelta(seconds=60)
    nodes: Annotated[list[NodeKeys], Field(min_length=1, max_length=MAX_NODES)]


MODELS: Mapping[str, type[BaseModel]] = {
    "": FileKeys, "ssh": SshKeys, "ksctl": KsctlKeys, "target": TargetKeys, "backup": BackupKeys, "window": WindowKeys,
    "timeouts": TimeoutKeys, "nodes": NodeKeys,
}  # fmt: skip

# Keys whose value is a text, where a bare number or true is most often a slip. Not ``version`` and ``signer``: they
# may look like numbers, and are read as they stand.
TEXTS = frozenset(
    {
        "cluster", "name", "host", "cluster_host", "url", "host_key", "user", "proxy_jump", "identity_file",
        "passphrase_env", "known_hosts", "command", "username", "password_env", "password_file", "password_command",
        "archive", "keyring", "directory", "key_password_env",
    }
)  # fmt: skip
