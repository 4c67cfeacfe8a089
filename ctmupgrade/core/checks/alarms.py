"""Checks of what the appliance itself reports as wrong."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, looked, not_looked_up, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.node_state import BLOCKING_ALARMS, BUILT_IN_ALARMS

ALARMS_PAGE = "vendor page Alarms"
THRESHOLD = "CLUSTER_CERT_AUTO_RENEW_THRESHOLD"
NODE_DOWN = "Cluster Node Down"
CERTIFICATE_ALARM = "Cluster Node Certificate Expiration"


def no_builtin_alarm_on(q: Question) -> Iterator[Finding]:
    """Check that no alarm of the appliance itself is on. Users' own alarms stay on for months and are not counted."""
    check, command = "no_builtin_alarm_on", "ksctl alarms list"
    known, found = looked(q, check, lambda f: f.alarms, "its alarms", command, Verdict.MANUAL)
    for name, alarms in known.items():
        own = {
            alarm.name: alarm for alarm in alarms if alarm.name in BUILT_IN_ALARMS and alarm.state != "off"
        }
        for alarm in own.values():
            if alarm.state == "on":
                verdict = Verdict.BLOCK if alarm.name in BLOCKING_ALARMS else Verdict.WARN
                summary, remedy = (
                    f'the alarm "{alarm.name}" is on',
                    f"{command}   # find its cause and fix it",
                )
            else:
                verdict, state = Verdict.WARN, alarm.state or "not told"
                summary = f'the state of the alarm "{alarm.name}" is {state}: what reports it may be down'
                remedy = f"ksctl services status; {command}"
            follows = alarm.name == NODE_DOWN and q.silent > 0
            found.append(Finding(check, verdict, name, summary, remedy, ALARMS_PAGE, follows))
    yield from or_pass(check, found, "no alarm of the appliance itself is on")


def cluster_cert_lasts(q: Question) -> Iterator[Finding]:
    """Check that the certificates by which nodes know each other are renewed by themselves, and that it works."""
    check = "cluster_cert_lasts"
    if not q.clustered:
        yield Finding(check, Verdict.PASS, "", "not clustered")
        return
    found = [
        Finding(check, Verdict.BLOCK, name, "its cluster certificate expires soon and was not renewed: the alarm is on",
                "ask vendor support: nodes whose certificate has expired refuse each other after a restart", ALARMS_PAGE)
        for name, facts in q.facts.nodes.items()
        for alarm in (() if isinstance(facts.alarms, Unknown) else facts.alarms)
        if alarm.name == CERTIFICATE_ALARM and alarm.state == "on"
    ]  # fmt: skip
    properties = q.facts.shared.properties
    if isinstance(properties, Unknown):
        found.append(
            not_looked_up(check, "", properties, f"the property {THRESHOLD}", "ksctl properties list")
        )
    elif properties.get(THRESHOLD, "30").strip() in ("0", "-1"):
        summary = (
            f"{THRESHOLD} is {properties[THRESHOLD]}: cluster certificates are not renewed by themselves"
        )
        remedy = f"ksctl properties modify --name {THRESHOLD} --value 30"
        found.append(Finding(check, Verdict.WARN, "", summary, remedy, ALARMS_PAGE))
    yield from or_pass(check, found, "cluster certificates are renewed by themselves")
