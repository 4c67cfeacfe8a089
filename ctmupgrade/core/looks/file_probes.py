"""The questions about an archive's file on a node: whether it is there, and whether it is the archive."""

from __future__ import annotations

from ctmupgrade.core.looks import parse_shell
from ctmupgrade.core.looks.excerpt import not_told
from ctmupgrade.core.looks.probes import Probe, Query, plain_probe

MIB = 2**20


def staged(name: str) -> Probe[int]:
    """Return bytes of the archive in the home folder; 0 where there is none."""

    def of_reply(code: int, out: str, err: str) -> int:
        if out.strip():
            return parse_shell.file_size(out)
        if code != 0 and code not in (126, 127):
            return 0
        raise not_told(err, f"exit {code}")

    return Probe(
        "archive on the node", (Query(("ls", "-ln", name), of_reply), Query(("ls", "-l", name), of_reply))
    )


def file_hash(path: str) -> Probe[str]:
    """Return SHA-256 of a file on the node; the fastest program first (openssl needs a sixth of the time)."""
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


_FOLLOWING = """
import hashlib, sys, time
digest, at, grown, said = hashlib.sha256(), 0, time.monotonic(), 0.0
with open(sys.argv[1], "rb", 0) as file:
    for end in map(int, sys.argv[2:]):
        while at < end:
            piece = file.read(min(1 << 17, end - at))
            digest.update(piece)
            at, now = at + len(piece), time.monotonic()
            if piece:
                grown = now
            elif now - grown > 300:
                sys.exit(3)
            else:
                time.sleep(0.05)
            if now - said > 5:
                print(flush=True)
                said = now
        print(digest.hexdigest(), flush=True)
"""


def following(path: str, *lengths: int) -> tuple[str, ...]:
    """Return the command that hashes a file while it grows: it prints the SHA-256 of its first so many bytes as soon as
    they are there, for each of ``lengths``. In between it prints empty lines, every 5 s: silence means that it is
    gone, and a connection that is gone ends it. So does a file that does not grow for 5 min."""
    return ("python3", "-IS", "-c", _FOLLOWING, path, *map(str, lengths))


def can_follow(path: str) -> Probe[str]:
    """Return the hash of nothing, where the node can run :func:`following`."""
    return plain_probe("sha256 while it grows", parse_shell.sha256_of, following(path, 0))


_HASHING = ("openssl dgst -sha256", "sha256sum")


def first_hash(path: str, length: int) -> Probe[str]:
    """Return SHA-256 of a file's first ``length`` bytes, a multiple of :data:`MIB`, for a node whose shell has pipes."""
    # dd takes half of head's processor time; it says how much it copied on stderr, which nobody needs.
    reading = f'dd if="$1" bs={MIB} count="$2" 2>/dev/null'
    return plain_probe(
        "sha256 of the beginning",
        parse_shell.sha256_of,
        *(_in_shell(f"{reading} | {hashing}", path, length) for hashing in _HASHING),
    )


def rest_hash(path: str, offset: int) -> Probe[str]:
    """Return SHA-256 of what a file has from ``offset`` bytes on, a multiple of :data:`MIB`.

    Without a pipe: dd only moves the place in the file that the hashing program goes on from.
    """
    moving = f'dd bs={MIB} count=0 skip="$2" 2>/dev/null'
    return plain_probe(
        "sha256 of the end",
        parse_shell.sha256_of,
        *(_in_shell(f'{{ {moving} && {hashing}; }} <"$1"', path, offset) for hashing in _HASHING),
    )


def _in_shell(command: str, path: str, number: int) -> tuple[str, ...]:
    # Not the 127 of a program that is missing in there: it would be taken for the shell's own absence.
    return ("sh", "-c", f"{command} || exit 3", "sh", path, str(number // MIB))


def file_mark(path: str) -> Probe[str]:
    """Return a file's size, inode and the times of its last changes (content, then anything): while they stay, it does.
    Without `stat`, as in a restricted shell, `ls` tells the first time alone."""
    return plain_probe(
        "state of the file",
        parse_shell.file_mark,
        ("stat", "-c", "%s %i %Y %Z", path),
        ("ls", "-lnid", "--time-style=+%s", path),
    )
