"""Who is told of a run, of ``notify`` and ``metrics`` in cluster.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ctmupgrade.config.schema import FileKeys, MailKeys, NotifyKeys, SyslogKeys, WebhookKeys
from ctmupgrade.config.source import Place, Source
from ctmupgrade.core.receivers import Mail, Receiver, Syslog, Webhook

_COLLECTED = ".prom"  # node_exporter's textfile collector reads no other
Find = Callable[[Place, str], Path]


def receivers_of(file: FileKeys, source: Source, file_of: Find) -> tuple[Receiver, ...]:
    """Return who is told; complain of an entry that is none or more than one.

    :param file_of: makes the path of a file that must be there, and complains where it is not.
    """
    return tuple(
        found
        for index, one in enumerate(file.notify)
        for found in _receiver(one, source, ("notify", index), file_of)
    )


def _receiver(raw: NotifyKeys, source: Source, at: Place, file_of: Find) -> Iterator[Receiver]:
    kinds = [name for name in NotifyKeys.model_fields if getattr(raw, name) is not None]
    if len(kinds) != 1:
        several = f"; found {' and '.join(kinds)}, which are entries of their own" if kinds else ""
        source.complain(at, f"one of {', '.join(NotifyKeys.model_fields)} is expected{several}")
        return
    where: Place = (*at, kinds[0])
    keys: WebhookKeys | MailKeys | SyslogKeys = getattr(raw, kinds[0])
    ca_file = file_of((*where, "ca_file"), keys.ca_file) if keys.ca_file else None
    match keys:
        case WebhookKeys():
            yield Webhook(keys.url_env, keys.format.value, ca_file)
        case MailKeys():
            host, port = keys.smtp
            if (keys.user is None) != (keys.password_env is None):
                has, lacks = ("user", "password_env") if keys.user else ("password_env", "user")
                source.complain((*where, has), f"is given without {lacks}; both or none are expected")
            yield Mail(
                tuple(keys.to), keys.sender, host, port, keys.user or "", keys.password_env or "", ca_file
            )
        case SyslogKeys():
            transport, host, port = keys.address
            if ca_file and transport != "tls":
                source.complain((*where, "ca_file"), f"is for tls://; {transport}:// proves nobody")
            yield Syslog(transport, host, port, ca_file)  # type: ignore[arg-type]  # one of three, by its type


def metrics_of(file: FileKeys, source: Source, path_of: Find) -> Path | None:
    """Return the file for a collector of numbers; complain of one that none would read.

    :param path_of: makes the path of a file that need not be there.
    """
    if file.metrics is None:
        return None
    found = path_of(("metrics",), file.metrics)
    if found.suffix != _COLLECTED:
        source.complain(
            ("metrics",), f"a file that ends in {_COLLECTED} is expected: node_exporter reads no other"
        )
    return found
