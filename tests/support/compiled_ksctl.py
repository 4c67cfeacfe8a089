"""The lab's ksctl as one program without an interpreter, as the vendor's is: the one file, with other modules inside."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

STANDIN = Path(__file__).parents[1] / "lab" / "standin"
_START = """\
import os, ssl, sys
from standin import wire
from standin.ksctl import main


def secure(connection, host):
    context = ssl.create_default_context()
    if os.environ.get("KSCTL_NOSSLVERIFY") == "true":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


wire.secure = secure
sys.exit(main("/dev/null"))
"""


def compiled_ksctl(one_file: Path) -> bytes:
    """Return it: the interpreter and the standard library of the one file, and the stand-in in place of ctmupgrade."""
    with zipfile.ZipFile(one_file) as whole:
        entries = whole.infolist()
        made = io.BytesIO(one_file.read_bytes()[: min(entry.header_offset for entry in entries)])
        with zipfile.ZipFile(made, "a") as archive:
            for entry in entries:
                if entry.filename.split("/")[0].partition(".")[0] in sys.stdlib_module_names:
                    archive.writestr(entry, whole.read(entry))
            archive.writestr("_onefile.py", _START)
            for path in sorted(STANDIN.glob("*.py")):
                archive.write(path, f"standin/{path.name}")
    return made.getvalue()
