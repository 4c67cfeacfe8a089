"""Fetches what the one file is compiled of, compares it with sources.toml, and unpacks it.

sources.py WORK            into WORK/src, WORK/zig and WORK/gpgv
sources.py --copy FOLDER   the pinned Debian files, for whom a release is given to, and for the day they leave the archive
sources.py --newest        writes sources.toml again: the newest versions that Debian's archive has now

Debian's source packages come through apt, which checks their signatures, into folders of our own; nothing of this machine's
apt changes. Every file is then compared with the SHA-256 of sources.toml, also one that was fetched before.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cached_property, cmp_to_key
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PINS = HERE / "sources.toml"
DOWNLOADS = Path(os.environ.get("CTMUPGRADE_SOURCES") or Path.home() / ".cache" / "ctmupgrade" / "sources")


def pins() -> dict[str, Any]:
    """What sources.toml says."""
    return tomllib.loads(PINS.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(part: dict[str, Any], apt: Apt) -> None:
    """Have each file of a source in DOWNLOADS, as it was pinned.

    :raises SystemExit: it cannot be had, or is another one.
    """
    if any(not (DOWNLOADS / name).is_file() for name in part["files"]):
        print(f"== fetching {part['name']} {part['version']}", file=sys.stderr)
        apt.get(part)
    for name, digest in part["files"].items():
        if not (DOWNLOADS / name).is_file():
            raise SystemExit(
                f"{name} could not be fetched: the archive may have another version by now.\n{OTHERS}"
            )
        if (found := sha256(DOWNLOADS / name)) != digest:
            raise SystemExit(
                f"{DOWNLOADS / name} is not what scripts/onefile/sources.toml pins: SHA-256 is {found}"
            )


OTHERS = (
    "Put the pinned files into a folder and name it: CTMUPGRADE_SOURCES=FOLDER scripts/build\n"
    "Or take the versions that are there now, read the difference, and commit it: scripts/build --newest"
)


class Apt:
    """apt with folders of its own for one suite, and the mirror that this machine uses already."""

    def __init__(self, suite: str) -> None:
        self._suite, self._top = suite, DOWNLOADS / "apt" / suite

    @cached_property
    def _options(self) -> list[str]:
        where = {"Dir::Etc::sourcelist": "sources.list", "Dir::State::lists": "lists", "Dir::Cache": "cache"}
        options = [f"-o{key}={self._top / value}" for key, value in where.items()]
        options += ["-oDir::Etc::sourceparts=-", "-oAPT::Sandbox::User=root", "-qq"]
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._top / folder).mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{kind} {mirror()} {self._suite} main\n" for kind in ("deb", "deb-src"))
        (self._top / "sources.list").write_text(lines, encoding="utf-8")
        subprocess.run(["apt-get", *options, "update"], check=True)
        return options

    def get(self, part: dict[str, Any]) -> None:
        """Download a source package, or a binary one. Whether it worked is seen by its files."""
        verb = ["download"] if part["kind"] == "binary" else ["source", "--download-only"]
        named = f"{part['name']}={part['version']}"
        subprocess.run(["apt-get", *self._options, *verb, named], cwd=DOWNLOADS, check=False)

    def versions(self, part: dict[str, Any]) -> list[str]:
        """What the suite has of a package, the newest first. Old and withdrawn ones are listed too."""
        verb = "show" if part["kind"] == "binary" else "showsrc"
        argv = ["apt-cache", *self._options, verb, part["name"]]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        found = {
            entry["Version"]
            for entry in map(_fields, said.split("\n\n"))
            if entry.get("Package") == part["name"]
        }
        return sorted(found, key=cmp_to_key(_compare), reverse=True)


def _fields(entry: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in entry.splitlines())}


def _compare(one: str, other: str) -> int:
    newer = subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode == 0
    return 1 if newer else -1


def mirror() -> str:
    """Debian's archive, as this machine's apt knows it.

    :raises SystemExit: it knows none (another distribution), and none is named.
    """
    named = os.environ.get("CTMUPGRADE_DEBIAN_MIRROR", "")
    if named:
        return named
    argv = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")
    for line in said:
        origin, _, rest = line.partition(" ")
        label, _, address = rest.partition(" ")
        if (origin, label) == ("Debian", "Debian"):
            return address
    raise SystemExit(
        "this machine's apt knows no Debian archive: CTMUPGRADE_DEBIAN_MIRROR=ADDRESS scripts/build"
    )


def unpack(part: dict[str, Any], work: Path) -> None:
    """The source with Debian's patches in WORK/src, or a binary package in a folder of its name."""
    place = work / part["into"]
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    part_of = place.with_name(f"{place.name}.part")
    shutil.rmtree(part_of, ignore_errors=True)
    if part["kind"] == "binary":
        [deb] = part["files"]
        argv = ["dpkg-deb", "-x", str(DOWNLOADS / deb), str(part_of)]
    else:
        [dsc] = [name for name in part["files"] if name.endswith(".dsc")]
        argv = ["dpkg-source", "--no-check", "--no-copy", "-x", str(DOWNLOADS / dsc), str(part_of)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    part_of.rename(place)


def compiler(work: Path | None) -> None:
    """zig, of a wheel: a compiler that knows the C libraries of many years."""
    pin = pins()["zig"]
    wheel = DOWNLOADS / pin["file"]
    if not wheel.is_file():
        print(f"== fetching {pin['name']} {pin['version']}", file=sys.stderr)
        argv = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--disable-pip-version-check",
            "--no-deps",
            "-d",
            str(DOWNLOADS),
        ]
        subprocess.run([*argv, f"{pin['name']}=={pin['version']}"], check=True)
    if (found := sha256(wheel)) != pin["sha256"]:
        raise SystemExit(f"{wheel} is not what scripts/onefile/sources.toml pins: SHA-256 is {found}")
    if work is not None and not (work / "zig").exists():
        part = work / "zig.part"
        shutil.rmtree(part, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
        (part / "ziglang" / "zig").chmod(0o755)
        part.rename(work / "zig")


def renew() -> None:
    """Write sources.toml again with what is there now. A person reads the difference."""
    text = PINS.read_text(encoding="utf-8")
    for part in pins()["debian"]:
        apt = Apt(part["suite"])
        for version in apt.versions(part):
            apt.get({**part, "version": version})
            names = _files({**part, "version": version})
            if names:
                break
        else:
            raise SystemExit(f"{part['name']}: none of its versions can be fetched")
        files = "".join(f'"{name}" = "{sha256(DOWNLOADS / name)}"\n' for name in names)
        text = _renewed(text, part, version, files)
        print(f"{part['name']}: {part['version']} -> {version}", file=sys.stderr)
    PINS.write_text(text, encoding="utf-8")


def _renewed(text: str, part: dict[str, Any], version: str, files: str) -> str:
    """sources.toml with another version of one part."""
    name = re.escape(f'name = "{part["name"]}"\nsuite = "{part["suite"]}"\n')
    entry = re.compile(rf'({name}kind = ".*"\nversion = ")[^"]+("\n(?:.*\n)*?\[debian\.files\]\n)(?:".*\n)+')
    return entry.sub(lambda found: f"{found[1]}{version}{found[2]}{files}", text, count=1)


def _files(part: dict[str, Any]) -> list[str]:
    """The files of a version that was fetched; none where it could not be."""
    stem = f"{part['name']}_{part['version'].split(':')[-1]}"
    if part["kind"] == "binary":
        return [name for name in (f"{stem}_amd64.deb",) if (DOWNLOADS / name).is_file()]
    if not (DOWNLOADS / f"{stem}.dsc").is_file():
        return []
    said = (DOWNLOADS / f"{stem}.dsc").read_text(encoding="utf-8").split("Checksums-Sha256:\n", 1)[1]
    names = [f"{stem}.dsc", *re.findall(r"^ [0-9a-f]{64} \d+ (\S+)$", said, re.MULTILINE)]
    names = sorted(set(names))
    return names if all((DOWNLOADS / name).is_file() for name in names) else []


def main(words: list[str]) -> int:
    """Fetch and unpack; or renew the pins; or copy what was fetched into a folder."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    if words == ["--newest"]:
        renew()
        return 0
    to, copies = Path(words[-1]), words[0] == "--copy"
    compiler(None if copies else to)
    for part in pins()["debian"]:
        fetch(part, Apt(part["suite"]))
        if copies:
            to.mkdir(parents=True, exist_ok=True)
            for name in part["files"]:
                shutil.copy2(DOWNLOADS / name, to / name)
        elif part["into"]:
            unpack(part, to)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
