"""Puts the one file together: the compiled program, the locked wheels, ctmupgrade, gpgv, and all their licences.

assemble.py WORK OUT     WORK: as compile.sh has left it; OUT: the file, and beside it .sha256, .cdx.json and .LICENSES
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from licences import licences  # noqa: E402
from sources import pins  # noqa: E402

GLIBC = (2, 17)
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_12_x86_64", "manylinux2010_x86_64")
TOO_NEW = "a wheel or a library was made for a newer system; take another version of it"
# Which modules a usual run loads: a check of a simulated cluster, by the Python that was compiled.
OFTEN = """
import atexit, sys
library, wheels, root, out = sys.argv[1:]
sys.path[:] = [library, wheels, root]
atexit.register(lambda: open(out, "w").write("\\n".join(sorted(sys.modules))))
sys.argv = ["ctmupgrade", "check", "--simulate", root + "/fixtures/scenarios/healthy-three"]
from ctmupgrade.__main__ import main
main()
"""


class Build:
    """The folders of one build."""

    def __init__(self, work: Path, out: Path) -> None:
        self.work, self.out = work, out
        self.wheels, self.python = work / "wheels", work / "src" / "python" / "python"
        self.library = work / "src" / "python" / "Lib"
        named = re.search(
            r"python(\d+)\.(\d+)",
            next(part["name"] for part in pins()["debian"] if part["into"] == "src/python"),
        )
        assert named, "sources.toml"
        self.version = f"{named[1]}.{named[2]}"

    def install_wheels(self) -> None:
        """The locked libraries, for this Python and an old glibc, and none that was not locked."""
        shutil.rmtree(self.wheels, ignore_errors=True)
        abi = f"cp{self.version.replace('.', '')}"
        argv = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--no-compile",
                "--require-hashes", "--only-binary", ":all:", "--target", str(self.wheels), "--python-version", self.version,
                "--implementation", "cp"]  # fmt: skip
        argv += [word for one in (abi, "abi3", "none") for word in ("--abi", one)]
        argv += [word for one in PLATFORMS for word in ("--platform", one)]
        subprocess.run([*argv, "-r", str(ROOT / "constraints.txt")], check=True)
        for beside in self.wheels.glob("*.libs"):
            raise SystemExit(f"{beside.name}: libraries beside libraries cannot be loaded from memory")

    def often(self) -> Path:
        """A file with the names of the modules that most runs load."""
        out = self.work / "often"
        environ = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.work),
            "PYTHONHASHSEED": "0",
        }
        words = [str(self.python), "-I", "-S", "-c", OFTEN, *map(str, (self.library, self.wheels, ROOT, out))]
        subprocess.run(words, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return out

    def pack(self) -> None:
        """All into one."""
        texts = self.work / "LICENSES"
        texts.write_text(licences(self.work, self.wheels), encoding="utf-8")
        settings = self.work / "zip" / "sysconfig.py"
        settings.write_text(f"build_time_vars = {_settings(self.version)!r}\n", encoding="utf-8")
        extras = {
            "_onefile.py": HERE / "loader.py",
            "libgcc_s.so.1": self.work / "zip" / "libgcc_s.so.1",
            "ctmupgrade/adapters/gpg/gpgv": self.work / "gpgv" / "usr" / "bin" / "gpgv-static",
            "ctmupgrade/LICENSES": texts,
            # Debian's name of it, and CPython's own; pydantic imports zoneinfo, which asks for one
            "_sysconfigdata__x86_64-linux-gnu.py": settings,
            "_sysconfigdata__linux_x86_64-linux-gnu.py": settings,
        }
        plan = self.work / "plan.json"
        new = self.out.with_name(f".{self.out.name}.new")
        plan.write_text(
            json.dumps(
                {
                    "program": str(self.work / "program"), "out": str(new), "often": str(self.often()),
                    "library": str(self.library), "wheels": str(self.wheels), "package": str(ROOT / "ctmupgrade"),
                    "extras": {name: str(path) for name, path in extras.items()},
                }
            )
        )  # fmt: skip
        self.out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(self.python), "-E", "-s", str(HERE / "pack.py"), str(plan)], check=True)
        self.refuse_newer_systems(new)
        new.rename(self.out)
        shutil.copyfile(texts, self.out.with_name(f"{self.out.name}.LICENSES"))

    def refuse_newer_systems(self, new: Path) -> None:
        """:raises SystemExit: something in it needs a newer glibc than we say."""
        parts = [self.work / "program", *self.wheels.rglob("*.so"), self.work / "zip" / "libgcc_s.so.1"]
        for part in parts:
            needed = {
                tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_(\d+\.\d+)", part.read_bytes())
            }
            if needed and max(needed) > GLIBC:
                new.unlink()
                raise SystemExit(f"{part} needs glibc {'.'.join(map(str, max(needed)))}: {TOO_NEW}")

    def try_it(self) -> None:
        """:raises SystemExit: it does not work."""
        environ = {"PATH": "/nonexistent"}
        scenario = ROOT / "fixtures" / "scenarios" / "healthy-three"
        for words in (["--version"], ["check", "--simulate", str(scenario)]):
            done = subprocess.run(
                [str(self.out), *words], env=environ, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(
                    f"{self.out} {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
                )

    def try_whole(self) -> None:
        """:raises SystemExit: a module is missing, or TLS does not work."""
        authorities = self.work / "authorities.pem"
        words = [
            str(self.python),
            "-I",
            "-S",
            str(HERE / "try_whole.py"),
            str(self.wheels),
            str(self.out),
            str(authorities),
        ]
        environ = {"PATH": "/nonexistent", "SSL_CERT_FILE": str(authorities)}
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.out} is not whole:\n{done.stderr}")

    def describe(self) -> None:
        """Its hash and its bill of materials, beside it."""
        digest = hashlib.sha256(self.out.read_bytes()).hexdigest()
        self.out.with_name(f"{self.out.name}.sha256").write_text(
            f"{digest}  {self.out.name}\n", encoding="utf-8"
        )
        bom = self.out.with_name(f"{self.out.name}.cdx.json")
        subprocess.run([sys.executable, str(ROOT / "scripts" / "sbom"), "--onefile", str(bom)], check=True)
        print(f"{self.out}: {self.out.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}")


def _settings(version: str) -> dict[str, object]:
    """What of sysconfig is asked for at run time."""
    plain = version.replace(".", "")
    return {
        "TZPATH": "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo",
        "EXT_SUFFIX": f".cpython-{plain}-x86_64-linux-gnu.so", "SOABI": f"cpython-{plain}-x86_64-linux-gnu",
        "SHLIB_SUFFIX": ".so", "Py_ENABLE_SHARED": 0, "Py_DEBUG": 0, "MULTIARCH": "x86_64-linux-gnu",
        "prefix": "/nonexistent",
    }  # fmt: skip


def main(words: list[str]) -> int:
    """Assemble, try, describe."""
    build = Build(Path(words[0]), Path(words[1]))
    build.install_wheels()
    build.pack()
    build.try_it()
    build.try_whole()
    build.describe()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
