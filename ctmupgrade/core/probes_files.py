"""The questions about an archive's file on a node: whether it is there, and whether it is the archive."""

from __future__ import annotations

from ctmupgrade.core import parse, parse_shell
from ctmupgrade.core.parse import NotUnderstood
from ctmupgrade.core.probes import Probe, Way, plain_probe

MIB = 2**20


def staged(name: str) -> Probe[int]:
    """Bytes of the archive in the home folder; 0 where there is none."""

    def of_reply(code: int, out: str, err: str) -> int:
        if out.strip():
            return parse_shell.file_size(out)
        if code != 0 and code not in (126, 127):
            return 0
        raise NotUnderstood(parse.excerpt(err) or f"exit {code}")

    return Probe(
        "archive on the node", (Way(("ls", "-ln", name), of_reply), Way(("ls", "-l", name), of_reply))
    )


def file_hash(path: str) -> Probe[str]:
    """SHA-256 of a file on the node; the fastest program first (openssl needs a sixth of the time)."""
    return plain_probe(
        "sha256 on the node",
        parse_shell.sha256_of,
        ("openssl", "dgst", "-sha256", path),
        ("sha256sum", path),
        ("shasum", "-a", "256", path),
        ("gpg", "--print-md", "SHA256", path),
        (
            "python3",
            "-c",
            "import hashlib,sys;print(hashlib.file_digest(open(sys.argv[1],'rb'),'sha256').hexdigest())",
            path,
        ),
    )


def first_hash(path: str, length: int) -> Probe[str]:
    """SHA-256 of a file's first ``length`` bytes, a multiple of :data:`MIB`, for a node whose shell has pipes."""
    return _piped("sha256 of the beginning", "count", path, length)


def rest_hash(path: str, offset: int) -> Probe[str]:
    """SHA-256 of what a file has from ``offset`` bytes on, a multiple of :data:`MIB`."""
    return _piped("sha256 of the end", "skip", path, offset)


def _piped(name: str, which: str, path: str, number: int) -> Probe[str]:
    # dd takes half of head's processor time; it says how much it copied on stderr, which nobody needs.
    reading = f'dd if="$1" bs={MIB} {which}="$2" 2>/dev/null'
    # Not the 127 of a program that is missing in the pipe: it would be taken for the shell's own absence.
    ways = (f"{reading} | {hashing} || exit 3" for hashing in ("openssl dgst -sha256", "sha256sum"))
    return plain_probe(
        name, parse_shell.sha256_of, *(("sh", "-c", way, "sh", path, str(number // MIB)) for way in ways)
    )


def file_mark(path: str) -> Probe[str]:
    """A file's size, inode and the times of its last changes (content, then anything): while they stay, it does."""
    return plain_probe("state of the file", parse_shell.file_mark, ("stat", "-c", "%s %i %Y %Z", path))
