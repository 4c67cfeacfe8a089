"""Completion in bash, zsh and fish: the scripts that ask this program, and where each shell finds them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ctmupgrade.errors import UsageError

SHOW, INSTALL = "--show-completion", "--install-completion"
_BASH = r"""# bash completion of ctmupgrade
_ctmupgrade() {
    local program=${COMP_WORDS[0]/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]} lines
    [[ $current == = ]] && current=
    COMPREPLY=()
    lines=$("$program" --complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return 0
    case $lines in
        '') return 0 ;;
        :file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        :dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        *) mapfile -t COMPREPLY <<< "$lines" ;;
    esac
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _ctmupgrade ctmupgrade 2>/dev/null || complete -F _ctmupgrade ctmupgrade
"""
_ZSH = r"""#compdef ctmupgrade
# zsh completion of ctmupgrade
_ctmupgrade() {
    local program=${${(Q)words[1]}/#\~/$HOME}
    local -a lines
    lines=("${(@f)$("$program" --complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case $lines[1] in
        '') return 1 ;;
        :file) compset -P '--*='; _files ;;
        :dir) compset -P '--*='; _files -/ ;;
        *[:=]=*|*=) _describe 'ctmupgrade' lines -S '' ;;
        *) _describe 'ctmupgrade' lines ;;
    esac
}
if [[ $funcstack[1] == _ctmupgrade ]]; then
    _ctmupgrade "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _ctmupgrade ctmupgrade
fi
"""
_FISH = r"""# fish completion of ctmupgrade
function __ctmupgrade_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l lines ($program --complete fish $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case ':file'
            __fish_complete_path (string replace -r '^--[^=]*=' '' -- "$current")
        case ':dir'
            __fish_complete_directories (string replace -r '^--[^=]*=' '' -- "$current")
        case '*'
            printf '%s\n' $lines
    end
end
complete -c ctmupgrade -f -a '(__ctmupgrade_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def asked(words: Sequence[str]) -> bool:
    """Return whether the command line is about completion alone."""
    return bool(words) and words[0].partition("=")[0] in (SHOW, INSTALL)


def answer(words: Sequence[str]) -> int:
    """Print or install the script. :raises UsageError: no shell that it is for; or a file cannot be written."""
    option, sign, glued = words[0].partition("=")
    rest = [glued, *words[1:]] if sign else list(words[1:])
    if len(rest) > 1:
        raise UsageError(f"{option}: one shell is expected", remedy=f"ctmupgrade {option} bash")
    shell = rest[0] if rest else _callers()
    if shell not in SCRIPTS:
        raise UsageError(
            f"{option} {shell}: the shells are {', '.join(SCRIPTS)}"
            if shell
            else f"{option}: which shell is meant?",
            remedy=f"ctmupgrade {option} bash",
        )
    if option == SHOW:
        sys.stdout.write(SCRIPTS[shell])
        return 0
    for line in install(shell):
        sys.stdout.write(f"{line}\n")
    return 0


def _callers() -> str:
    """The shell that runs this program, else the user's; "" where neither is known."""
    try:
        name = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = ""
    return name if name in SCRIPTS else Path(os.environ.get("SHELL", "")).name


def install(shell: str) -> list[str]:
    """Write the script where the shell finds it; return what was done. Doing it again changes nothing more.

    :raises UsageError: a file cannot be written.
    """
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    place, start = {
        "bash": (data / "bash-completion" / "completions" / "ctmupgrade", home / ".bashrc"),
        "zsh": (
            data / "zsh" / "site-functions" / "_ctmupgrade",
            Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",
        ),
        "fish": (config / "fish" / "completions" / "ctmupgrade.fish", None),
    }[shell]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(SCRIPTS[shell], encoding="utf-8")
        said = [f"written: {place}", *(_sourced(start, place) if start else [])]
    except OSError as error:
        raise UsageError(
            f"{error.filename or place}: {error.strerror}",
            remedy=f"ctmupgrade {SHOW} {shell} > FILE, and source FILE",
        ) from None
    return [*said, f"it works in every {shell} that starts from now on"]


def _sourced(start: Path, place: Path) -> list[str]:
    """Let the shell's own file read the script, once."""
    line = f'[ -r "{place}" ] && . "{place}"  # completion of ctmupgrade'
    text = start.read_text(encoding="utf-8", errors="surrogateescape") if start.exists() else ""
    if line in text.splitlines():
        return []
    with start.open("a", encoding="utf-8") as file:
        file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
    return [f"added to {start}: a line that reads it"]
