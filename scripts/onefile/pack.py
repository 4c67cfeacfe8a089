"""Puts a zip of compiled modules behind the program. The same bytes every time.

pack.py PLAN.json      run by the Python that was just compiled: marshalled code is of its version
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LEFT_OUT = {line for line in (HERE / "left_out.txt").read_text().splitlines() if not line.startswith("#")}
NOT_OF_WHEELS = {"cffi", "pycparser", "bin"}  # cffi's run time is _cffi_backend alone
TESTS = {"__pycache__", "tests", "test"}


def compiled(source: bytes, shown: str) -> bytes:
    """A .pyc that is not checked against a source (PEP 552): there is none, and no time stamp in it."""
    code = compile(source, shown, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + bytes(8) + marshal.dumps(code)


class Files:
    """What goes into the zip, by name."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}

    def take(self, root: Path, leave: set[str], *, data: bool = False) -> None:
        """Everything below a folder. :param leave: its modules that are not wanted. :param data: other files too."""
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            first = parts[0].partition(".")[0]
            if (
                not path.is_file()
                or first in leave
                or parts[0].endswith((".dist-info", ".pth"))
                or TESTS & set(parts[:-1])
            ):
                continue
            name = "/".join(parts)
            if name.endswith(".py"):
                source = path.read_bytes()
                if name == "ssl.py":
                    source += (HERE / "authorities.py").read_bytes()
                self.all[name[:-3] + ".pyc"] = compiled(source, name)
            elif name.endswith((".so", ".so.1")) or data:
                self.all[name] = path.read_bytes()

    def add_folders(self) -> None:
        """zipimport knows a namespace package (ruamel) by an entry for its folder only."""
        for name in list(self.all):
            parts = name.split("/")[:-1]
            for count in range(1, len(parts) + 1):
                self.all.setdefault("/".join(parts[:count]) + "/", b"")

    def write(self, program: Path, out: Path, often: set[str]) -> None:
        """:param often: modules of a usual run: not compressed, which is 40 ms of 300 for 7 MB more."""
        out.write_bytes(program.read_bytes())
        with zipfile.ZipFile(out, "a") as archive:
            for name in sorted(self.all):
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                module = name.partition(".")[0].replace("/", ".").removesuffix(".__init__")
                info.external_attr = 0o100644 << 16
                info.compress_type = zipfile.ZIP_STORED if module in often else zipfile.ZIP_DEFLATED
                archive.writestr(info, self.all[name], compresslevel=9)
        out.chmod(0o755)


def main(plan: dict[str, Any]) -> None:
    """:param plan: paths: program, out, often, library (of Python), wheels, package, extras (name -> path)."""
    files = Files()
    files.take(Path(plan["library"]), LEFT_OUT)
    files.take(Path(plan["wheels"]), NOT_OF_WHEELS)
    for path in sorted(Path(plan["wheels"]).glob("*.dist-info/METADATA")):
        head = path.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n")[0]
        files.all[f"{path.parent.name}/METADATA"] = head + b"\n"
    package = Files()
    package.take(Path(plan["package"]), set(), data=True)
    files.all |= {f"ctmupgrade/{name}": content for name, content in package.all.items()}
    for name, place in plan["extras"].items():
        content = Path(place).read_bytes()
        files.all[name[:-3] + ".pyc" if name.endswith(".py") else name] = (
            compiled(content, name) if name.endswith(".py") else content
        )
    files.add_folders()
    files.write(Path(plan["program"]), Path(plan["out"]), set(Path(plan["often"]).read_text().split()))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
