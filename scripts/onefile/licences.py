"""The licences of everything that is in the one file, as one text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sources import pins

ROOT = Path(__file__).resolve().parents[2]
_NAMES = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_RULE = "=" * 100


def licences(work: Path, wheels: Path) -> str:
    """Every text, ours first. :param work: of the build. :param wheels: the installed libraries."""
    parts = [("ctmupgrade", (ROOT / "LICENSE").read_text("utf-8"))]
    parts += [
        (_title(part), text) for part in pins()["debian"] if part["into"] for text in _of_debian(part, work)
    ]
    parts += [("GNU General Public License, version 3", _gpl())]
    parts += [
        (
            "libunwind (of LLVM), for libgcc_s.so.1",
            (work / "zig/ziglang/lib/libunwind/LICENSE.TXT").read_text("utf-8"),
        )
    ]
    parts += list(_of_wheels(wheels))
    listed = "\n".join(f"  {title}" for title, _ in parts)
    head = f"The one file of ctmupgrade holds these parts, each under its own licence. The texts follow.\n\n{listed}\n\n{_offer()}"
    return head + "".join(f"\n{_RULE}\n{title}\n{_RULE}\n\n{text.strip()}\n" for title, text in parts)


def _title(part: dict[str, Any]) -> str:
    return f"{part['name']} {part['version']} (Debian), {part['licence']}"


def _of_debian(part: dict[str, Any], work: Path) -> Iterator[str]:
    place = work / part["into"]
    if part["kind"] == "binary":
        yield (place / "usr" / "share" / "doc" / part["name"] / "copyright").read_text("utf-8")
    else:
        yield (place / "debian" / "copyright").read_text("utf-8")


def _gpl() -> str:
    """gpgv's copyright file names it and leaves the text to Debian."""
    text = Path("/usr/share/common-licenses/GPL-3")
    if not text.is_file():
        raise SystemExit(f"{text} is missing: apt install base-files")
    return text.read_text("utf-8")


def _of_wheels(wheels: Path) -> Iterator[tuple[str, str]]:
    for info in sorted(wheels.glob("*.dist-info")):
        found = [
            path
            for path in sorted(info.rglob("*"))
            if path.is_file() and _NAMES.search(path.relative_to(info).as_posix())
        ]
        said = re.findall(
            r"^(?:License-Expression|License): (.+)$", (info / "METADATA").read_text("utf-8"), re.MULTILINE
        )
        title = info.name.removesuffix(".dist-info").replace("-", " ") + (f", {said[0]}" if said else "")
        yield title, "\n\n".join(path.read_text("utf-8", "replace") for path in found) or f"Licence: {said}"


def _offer() -> str:
    source = next(part for part in pins()["debian"] if part["name"] == "gnupg2")
    files = "\n".join(f"  {digest}  {name}" for name, digest in source["files"].items())
    return (
        "gpgv is a program of its own (GPL-3.0-or-later): Debian's gpgv-static, unchanged, which is run where the machine has\n"
        f"neither gpg nor gpgv. Its complete source is Debian's source package gnupg2 {source['version']}:\n\n"
        f"{files}\n\n"
        "Whoever gives this file to others gives them these files too, or tells them where they are, as with every release of\n"
        "ctmupgrade: scripts/build --sources FOLDER of the same source tree copies them. All other parts are built from source by\n"
        "the same script, so that any of them can be replaced (paramiko is under the LGPL-2.1).\n"
    )
