"""Waits until nodes answer. Run inside the hub's namespace: ``python -m tests.lab.ready SECONDS HOST...``."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import time

from tests.lab.layout import ADMIN
from tests.lab.standin import wire


def lacking(host: str) -> str:
    """What a node does not do yet; "" when it does everything."""
    try:
        with socket.create_connection((host, 22), 1) as connection:
            connection.settimeout(2)
            if not connection.recv(64).startswith(b"SSH-"):
                return "no SSH banner"
        login = (ADMIN, base64.b64decode(os.environ["LAB_LOGIN"]).decode())
        _, text = wire.call(host, 443, "GET", "/v1/system/services/status", timeout=2)
        if (state := json.loads(text)["status"]) != "started":
            return f"services are {state}"
        _, text = wire.call(host, 443, "GET", "/v1/nodes?limit=256", login=login, timeout=3)
        rows = json.loads(text)["resources"] or []
        away = [row["host"] for row in rows if row["status"]["code"] != "r"]
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return f"it does not see {', '.join(away)}" if away else ""


def main() -> int:
    """Exits 0 when all are ready in time, else says what each lacks."""
    deadline = time.monotonic() + float(sys.argv[1])
    waiting = dict.fromkeys(sys.argv[2:], "")
    starter = os.getppid()
    while waiting and os.getppid() == starter:  # nobody waits for it any more when that one was killed
        waiting = {host: why for host in waiting if (why := lacking(host))}
        if waiting and time.monotonic() > deadline:
            print("; ".join(f"{host}: {why}" for host, why in waiting.items()))
            return 1
        if waiting:
            time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
