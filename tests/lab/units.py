"""The systemd units of a node: a small target of its own, and everything masked that it does not need."""

from __future__ import annotations

from typing import Protocol

TARGET = "lab.target"
# Without these 20 nodes fit into the default number of inotify instances, and a boot takes a second.
_MASKED = (
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-logind.service", "getty.target",
    "console-getty.service", "systemd-udevd.service", "systemd-udevd-kernel.socket", "systemd-udevd-control.socket",
    "systemd-udev-trigger.service", "systemd-hwdb-update.service", "systemd-modules-load.service",
    "systemd-sysctl.service", "systemd-random-seed.service", "systemd-binfmt.service", "systemd-firstboot.service",
    "systemd-machine-id-commit.service", "systemd-sysusers.service", "systemd-repart.service",
    "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-journal-flush.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-update-done.service",
    "systemd-networkd.service", "systemd-networkd.socket", "systemd-resolved.service", "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer", "systemd-initctl.socket", "systemd-journald-audit.socket", "ldconfig.service",
    "kmod-static-nodes.service", "keyboard-setup.service", "console-setup.service", "apparmor.service",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "proc-sys-fs-binfmt_misc.automount", "tmp.mount",
    "cryptsetup.target", "integritysetup.target", "veritysetup.target", "systemd-remount-fs.service",
)  # fmt: skip
_TARGET_UNIT = """\
[Unit]
Description=Lab node
Requires=sysinit.target
Wants=ssh.service keysecure.service systemd-user-sessions.service dbus.socket
After=sysinit.target
"""
_SSH = """\
[Unit]
Description=OpenBSD Secure Shell server
[Service]
ExecStart=/usr/sbin/sshd -D
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
"""
_KEYSECURE = """\
[Unit]
Description=KeySecure Services
[Service]
WorkingDirectory=/opt/keysecure/lib
ExecStart={python} -ESs -m standin.keysecured
Restart=on-failure
RestartSec=1
TimeoutStopSec=2
"""


class Writer(Protocol):
    """What of a layer is used here."""

    def file(self, path: str, content: str) -> None: ...
    def link(self, path: str, target: str) -> None: ...


def write(layer: Writer, python: str) -> None:
    """Writes the units; ``etc/systemd/system`` is empty before."""
    where = "etc/systemd/system"
    for name in _MASKED:
        layer.link(f"{where}/{name}", "/dev/null")
    layer.file(f"{where}/{TARGET}", _TARGET_UNIT)
    layer.file(f"{where}/ssh.service", _SSH)
    layer.file(f"{where}/keysecure.service", _KEYSECURE.format(python=python))
    layer.file("etc/systemd/system.conf", "[Manager]\nDefaultTimeoutStopSec=3\nStatusUnitFormat=name\n")
    layer.file("etc/systemd/journald.conf", "[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\n")
