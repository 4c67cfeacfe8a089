"""Sign a report with the operator's own key, and check such a signature: by ``ssh-keygen -Y`` or by gpg.

The key never comes here: ``ssh-keygen`` and gpg read it, or ask their agents. A signature stands beside its file,
as FILE.sig (ssh) or FILE.asc (gpg).
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import read_bounded, read_text_bounded
from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.errors import CtmUpgradeError, UsageError

NAMESPACE = "ctmupgrade-report"  # an ssh signature for one purpose is none for another
LIMIT_S = 120.0  # a person may have to type a passphrase
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})", re.ASCII)
_SIGNER = "signer"
# Where the keys are, and what asks a person for a passphrase. No secret of the cluster's is needed for that.
_FOR_A_KEY = (
    "GNUPGHOME", "GPG_TTY", "GPG_AGENT_INFO", "PINENTRY_USER_DATA", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "TERM",
    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip


def is_fingerprint(key: str) -> bool:
    """Return whether a key is named as gpg names it: its full fingerprint. Else it is the path of an ssh key."""
    return bool(_FINGERPRINT.fullmatch(_bare(key)))


def _bare(key: str) -> str:
    return key.replace(" ", "").removeprefix("0x").upper()


def signature_of(file: Path, key: str) -> Path:
    """Return the path of a file's signature by a key of this kind."""
    return file.with_name(f"{file.name}.{'asc' if is_fingerprint(key) else 'sig'}")


def sign(data: bytes, key: str) -> bytes:
    """Return a signature over ``data``, armoured.

    :param key: an ssh key's file (the private half, or the public one where an agent has the other), or a gpg
        fingerprint in full.
    :raises UsageError: the program is missing, or the key cannot be used.
    """
    if is_fingerprint(key):
        argv = ["gpg", "--batch", "--armor", "--detach-sign", "--local-user", _bare(key), "--output", "-"]
    else:
        if not Path(key).is_file():
            raise UsageError(
                f"--sign {key}: there is no such key file",
                remedy="name an ssh key's file or a full gpg fingerprint",
            )
        argv = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", key]
    done = _run(argv, data)
    if done.returncode != 0 or not done.stdout:
        raise UsageError(
            f"the report is not signed: {argv[0]}: {_said(done)}", remedy=f"try it: {argv[0]} --help"
        )
    return done.stdout


def verify(data: bytes, signature: Path, key: str) -> str:
    """Check a signature over ``data`` and return the signer as the program names it.

    :param key: the signer's public ssh key's file, or the full fingerprint of the gpg key.
    :raises ReportSignatureError: it is not a good signature of that key over these bytes.
    :raises UsageError: a file or the program is missing.
    """
    try:
        taken = read_bounded(signature)
    except OSError as error:
        raise UsageError(
            f"{signature}: the signature cannot be read: {error.strerror}",
            remedy="ctmupgrade report -o FILE --sign KEY   # makes it",
        ) from None
    with private_folder() as folder:
        copy = folder / "signature"
        copy.write_bytes(taken)
        try:
            return _verify_gpg(data, copy, key) if is_fingerprint(key) else _verify_ssh(data, copy, key)
        except ReportSignatureError as error:
            raise ReportSignatureError(f"{signature}: {error.brief}", remedy=_BAD) from None


def _verify_ssh(data: bytes, signature: Path, key: str) -> str:
    try:
        words = read_text_bounded(Path(key)).split()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--signed-by {key}: cannot be read: {error}", remedy="name the public key: KEY.pub"
        ) from None
    if len(words) < 2 or words[0].startswith("-"):
        raise UsageError(f"--signed-by {key}: that is no public key", remedy="name the public key: KEY.pub")
    with private_folder() as folder:
        allowed = folder / "allowed_signers"
        allowed.write_text(f'{_SIGNER} namespaces="{NAMESPACE}" {words[0]} {words[1]}\n', encoding="utf-8")
        argv = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(allowed),
            "-I",
            _SIGNER,
            "-n",
            NAMESPACE,
            "-s",
            str(signature),
        ]
        done = _run(argv, data)
    if done.returncode != 0:
        raise ReportSignatureError(f"no good signature of {key}: {_said(done)}")
    return _said(done)


def _verify_gpg(data: bytes, signature: Path, key: str) -> str:
    done = _run(["gpg", "--batch", "--status-fd", "1", "--verify", str(signature), "-"], data)
    status = [
        line.split()[1:] for line in done.stdout.decode(errors="replace").splitlines() if "[GNUPG:]" in line
    ]
    good = any(words[:1] == ["GOODSIG"] for words in status)
    keys = [{words[1], words[-1]} for words in status if words[:1] == ["VALIDSIG"] and len(words) > 1]
    if done.returncode != 0 or not good or len(keys) != 1 or _bare(key) not in keys[0]:
        raise ReportSignatureError(f"no good signature of {_bare(key)}: {_said(done)}")
    return f"Good signature of {_bare(key)}"


_BAD = "the report was changed, or another key signed it: ask for it again, and compare `ctmupgrade report --verify`"


def _run(argv: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        environ = {name: value for name, value in os.environ.items() if name in _FOR_A_KEY} | login_environ()
        return subprocess.run(
            argv, input=data, env=environ, capture_output=True, timeout=LIMIT_S, check=False
        )
    except FileNotFoundError:
        raise UsageError(
            f"{argv[0]} is not installed here", remedy=f"install {argv[0]}, or use the other"
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{argv[0]} did not end within {LIMIT_S:.0f} s") from None
    except OSError as error:
        raise UsageError(f"{argv[0]} cannot be started: {error.strerror}") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr or done.stdout).decode(errors="replace")
    return " ".join(text.split())[:300] or f"exit {done.returncode}"


class ReportSignatureError(CtmUpgradeError):
    """The signature of a report is not good."""
