"""How a node is, and how it looks to the others, at this moment. Only looks."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ctmupgrade.core.looks.secrets_manager import is_csm
from ctmupgrade.sim.active_faults import lasting
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.state import NEVER, SimNode, UpgradeRun
from ctmupgrade.sim.upgrade_words import ERROR_PART, phase_start
from ctmupgrade.sim.world import World

JOINING = (  # fraction of the join's time, code, description
    (0.05, "creating", "joining: creating (1/5)"),
    (0.15, "b", "joining: bootstrapping (2/5)"),
    (0.75, "i", "joining: initial sync (3/5)"),
    (0.90, "c", "joining: catching up (4/5)"),
    (1.01, "o", "joining: completing (5/5)"),
)
DESCRIPTIONS = {
    "none": "not clustered",
    "r": "ready",
    "d": "down",
    "k": "killed",
    "m": "removing",
    "v": "removed",
    "?": "unknown",
    "": "",
    **{code: text for _, code, text in JOINING},
}


FLAP_EVERY = 15.0  # seconds that services which flap stay in one state


def booting(node: SimNode, now: float) -> bool:
    """Return whether it does not answer because of a reboot."""
    return node.down_from <= now < node.up_at


def boot_of(node: SimNode, now: float) -> int:
    """Return the number of the boot that answers now: the old one lingers for a moment."""
    return node.boot - 1 if now < node.down_from else node.boot


def script_word(run: UpgradeRun, now: float) -> str:
    """Return what the services are in the script's last phase; "" before it and after its end."""
    begun = phase_start(run)
    if not begun <= now < run.ended or not run.waits:
        return ""
    span = run.started + run.duration - begun
    return "error" if now < begun + ERROR_PART * span else "starting"


def silent_since(world: World, node: SimNode) -> float | None:
    """Return since when the node does not serve; None where it serves."""
    memo = world.moment()
    key = ("silent", node.name)
    if key not in memo:
        memo[key] = min(_silences(world, node), default=None)
    found: float | None = memo[key]
    return found


def _silences(world: World, node: SimNode) -> list[float]:
    now, found = world.now, []
    if node.silent_from <= now < node.ready_at:
        found.append(node.silent_from)
    if node.broken_at <= now:
        found.append(node.broken_at)
    run = node.running
    if run is not None and script_word(run, now):
        found.append(phase_start(run))
    for kind in ("refused", "unreachable"):
        fault = lasting(world, kind, node.name)
        if fault and fault.text("what", "both") == "both" and fault.flag("peers", default=True):
            found.append(fault.started)
    for kind in ("services", "unit"):
        fault = lasting(world, kind, node.name)
        if fault and fault.text("state", "error") not in ("started", "active") and not _of_csm_alone(fault):
            found.append(fault.started)
    # The secrets manager without internet stays in error, and the node serves all the same (docs/appliance.md 4.2).
    if node.unit != "active" or any(
        state == "error" and not is_csm(name) for name, state in node.services.items()
    ):
        found.append(max(0.0, node.down_from))
    return found


def _of_csm_alone(fault: Fault) -> bool:
    names = fault.names("names")
    return bool(names) and all(map(is_csm, names)) and fault.text("state", "error") == "error"


def serving(world: World, node: SimNode) -> bool:
    """Return whether clients and the other members are served by it."""
    return silent_since(world, node) is None


def services_of(world: World, node: SimNode) -> tuple[str, dict[str, str]]:
    """Return (overall, by name) as the node says itself."""
    now, states = world.now, dict(node.services)
    word = ""
    fault = lasting(world, "services", node.name)
    run = node.running
    if node.broken_at <= now:
        word = "error"
    elif node.silent_from <= now < node.ready_at:
        word = "starting"
    elif node.ready_at <= now < node.ready_at + node.times.flap_s:
        word = ("", "error", "starting")[int((now - node.ready_at) // FLAP_EVERY) % 3]
    elif run is not None:
        word = script_word(run, now)
    if fault:
        names = fault.names("names") or [n for n, s in states.items() if s != "disabled"]
        states.update(dict.fromkeys(names, fault.text("state", "error")))
    elif word:
        states = {n: s if s == "disabled" else word for n, s in states.items()}
    values = set(states.values())
    overall = "error" if "error" in values else "starting" if "starting" in values else "started"
    return overall, states


def unit_of(world: World, node: SimNode) -> str:
    """Return systemd's word for keysecure. It is active before the inner services are started."""
    fault = lasting(world, "unit", node.name)
    if fault:
        return fault.text("state", "failed")
    now = world.now
    begun = max(node.up_at, node.silent_from)
    if begun <= now < node.ready_at and now < begun + node.times.start_s / 3:
        return "activating"
    return node.unit


def members_of(world: World, cluster: str) -> list[SimNode]:
    """Return the members of a cluster, in the world's order."""
    return [n for n in world.nodes.values() if n.cluster == cluster] if cluster else []


def own_code(world: World, node: SimNode) -> str:
    """Return what the node says of itself."""
    now = world.now
    if node.join is not None:
        share = (now - node.join.started) / max(1.0, node.times.join_s)
        return next(code for until, code, _ in JOINING if min(share, 1.0) < until)
    if node.removed_at <= now < node.removed_at + node.times.removed_s:
        return "d"
    return "r" if node.cluster else "none"


def code_seen(world: World, viewer: SimNode, node: SimNode) -> str:
    """Return how ``viewer`` sees ``node``."""
    fault = lasting(world, "member_code", node.name)
    if fault and fault.text("seen_by") in ("", viewer.name) and not fault.text("where"):
        return fault.text("code", "d")
    if node.join is not None:
        return own_code(world, node)
    if viewer is not node and node.joined_at <= world.now < node.joined_at + node.times.publish_s:
        return ""
    if viewer is node or serving(world, node):
        return "r" if connected(world, viewer, node) or viewer is node else "d"
    return "d"


def _unlisted(world: World, viewer: SimNode, node: SimNode) -> str:
    """The code that only the cluster summary tells, where the list of members goes on to say that all is well."""
    fault = lasting(world, "member_code", node.name)
    if (
        viewer is node
        or not fault
        or not fault.text("where")
        or fault.text("seen_by") not in ("", viewer.name)
    ):
        return ""
    return fault.text("code", "d")


def _see(world: World, viewer: SimNode, node: SimNode) -> MemberView:
    unlisted = _unlisted(world, viewer, node)
    linked = connected(world, viewer, node) and not unlisted
    return MemberView(node, code_seen(world, viewer, node), linked, unlisted, _behind(world, viewer, node))


def _behind(world: World, viewer: SimNode, node: SimNode) -> str:
    fault = lasting(world, "replication_behind", node.name)
    if viewer is node or not fault or fault.text("peer", viewer.name) != viewer.name:
        return ""
    return json.dumps(fault.params, sort_keys=True)


def connected(world: World, viewer: SimNode, node: SimNode) -> bool:
    """Return whether the database link between the two stands."""
    if viewer is node or not serving(world, node):
        return viewer is node
    for one, other in ((viewer, node), (node, viewer)):
        fault = lasting(world, "port_closed", one.name)
        if fault and fault.text("peer", other.name) == other.name and fault.text("port", "5432") == "5432":
            return False
    return True


def lock_until(world: World, node: SimNode) -> float:
    """Return until when the shared database is locked; 0 where it is not."""
    begin, end = world.locks.get(node.cluster or node.name, [NEVER, NEVER])
    return end if begin <= world.now < end else 0.0


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member as another sees it."""

    node: SimNode
    code: str
    connected: bool
    unlisted: str = ""  # the code by the cluster summary, where it differs from the list's
    behind: str = ""  # the parameters of replication that is behind, as JSON


@dataclass(frozen=True, slots=True)
class View:
    """All members as one of them sees them; ``key`` tells equal ones cheaply."""

    seen: tuple[MemberView, ...]
    key: tuple[tuple[str, str, bool, str, str], ...]


def view(world: World, viewer: SimNode) -> View:
    """Return all members, through one member's eyes. Where nothing lies between two members only, all that
    serve see the same, which is worked out once."""
    memo = world.moment()
    shared = serving(world, viewer) and not _uneven(world)
    key = ("view", viewer.cluster if shared else viewer.name, shared)
    if key not in memo:
        seen = tuple(_see(world, viewer, n) for n in members_of(world, viewer.cluster))
        memo[key] = View(
            seen, tuple((s.node.node_id, s.code, s.connected, s.unlisted, s.behind) for s in seen)
        )
    found: View = memo[key]
    return found


def _uneven(world: World) -> bool:
    """Whether some fault lies between two members only."""
    memo = world.moment()
    if "uneven" not in memo:
        now = world.now
        memo["uneven"] = any(
            f.kind in ("port_closed", "member_code", "replication_behind") and f.lasts(now)
            for f in world.faults
        )
    return bool(memo["uneven"])
