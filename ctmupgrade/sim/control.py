"""The simulated ``ksctl``, pointed at one node."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from ctmupgrade.core.model import Secret
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Reply
from ctmupgrade.sim import active_faults, answers, orders, status, timeline
from ctmupgrade.sim.effects import UNAUTHORIZED, Lost, struck
from ctmupgrade.sim.order import Order, parse
from ctmupgrade.sim.state import SimNode
from ctmupgrade.sim.world import World

DEFAULT_TIMEOUT = 300.0


class SimControl:
    """A :class:`~ctmupgrade.ports.Control` of a node of the world."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`."""
        if orders.is_change(parse(argv).words):
            self.world.complain(f"a look must not change anything: ksctl {argv}")
        return self._run(argv, timeout, None, {})

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`."""
        reply = self.read(*argv, timeout=timeout)
        yield reply.out.encode()
        if reply.code:
            raise NodeError(f"ksctl {' '.join(argv)}: exit {reply.code}", details=reply.err)

    @contextmanager
    def login(self) -> Iterator[Secret]:
        """Return a configuration file's text; what is in it is no secret here."""
        yield Secret(f"KSCTL_URL: https://{self.name}\n")

    def change(
        self,
        *argv: str,
        timeout: float | None = None,
        answer: Secret | None = None,
        files: Mapping[str, Secret] | None = None,
    ) -> Reply:
        """See :meth:`ctmupgrade.ports.Control.change`."""
        return self._run(argv, DEFAULT_TIMEOUT if timeout is None else timeout, answer, files or {})

    def _run(
        self, argv: tuple[str, ...], timeout: float, answer: Secret | None, files: Mapping[str, Secret]
    ) -> Reply:
        world, text = self.world, f"ksctl {' '.join(argv)}"
        timeline.catch_up(world)
        if pause := world.latency + world.nodes[self.name].times.ksctl_s:
            world.clock.advance(pause)
        timeline.command_started(world, self.name, text)
        order = parse(argv)
        if answer is not None or files:
            order = replace(order, answer=answer, files=files)
        if orders.is_change(order.words):
            world.record(self.name, "change", text)
        timeline.catch_up(world)
        result = struck(world, self.name, text, lambda: self._execute(order, timeout), timeout=timeout)
        match result:
            case Reply():
                return result
            case Lost(silent=True):
                return self._failed(
                    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                )
            case Lost():
                return self._failed("EOF")

    def _failed(self, why: str) -> Reply:
        """Nothing came from the node: ksctl's own words, on stderr."""
        return Reply(1, "", f'Error: Post "https://{self.world.nodes[self.name].host}/api/v1": {why}\n')

    def _execute(self, order: Order, timeout: float) -> Reply:
        world, node = self.world, self.world.nodes[self.name]
        away = self._away(node)
        if away:
            return away
        if self._login_fails(node):
            world.record(node.name, "login_refused", " ".join(order.words))
            return self._printed(json.dumps(UNAUTHORIZED), node)
        if (heard := node.heard.get(f"ksctl {order.text}")) is not None:
            return Reply(heard.code, heard.out, heard.err)
        if order.words[:2] == ("services", "status"):
            return Reply(0, answers.services(world, node), "")
        if "limit" in order.flags and not node.ksctl.limits:
            return Reply(1, "", "Error: unknown flag: --limit\n")
        unwell = _unwell(world, node)
        if unwell:
            return self._printed(unwell, node)
        body = _looked(world, node, order)
        if body is not None and body.startswith("Error: "):
            return Reply(1, "", f"{body}\n")
        if body is None:
            body = orders.carry_out(world, node, order, timeout)
            world.touch()
        if body is None:
            world.complain(f"the simulator does not know ksctl {order.words}")
            return Reply(1, "", f'Error: unknown command "{" ".join(order.words)}" for "ksctl"\n')
        return self._printed(body, node)

    def _away(self, node: SimNode) -> Reply | None:
        if status.booting(node, self.world.now):
            return self._failed(f"dial tcp {node.host}:443: connect: connection refused")
        if not self.world.faults:
            return None
        for kind, text in (("refused", "connect: connection refused"), ("unreachable", "i/o timeout")):
            fault = active_faults.lasting(self.world, kind, node.name)
            if fault and fault.text("what", "both") in ("both", "control"):
                return self._failed(f"dial tcp {node.host}:443: {text}")
        return None

    def _login_fails(self, node: SimNode) -> bool:
        """Its login service starts: after a boot, a join or a removal, for up to half an hour (docs/appliance.md 6)."""
        since = max(node.changed_at, node.up_at)
        return since <= self.world.now < since + node.times.login_s

    def _printed(self, body: str, node: SimNode) -> Reply:
        """An error body exits, and goes where, as the node's traits say."""
        if '"codeDesc"' not in body[:80]:  # it stands in front, and a summary is long
            return Reply(0, body, "")
        code = node.ksctl.error_exit
        return Reply(code, body, "") if node.ksctl.errors_on == "stdout" else Reply(code, "", body)


def error(code: int, text: str, message: str = "") -> str:
    """Return an error body."""
    body: dict[str, object] = {"code": code, "codeDesc": text}
    return json.dumps({**body, "message": message} if message else body)


def _unwell(world: World, node: SimNode) -> str:
    """Why the node's API answers with an error; "" where it is well."""
    if node.changed_at <= world.now < node.changed_at + node.times.upset_s or (
        node.join and node.times.upset_s
    ):
        return error(14, "NCERRInternalServerError: unexpected error")
    if status.lock_until(world, node):
        return error(14, "NCERRInternalServerError: unexpected error", "database is locked")
    if node.silent_from <= world.now < node.ready_at or node.broken_at <= world.now:
        return error(14, "NCERRInternalServerError: unexpected error", "service unavailable")
    return ""


def _looked(world: World, node: SimNode, order: Order) -> str | None:  # noqa: C901 - one case a kind
    """The answer of a command that looks; None where it is none of them."""
    own = answers.own_words(node, f"ksctl {' '.join(order.words)}") if node.says else None
    if own is not None:
        return own
    match order.words:
        case ("version",):
            return answers.version(node)
        case ("system", "info", "get"):
            return answers.system_info(world, node)
        case ("cluster", "info"):
            return answers.cluster_info(world, node)
        case ("cluster", "nodes", "list"):
            return answers.nodes_list(world, node) if node.cluster else _not_clustered()
        case ("cluster", "nodes", "get"):
            return _member(world, node, order.flags.get("id", ""))
        case ("cluster", "summary"):
            return answers.summary(world, node)
        case ("cluster", "errors"):
            rows: list[object] = []
            return json.dumps(
                rows if node.ksctl.bare_lists else {"skip": 0, "limit": 10, "total": 0, "resources": rows}
            )
        case ("ntp", "status"):
            return answers.ntp_status(world, node)
        case ("backup", "status"):
            return answers.backup_status(node)
        case ("backup", "get"):
            return _backup(world, node, order.flags.get("id", ""))
        case ("diskenc", "status"):
            return json.dumps({"encrypted": node.attended_boot, "attendedBoot": node.attended_boot})
        case ("licensing", "lockdata", *more) if "".join(more) == node.ksctl.lockdata:
            return json.dumps({"code": node.lock_code, "cluster_code": "*17Z QZK5 CMCZ Z7F9"})
        case ("interfaces", "certificate", "get"):
            return json.dumps({"certificates": answers.CERTIFICATE})
        case ("quorum-policy", "status"):
            return json.dumps({"skip": 0, "limit": 10, "total": 0, "resources": []})
        case ("banners", "get"):
            return json.dumps({"banner": ""})
        case (*what, "list"):
            limit, skip = order.number("limit", 10), order.number("skip", 0)
            found = answers.listing(world, node, tuple(what), skip, limit)
            return json.dumps(json.loads(found)["resources"]) if found and node.ksctl.bare_lists else found
        case _:
            return None


def _not_clustered() -> str:
    return json.dumps({"skip": 0, "limit": 256, "total": 0, "resources": []})


def _member(world: World, node: SimNode, identity: str) -> str:
    for seen in status.view(world, node).seen:
        if seen.node.node_id == identity:
            return json.dumps(answers.member_row(seen, node))
    return error(14, "NCERRInternalServerError: unexpected error")


def _backup(world: World, node: SimNode, identity: str) -> str:
    for index, backup in enumerate(node.backups):
        if backup.id == identity:
            return json.dumps(answers.backup_row(world, node, index))
    return error(16, "NCERRResourceNotFound: Resource not found")
