"""One bounded download: of a size, in a time, from one place, over TLS that is judged as it was asked."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

CONNECT_TIMEOUT = 10.0  # seconds
SILENCE = 30.0  # seconds without a byte
WHOLE = 900.0  # seconds in all: 100 MB over a slow line
MOST = 512 * 2**20  # bytes; what is known of it has three programs of some 25 MB each
_REDIRECTS = 3
_PIECE = 65_536


class DownloadError(Exception):
    """It could not be had.

    :ivar away: nothing answered, so that it may be had later. :ivar said: what TLS said of who answers; "" where it is
        about something else.
    """

    def __init__(self, why: str, *, away: bool = False, said: str = "") -> None:
        super().__init__(why)
        self.away, self.said = away, said


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file is.

    :ivar url: as it is called. :ivar through: the scheme, host and port that lead there, if others.
    :ivar context: judges the server's certificate; None for plain http.
    """

    url: str
    through: str
    context: ssl.SSLContext | None

    @property
    def named(self) -> SplitResult:
        """Return the parts of the url."""
        return urlsplit(self.url)


def download(source: Source, target: BinaryIO, *, most: int = MOST, seconds: float = WHOLE) -> int:
    """Write the file to ``target`` and return its length in bytes. No proxy is asked.

    :param most: bytes. :param seconds: in all.
    :raises DownloadError: it is not there, not whole, too long, or takes too long; the certificate is not trusted.
    :raises OSError: ``target`` takes no more.
    """
    end, url = time.monotonic() + seconds, source.url
    for _ in range(_REDIRECTS + 1):
        with _Connection(source, end) as connection:
            response = connection.asked(url)
            if response.status in (301, 302, 303, 307, 308):
                url = _next_place(source, url, response)
                continue
            return _body(connection, response, target, most)
    raise DownloadError(f"it redirects more than {_REDIRECTS} times")


class _Connection:
    """A connection with a watch that ends it when the time is over, however slowly its bytes come."""

    def __init__(self, source: Source, end: float) -> None:
        self._source, self._end = source, end
        self.late = False
        self._sock = self._connected()
        self._watch = threading.Timer(max(0.0, end - time.monotonic()), self._stop)
        self._watch.daemon = True
        self._watch.start()
        try:
            self._http = self._secured()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self._watch.cancel()
        with suppress(OSError):
            self._sock.close()

    def asked(self, url: str) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        try:
            self._http.request(
                "GET",
                f"{parts.path}?{parts.query}" if parts.query else parts.path,
                headers={
                    "Host": parts.netloc,
                    "User-Agent": "ctmupgrade",
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                },
            )
            return self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self.failed(error) from error

    def failed(self, error: Exception) -> DownloadError:
        """A foreign error in words."""
        if self.late:
            return DownloadError("it takes too long")
        if isinstance(error, TimeoutError):
            return DownloadError(f"nothing came for {SILENCE:g} s", away=True)
        if isinstance(error, http.client.IncompleteRead):
            return DownloadError("it ended in the middle", away=True)
        if isinstance(error, http.client.HTTPException) and not isinstance(
            error, http.client.RemoteDisconnected
        ):
            return DownloadError(f"the answer is not HTTP as it should be: {type(error).__name__}")
        return DownloadError(f"the connection broke: {error}", away=True)

    def _connected(self) -> socket.socket:
        parts = urlsplit(self._source.through)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            sock = socket.create_connection(
                ((parts.hostname or "").replace("%25", "%"), port), timeout=CONNECT_TIMEOUT
            )
        except (OSError, UnicodeError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise DownloadError(f"no connection: {why}", away=True) from error
        sock.settimeout(SILENCE)
        return sock

    def _secured(self) -> http.client.HTTPConnection:
        host = (self._source.named.hostname or "").partition("%")[0]
        if self._source.context:
            try:
                self._sock = self._source.context.wrap_socket(self._sock, server_hostname=host)
            except ssl.SSLError as error:
                raise DownloadError("TLS does not prove who answers", said=_words(error)) from error
            except (OSError, ValueError) as error:
                raise self.failed(error) from error
        made = http.client.HTTPConnection(host)
        made.auto_open = 0  # this connection or none
        made.sock = self._sock
        return made

    def _stop(self) -> None:
        self.late = True
        with suppress(OSError):
            # Not SSLSocket's own, which would take the TLS state from under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def _words(error: ssl.SSLError) -> str:
    """What OpenSSL says, without its place in the source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()


def _next_place(source: Source, url: str, response: http.client.HTTPResponse) -> str:
    """Where a redirect leads. :raises DownloadError: to another server, whom nothing proves."""
    found = urljoin(url, response.headers.get("Location", ""))
    there, here, way = urlsplit(found), source.named, urlsplit(source.through)
    # A server that makes its redirects of where it was asked knows only the way that we came.
    if (there.scheme, there.netloc) not in ((here.scheme, here.netloc), (way.scheme, way.netloc)):
        raise DownloadError(f"it redirects to another place, {there.scheme}://{there.netloc}")
    return here._replace(path=there.path or "/", query=there.query).geturl()


def _body(connection: _Connection, response: http.client.HTTPResponse, target: BinaryIO, most: int) -> int:
    if response.status != http.client.OK:
        raise DownloadError(
            f"the appliance answers {response.status} {response.reason}"[:200], away=response.status >= 500
        )
    if (coded := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
        raise DownloadError(f"it is sent in another encoding, {coded[:40]}")
    told = response.length
    if told is not None and told > most:
        raise DownloadError(f"it has {told} bytes, and at most {most} are taken")
    length = 0
    while piece := _piece(connection, response):
        length += len(piece)
        if length > most:
            raise DownloadError(f"it is longer than {most} bytes")
        target.write(piece)
    if connection.late:
        raise DownloadError("it takes too long")
    if told is not None and length != told:
        raise DownloadError(f"it ended after {length} of {told} bytes", away=True)
    return length


def _piece(connection: _Connection, response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise connection.failed(error) from error
