"""A POST to a URL that only the environment knows."""

from __future__ import annotations

import base64
import http.client
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from ctmupgrade.adapters.notify.connecting import SILENCE, tls, words
from ctmupgrade.adapters.notify.errors import NotDeliveredError
from ctmupgrade.core.receivers import Webhook

_MOST = 500  # bytes of an answer that are read


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the message, or the URL's token, to where nobody has asked for it."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Sends to one webhook; through the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` name."""

    receiver: Webhook

    def send(self, payload: bytes) -> None:
        """Post a JSON document. :raises NotDeliveredError: it was not taken."""
        request = self._request(payload)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls(self.receiver.ca_file)), _NoRedirects
        )
        try:
            with opener.open(request, timeout=SILENCE) as response:
                response.read(_MOST)
        except urllib.error.HTTPError as error:
            raise NotDeliveredError(_refusal(error)) from None
        except urllib.error.URLError as error:
            why = error.reason
            raise NotDeliveredError(words(why) if isinstance(why, BaseException) else str(why)) from None
        except OSError as error:
            raise NotDeliveredError(words(error)) from None
        except (http.client.HTTPException, ValueError) as error:  # its text may hold the URL
            raise NotDeliveredError(
                f"the answer is not HTTP as it should be: {type(error).__name__}"
            ) from None

    def _request(self, payload: bytes) -> urllib.request.Request:
        """The request. :raises NotDeliveredError: there is no usable URL."""
        name = self.receiver.url_env
        url = os.environ.get(name, "").strip()
        if not url:
            raise NotDeliveredError(f"the variable {name} is not set")
        parts = _parts(url)
        if parts is None:
            raise NotDeliveredError(f"the variable {name} holds no URL: https://... is expected")
        headers = {"Content-Type": "application/json", "User-Agent": "ctmupgrade"}
        user, sign, place = parts.netloc.rpartition("@")
        if sign:
            headers["Authorization"] = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
        target = parts._replace(netloc=place, fragment="").geturl()
        return urllib.request.Request(target, data=payload, headers=headers, method="POST")  # noqa: S310 - see above


def _parts(url: str) -> SplitResult | None:
    """The parts of a URL; None where it is none that can be posted to."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and url.isascii() and all("!" <= c <= "~" for c in url) else None


def _refusal(error: urllib.error.HTTPError) -> str:
    with error:
        try:
            said = error.read(_MOST).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException):
            said = ""
    if HTTPStatus.MULTIPLE_CHOICES <= error.code < HTTPStatus.BAD_REQUEST:
        return f"it answers {error.code}, a redirect, which is not followed"
    one = " ".join(said.split())[:100]
    return (
        f'it answers {error.code}: "{one}"' if one and not one.startswith("<") else f"it answers {error.code}"
    )
