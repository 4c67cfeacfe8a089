"""``python -m ctmupgrade`` and the installed program."""

from __future__ import annotations

import sys


def main() -> int:
    """The program. ``--version`` alone is answered without loading anything else: schedulers ask often."""
    if sys.argv[1:] == ["--version"]:
        from ctmupgrade import __version__

        sys.stdout.write(f"ctmupgrade {__version__}\n")
        return 0
    from ctmupgrade.cli import main as cli_main

    return cli_main()


if __name__ == "__main__":
    sys.exit(main())
