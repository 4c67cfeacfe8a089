"""``python -m ctmupgrade`` and the installed program."""

from __future__ import annotations

import sys


def main() -> int:
    """Return the program. ``--version`` alone is answered without loading anything else: schedulers ask often."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        from ctmupgrade import __version__

        return _print(f"ctmupgrade {__version__}\n")
    if sys.argv[1:] == ["--licenses"] and sys.stdout is not None:
        return _print(_licences())
    if first == "--complete":
        from ctmupgrade.cli.completion import main as complete

        return complete(sys.argv[2:])
    if first in (
        "--hold-terminal",
        "--on-terminal",
        "--remove-after-us",
    ):  # own_program.HELPERS, without loading it
        return _help(first, sys.argv[2:])
    try:
        from ctmupgrade.cli.app import main as cli_main
    except KeyboardInterrupt:  # on a busy machine this takes seconds; nothing has begun
        return 130

    return cli_main()


def _help(word: str, words: list[str]) -> int:
    """Be a helper of another process of this program; each loads itself alone."""
    from ctmupgrade.adapters import own_program

    if own_program.was_typed():
        sys.stderr.write(f"ctmupgrade: {word} is no option: ctmupgrade starts it itself\n")
        return 2
    if word == own_program.HOLD_TERMINAL:
        from ctmupgrade.adapters.local.terminal_holder import hold

        return hold(words[0], words[1:])
    if word == own_program.ON_TERMINAL:
        from ctmupgrade.adapters.local.on_terminal import become

        return become(words)
    from ctmupgrade.adapters.disk.remover import remover

    return remover()


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
