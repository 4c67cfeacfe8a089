"""The HTTP API on port 443: plain HTTP, because only the stand-in ``ksctl`` and other nodes talk to it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .appliance import Appliance
from .backups import Backups
from .membership import Membership
from .peers import Peers
from .settings import Settings
from .store import FOLDER, ApiError, Doc, bad_request, internal, not_found
from .wire import INDENTED

Answer = Doc | bytes | list[Doc]
_IMAGES = "/downloads/ksctl_images.zip"
_OPEN = ("/v1/system/services/status", "/v1/system/info")  # answered before the services are up


class Api:
    """Routes: (method, pattern) to a function of (groups, body, query)."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.peers = Peers(appliance)
        self.members = Membership(appliance, self.peers)
        self.backups = Backups(appliance)
        self.settings = Settings(appliance)
        self.routes: list[tuple[str, str, Callable[..., Answer]]] = [
            *self._cluster_routes(), *self._backup_routes(), *self._system_routes(),
        ]  # fmt: skip

    def _cluster_routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        m = self.members
        return [
            ("GET", "/v1/cluster", lambda b, q: m.info()),
            ("DELETE", "/v1/cluster", lambda b, q: m.delete()),
            (
                "POST",
                "/v1/cluster/new",
                lambda b, q: m.new(b.get("localNodeHost", ""), b.get("publicAddress", "")),
            ),
            ("POST", "/v1/cluster/csr", lambda b, q: m.request()),
            ("POST", "/v1/cluster/join", lambda b, q: m.join(b)),
            ("GET", "/v1/cluster/summary", lambda b, q: self.peers.summary()),
            ("GET", "/v1/cluster/errors", lambda b, q: m.errors()),
            ("GET", "/v1/nodes", lambda b, q: m.rows()),
            ("POST", "/v1/nodes", lambda b, q: m.sign(b.get("csr", ""))),
            ("GET", "/v1/nodes/([^/]+)", lambda b, q, i: m.one(i)),
            ("PATCH", "/v1/nodes/([^/]+)", lambda b, q, i: m.readdress(i, b.get("publicAddress", ""))),
            ("DELETE", "/v1/nodes/([^/]+)", lambda b, q, i: m.remove(i, force=q.get("force") == "true")),
        ]

    def _backup_routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        k = self.backups
        return [
            ("GET", "/v1/backupStatus", lambda b, q: k.status()),
            ("GET", "/v1/backups", lambda b, q: k.rows()),
            ("POST", "/v1/backups", lambda b, q: k.create(b)),
            ("POST", "/v1/backups/upload", lambda b, q: k.upload(b)),
            ("GET", "/v1/backups/([^/]+)", lambda b, q, i: k.get(i)),
            ("DELETE", "/v1/backups/([^/]+)", lambda b, q, i: k.delete("backups", i)),
            ("GET", "/v1/backups/([^/]+)/download", lambda b, q, i: k.download(i)),
            ("POST", "/v1/backups/([^/]+)/restore", lambda b, q, i: k.restore(i, force=bool(b.get("force")))),
            ("GET", "/v1/backupkeys", lambda b, q: k.keys()),
            ("POST", "/v1/backupkeys", lambda b, q: k.create_key()),
            ("POST", "/v1/backupkeys/upload", lambda b, q: k.upload_key(b)),
            ("GET", "/v1/backupkeys/([^/]+)", lambda b, q, i: k.get_key(i)),
            ("DELETE", "/v1/backupkeys/([^/]+)", lambda b, q, i: k.delete("backup_keys", i)),
            ("POST", "/v1/backupkeys/([^/]+)/default", lambda b, q, i: k.make_default(i)),
            ("POST", "/v1/backupkeys/([^/]+)/download", lambda b, q, i: k.download_key(i, b)),
        ]

    def _system_routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        s, a = self.settings, self.appliance
        return [
            ("GET", "/v1/system/info", lambda b, q: a.system_info()),
            ("PATCH", "/v1/system/info", lambda b, q: s.rename(b.get("name", ""))),
            ("GET", "/v1/system/services/status", lambda b, q: a.services()),
            ("POST", "/v1/system/services/restart", lambda b, q: self._restart()),
            ("POST", "/v1/system/services/reset", lambda b, q: s.reset()),
            ("POST", "/v1/system/ntp/servers", lambda b, q: s.add_ntp(b.get("host", ""))),
            ("DELETE", "/v1/system/ntp/servers/([^/]+)", lambda b, q, i: s.delete_ntp(i)),
            ("POST", "/v1/system/products", lambda b, q: s.product(b.get("name", ""), b.get("state", ""))),
            ("GET", "/v1/(.+)", lambda b, q, i: self._setting(i)),
        ]

    def _restart(self) -> Doc:
        self.appliance.restart_services()
        return {}

    def _setting(self, name: str) -> Answer:
        rows = self.settings.listing(name)
        found: Answer | None = self.settings.plain(name) if rows is None else rows
        if found is None:
            raise not_found()
        return found

    # -- one request -------------------------------------------------------------------------------

    def answer(self, method: str, target: str, login: tuple[str, str] | None, raw: bytes) -> Answer:
        """What the API says. :raises ApiError: as an error body."""
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path.startswith("/internal/"):
            return self._internal(url.path, query, json.loads(raw or b"{}"))
        if url.path == _IMAGES:  # without a login
            return self._images()
        path = url.path.removeprefix("/api")
        if path != _OPEN[0]:
            self._authorise(login)
        if method != "GET":
            self.appliance.store.audit("api", f"{method} {path}", user=login[0] if login else "")
        if path not in _OPEN and not self.appliance.serving():
            raise ApiError(503, 14, "NCERRInternalServerError: service unavailable")
        body: Any = raw if path.endswith("backups/upload") else json.loads(raw or b"{}")
        for wanted, pattern, function in self.routes:
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return self._paged(function(body, query, *found.groups()), query)
        raise not_found()

    def _authorise(self, login: tuple[str, str] | None) -> None:
        if login is None or self.appliance.doc["users"].get(login[0]) != login[1]:
            raise ApiError(401, 5, "NCERRUnauthorizedAccess: Unauthorized access", "invalid credentials")

    def _paged(self, answer: Answer, query: dict[str, str]) -> Answer:
        if not isinstance(answer, list):
            return answer
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 10))
        shown: list[Doc] | None = answer[skip : skip + limit]
        if not shown and self.appliance.knob("null_lists"):
            shown = None
        return {"skip": skip, "limit": limit, "total": len(answer), "resources": shown}

    def _images(self) -> bytes:
        try:
            return (FOLDER / _IMAGES.rpartition("/")[2]).read_bytes()
        except FileNotFoundError:
            raise not_found() from None

    def _internal(self, path: str, query: dict[str, str], body: Doc) -> Answer:
        """What nodes say to each other; it would go over port 5432."""
        if not self.appliance.serving():
            raise internal("not serving")
        if path == "/internal/members":
            self.peers.learn(body)
            return {}
        if path == "/internal/join":
            return self.members.admit(body)
        cluster = self.appliance.doc["cluster"]
        answer: Doc = {"cluster": cluster}
        if cluster and not self.appliance.doc["removed"]:
            if any(m["nodeID"] == query.get("from") for m in cluster["members"]):
                answer["report"] = self.peers.report()
            return answer
        raise bad_request("not clustered")


class Handler(BaseHTTPRequestHandler):
    """HTTP around :class:`Api`."""

    api: Api

    def _handle(self) -> None:
        login = None
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, password = base64.b64decode(secret).decode().partition(":")
            login = (name, password)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer = 200, self.api.answer(self.command, self.path, login, raw)
        except ApiError as error:
            status, answer = error.status, error.body
        content = answer if isinstance(answer, bytes) else self._text(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _text(self, answer: Doc | list[Doc]) -> str:
        indented = self.headers.get("Accept", "") == INDENTED
        return json.dumps(answer, indent=8 if indented else None)

    do_GET = do_POST = do_DELETE = do_PATCH = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the audit log is what tests read."""
