"""``/v1/cluster`` and ``/v1/nodes``: a cluster's members and how they change."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from .appliance import JOINING, Appliance
from .peers import DATABASE, Peers, status_of
from .store import ApiError, Doc, bad_request, internal


def member_row(node_id: str, host: str, public: str, code: str) -> Doc:
    """A member as the cluster's document keeps it."""
    return {"nodeID": node_id, "host": host, "publicAddress": public, "code": code}


class Membership:
    """Asks and changes the cluster through one of its members."""

    def __init__(self, appliance: Appliance, peers: Peers) -> None:
        self.appliance, self.peers = appliance, peers

    # -- looks -------------------------------------------------------------------------------------

    def info(self) -> Doc:
        """``cluster info``."""
        doc = self.appliance.doc
        if doc["removed"]:  # it looks like a node that is down, until it is told to leave
            return {"nodeID": doc["node_id"], "nodeCount": 1, "status": status_of("d")}
        if not doc["cluster"]:
            return {"nodeID": "", "status": status_of("none"), "nodeCount": 0}
        code = self.appliance.own_row(doc["cluster"]).get("code", "d")
        raft = "up" if self.peers.majority() else "no leader"
        count = len(self.peers.members())
        return {"nodeID": doc["node_id"], "nodeCount": count, "status": status_of(code), "raftStatus": raft}

    def rows(self) -> list[Doc]:
        """``cluster nodes list``."""
        codes = self.peers.codes()
        own = self.appliance.doc["node_id"]
        return [
            {
                "nodeID": m["nodeID"],
                "status": status_of(codes.get(m["nodeID"], "d")),
                "host": m["host"],
                "port": DATABASE,
                "state": None,
                "isThisNode": m["nodeID"] == own,
                "publicAddress": m["publicAddress"],
            }
            for m in self.peers.members()
        ]

    def one(self, node_id: str) -> Doc:
        """``cluster nodes get``; the id of a removed node is an internal error."""
        for row in self.rows():
            if row["nodeID"] == node_id:
                return row
        raise internal()

    def errors(self) -> list[Doc]:
        """``cluster errors``."""
        words = "could not connect to the postgresql server in replication mode: timeout expired\n"
        down = [m for m in self.rows() if m["status"]["code"] == "d"]
        return [{"nodeID": m["nodeID"], "host": m["host"], "errorMessage": words} for m in down]

    # -- changes -----------------------------------------------------------------------------------

    def new(self, host: str, public: str) -> Doc:
        """``cluster new``."""
        if self.appliance.doc["cluster"]:
            raise bad_request("node is already part of a cluster")
        if not host:
            raise bad_request("localNodeHost can't be empty")
        with self.appliance.store.change() as doc:
            doc["node_id"] = uuid.uuid4().hex
            rows = [member_row(doc["node_id"], host, public or host, "r")]
            doc |= {"cluster": {"id": uuid.uuid4().hex, "rev": 1, "members": rows}, "removed": False}
        return self.info()

    def delete(self) -> Doc:
        """``cluster delete``: this node is unclustered."""
        doc = self.appliance.doc
        if len(self.peers.members()) > 1 and not doc["removed"]:
            self.appliance.store.audit("DELETE-WHILE-MEMBER", "cluster delete before it was removed")
        self.leave()
        return {}

    def leave(self) -> None:
        """Forgets the cluster."""
        with self.appliance.store.change() as doc:
            doc |= {"cluster": None, "node_id": "", "removed": False}

    def remove(self, node_id: str, *, force: bool) -> Doc:
        """``cluster nodes delete`` through this member."""
        self._must_agree(force)
        gone = next((m for m in self.peers.members() if m["nodeID"] == node_id), None)
        if gone is None:
            raise internal()
        if node_id == self.appliance.doc["node_id"]:
            raise bad_request("a node cannot remove itself")
        up = self.peers.connected().get(node_id, False)
        if not up and not force:
            raise internal("node is not reachable; use force to remove it")
        self._change_members(lambda rows: [m for m in rows if m["nodeID"] != node_id])
        self.peers.push(extra=(gone["host"],) if up else ())
        return {}

    def readdress(self, node_id: str, public: str) -> Doc:
        """``PATCH /v1/nodes/{id}``."""
        self.one(node_id)
        self._change_members(
            lambda rows: [{**m, "publicAddress": public} if m["nodeID"] == node_id else m for m in rows]
        )
        self.peers.push()
        return self.one(node_id)

    def _change_members(self, change: Any) -> None:
        with self.appliance.store.change() as doc:
            old = doc["cluster"]
            doc["cluster"] = {**old, "rev": old["rev"] + 1, "members": change(old["members"])}

    def _must_agree(self, force: bool = False) -> None:
        doc = self.appliance.doc
        if not doc["cluster"] or doc["removed"]:
            raise bad_request("node is not part of a cluster")
        if self.appliance.knob("quorum") and not force and not self.peers.majority():
            raise internal("consensus is down")

    # -- joining -----------------------------------------------------------------------------------

    def request(self) -> Doc:
        """``POST /v1/cluster/csr`` on the joining node."""
        if self.appliance.doc["cluster"] or self.appliance.doc["removed"]:
            raise bad_request("node is already part of a cluster")
        return {"csr": f"LAB CSR {self.appliance.doc['name']}"}

    def sign(self, csr: str) -> Doc:
        """``POST /v1/nodes`` on a member."""
        self._must_agree()
        if not csr:
            raise bad_request("csr can't be empty")
        if any(m["code"] in JOINING for m in self.peers.members()):
            self.appliance.store.audit("CONCURRENT-JOIN", "a join was asked for while another one runs")
            raise internal("consensus is down")
        return {"cert": "LAB CERT", "cachain": "LAB CA", "mkek_blob": "LAB BLOB"}

    def join(self, body: Doc) -> Doc:
        """``POST /v1/cluster/join`` on the joining node: asks the member, then goes through the stages."""
        self.request()
        host, member = str(body.get("localNodeHost", "")), str(body.get("memberNodeHost", ""))
        if not body.get("cert") or not host or not member:
            raise bad_request("cert, localNodeHost and memberNodeHost are needed")
        node_id = uuid.uuid4().hex
        wish = {"node_id": node_id, "host": host, "version": self.appliance.doc["version"]}
        wish["public"] = str(body.get("localNodePublicAddress") or host)
        answer = self.peers.ask(member, "POST", "/internal/join", wish)
        if answer is None:
            raise internal("could not connect to the member node: connection timed out")
        if "cluster" not in answer:
            raise ApiError(400, answer.get("code", 15), answer.get("codeDesc", ""), answer.get("message", ""))
        with self.appliance.store.change() as doc:
            doc |= {"node_id": node_id, "cluster": answer["cluster"], "removed": False}
        threading.Thread(target=self._stages, args=(answer,), daemon=True).start()
        return {"nodeID": "", "status": status_of("creating")}

    def admit(self, wish: Doc) -> Doc:
        """On the member: a new line, if the versions are the same; and what the joiner copies."""
        self._must_agree()
        doc = self.appliance.doc
        if wish["version"].split("+")[0] != doc["version"].split("+")[0]:
            self.appliance.store.audit("JOIN-OTHER-VERSION", f"{wish['version']} into {doc['version']}")
            raise bad_request(f"version mismatch: {wish['version']} cannot join {doc['version']}")
        row = member_row(wish["node_id"], wish["host"], wish["public"], "creating")
        self._change_members(lambda rows: [*(m for m in rows if m["host"] != wish["host"]), row])
        self.peers.push()
        return {name: doc[name] for name in ("cluster", "data", "users")}

    def _stages(self, copied: Doc) -> None:
        for code in ("b", "i", "c", "o", "r"):
            time.sleep(self.appliance.knob("join_seconds") / 5)
            with self.appliance.store.change() as doc:
                if not doc["cluster"] or doc["removed"]:
                    return
                if code == "i":  # the joiner's own data and users end here
                    doc |= {"data": copied["data"], "users": copied["users"]}
            self._own_code(code)
            self.peers.push()

    def _own_code(self, code: str) -> None:
        own = self.appliance.doc["node_id"]
        self._change_members(lambda rows: [{**m, "code": code} if m["nodeID"] == own else m for m in rows])
