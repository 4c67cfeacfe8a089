"""A node's control plane that is really there: HTTPS with a certificate of its own, the download, and the world's answers.

And a ``ksctl`` that connects to ``KSCTL_URL`` as the vendor's does: TLS verified or not, no other way to the world.
"""

from __future__ import annotations

import datetime
import io
import ipaddress
import json
import ssl
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Exit status, standard output and error of ksctl, and the files that it writes, in base64.
Said = tuple[int, str, str, dict[str, str]]
Answer = Callable[[tuple[str, ...], str | None], Said]
PAGE = "/downloads/ksctl_images.zip"


def certificate(folder: Path, *names: str, days: int = 30) -> Path:
    """A key with a certificate that it signs itself, in one file. ``names``: hosts and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    alternatives: list[x509.GeneralName] = []
    for one in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(one)))
        except ValueError:
            alternatives.append(x509.DNSName(one))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=40)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / f"{names[0]}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def images(**programs: bytes) -> bytes:
    """A download as the vendor's: ``linux`` is ksctl-linux-amd64, and so on, with an example besides."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for system, program in programs.items():
            machine = "" if "-" in system else "-amd64"
            archive.writestr(f"ksctl-{system}{machine}{'.exe' if system == 'win' else ''}", program)
        archive.writestr("config_example.yaml", "KSCTL_URL: https://localhost\n")
    return made.getvalue()


@dataclass
class Plane:
    """A control plane on 127.0.0.1.

    :ivar zipped: what is downloaded; None: there is no such page. :ivar asked: the command lines so far.
    :ivar redirect: where the download is said to be. :ivar broken_after: bytes of it after which the connection ends.
    """

    server: ThreadingHTTPServer
    pem: Path
    zipped: bytes | None = None
    downloads: int = 0
    asked: list[list[str]] = field(default_factory=list)
    redirect: str = ""
    broken_after: int | None = None

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def start_plane(pem: Path, answer: Answer | None = None, *, tls: bool = True) -> Plane:
    """A control plane with that certificate. ``answer``: to a command line, and the password of a backup key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = plane.zipped if self.path == PAGE else None
            if plane.redirect and self.path == PAGE:
                self.send_response(302)
                self.send_header("Location", plane.redirect)
                self.end_headers()
                return
            if data is None:
                self.send_error(404)
                return
            plane.downloads += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: plane.broken_after])

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            plane.asked.append(asked["argv"])
            found = answer(tuple(asked["argv"]), asked["answer"]) if answer else (0, "{}", "", {})
            data = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust us is no fault
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    plane = Plane(server, pem)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return plane


def ksctl_bytes(note: str = "") -> bytes:
    """A ksctl that talks to its URL."""
    return (KSCTL.format(python=sys.executable) + (f"# {note}\n" if note else "")).encode()


KSCTL = '''#!{python} -IS
"""A stand-in ksctl: asks the control plane at KSCTL_URL, over TLS."""
import base64, http.client, json, os, ssl, sys
from urllib.parse import urlsplit

argv, answer = sys.argv[1:], None
asks = {{"download": (b"Backup key password: ", b"Confirm password: "), "upload": (b"Backup key password: ",)}}
if argv[:1] == ["backupkeys"] and argv[1] in asks and not any(a.startswith("--bkpassword") for a in argv):
    terminal = os.open("/dev/tty", os.O_RDWR)
    for prompt in asks[argv[1]]:
        os.write(terminal, prompt)
        answer = b""
        while not answer.endswith(b"\\n"):
            answer += os.read(terminal, 1)
    answer = answer.decode().strip()
url = urlsplit(os.environ["KSCTL_URL"])
try:
    if url.scheme == "https":
        context = ssl.create_default_context()
        if os.environ.get("KSCTL_NOSSLVERIFY") == "true":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=20)
    else:
        link = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    link.request("POST", "/api", json.dumps({{"argv": argv, "answer": answer}}))
    code, out, err, files = json.loads(link.getresponse().read())
except Exception as error:
    sys.exit("Error: Get " + os.environ["KSCTL_URL"] + ": " + str(error))
for path, data in files.items():
    open(path, "wb").write(base64.b64decode(data))
sys.stdout.write(out); sys.stderr.write(err)
sys.exit(code)
'''
