"""What the ssh program here would do for a host: ``ssh -G``, with a time limit, instead of half-reading its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.process import StoppedError, started
from ctmupgrade.adapters.ssh.client_config import Asked, ClientConfig, client_config
from ctmupgrade.adapters.ssh.other_home import moved_config
from ctmupgrade.adapters.ssh.surroundings import home, home_of_ssh
from ctmupgrade.errors import UnreachableError, UsageError

LIMIT = 15.0  # seconds: `Match exec` runs programs, CanonicalizeHostname asks name servers
_MOST = 1 << 20  # bytes of an answer
_MANY = ("identityfile", "certificatefile")
_LATER = re.compile(r"could not resolve|temporary failure|name or service not known", re.I)


def ask_openssh(program: str, asked: Asked, config: Path | None, environ: Mapping[str, str]) -> ClientConfig:
    """Return what ``program`` would do for a host.

    :param config: the configuration to read instead of the user's and the system's; ``/dev/null``: none.
    :raises UsageError: the configuration is not understood; with the program's own words, file and line.
    :raises UnreachableError: no answer in time, or a name that cannot be resolved now.
    """
    with _config_file(config) as (file, names):
        argv = [program, "-G", *(("-F", str(file)) if file else ())]
        argv += [
            *(("-l", asked.user) if asked.user else ()),
            *(("-p", str(asked.port)) if asked.port else ()),
        ]
        code, out, err = _run([*argv, "--", asked.host], environ, asked.host)
    for copy, original in names.items():
        err = err.replace(copy, original)
    if code:
        _refuse(err.strip() or f"ssh -G ended with {code}", asked.host)
    return client_config(_values(out), asked, "the SSH configuration")


def _run(argv: list[str], environ: Mapping[str, str], host: str) -> tuple[int, str, str]:
    said = {"out": bytearray(), "err": bytearray()}
    try:
        with started(argv, environ=dict(environ) | {"LC_ALL": "C"}) as running:
            for name, piece in running.pieces(total=LIMIT):
                if len(said[name]) < _MOST:
                    said[name] += piece
            code = running.process.returncode
    except StoppedError:
        raise UnreachableError(
            f"the SSH configuration: ssh -G {host} gave no answer within {LIMIT:g} s",
            remedy="Find out what hangs: ssh -v -G HOST (a program of a Match exec, a name server?). "
            "ssh.config: none in cluster.yaml leaves the configuration unread.",
        ) from None
    except OSError as error:
        raise UsageError(f"{argv[0]} cannot be started: {error.strerror}", remedy="ssh -V") from error
    out, err = (bytes(text).decode("utf-8", "surrogateescape") for text in said.values())
    return code if code is not None else -1, out, err


def _refuse(said: str, host: str) -> None:
    lines = [line for line in said.splitlines() if "terminal will not be allocated" not in line]
    first = lines[0].strip() if lines else said
    kind = UnreachableError if _LATER.search(said) else UsageError
    raise kind(
        f"the SSH configuration for {host} is not understood: {first}",
        details="\n".join(lines[1:]),
        remedy=f"Correct it until this answers: ssh -G {host}\n"
        "Or set ssh.config: none in cluster.yaml, which leaves it unread.",
    )


def _values(out: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in out.split("\n"):
        keyword, blank, value = line.partition(" ")
        if blank and (keyword in _MANY or keyword not in found):
            found.setdefault(keyword.lower(), []).append(value)
    return found


@contextmanager
def _config_file(config: Path | None) -> Iterator[tuple[Path | None, dict[str, str]]]:
    """The file to name on the command line (None: the program's own), and what its copies are copies of."""
    ours, its = home(), home_of_ssh()
    if config or ours is None or ours == its:
        yield config, {}
        return
    # The ssh program never looks at $HOME, everything else here does: it is given the files of that home.
    with private_folder() as folder:
        yield moved_config(ours, folder)
