"""This machine: what it must have, and running its programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PACKAGES = {
    "sshd": "openssh-server", "sudo": "sudo", "systemd-nspawn": "systemd-container", "nft": "nftables",
    "ip": "iproute2", "screen": "screen", "gpg": "gnupg", "gpgv": "gpgv", "ps": "procps", "unshare": "util-linux",
    "nsenter": "util-linux", "ssh-keygen": "openssh-client", "dbus-daemon": "dbus", "openssl": "openssl",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


class LabError(Exception):
    """The lab cannot do it; the text says why."""


def run(*argv: str | Path, stdin: str | None = None, check: bool = True, **more: object) -> str:
    """A program's output. :raises LabError: it failed, with its own words."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if check and done.returncode:
        raise LabError(
            f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return str(done.stdout)


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"


def missing() -> list[str]:
    """The packages that are not there."""
    return sorted({package for name, package in PACKAGES.items() if not shutil.which(name, path=_path())})


@cache
def available() -> tuple[bool, str]:
    """Whether a lab can run here, and why not."""
    if sys.platform != "linux":
        return False, "Linux is needed"
    if os.geteuid() != 0:
        return False, "root is needed"
    if lacking := missing():
        return False, f"packages are missing: {' '.join(lacking)} (scripts/lab up --install-packages)"
    if not cgroup_roots():
        return False, "no cgroup v2 hierarchy is mounted"
    try:
        run("unshare", "--mount", "--net", "true")
    except LabError as error:
        return False, f"namespaces cannot be made: {error}"
    return True, ""


def cgroup_roots() -> list[Path]:
    """The hierarchies that need a cgroup a node, version 2 first; [] where there is none."""
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.controllers").exists():
        return [base]
    if (base / "unified" / "cgroup.controllers").exists():
        return [base / "unified"] + [base / "systemd"] * (base / "systemd").is_dir()
    return []


def install_packages() -> list[str]:
    """Installs what is missing and starts none of it. Returns what was installed."""
    lacking = missing()
    if not lacking:
        return []
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:  # otherwise the package would leave a running sshd where there was none
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run("apt-get", "update", "-qq", env=environ)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *lacking, env=environ)
        if ours and "openssh-server" in lacking:  # nor one after the next boot
            run("systemctl", "disable", "ssh.service", "ssh.socket", check=False)
    finally:
        if ours:
            policy.unlink()
    available.cache_clear()
    return lacking


@cache
def node_python() -> str:
    """An interpreter that works inside a node, where it runs as root on this machine's own files."""
    candidates: Sequence[str] = ("/usr/bin/python3", str(Path(sys.base_prefix, "bin", "python3").resolve()))
    test = "import sys, http.server, concurrent.futures; sys.exit(sys.version_info < (3, 11))"
    for path in candidates:
        if (
            Path(path).exists()
            and subprocess.run([path, "-ESs", "-c", test], check=False, capture_output=True).returncode == 0
        ):
            return path
    raise LabError("no Python 3.11 or newer with its whole standard library was found")
