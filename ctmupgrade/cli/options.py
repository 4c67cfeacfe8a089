"""The options that every command takes, before or after its name, and values as they are typed."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ctmupgrade.cli.funnel import LeftError, ParserMustNotSeeError
from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.place import placed
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.errors import CtmUpgradeError, Interrupted, UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.model import Options


PLANNING, REBUILD, COMMON = "Plan", "Only for a rebuild", "Common options"

_COMMON: dict[str, Any] = {
    "cluster": Annotated[
        Path | None,
        typer.Option(
            "-c", "--cluster", metavar="FILE", help="read this cluster.yaml (env CTMUPGRADE_CLUSTER)"
        ),
    ],
    "state_dir": Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="keep journals here (env CTMUPGRADE_STATE_DIR)"),
    ],
    "format": Annotated[
        Format | None, typer.Option("--format", help="auto: rich on a terminal, plain elsewhere")
    ],
    "strategy": Annotated[StrategyName | None, typer.Option("--strategy", help="use it, not cluster.yaml's")],
    "yes": Annotated[bool, typer.Option("--yes", help="answer the question before changes with yes")],
    "dry_run": Annotated[
        bool, typer.Option("--dry-run", help="check and plan, change nothing; wins over all")
    ],
    "simulate": Annotated[
        Path | None,
        typer.Option("--simulate", metavar="DIR", help="use a fixture's cluster in virtual time, no network"),
    ],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="say more")],
}
_PLANNING: dict[str, Any] = {
    "skip": Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="ID=REASON", help="waive a check, with the reason (repeatable)"),
    ],
    "order": Annotated[
        str, typer.Option("--order", metavar="A,B,C", help="upgrade in this order, not cluster.yaml's")
    ],
    "nodes": Annotated[
        str, typer.Option("--nodes", metavar="A,B", help="upgrade only these; says what is left behind")
    ],
    "parallel": Annotated[
        int, typer.Option("--parallel", metavar="N", min=0, help="work on at most N nodes at once (0: all)")
    ],
    "allow_downgrade": Annotated[
        bool, typer.Option("--allow-downgrade", help="standalone only: allow an older target")
    ],
    "force_path": Annotated[
        bool, typer.Option("--force-path", help="pass -o to ks_upgrade.sh, on its documented path only")
    ],
    "accept_attended_boot": Annotated[
        bool,
        typer.Option("--accept-attended-boot", help="accept that a person types the passphrase at each boot"),
    ],
    "survivor": Annotated[
        str, typer.Option("--survivor", metavar="NODE", help="rebuild: keep the data on this node")
    ],
    "keep_copies": Annotated[
        int,
        typer.Option("--keep-copies", metavar="N", min=1, help="rebuild: keep the data on at least N nodes"),
    ],
    "reset_before_join": Annotated[
        bool, typer.Option("--reset-before-join", help="rebuild: reset each node before it joins")
    ],
    "hold_back": Annotated[
        str,
        typer.Option(
            "--hold-back", metavar="NODE", help="rebuild: keep this node apart, as a copy of the old data"
        ),
    ],
    "fresh": Annotated[
        list[str] | None,
        typer.Option(
            "--fresh", metavar="NAME=HOST", help="rebuild: join a new instance in its place (repeatable)"
        ),
    ],
    "shared_hsm_partition": Annotated[
        bool, typer.Option("--shared-hsm-partition", help="rebuild: say that all nodes use one HSM partition")
    ],
}


def _in_panel(options: dict[str, Any], panel: str) -> None:
    """Shows options in a panel of their own, behind those that are the command's own."""
    for annotated in options.values():
        annotated.__metadata__[0].rich_help_panel = panel


_REBUILD = ("survivor", "keep_copies", "reset_before_join", "hold_back", "fresh", "shared_hsm_partition")
_in_panel({n: kind for n, kind in _PLANNING.items() if n not in _REBUILD}, PLANNING)
_in_panel({n: kind for n, kind in _PLANNING.items() if n in _REBUILD}, REBUILD)
_in_panel(_COMMON, COMMON)
_DEFAULTS: dict[str, object] = {
    "yes": False, "dry_run": False, "verbose": False, "order": "", "nodes": "", "parallel": 0,
    "allow_downgrade": False, "force_path": False, "accept_attended_boot": False, "survivor": "", "keep_copies": 1,
    "reset_before_join": False, "hold_back": "", "shared_hsm_partition": False,
}  # fmt: skip


def no_empty_values(words: Sequence[str]) -> None:
    """Refuse an option whose value is empty: most often it is a shell variable that was not set. It must not count as "not
    given": ``--nodes "$LIST"`` would mean all of them.

    :raises UsageError: there is one.
    """
    for before, word in zip(("", *words), words, strict=False):
        name, sign, value = word.partition("=")
        glued = name.startswith("--") and sign and not value.strip()
        if glued or (before.startswith("-") and "=" not in before and not word.strip()):
            option = name if glued else before
            remedy = f"set the shell variable that it comes from, or leave {option} out"
            if option == "--reason":
                raise UsageError("--reason needs a text", remedy="--reason 'ticket 4711'")
            if option == "--simulate":
                remedy = "name a fixture folder: it holds cluster.yaml and world.yaml"
            raise UsageError(f"{option}: the value is empty", remedy=remedy)


def split(text: str, option: str = "") -> tuple[str, ...]:
    """Return a list of names as typed: ``A,B``. :raises UsageError: given, and no name is in it."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if text and not names:
        raise UsageError(f"{option} {text}: there is no name", remedy=f"{option} A,B, or leave it out")
    return names


def rate_of(text: str) -> int:
    """Return ``20M`` as bytes; "" is 0. :raises UsageError: not a rate."""
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = (text[:-1], text[-1].upper()) if text and not text[-1].isdigit() else (text, "")
    if text and (not number.isdigit() or unit not in units or int(number) == 0):
        raise UsageError(f"--limit-rate {text}: a number of bytes a second is expected, like 20M or 500K")
    return int(number) * units[unit] if text else 0


def skips(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Return ``ID=REASON`` pairs. :raises UsageError: one without a reason."""
    pairs = []
    for text in given or []:
        name, sign, reason = text.partition("=")
        if not sign or not reason.strip():
            raise UsageError(
                f"--skip {text}: ID=REASON is expected", remedy=f"--skip {name}='why it is safe'"
            )
        pairs.append((name.strip(), reason.strip()))
    return tuple(pairs)


def fresh(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Return ``NAME=HOST`` pairs. :raises UsageError: of another form."""
    pairs = []
    for text in given or []:
        name, sign, host = (part.strip() for part in text.partition("="))
        if not sign or not name or not host or any(c in host for c in "/ @"):
            raise UsageError(f"--fresh {text}: NAME=HOST is expected", remedy="--fresh ctm-2=10.0.0.22")
        pairs.append((name, host[1:-1] if host.startswith("[") and host.endswith("]") else host))
    return tuple(pairs)


def _options(given: dict[str, Any]) -> Options:
    from ctmupgrade.core.model import Options

    return Options(
        order=split(given.pop("order"), "--order"),
        nodes=split(given.pop("nodes"), "--nodes"),
        skips=skips(given.pop("skip")),
        fresh=fresh(given.pop("fresh")),
        **given,
    )


def _we_read_files(annotations: Iterable[Any]) -> None:
    """Leave it to us to say that a file cannot be read: we know what it is for, and what to do about it."""
    for info in (info for kind in annotations for info in getattr(kind, "__metadata__", ())):
        if hasattr(info, "readable"):
            info.readable = False


def with_common(function: Callable[..., object]) -> Callable[..., object]:
    """Add the common options to a command, which gets them as one :class:`Common`, its first argument.
    A command with an argument ``options`` gets those of planning too, as one :class:`Options`."""
    own = inspect.signature(function).parameters.values()
    # Options is loaded by commands that run, not by those that show their help.
    hints = get_type_hints(function, localns={"Options": object}, include_extras=True)
    planning = "options" in hints
    _we_read_files((*hints.values(), *_COMMON.values()))
    injected = {**_COMMON, **(_PLANNING if planning else {})}
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(name), annotation=kind)
        for name, kind in injected.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    mine = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name])
        for p in own
        if p.name not in ("common", "options")
    ]

    @functools.wraps(function)
    def wrapper(context: typer.Context, **kwargs: Any) -> object:
        given = Common(**{name: kwargs.pop(name) for name in _COMMON})
        outer = context.obj if isinstance(context.obj, Common) else Common()
        if (
            context.invoked_subcommand is not None
        ):  # the group's own call: what stands before the command's name
            context.obj = given
        if planning:
            kwargs["options"] = _options({name: kwargs.pop(name) for name in _PLANNING})
        common = default_paths(given.over(outer))
        try:
            return function(common, **kwargs)
        except CtmUpgradeError as error:  # what it advises works as it is printed
            error.details, error.remedy = placed(error.details, common), placed(error.remedy, common)
            raise
        except KeyboardInterrupt as leave:  # the parser would make a bare 130 of it, without its words
            said = leave if isinstance(leave, Interrupted) else Interrupted()
            raise LeftError(placed(said.brief, common), placed(said.remedy, common)) from None
        except (OSError, EOFError, SystemExit) as error:
            raise ParserMustNotSeeError(error) from error

    wrapper.__signature__ = inspect.Signature([context, *mine, *extra])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [context, *mine, *extra]}
    return wrapper


def default_paths(common: Common) -> Common:
    """Fill in what the environment says."""
    cluster = common.cluster or Path(os.environ.get("CTMUPGRADE_CLUSTER") or "cluster.yaml")
    state = common.state_dir
    if state is None and os.environ.get("CTMUPGRADE_STATE_DIR"):
        state = Path(os.environ["CTMUPGRADE_STATE_DIR"])
    return replace(common, cluster=cluster, state_dir=state)


OutFile = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="write to FILE, not to the terminal")
]


Rate = Annotated[
    str,
    typer.Option("--limit-rate", metavar="RATE", help="limit all uploads together, in bytes a second: 20M"),
]


NodeRate = Annotated[
    str, typer.Option("--limit-rate-per-node", metavar="RATE", help="limit each node's upload")
]


RunId = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="its id, the beginning of it, or latest; default: the latest that changes nodes"
    ),
]


AcceptPartial = Annotated[
    bool,
    typer.Option("--accept-partial", help="upgrade those nodes that fit into the maintenance window"),
]


Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault", metavar="NAME@STEP", help="with --simulate: let it go wrong there; `list` names the faults"
    ),
]


Pace = Annotated[
    str,
    typer.Option("--pace", metavar="60x", help="with --simulate: so many times faster than in real life"),
]


WaitForWindow = Annotated[
    bool, typer.Option("--wait-for-window", help="wait until the maintenance window begins")
]
