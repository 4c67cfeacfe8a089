"""The options that every command takes, before or after its name, and the one error funnel."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ctmupgrade.core.model import StrategyName
from ctmupgrade.errors import CtmUpgradeError, ExitCode

F = TypeVar("F", bound=Callable[..., object])


class Format(StrEnum):
    """How results are shown; auto is rich on a terminal and plain elsewhere."""

    AUTO = "auto"
    RICH = "rich"
    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Common:
    """The common options as given; None and False are "not given"."""

    cluster: Path | None = None
    state_dir: Path | None = None
    format: Format | None = None
    strategy: StrategyName | None = None
    yes: bool = False
    dry_run: bool = False
    simulate: Path | None = None
    verbose: bool = False

    def over(self, outer: Common) -> Common:
        """These options, with what was given before the command's name where they are silent."""
        return Common(
            self.cluster or outer.cluster,
            self.state_dir or outer.state_dir,
            self.format or outer.format,
            self.strategy or outer.strategy,
            self.yes or outer.yes,
            self.dry_run or outer.dry_run,
            self.simulate or outer.simulate,
            self.verbose or outer.verbose,
        )

    @property
    def shown(self) -> Format:
        """The format to use."""
        if self.format not in (None, Format.AUTO):
            return self.format or Format.PLAIN
        return Format.RICH if sys.stdout.isatty() else Format.PLAIN


_OPTIONS: dict[str, Any] = {
    "cluster": Annotated[
        Path | None, typer.Option("-c", "--cluster", metavar="FILE", help="cluster.yaml [env CTMUPGRADE_CLUSTER]")
    ],
    "state_dir": Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="where journals live [env CTMUPGRADE_STATE_DIR]")
    ],
    "format": Annotated[Format | None, typer.Option("--format", help="auto: rich on a terminal, plain elsewhere")],
    "strategy": Annotated[StrategyName | None, typer.Option("--strategy", help="instead of cluster.yaml's")],
    "yes": Annotated[bool, typer.Option("--yes", help="answer the question before changes with yes")],
    "dry_run": Annotated[bool, typer.Option("--dry-run", help="look and plan, change nothing; wins over all")],
    "simulate": Annotated[
        Path | None, typer.Option("--simulate", metavar="DIR", help="a fixture's cluster in virtual time, no network")
    ],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="say more")],
}
_DEFAULTS: dict[str, object] = {name: None for name in _OPTIONS} | {"yes": False, "dry_run": False, "verbose": False}


def with_common(function: F) -> F:
    """Adds the common options to a command, which gets them as one :class:`Common`, its first argument."""
    own = inspect.signature(function, eval_str=True)
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=kind)
        for name, kind in _OPTIONS.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    mine = [p for p in own.parameters.values() if p.name != "common"]

    @functools.wraps(function)
    def wrapper(context: typer.Context, *args: object, **kwargs: Any) -> object:
        given = Common(**{name: kwargs.pop(name) for name in _OPTIONS})
        outer = context.obj if isinstance(context.obj, Common) else Common()
        return function(given.over(outer), *args, **kwargs)

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in mine]
    wrapper.__signature__ = inspect.Signature([context, *keyword, *extra])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [context, *keyword, *extra]}
    return wrapper  # type: ignore[return-value]


def default_paths(common: Common) -> Common:
    """Fills in what the environment says."""
    cluster = common.cluster or Path(os.environ.get("CTMUPGRADE_CLUSTER") or "cluster.yaml")
    state = common.state_dir
    if state is None and os.environ.get("CTMUPGRADE_STATE_DIR"):
        state = Path(os.environ["CTMUPGRADE_STATE_DIR"])
    return replace(common, cluster=cluster, state_dir=state)


def complain(error: CtmUpgradeError) -> None:
    """An error as a person reads it: what, details, what to do."""
    out = [f"ctmupgrade: {error.brief}"]
    out += [f"  {line}" for line in error.details.splitlines()]
    if error.remedy:
        out += [f"  -> {line}" for line in error.remedy.splitlines()]
    sys.stderr.write("\n".join(out) + "\n")


def bug(error: BaseException) -> int:
    """A bug leaves a log file with the traceback (no locals: they may hold secrets) and says where."""
    handle, name = tempfile.mkstemp(prefix="ctmupgrade-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    sys.stderr.write(
        f"ctmupgrade: a bug: {type(error).__name__}. Nothing on the appliances was stopped.\n"
        f"  its traceback: {name}\n  -> ctmupgrade status; ctmupgrade resume goes on from the journal\n"
    )
    return ExitCode.BUG


def _is_usage(error: Exception) -> bool:
    """Whether it comes from the command line parser. Its base class has lived in two packages."""
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)


def funnel(app: typer.Typer) -> int:
    """Runs the program; every way of ending becomes an exit code here and nowhere else."""
    try:
        result = app(standalone_mode=False)
        return int(result) if isinstance(result, int) else 0
    except CtmUpgradeError as error:
        complain(error)
        return int(error.exit_code)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("ctmupgrade: interrupted; nothing was being changed\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None
        return ExitCode.DONE
    except Exception as error:
        if _is_usage(error):
            text = error.format_message() if hasattr(error, "format_message") else str(error)
            sys.stderr.write(f"ctmupgrade: {text}\n  -> ctmupgrade --help\n")
            return ExitCode.USAGE
        return bug(error)
