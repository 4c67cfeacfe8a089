"""Network namespaces, a bridge, and packets that do not arrive. Nothing is added to the root namespace."""

from __future__ import annotations

from collections.abc import Iterable

from tests.lab.host import LabError, run
from tests.lab.layout import Layout, NodeLayout

_RULES = """
table inet lab {
  set cut { type ipv4_addr; }
  set dropped { type inet_service; }
  chain arriving {
    type filter hook input priority 0;
    ip saddr @cut tcp dport 5432 drop
    tcp dport @dropped drop
  }
  chain leaving {
    type filter hook output priority 0;
    tcp sport @dropped drop
  }
}
"""


def inside(netns: str, *argv: str) -> list[str]:
    """The command line that runs ``argv`` in a namespace."""
    return ["ip", "netns", "exec", netns, *argv]


def build(lab: Layout, nodes: Iterable[NodeLayout]) -> None:
    """The hub with its bridge, and a namespace with eth0 for each node."""
    run("ip", "netns", "add", lab.hub)
    hub = [
        "link set lo up",
        "link add br0 type bridge forward_delay 0",
        f"addr add {lab.subnet}.1/24 dev br0",
        "link set br0 up",
    ]
    wanted = list(nodes)
    for node in wanted:
        run("ip", "netns", "add", node.netns)
        hub += [
            f"link add v{node.number} type veth peer name eth0 netns {node.netns}",
            f"link set v{node.number} master br0 up",
        ]
    run("ip", "-n", lab.hub, "-batch", "-", stdin="\n".join(hub) + "\n")
    for node in wanted:
        own = f"link set lo up\naddr add {node.address}/24 dev eth0\nlink set eth0 up\n"
        run("ip", "-n", node.netns, "-batch", "-", stdin=own)
        run(*inside(node.netns, "nft", "-f", "-"), stdin=_RULES)


def destroy(lab: Layout) -> None:
    """Removes every namespace of this lab, whatever is left of it."""
    for line in run("ip", "netns", "list", check=False).splitlines():
        name = line.split()[0] if line.split() else ""
        if name.startswith(f"ctmlab-{lab.ident}-"):
            if name == lab.hub:  # ends both ends of every veth, even where a namespace lives on
                run("ip", "-n", name, "link", "del", "br0", check=False)
                for link in run("ip", "-n", name, "-o", "link", check=False).splitlines():
                    words = link.split(": ")
                    if len(words) > 1 and words[1].startswith("v"):
                        run("ip", "-n", name, "link", "del", words[1].split("@")[0], check=False)
            run("ip", "netns", "del", name, check=False)


def _element(node: NodeLayout, verb: str, which: str, value: str) -> None:
    try:
        run(*inside(node.netns, "nft", verb, "element", "inet", "lab", which, "{", value, "}"))
    except LabError as error:
        if verb == "delete" and "No such file" in str(error):
            return  # it is as wished already
        raise


def cut(source: NodeLayout, target: NodeLayout) -> None:
    """``target`` drops what comes from ``source`` for its port 5432."""
    _element(target, "add", "cut", source.address)


def heal(source: NodeLayout, target: NodeLayout) -> None:
    """Ends :func:`cut`."""
    _element(target, "delete", "cut", source.address)


def drop(node: NodeLayout, port: int) -> None:
    """The node drops all packets to and from a port of its own."""
    _element(node, "add", "dropped", str(port))


def undrop(node: NodeLayout, port: int) -> None:
    """Ends :func:`drop`."""
    _element(node, "delete", "dropped", str(port))
