"""What a node knows of the others: real connections to their port 5432, and their reports."""

from __future__ import annotations

import contextlib
import errno
import json
import selectors
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import wire
from .appliance import JOINING, Appliance
from .store import Doc, now

API, DATABASE = 443, 5432
_FRESH = 1.0  # seconds for which a look at the connections is good
_TEXTS = {
    "none": "not clustered", "creating": "joining: creating (1/5)", "b": "joining: bootstrapping (2/5)",
    "i": "joining: initial sync (3/5)", "c": "joining: catching up (4/5)", "o": "joining: completing (5/5)",
    "r": "ready", "d": "down", "k": "killed",
}  # fmt: skip


def status_of(code: str) -> Doc:
    """A status with its words."""
    return {"code": code, "description": _TEXTS.get(code, "unknown")}


def reachable(hosts: list[str], port: int = DATABASE, timeout: float = 1.0) -> dict[str, bool]:
    """Which of them take a connection; all are tried at once, in one thread."""
    found = dict.fromkeys(hosts, False)
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as stack:
        for host in hosts:
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            one.setblocking(False)
            if one.connect_ex((host, port)) in (0, errno.EINPROGRESS):
                waiting.register(one, selectors.EVENT_WRITE, host)
        deadline = time.monotonic() + timeout
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                one = waiting.unregister(key.fileobj).fileobj  # type: ignore[assignment]
                found[key.data] = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    return found


class Peers:
    """Looks at the other members, lazily, and gossips slowly in the background."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self._lock = threading.Lock()
        self._seen: dict[str, bool] = {}
        self._seen_at = -10.0
        self._since: dict[str, str] = {}
        self._reports: dict[str, Doc] = {}
        self._path = appliance.store.folder / "reports.json"
        with contextlib.suppress(FileNotFoundError, ValueError):
            self._reports = json.loads(self._path.read_text())

    def members(self) -> list[Doc]:
        """All members, itself included; [] when it has no cluster."""
        cluster = self.appliance.doc["cluster"]
        return list(cluster["members"]) if cluster else []

    def others(self) -> list[Doc]:
        """The members but itself."""
        return [m for m in self.members() if m["nodeID"] != self.appliance.doc["node_id"]]

    def connected(self) -> dict[str, bool]:
        """By node id: whether its port 5432 takes a connection, at most a second old."""
        others = self.others()
        with self._lock:
            known = all(m["nodeID"] in self._seen for m in others)
            if not known or time.monotonic() - self._seen_at > _FRESH:
                by_host = reachable([m["host"] for m in others])
                self._seen = {m["nodeID"]: by_host[m["host"]] for m in others}
                self._seen_at = time.monotonic()
                for name, up in self._seen.items():
                    if up:
                        self._since.setdefault(name, now())
                    else:
                        self._since.pop(name, None)
            return dict(self._seen)

    def codes(self) -> dict[str, str]:
        """By node id: its status as this node sees it."""
        seen = self.connected()
        own, found = self.appliance.doc["node_id"], {}
        for member in self.members():
            name, code = member["nodeID"], member["code"]
            away = name != own and code == "r" and not seen.get(name, False)
            found[name] = "d" if away else code
        return found

    def majority(self) -> bool:
        """Whether more than half of the members, itself included, are reachable."""
        ready = sum(self.connected().values()) + 1
        return ready * 2 > len(self.members())

    # -- reports -----------------------------------------------------------------------------------

    def report(self) -> Doc:
        """What this node says of all members."""
        codes, seen = self.codes(), self.connected()
        rows = {m["nodeID"]: self._view(m, codes[m["nodeID"]], seen) for m in self.members()}
        return {"clusterSummary": rows, "lastUpdated": now()}

    def _view(self, member: Doc, code: str, seen: dict[str, bool]) -> Doc:
        name = member["nodeID"]
        own = name == self.appliance.doc["node_id"]
        info: Doc = {
            "host": member["host"], "isThisNode": own, "nodeID": name, "port": DATABASE,
            "publicAddress": member["publicAddress"], "status": status_of(code),
        }  # fmt: skip
        if own:
            return {"clusterErrors": None, "nodeInfo": info, "summary": "GOOD"}
        up = seen.get(name, False)
        info |= {"applyRate": 900, "connected": up, "replayLag": "00:00:00.000873", "replayLagBytes": 0}
        info |= {"replicationBlocked": False, "state": "streaming"}  # a dead peer says streaming too
        if up:
            info["connectTime"] = self._since.get(name, now())
        words = "could not connect to the postgresql server in replication mode: timeout expired\n"
        errors = None if up else [{"errorMessage": words, "errorTime": now()}]
        good = "GOOD" if up and code == "r" else "BAD:node is inactive"
        return {"clusterErrors": errors, "nodeInfo": info, "summary": good}

    def summary(self) -> Doc:
        """``cluster summary``: every member's report; that of one which is away is its last."""
        self.refresh()
        ids = [m["nodeID"] for m in self.members() if m["code"] not in JOINING]
        reports = {**self._reports, self.appliance.doc["node_id"]: self.report()}
        shown = {name: reports[name] for name in ids if name in reports}
        return {"skip": 0, "limit": 0, "total": len(self.members()), "resources": shown}

    def refresh(self) -> None:
        """Gets the reports and the list of members of all that can be reached."""
        seen = self.connected()
        near = [m for m in self.others() if seen.get(m["nodeID"])]
        if near:
            with ThreadPoolExecutor(min(8, len(near))) as pool:
                list(pool.map(self._fetch, near))

    def _fetch(self, member: Doc) -> None:
        path = f"/internal/report?from={self.appliance.doc['node_id']}"
        answer = self.ask(member["host"], "GET", path)
        if not answer:
            return
        if "report" in answer:
            self._reports[member["nodeID"]] = answer["report"]
        self.learn(answer)

    def ask(self, host: str, method: str, path: str, body: Any = None) -> Doc | None:
        """A call to another node; None where it does not answer."""
        try:
            _, text = wire.call(host, API, method, path, body=body, timeout=3.0)
            found: Doc = json.loads(text)
        except (OSError, ValueError):
            return None
        return found

    def learn(self, told: Doc) -> None:
        """Another member's list of members, taken when it is newer; it may not hold this node."""
        cluster = self.appliance.doc["cluster"]
        news = told.get("cluster")
        if not cluster or not news or news["id"] != cluster["id"] or news["rev"] <= cluster["rev"]:
            return
        with self.appliance.store.change() as doc:
            if all(m["nodeID"] != doc["node_id"] for m in news["members"]):
                doc["removed"] = True
            else:
                doc["cluster"] = news

    def push(self, extra: tuple[str, ...] = ()) -> None:
        """Tells the list of members to all that can be reached, and to the hosts in ``extra``."""
        cluster = self.appliance.doc["cluster"]
        hosts = [m["host"] for m in self.others()] + list(extra)
        near = [host for host, up in reachable(hosts).items() if up]
        if near and cluster:
            with ThreadPoolExecutor(min(8, len(near))) as pool:
                list(pool.map(lambda h: self.ask(h, "POST", "/internal/members", {"cluster": cluster}), near))

    def gossip(self) -> None:
        """For ever: keeps the reports, so that a node that goes away leaves its last one behind."""
        while True:
            count = len(self.members())
            time.sleep(max(2.0, 0.3 * count))
            if count > 1 and self.appliance.serving() and not self.appliance.doc["removed"]:
                with contextlib.suppress(OSError):
                    self.refresh()
                    self._path.write_text(json.dumps(self._reports))
