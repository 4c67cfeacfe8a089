"""What gpg's status lines say about a signature by the pinned key, as an error that names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from ctmupgrade.adapters.gpg.openpgp import REPORT, VENDOR
from ctmupgrade.errors import SignatureError

CLOCK = "compare the clock of this machine with another (date -u; timedatectl)"
STRONGER = "ask the vendor for an archive signed with SHA-256 or better, and a key of 2048 bits (RSA) or more"
_AHEAD = timedelta(minutes=10)  # how far clocks may differ
# Hash algorithm ids of RFC 4880, 9.4: MD5 and SHA-1 are broken, the others are refused by NIST SP 800-131A
# (112 bits of security) or nobody looks at them any more.
_WEAK = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160", "11": "SHA-224"}
# Public key algorithm ids of RFC 4880, 9.1 and RFC 9580, 9.1: name, and the fewest bits that are accepted (NIST SP 800-57).
_SIGNING = {
    "1": ("RSA", 2048), "3": ("RSA", 2048), "17": ("DSA", 2048), "19": ("ECDSA", 224), "22": ("EdDSA", 224),
    "27": ("Ed25519", 224), "28": ("Ed448", 224),
}  # fmt: skip
_LONGEST_LINE = 1 << 16  # bytes of one status line that are read as one
_MOST_LINES = 5000  # gpg says about ten for a signature
# Status lines that say nothing against a signature. KEYEXPIRED may be about another subkey;
# where it matters there is EXPKEYSIG instead of GOODSIG.
_HARMLESS = re.compile(
    r"NEWSIG|SIG_ID|GOODSIG|VALIDSIG|KEY_CONSIDERED|KEYEXPIRED|TRUST_\w+|PROGRESS|PLAINTEXT|PLAINTEXT_LENGTH"
    r"|VERIFICATION_COMPLIANCE_MODE|NOTATION_\w+|POLICY_URL"
)


class Status:
    """A result for python-gnupg that keeps every status line and judges none."""

    def __init__(self, gpg: object) -> None:  # noqa: ARG002 - the port's and the library's signatures
        self.lines: list[tuple[str, list[str]]] = []
        self.returncode: int | None = None
        self.stderr, self.data = "", b""

    def handle_status(self, key: str, value: str) -> None:
        """Keep one status line of gpg: its keyword and its words."""
        if len(self.lines) < _MOST_LINES:
            self.lines.append((key, value.split()))
        else:
            self.lines[-1] = ("TOO_MANY_LINES", [])  # which is not harmless

    def all(self, key: str) -> list[list[str]]:
        """Return the words of every status line with this keyword."""
        return [fields for name, fields in self.lines if name == key]


def hear(stream: IO[bytes], said: Any) -> None:
    """Give each status line of gpg to ``said``, and keep the end of its other lines in ``said.stderr``.

    gpg ends lines with \\n only. A signature may carry a name with U+0085, which Python's ``splitlines`` takes for an
    end, and "[GNUPG:] VALIDSIG ..." behind it.

    :param said: a :class:`Status`, or a result of python-gnupg.
    """
    for raw in iter(lambda: stream.readline(_LONGEST_LINE), b""):
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if line.startswith("[GNUPG:] "):
            key, _, value = line[9:].partition(" ")
            said.handle_status(key, value)
        else:
            said.stderr = ((getattr(said, "stderr", "") or "") + line + "\n")[-4000:]


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """The pinned key.

    :ivar primary: its primary key's fingerprint. :ivar made: when that was made.
    :ivar others: primary fingerprint and name of every key of the keyring, by fingerprint.
    :ivar strength: algorithm id and bits of the pinned key and its subkeys, by fingerprint.
    """

    primary: str
    made: datetime
    others: dict[str, tuple[str, str]]
    strength: dict[str, tuple[str, int]]

    def weakness(self, fingerprint: str) -> str:
        """Return why nobody should trust that key's signatures, or "" where it is strong enough."""
        algorithm, bits = self.strength.get(fingerprint, ("", 0))
        name, least = _SIGNING.get(algorithm, ("", 0))
        if not name:
            return f"a key of a kind that is not known here (algorithm {algorithm or '?'})"
        return f"a weak key: {name} with {bits} bits, fewer than {least}" if bits < least else ""


def judge(path: Path, said: Status, key: PinnedKey, signer: str) -> None:
    """Judge what gpg's status lines say. :raises SignatureError: it is not good; the worst is said first."""

    def no(what: str, remedy: str) -> SignatureError:
        return SignatureError(f"{path} {what}", details=said.stderr, remedy=remedy)

    if said.all("BADSIG"):
        raise no("was altered after it was signed: the signature does not fit its content (BADSIG)", REPORT)
    for fields in said.all("ERRSIG"):
        what, remedy = _errsig(fields, key, signer)
        ours = any(valid[-1] == key.primary for valid in said.all("VALIDSIG"))
        raise no(f"has a signature of {signer}, but also {what}" if ours else what, remedy)
    for fields in said.all("VALIDSIG"):
        found = _of_another(fields, key, signer) or _not_valid_now(said, fields) or _weak(fields, key)
        if found is None and fields[8] != "00":
            found = f"has a signature of class {fields[8]}, which is not one over binary data", VENDOR
        if found is not None:
            raise no(*found)
    strange = {name for name, _ in said.lines if not _HARMLESS.fullmatch(name)}
    if strange or not said.all("GOODSIG"):
        raise no_judgement(path, said)


_Fault = tuple[str, str] | None  # what is wrong, behind the file's name, and the remedy


def _of_another(fields: list[str], key: PinnedKey, signer: str) -> _Fault:
    if fields[-1] != key.primary:
        return f"is signed by another key: {fields[0]} instead of {signer}", REPORT
    if signer in (key.primary, fields[0]):
        return None
    # A subkey is pinned: that one is meant, no other one of its owner.
    return (
        f"is signed by another key of the same owner: {fields[0]} instead of the subkey {signer}",
        f"if the vendor signs with several subkeys: target.signer: {key.primary}   # the primary key",
    )


def _not_valid_now(said: Status, fields: list[str]) -> _Fault:
    if said.all("REVKEYSIG"):
        return f"is signed with the revoked key {fields[0]}", "ask the vendor for its current key and archive"
    if said.all("EXPKEYSIG"):
        return (
            f"is signed with the key {fields[0]}, which has expired",
            "get the vendor's key again (an extended one has the same fingerprint): target.keyring; " + CLOCK,
        )
    if said.all("EXPSIG"):
        return "has a signature that has expired", "get a newly signed archive from the vendor; " + CLOCK
    if datetime.fromtimestamp(int(fields[2]), UTC) > datetime.now(UTC) + _AHEAD:
        return "was signed in the future, as the clock of this machine has it", CLOCK
    return None


def _weak(fields: list[str], key: PinnedKey) -> _Fault:
    if fields[7] in _WEAK:
        return f"is signed with the weak hash {_WEAK[fields[7]]}", STRONGER
    # A weak primary key can be forged, and then be given another subkey.
    weakness = key.weakness(fields[0]) or key.weakness(key.primary)
    return (f"is signed with {weakness} ({fields[0]})", STRONGER) if weakness else None


def _errsig(fields: list[str], key: PinnedKey, signer: str) -> tuple[str, str]:
    """What is wrong with a signature that could not be checked (doc/DETAILS of gpg), and the remedy."""
    code, seen = fields[5], fields[6] if len(fields) > 6 and fields[6] != "-" else fields[0]
    owner, name = key.others.get(seen, ("", ""))
    if fields[2] in _WEAK and code == "5":
        return f"is signed with the weak hash {_WEAK[fields[2]]}", STRONGER
    if code == "39" or key.made > datetime.now(UTC):
        return "and its key were made in an impossible order, as the clock of this machine has it", CLOCK
    if code == "9" and owner and owner != key.primary:
        return f"is signed by another key: {seen} ({name}) instead of {signer}", REPORT
    if code == "9":
        what = f"is signed by another key: {seen}, which is not in the keyring, instead of {signer}"
        return (
            what,
            "if the vendor has a new key, check its fingerprint with the vendor, then set target.signer and target.keyring",
        )
    return (
        f"has a signature by {seen} that gpg cannot check (code {code})",
        "see the details; gpg --version",
    )


def no_judgement(path: Path, said: Status) -> SignatureError:
    """Return the error for a gpg that ended without judging."""
    names = " ".join(dict.fromkeys(name for name, _ in said.lines)) or "nothing"
    details = f"gpg ended with {said.returncode} and said: {names}\n{said.stderr}"
    return SignatureError(
        f"{path} could not be verified: gpg does not report a good signature", details=details, remedy=REPORT
    )
