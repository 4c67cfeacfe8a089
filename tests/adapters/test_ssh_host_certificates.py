"""Host certificates of real servers, made by ssh-keygen: entered exactly where an authority of known_hosts vouches."""

from __future__ import annotations

import base64
import getpass
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.host_certificates import certificate_trouble
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import HostKeyError
from tests.adapters.conftest import Sshd, StartSshd, keygen, public
from tests.adapters.test_ssh_connect import answers, blob

pytestmark = pytest.mark.usefixtures("home")
GOOD = ("-h", "-n", "127.0.0.1", "-V", "-1m:+1d")
Certified = Callable[..., Sshd]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keygen(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def certified(start_sshd: StartSshd, keys: Path, authority: Path, tmp_path: Path) -> Certified:
    """``certified(*ssh-keygen options, ca=, host=)`` -> a server whose certificate was made so."""

    def start(
        *options: str, ca: Path = authority, host: str = "host_ed25519", more: tuple[str, ...] = ()
    ) -> Sshd:
        own = tmp_path / "certified" / host
        own.parent.mkdir(exist_ok=True)
        own.write_bytes((keys / host).read_bytes())
        own.chmod(0o600)
        Path(f"{own}.pub").write_text(public(keys / host) + "\n")
        made = ["ssh-keygen", "-q", "-s", str(ca), "-I", "a server", *options, f"{own}.pub"]
        subprocess.run(made, check=True, capture_output=True)
        return start_sshd(f"HostCertificate {own}-cert.pub", hosts=(host, *more))

    return start


def known(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "known"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def by_authority(tmp_path: Path, ca: Path, hosts: str = "127.0.0.*,[127.0.0.*]:*") -> Path:
    return known(tmp_path, f"@cert-authority {hosts} {public(ca)}")


def openssh_enters(server: Sshd, file: Path) -> bool:
    """What the ssh program makes of the same server and the same known_hosts."""
    options = {
        "UserKnownHostsFile": file, "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes",
        "BatchMode": "yes", "IdentityFile": server.settings.identity_file, "IdentitiesOnly": "yes",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    argv = ["ssh", "-F", "none", *words, "-p", str(server.port), f"{getpass.getuser()}@127.0.0.1", "true"]
    made = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    return made.returncode == 0


@pytest.mark.parametrize("host", ["host_ed25519", "host_rsa", "host_ecdsa"])
def test_a_certificate_of_an_authority_is_enough(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path, host: str
) -> None:
    if host == "host_ecdsa" and not (keys / host).exists():
        keygen(keys / host, "ecdsa")
    server = certified(*GOOD, host=host)
    assert answers(server, known_hosts=by_authority(tmp_path, authority)) == "hello\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("-h", "-n", "other,127.0.0.1", "-V", "-1m:+1d"), ""),
        (("-h", "-n", "127.*", "-V", "-1m:+1d"), "it is for 127.*, not for 127.0.0.1"),
        (("-h", "-n", "127.0.0.1", "-V", "20200101:20200102"), "it was valid only until 2020-01-0"),
        (("-h", "-n", "127.0.0.1", "-V", "20900101:20910101"), "it is valid only from 20"),
        (("-h", "-n", "127.0.0.2,ctm-1", "-V", "-1m:+1d"), "it is for 127.0.0.2, ctm-1, not for 127.0.0.1"),
        (
            ("-h", "-n", "127.0.0.1", "-O", "critical:only@here=x"),
            "critical options that are not known: only@here",
        ),
    ],
)
def test_what_openssh_makes_of_it(
    certified: Certified, authority: Path, tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    server, file = certified(*options), by_authority(tmp_path, authority)
    assert openssh_enters(server, file) is not bool(why)
    if not why:
        assert answers(server, known_hosts=file) == "hello\n"
        return
    with pytest.raises(HostKeyError, match="is unknown") as caught:
        answers(server, known_hosts=file)
    assert why in caught.value.details
    assert f"@cert-authority in {file}:1" in caught.value.details


def test_a_certificate_that_names_no_host_is_for_none(
    certified: Certified, authority: Path, tmp_path: Path
) -> None:
    """For old versions of OpenSSH it is for every host."""
    with pytest.raises(HostKeyError) as caught:
        answers(certified("-h", "-V", "-1m:+1d"), known_hosts=by_authority(tmp_path, authority))
    assert "it is for no host, not for 127.0.0.1" in caught.value.details


def test_another_authority_and_one_for_other_hosts(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    server = certified(*GOOD)
    file = by_authority(tmp_path, keys / "other_ed25519")
    with pytest.raises(HostKeyError) as caught:
        answers(server, known_hosts=file)
    assert f"signed by another authority, {fingerprint(blob(authority))}" in caught.value.details
    assert not openssh_enters(server, file)
    file = by_authority(tmp_path, authority, "10.0.0.*,!127.0.0.1")
    with pytest.raises(HostKeyError, match="is unknown"):
        answers(server, known_hosts=file)
    file = known(tmp_path, f"[127.0.0.1]:{server.port} {public(authority)}")  # its key is no authority here
    with pytest.raises(HostKeyError):
        answers(server, known_hosts=file)


def test_an_authority_whose_signatures_are_made_with_sha_1(
    certified: Certified, keys: Path, tmp_path: Path
) -> None:
    file = by_authority(tmp_path, keys / "host_rsa")
    assert answers(certified(*GOOD, ca=keys / "host_rsa"), known_hosts=file) == "hello\n"
    with pytest.raises(HostKeyError) as caught:
        answers(certified(*GOOD, "-t", "ssh-rsa", ca=keys / "host_rsa"), known_hosts=file)
    assert "made with SHA-1" in caught.value.details


def test_a_revoked_authority_and_a_revoked_key(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    server = certified(*GOOD)
    signed = f"@cert-authority * {public(authority)}"
    for withdrawn, what in (
        (authority, "the authority that signed"),
        (keys / "host_ed25519", "the host key"),
    ):
        file = known(tmp_path, signed, f"@revoked * {public(withdrawn)}")
        with pytest.raises(HostKeyError, match=f"{what}.* is revoked"):
            answers(server, known_hosts=file)
        assert not openssh_enters(server, file)


def test_a_known_key_needs_no_good_certificate(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    server = certified("-h", "-n", "127.0.0.1", "-V", "20200101:20200102")
    signed = f"@cert-authority * {public(authority)}"
    file = known(tmp_path, signed, f"[127.0.0.1]:{server.port} {public(keys / 'host_ed25519')}")
    assert answers(server, known_hosts=file) == "hello\n"
    assert openssh_enters(server, file)


def test_another_known_key_of_a_server_whose_certificate_is_not_good(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    server = certified("-h", "-n", "127.0.0.1", "-V", "20200101:20200102", more=("host_rsa",))
    signed = f"@cert-authority * {public(authority)}"
    file = known(tmp_path, signed, f"[127.0.0.1]:{server.port} {public(keys / 'host_rsa')}")
    assert answers(server, known_hosts=file) == "hello\n"


def test_a_new_key_that_the_authority_has_signed(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    """What authorities are for: the appliance was installed again, and known_hosts has its old key."""
    server = certified(*GOOD)
    old = f"[127.0.0.1]:{server.port} {public(keys / 'other_ed25519')}"
    assert (
        answers(server, known_hosts=known(tmp_path, old, f"@cert-authority * {public(authority)}"))
        == "hello\n"
    )


def test_a_pinned_key_is_the_only_one(
    certified: Certified, authority: Path, keys: Path, tmp_path: Path
) -> None:
    server, file = certified(*GOOD), by_authority(tmp_path, authority)
    with pytest.raises(HostKeyError, match="pinned"):
        answers(server, known_hosts=file, host_key=fingerprint(blob(keys / "other_ed25519")))
    assert answers(server, known_hosts=file, host_key=fingerprint(blob(keys / "host_ed25519"))) == "hello\n"


def test_an_upload_by_the_ssh_program(certified: Certified, authority: Path, tmp_path: Path) -> None:
    """It is given the key that the certificate has proven, and nothing of the authority."""
    shell = SshShell(certified(*GOOD).node(known_hosts=by_authority(tmp_path, authority)))
    source = tmp_path / "source"
    source.write_bytes(os.urandom(100_000))
    try:
        assert list(shell.upload(source, str(tmp_path / "target")))[-1].way == "the ssh program"
    finally:
        shell.disconnect()
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


# -- no server needed --------------------------------------------------------------------------------


@pytest.fixture
def certificate(authority: Path, keys: Path, tmp_path: Path) -> Callable[..., bytes]:
    def make(*options: str) -> bytes:
        (tmp_path / "host.pub").write_text(public(keys / "host_ed25519"))
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", *options, str(tmp_path / "host.pub")],
            check=True,
        )
        return base64.b64decode((tmp_path / "host-cert.pub").read_text().split()[1])

    return make


def _trouble(data: bytes, authority: Path) -> str:
    key = paramiko.Ed25519Key(msg=paramiko.Message(data))
    return certificate_trouble(key, "127.0.0.1", [blob(authority)])


def test_a_users_certificate_is_no_hosts(certificate: Callable[..., bytes], authority: Path) -> None:
    assert _trouble(certificate(*GOOD), authority) == ""
    assert _trouble(certificate("-n", "127.0.0.1"), authority) == "it is a user's certificate, not a host's"


def test_no_byte_of_a_certificate_may_change(certificate: Callable[..., bytes], authority: Path) -> None:
    """Whatever is altered, cut off or put behind it: it is refused in words, and nothing else happens."""
    whole = certificate(*GOOD)
    start = 4 + len("ssh-ed25519-cert-v01@openssh.com")
    for at in range(start, len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            assert _trouble(changed, authority), at
        except (paramiko.SSHException, ValueError):
            continue  # the library refuses it before
    for other in (whole[:-1], whole + b"\0", whole + whole):
        assert _trouble(other, authority)
