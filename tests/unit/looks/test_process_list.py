"""Whether ks_upgrade.sh runs: what is no process list tells nothing of it."""

from __future__ import annotations

import pytest

from ctmupgrade.adapters.transcripts import worth_keeping
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.excerpt import NotUnderstoodError

ARGS, FULL, _AUX, _PGREP, PROC = shell_probes.PROCESSES.ways
SCRIPT = "/bin/bash /opt/keysecure/ks_upgrade.sh -f a.tar.gz.gpg"
LISTS = {
    "procps": "COMMAND\n/sbin/init splash\n-bash\n",
    "a limited view": "COMMAND\n-bash\nps -eo args\n",
    "a limited view, a line each": "UID PID PPID C STIME TTY TIME CMD\nksadmin 812 1 0 10:00 ? 00:00:00 ps -ef\n",
    "busybox": "PID   USER     TIME  COMMAND\n    1 root      0:00 init\n",
    "behind a greeting": "Welcome to CipherTrust Manager\n\nCOMMAND\n/sbin/init\n",
    "no header": "/usr/lib/systemd/systemd --switched-root\0--system\n-bash\n",
    "of /proc": "sshd: ksadmin\0\nsh\0-c\0for p in /proc/[0-9]*; do cat $p/cmdline; echo; done\n",
    "of /proc by another shell": "-bash\n/bin/dash\0-c\0for p in /proc/[0-9]*; do cat $p/cmdline; echo; done\0\n",
}
NO_LISTS = {
    "an error": "ps: cannot be run here\nask your administrator\n",
    "usage": "BusyBox v1.36 multi-call binary.\n\nUsage: ps [-o COL1,COL2=HEADER]\n\nShow list of processes\n",
    "a greeting": "Welcome to CipherTrust Manager\nAll is logged\n",
    "a header alone": "COMMAND\n",
    "usage of a shell": "Usage: kscfg [OPTIONS] COMMAND\nTry kscfg --help\n",
    "a refusal that repeats it": "*** forbidden command: ps -eo args\n*** You have 1 warning(s) left\n",
    "a help text": "jailshell: ps -ef is not one of the allowed commands:\nls cat df log kscfg\n",
    "its first words": "ps aux: not allowed\nThis is logged\n",
    "a refusal of the loop": "*** forbidden: sh -c for p in /proc/[0-9]*; do cat $p/cmdline; echo; done\n***\n",
    "a refusal of the loop's start": "sh -c for p in /proc/[0-9]*; do: forbidden\nThis is logged\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_process_list_tells_that_none_runs(text: str) -> None:
    assert ARGS.parse(0, text, "") == PROC.parse(0, text, "") == ()


@pytest.mark.parametrize("text", NO_LISTS.values(), ids=NO_LISTS)
def test_what_is_no_process_list_tells_nothing(text: str) -> None:
    """Any two lines were taken for a list without a script: the node was rebooted, or a second one started."""
    for way in (ARGS, FULL, PROC):
        with pytest.raises(NotUnderstoodError):
            way.parse(0, text, "")
    with pytest.raises(NotUnderstoodError):
        FULL.parse(0, worth_keeping(FULL.argv, text), "")


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_of_a_program_that_failed_may_lack_lines(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        ARGS.parse(1, text, "ps: error while reading\n")


@pytest.mark.parametrize("code", [0, 1])
def test_a_script_that_is_listed_runs(code: int) -> None:
    assert ARGS.parse(code, f"{SCRIPT}\n", "") == (SCRIPT,)
