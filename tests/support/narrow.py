"""Runs a program where little is allowed: everything read-only but some folders, no folder that allows programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USER = 1500  # has no entry in /etc/passwd
# Whatever is left in the usual places for files of a moment is told after the program's end, however that came.
_SCRIPT = """
inner=$PATH PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
mount -t tmpfs -o size={size},mode=755 kept /mnt
n=0
for one in {writable}; do
  n=$((n + 1)); mkdir /mnt/$n; mount --bind "$one" /mnt/$n
done
for one in {runnable}; do
  n=$((n + 1)); mkdir /mnt/$n; mount --bind "$one" /mnt/$n
done
mount -o remount,bind,ro /
for one in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o size={tmp},noexec,mode=1777 narrow $one; done
n={count}
for one in {runnable}; do
  n=$((n + 1)); mkdir -p "$one"; mount --bind /mnt/$n "$one"; mount -o remount,bind,ro "$one"
done
n=0
for one in {writable}; do
  n=$((n + 1)); mkdir -p "$one"; mount --bind /mnt/$n "$one"; mount -o remount,bind,noexec "$one"
done
{more}
{umask}
cd {cwd}
PATH=$inner /usr/bin/setpriv --reuid {user} --regid {user} --clear-groups "$@" &
child=$!
{meanwhile}
wait $child
code=$?
left() {{ cd /; find tmp var/tmp dev/shm -mindepth 1 -xdev \\( ! -type d -o -name "ctmupgrade*" \\); }}
for n in 1 2 3 4 5 6 7 8 9; do  # who was killed is cleaned up after by a helper
  [ -n "$(left)" ] || break
  sleep 0.$n
done
echo "left: $(left)" >&2
exit $code
"""


@dataclass
class Place:
    """Where a program runs.

    :ivar writable: folders that it may write to, but run nothing from; the rest is read-only, /tmp is a noexec tmpfs of
        ``tmp``. :ivar runnable: folders below /tmp that are seen, read-only, and from which programs run.
    :ivar more: shell commands as root before the start. :ivar meanwhile: and while it runs, as ``$child``.
    """

    writable: Sequence[Path]
    runnable: Sequence[Path] = ()
    tmp: str = "8m"
    size: str = "64m"
    umask: str = "022"
    more: str = ""
    meanwhile: str = ""
    user: int = USER
    cwd: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, *argv: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a terminal and in a session of its own."""
        below_tmp = [ROOT] if ROOT.is_relative_to("/tmp") else []
        runnable = [*self.runnable, *below_tmp]
        script = _SCRIPT.format(
            size=self.size, tmp=self.tmp, more=self.more, meanwhile=self.meanwhile, user=self.user,
            umask=f"umask {self.umask}", cwd=shlex.quote(str(self.cwd)),
            count=len(self.writable), runnable=" ".join(shlex.quote(str(one)) for one in runnable),
            writable=" ".join(shlex.quote(str(one)) for one in self.writable),
        )  # fmt: skip
        for one in self.writable:
            for part in (one, *one.rglob("*")):
                os.chown(part, self.user, self.user, follow_symlinks=False)
        # The environment is not put into words: passwords may be in it, and others read command lines.
        return subprocess.run(
            ["/usr/bin/unshare", "--mount", "/usr/bin/setsid", "--wait", "/bin/sh", "-c", script, "sh", *map(str, argv)],
            env={"PATH": "/nonexistent", **self.environ}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
            check=False, encoding="utf-8",
        )  # fmt: skip


def left(done: subprocess.CompletedProcess[str]) -> str:
    """What was left in /tmp, /var/tmp and /dev/shm."""
    return done.stderr.rpartition("left: ")[2].strip()
