"""What ks_upgrade.sh has written by a given time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ctmupgrade.sim.state import HOME, NEVER, SimNode, UpgradeRun
from ctmupgrade.sim.world import World

WAIT_PHASE = 175.0  # seconds the script waited for the new services in the captured run


ERROR_PART = 0.65  # of which it said `status: error` for so much


def phase_start(run: UpgradeRun) -> float:
    """Return when the script begins to wait for the new services."""
    return run.started + run.duration - min(WAIT_PHASE, 0.3 * run.duration)


NOTICE = (
    "\r\nIMPORTANT: Do not restart or power cycle the device during the upgrade.\r\n"
    "Some services may fail to start correctly if the device is restarted before the upgrade completes.\r\n"
    "Contact customer support if your device fails to restart.\r\n\r\n"
)


HUNG = "hung"  # marks a run that hung, whatever ends it later


EARLY = (
    (0.0, "Checking signature of the upgrade package"),
    (0.1, "Extracting"),
    (0.25, "Installing"),
    (0.4, "Migrating database"),
)


def log_text(world: World, node: SimNode, run: UpgradeRun) -> str:
    """Return what its log holds by now."""
    lines = [_line(world, node, at, words) for at, words in _written(world, node, run)]
    if run.truncated and run.ended < NEVER:
        lines = lines[: -run.truncated]
    return "".join(lines)


def last_write(world: World, node: SimNode, run: UpgradeRun) -> float:
    """Return when its log was last written to."""
    return max((at for at, _ in _written(world, node, run)), default=run.started)


WORKING = "working"  # a line without a time: nothing but the log's size tells that there is one more


def _line(world: World, node: SimNode, at: float, words: str) -> str:
    if words == WORKING:
        return f"{words}\n"
    stamp = world.clock.wall(at) + timedelta(seconds=node.clock_offset)
    return f"{stamp:%Y-%m-%d %H:%m:%S}+0000: {words}\n"


def _written(world: World, node: SimNode, run: UpgradeRun) -> list[tuple[float, str]]:
    """(time, words) of every line it has written by now."""
    until = min(world.now, run.ended)
    lines = [line for line in _lines(run) if line[0] <= until]
    every, end = node.upgrade.line_every_s, min(until, run.started + run.duration)
    if every > 0 and run.outcome != "hang":
        count = int((end - run.started) / every)
        lines += [
            (run.started + i * every, WORKING) for i in range(1, count) if run.started + i * every < end
        ]
        lines.sort(key=lambda line: line[0])
    return lines


def _lines(run: UpgradeRun) -> Iterator[tuple[float, str]]:
    """(time, words) of every line it will have written, in order."""
    end = run.started + run.duration
    if run.ended <= run.started:
        yield run.started, run.text
        return
    for share, words in EARLY:
        at = run.started + share * run.duration
        if (run.outcome == "hang" or run.text == HUNG) and share > 0.3:
            return
        yield at, words
    if run.outcome == "fail":
        yield end, run.text
        return
    begun = phase_start(run)
    at, step = begun, max(1.0, (end - begun) / 17.5)
    while at < end:
        yield at, "status: error" if at < begun + 0.65 * (end - begun) else "status: starting"
        at += step
    if run.outcome == "no_verdict":
        return
    yield end, "started"
    yield end, f"Upgrade to {run.version} succeeded"
    yield end, "Reboot the instance to finish the upgrade"


def screen_text(world: World, node: SimNode, run: UpgradeRun) -> tuple[str, bool]:
    """Return (what its terminal has shown by now, whether it has ended there)."""
    name = run.log.removeprefix(f"{HOME}/").rsplit("/", 1)[-1] or "ks_upgrade.log"
    over = run.ended < NEVER
    match run.tty_mode:
        case "background":
            return f"{NOTICE}Upgrade started in the background, see log file ({name}).\r\n", True
        case "foreground":
            body = log_text(world, node, run).replace("\n", "\r\n")
            return NOTICE + body, over
        case _:
            head = f"{NOTICE}Detected a terminal, launching a screen session, session recorded in log file ({name}).\r\n"
    if not over:
        return head + run.asks, False
    tail = "\r\n".join(log_text(world, node, run).splitlines()[-20:])
    show = f"Showing the last 20 lines of the log file ({name}), for convenience. Open the file for more details."
    return f"{head}[screen is terminating]\r\n{show}\r\n\r\n{tail}\r\n", True
