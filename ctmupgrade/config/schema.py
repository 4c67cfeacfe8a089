"""The form of cluster.yaml: its keys and their types (:mod:`ctmupgrade.config.values`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ctmupgrade.config.values import (
    AnyVersion,
    Command,
    Duration,
    DurationOrNone,
    Fingerprint,
    Flag,
    Host,
    HostAmongNodes,
    HostKey,
    Jumps,
    LogAddress,
    Mailbox,
    Moment,
    Name,
    Port,
    Seconds,
    Server,
    Text,
    Until,
    Url,
    User,
    Variable,
)
from ctmupgrade.core.modes import StrategyName

MAX_NODES = 20  # vendor page "Clusters and Nodes"


class Strict(BaseModel):
    """Keys and values, none of them unknown."""

    model_config = ConfigDict(extra="forbid")


class JumpKeys(Strict):
    """The jump hosts on the way to a node; what is not here is as the SSH configuration says."""

    user: User | None = None
    port: Port | None = None
    identity_file: Text | None = None
    passphrase_env: Variable | None = None
    known_hosts: Text | None = None


class SshKeys(Strict):
    """``ssh``, of all nodes or of one."""

    user: User | None = None
    port: Port | None = None
    identity_file: Text | None = None
    passphrase_env: Variable | None = None
    known_hosts: Text | None = None
    proxy_jump: Jumps | None = None
    jump: JumpKeys | None = None
    config: Text | None = None


class KsctlKeys(Strict):
    """``ksctl``, of all nodes or of one."""

    command: Command | None = None
    through_ssh: Flag | None = None
    username: Text | None = None
    auth_domain: Text | None = None
    domain: Text | None = None
    password_env: Variable | None = None
    password_file: Text | None = None
    password_command: Command | None = None
    nosslverify: Flag | None = None
    timeout: Seconds | None = None


class TargetKeys(Strict):
    """``target``: what the cluster shall become."""

    archive: Text
    version: AnyVersion | None = None
    signer: Fingerprint
    keyring: Text | None = None


class BackupKeys(Strict):
    """``backup``: where backups go, and how old one may be."""

    directory: Text = "./backups"
    key_password_env: Variable | None = None
    max_age: Duration = timedelta(hours=24)
    proven_within: Duration = timedelta(days=90)


class WindowKeys(Strict):
    """``window``: no node is started outside of it."""

    start: Moment | None = None
    finish_by: Moment | None = None


class TimeoutKeys(Strict):
    """``timeouts``: how long each kind of wait may last."""

    upload: Duration | None = None
    upgrade: Duration | None = None
    reboot: Duration | None = None
    service: Duration | None = None
    join: Duration | None = None
    backup: Duration | None = None
    stuck: Duration | None = None


class SkipKeys(Strict):
    """An entry of ``checks.skip``: a check that is waived, why, and up to when."""

    check: Text
    reason: Text
    until: Until


Argv = Annotated[list[Text], Field(min_length=1, max_length=100)]
Names = Annotated[list[Variable], Field(max_length=50)]


class Place(StrEnum):
    """Where a check of the operator's runs."""

    HERE = "here"
    NODE = "node"


class When(StrEnum):
    """When a check of the operator's runs."""

    CHECK = "check"
    AFTER_NODE = "after_node"


class OwnKeys(Strict):
    """An entry of ``checks.own``: a program that exits 0 where all is well."""

    name: Name
    run: Argv
    on: Place = Place.HERE
    when: Annotated[list[When], Field(min_length=1, max_length=2)] = [When.CHECK]
    timeout: Duration = timedelta(minutes=1)
    environment: Names = []


class ChecksKeys(Strict):
    """``checks``: those that are waived, and the operator's own."""

    skip: Annotated[list[SkipKeys], Field(max_length=100)] = []
    own: Annotated[list[OwnKeys], Field(max_length=100)] = []


class HooksKeys(Strict):
    """``hooks``: programs around a run and around each node, each a list of words."""

    before_run: Argv | None = None
    before_node: Argv | None = None
    after_node: Argv | None = None
    after_run: Argv | None = None
    timeout: Duration = timedelta(minutes=10)
    environment: Names = []


class ContactKeys(Strict):
    """An entry of ``contacts``, for the runbook."""

    name: Text
    role: Text | None = None
    phone: Text | None = None
    mail: Text | None = None


class Format(StrEnum):
    """The forms in which a webhook takes a message."""

    SLACK = "slack"
    TEAMS = "teams"
    JSON = "json"


class WebhookKeys(Strict):
    """``webhook``: a URL that is told of a run."""

    url_env: Variable
    format: Format = Format.JSON
    ca_file: Text | None = None


class MailKeys(Strict):
    """``mail``: mailboxes that are told of a run."""

    to: Annotated[list[Mailbox], Field(min_length=1, max_length=50)]
    sender: Mailbox = Field(alias="from")
    smtp: Server
    user: User | None = None
    password_env: Variable | None = None
    ca_file: Text | None = None


class SyslogKeys(Strict):
    """``syslog``: a system log that is told of a run."""

    address: LogAddress
    ca_file: Text | None = None


class NotifyKeys(Strict):
    """An entry of ``notify``: one receiver, of one of these kinds."""

    webhook: WebhookKeys | None = None
    mail: MailKeys | None = None
    syslog: SyslogKeys | None = None


class NodeKeys(SshKeys):
    """A node; the keys of ``ssh`` may be given here directly or under ``ssh:``."""

    name: Name
    host: Host
    url: Url | None = None
    cluster_host: HostAmongNodes | None = None
    host_key: HostKey | None = None
    ssh: SshKeys = SshKeys()
    ksctl: KsctlKeys = KsctlKeys()


class FileKeys(Strict):
    """The whole file."""

    cluster: Name
    strategy: StrategyName = StrategyName.IN_PLACE
    target: TargetKeys
    ssh: SshKeys = SshKeys()
    ksctl: KsctlKeys = KsctlKeys()
    backup: BackupKeys = BackupKeys()
    window: WindowKeys = WindowKeys()
    timeouts: TimeoutKeys = TimeoutKeys()
    poll: Duration = timedelta(seconds=5)
    stable_for: DurationOrNone = timedelta(seconds=60)
    checks: ChecksKeys = ChecksKeys()
    hooks: HooksKeys = HooksKeys()
    notify: Annotated[list[NotifyKeys], Field(max_length=20)] = []
    metrics: Text | None = None
    contacts: Annotated[list[ContactKeys], Field(max_length=100)] = []
    nodes: Annotated[list[NodeKeys], Field(min_length=1, max_length=MAX_NODES)]


MODELS: Mapping[str, type[BaseModel]] = {
    "": FileKeys, "ssh": SshKeys, "jump": JumpKeys, "ksctl": KsctlKeys, "target": TargetKeys, "backup": BackupKeys, "window": WindowKeys,
    "timeouts": TimeoutKeys, "nodes": NodeKeys, "checks": ChecksKeys, "skip": SkipKeys, "own": OwnKeys, "hooks": HooksKeys, "contacts": ContactKeys,
    "notify": NotifyKeys, "webhook": WebhookKeys, "mail": MailKeys, "syslog": SyslogKeys,
}  # fmt: skip

# Keys that say where a secret is. What is found there is not shown: it may be the secret itself.
PRIVATE = frozenset(
    {"passphrase_env", "password_env", "password_file", "password_command", "key_password_env", "url_env"}
)
