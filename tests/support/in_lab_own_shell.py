"""The program inside a node of the lab, as ksadmin: installed there, started over SSH, killed by the node's reboot."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from tests.lab.cluster import Lab
from tests.lab.host import ROOT, node_python
from tests.lab.layout import ADMIN_PASSWORD, KEY_PASSWORD
from tests.support.in_lab import Site

ONE_FILE = ROOT / "dist" / "ctmupgrade"
HOME = "/home/ksadmin"
TOOL = "/var/lib/lab/tool"  # in the node; kept over its reboots
_LAUNCHER = """\
#!{python} -ESs
import sys

sys.path[:0] = [{tool!r}, {tool!r} + "/packages"]
from ctmupgrade.__main__ import main

sys.exit(main())
"""
_KSCTL = """\
#!{python} -ESs
import sys

sys.path.insert(0, {library!r})
from standin.ksctl import main

sys.exit(main({audit!r}))
"""


class OwnShell(Site):
    """A lab of which one node runs the program.

    :ivar own: that node's name.
    """

    def __init__(self, lab: Lab, own: str) -> None:
        super().__init__(lab, lab.layout.state)
        self.own = own
        tool = lab.layout.node(own).shared / "tool"
        tool.mkdir(mode=0o755)
        self._install(tool)
        self._settle()

    def _install(self, tool: Path) -> None:
        """The one file where it was built; else the package and its libraries, with the node's Python."""
        program = tool / "ctmupgrade"
        if ONE_FILE.is_file():
            shutil.copy(ONE_FILE, program)
        else:
            tool = tool / "lib"
            shutil.copytree(ROOT / "ctmupgrade", tool / "ctmupgrade")
            packages = Path(sysconfig.get_paths()["purelib"])
            subprocess.run(["cp", "-a", "--reflink=auto", packages, tool / "packages"], check=True)
            program.write_text(_LAUNCHER.format(python=node_python(), tool=f"{TOOL}/lib"))
        program.chmod(0o755)
        library = self.lab.layout.directory / "lib"
        shutil.copytree(library, program.parent / "standin")
        ksctl = program.parent / "ksctl"
        audit = f"{HOME}/ksctl-audit.jsonl"
        ksctl.write_text(_KSCTL.format(python=node_python(), library=f"{TOOL}/standin", audit=audit))
        ksctl.chmod(0o755)

    def _settle(self) -> None:
        """What ksadmin has at home: cluster.yaml with its own node as `local`, keys, the archive."""
        lab, files = self.lab.layout, dict[str, bytes]()
        text = lab.cluster_file.read_text()
        text = text.replace(
            f"host: {self.lab.address(self.own)}\n    cluster_host", "host: local\n    cluster_host", 1
        )
        files["cluster.yaml"] = text.replace(str(lab.directory / "bin" / "ksctl"), f"{TOOL}/ksctl").encode()
        for path in (lab.client_key, lab.known_hosts, lab.signing_key, *lab.directory.glob("610-*.gpg")):
            files[path.name] = path.read_bytes()
        for name, data in files.items():
            self.lab.node(self.own, "sh", "-c", f"cat > {HOME}/{name}", input=data, text=False, stdin=None)
            self.lab.node(self.own, "sh", "-c", f"chmod 600 {HOME}/{name}; chown ksadmin:staff {HOME}/{name}")
        self.lab.node(
            self.own, "sh", "-c", f"echo > {HOME}/ksctl-audit.jsonl; chmod 666 {HOME}/ksctl-audit.jsonl"
        )

    def command(self, *words: str) -> str:
        """A command line of ksadmin on the own node; what it says goes to a file too, for it dies with the node."""
        environ = f"KSCTL_PASSWORD={ADMIN_PASSWORD} CTM_BACKUP_KEY_PASSWORD={KEY_PASSWORD}"
        place = f"-c {HOME}/cluster.yaml --state-dir {HOME}/state"
        return f"env {environ} {TOOL}/ctmupgrade {shlex.join(words)} {place} 2>&1 | tee -a {HOME}/said"

    def on_own_shell(self, *words: str) -> tuple[int, str]:
        """Runs it there to its end."""
        line = f"{self.command(*words)}; exit ${{PIPESTATUS[0]}}"
        done = self.lab.ssh(self.own, f"bash -c {shlex.quote(line)}", timeout=150)
        return done.returncode, done.stdout + done.stderr

    def start_there(self, *words: str) -> subprocess.Popen[Any]:
        """Starts it there; the connection, and so this, ends with the node."""
        process = self.lab.popen(
            [*self.lab.ssh_words(self.own), self.command(*words)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.started.append(process)
        return process

    def said_there(self) -> str:
        """All that it has said on the node."""
        return self.lab.node(self.own, "cat", f"{HOME}/said").stdout

    def said(self) -> str:
        return self.said_there()

    def kill_there(self) -> None:
        """kill -9 of the program on the node."""
        self.lab.node(self.own, "pkill", "-KILL", "-u", "ksadmin", "-f", f"{TOOL}/ctmupgrade")

    def report(self) -> dict[str, Any]:
        code, said = self.on_own_shell("report", "--format", "json")
        assert code == 0, said
        document: dict[str, Any] = json.loads(said)
        return document

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        code, said = self.on_own_shell(*words)
        return subprocess.CompletedProcess(list(words), code, said, said)
