"""``python -m ctmupgrade`` and the installed program."""

from __future__ import annotations

import sys


def main() -> int:
    """The program. ``--version`` alone is answered without loading anything else: schedulers ask often."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        from ctmupgrade import __version__

        try:
            sys.stdout.write(f"ctmupgrade {__version__}\n")
            sys.stdout.flush()
        except OSError as error:
            sys.stdout = None  # else the interpreter tries it again at its end
            sys.stderr.write(f"ctmupgrade: standard output cannot be written to: {error.strerror}\n")
            return 2
        return 0
    if sys.argv[1:] and sys.argv[1] in ("--hold-terminal", "--on-terminal"):  # HELPERS, without loading them
        from ctmupgrade.adapters.local.own_program import run_helper

        return run_helper(sys.argv[1], sys.argv[2:])
    from ctmupgrade.cli.app import main as cli_main

    return cli_main()


if __name__ == "__main__":
    sys.exit(main())
