"""Root file systems that hold a C library and nothing else: no shell, no Python, no gpg, no ssh."""

from __future__ import annotations

import importlib.util
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import SourceFileLoader
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ctmupgrade" / "roots"
# What a program for glibc 2.17 links to, the loader, and what looks up names and users.
LIBRARIES = (
    "ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1",
    "libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2",
)  # fmt: skip
SUITES = {"2.31": "bullseye", "2.36": "bookworm", "2.41": "trixie"}  # Debian's


def library_root(glibc: str) -> Path:
    """Return a folder with this C library, made once.

    2.17 is of the wheel `ppbt`, a compiler for old systems; the others are of Debian's packages.

    :raises LookupError: it cannot be had here.
    """
    place = CACHE / glibc
    if place.is_dir():
        return place
    part = CACHE / f".{glibc}"
    shutil.rmtree(part, ignore_errors=True)
    (part / "lib64").mkdir(parents=True)
    try:
        _of_wheel(part) if glibc == "2.17" else _of_debian(part, SUITES[glibc])
    except (OSError, subprocess.SubprocessError, SystemExit, KeyError) as error:
        raise LookupError(f"no glibc {glibc} to be had here: {error}") from error
    (part / "lib").mkdir()
    (part / "lib" / "x86_64-linux-gnu").symlink_to("../lib64")  # where Debian's loaders look
    for library in (part / "lib64").iterdir():
        (part / "lib" / library.name).symlink_to(f"../lib64/{library.name}")
    for folder in ("proc", "dev", "tmp", "var/tmp", "etc", "work"):
        (part / folder).mkdir(parents=True, exist_ok=True)
    part.rename(place)
    return place


def _of_wheel(root: Path) -> None:
    """Its toolchain holds a whole system of glibc 2.17."""
    folder = CACHE / "wheels"
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-d",
        str(folder),
        "ppbt==0.1.8",
    ]
    subprocess.run(argv, check=True)
    [wheel] = folder.glob("ppbt-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read("ppbt/_toolchain/x86_64-linux-gnu.tar.xz")
    with lzma.open(BytesIO(data)) as packed, tarfile.open(fileobj=packed) as files:
        links: dict[str, str] = {}
        contents: dict[str, bytes] = {}
        for member in files:
            name = member.name.rsplit("/", 1)[-1]
            if "/sysroot/lib" not in f"/{member.name}":
                continue
            if member.issym():
                links[name] = member.linkname.rsplit("/", 1)[-1]
            elif member.isfile() and ".so" in name and (file := files.extractfile(member)):
                contents[name] = file.read()
    for name in LIBRARIES:
        target = name
        while target not in contents:
            target = links[target]
        (root / "lib64" / name).write_bytes(contents[target])
        (root / "lib64" / name).chmod(0o755)


def _of_debian(root: Path, suite: str) -> None:
    sources = _sources()
    folder = CACHE / suite
    folder.mkdir(parents=True, exist_ok=True)
    sources.DOWNLOADS = folder
    apt = sources.Apt(suite)
    versions = apt.versions({"name": "libc6", "kind": "binary"})
    for version in versions:
        apt.get({"name": "libc6", "kind": "binary", "version": version})
    [deb, *_] = sorted(folder.glob("libc6_*_amd64.deb"), reverse=True)
    unpacked = folder / "unpacked"
    subprocess.run(["dpkg-deb", "-x", str(deb), str(unpacked)], check=True)
    for name in LIBRARIES:
        found = [path for path in unpacked.rglob(name) if path.is_file()]
        if found:
            shutil.copy(found[0], root / "lib64" / name)


def _sources() -> Any:
    """scripts/onefile/sources.py, which knows how to ask apt without changing this machine's."""
    loader = SourceFileLoader("onefile_sources", str(ROOT / "scripts" / "onefile" / "sources.py"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
