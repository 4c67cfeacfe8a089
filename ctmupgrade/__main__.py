"""``python -m ctmupgrade`` and the installed program."""

from __future__ import annotations

import sys


def main() -> int:
    """The program. ``--version`` alone is answered without loading anything else: schedulers ask often."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        from ctmupgrade import __version__

        return _print(f"ctmupgrade {__version__}\n")
    if sys.argv[1:] == ["--licenses"] and sys.stdout is not None:
        return _print(_licences())
    if first in ("--hold-terminal", "--on-terminal"):  # own_program.HELPERS, without loading it
        from ctmupgrade.adapters.local.own_program import run_helper

        return run_helper(first, sys.argv[2:])
    from ctmupgrade.cli.app import main as cli_main

    return cli_main()


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # else the interpreter tries it again at its end
        sys.stderr.write(f"ctmupgrade: standard output cannot be written to: {error.strerror}\n")
        return 2
    return 0


def _licences() -> str:
    """The licences of all that is in the one file; installed, each library has its own beside it."""
    import pkgutil

    try:
        return (pkgutil.get_data("ctmupgrade", "LICENSES") or b"").decode()
    except OSError:
        return (
            "ctmupgrade is under the MIT licence. The libraries' licences are in their *.dist-info folders.\n"
        )


if __name__ == "__main__":
    sys.exit(main())
