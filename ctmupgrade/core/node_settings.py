"""Which of a node's settings are recorded and compared."""

from __future__ import annotations

from collections.abc import Mapping

LOOKS: Mapping[str, tuple[str, ...]] = {
    "system": ("system", "info", "get"),
    "ntp": ("ntp", "servers", "list"),
    "proxy": ("proxy", "list"),
    "interfaces": ("interfaces", "list"),
    "products": ("products", "list"),
    "licenses": ("licensing", "licenses", "list"),
    "lockdata": ("licensing", "lockdata"),
    "hsm": ("hsm", "servers", "list"),
    "rot_keys": ("rot-keys", "list"),
    "diskenc": ("diskenc", "status"),
    "schedules": ("scheduler", "configs", "list"),
    "properties": ("properties", "list"),
    "banners": ("banners", "get"),
    "alarms": ("alarms", "list"),
}


COUNTED = ("ntp", "proxy", "interfaces", "products", "licenses", "hsm", "rot_keys", "schedules")


PAGE = ("--limit", "256")  # the default page of 10 hides the rest; 256 is what the member list shows itself
