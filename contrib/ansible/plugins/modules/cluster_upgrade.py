#!/usr/bin/python
# Copyright: the ctmupgrade authors
# MIT License (see LICENSE of the project)
"""Upgrades a cluster by the program ctmupgrade on the machine that this module runs on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_upgrade
short_description: Upgrade a cluster of CipherTrust Manager appliances
version_added: "0.2.0"
description:
  - Upgrades the cluster that a C(cluster.yaml) describes, one node at a time, with the program C(ctmupgrade).
  - Runs on the machine that would run C(ctmupgrade), which is seldom an appliance. Most often that is the control node
    or an execution environment, with C(delegate_to) or C(connection=local).
  - A run that was paused, or that died, is gone on with; so the same job can be started again.
  - A cluster that is at its target is left alone.
options:
  cluster:
    description: The path of C(cluster.yaml) on that machine.
    type: path
    required: true
  executable:
    description: The program, by its path or as it is found in E(PATH).
    type: str
    default: ctmupgrade
  state_dir:
    description:
      - Where journals are kept. It must outlive the job, for a later one goes on from them.
      - By default the program's own folder.
    type: path
  accept_partial:
    description: Upgrade those nodes that fit into the maintenance window, where not all of them do.
    type: bool
    default: false
extends_documentation_fragment: []
attributes:
  check_mode:
    support: full
    description: Looks at all nodes and shows the plan; sends no command that changes anything.
  diff_mode:
    support: full
    description: Shows each node with its version before and after.
author:
  - The ctmupgrade authors (@ctmupgrade)
notes:
  - Passwords come from where C(cluster.yaml) says, most often from variables that the task gives with C(environment).
  - A run takes hours. In front of a job queue with a time limit use C(async) and C(poll).
"""

EXAMPLES = r"""
- name: Upgrade the cluster prod-eu
  ctmupgrade.ctmupgrade.cluster_upgrade:
    cluster: /etc/ctmupgrade/prod-eu/cluster.yaml
    state_dir: /var/lib/ctmupgrade
  environment:
    KSCTL_PASSWORD: "{{ vault_ksctl_password }}"
    CTM_BACKUP_KEY_PASSWORD: "{{ vault_backup_key_password }}"
  delegate_to: localhost

- name: Upgrade what fits into tonight's window; the next job takes the rest
  ctmupgrade.ctmupgrade.cluster_upgrade:
    cluster: /etc/ctmupgrade/prod-us/cluster.yaml
    accept_partial: true
  register: upgraded
  failed_when: upgraded.rc not in [0, 7]
"""

RETURN = r"""
rc:
  description: The exit code of ctmupgrade; 0 is done, 3 blocked by a check, 7 paused or no room in the window.
  returned: always
  type: int
nodes:
  description: Each node with its version before and after.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "ctm-1", "version_before": "2.20.0+15016", "version_after": "2.21.0+15451"}]
plan:
  description: The plan, as C(ctmupgrade plan --format json) prints it.
  returned: where one was made
  type: dict
report:
  description: The report of the run, as C(ctmupgrade report --format json) prints it.
  returned: where there was a run
  type: dict
findings:
  description: What the checks found that stops the run.
  returned: where something does
  type: list
  elements: dict
"""

import json
import traceback

from ansible.module_utils.basic import AnsibleModule

DONE, BLOCKED = 0, 3
OVER = ("done", "aborted")


class Program:
    """Calls ctmupgrade and reads its JSON."""

    def __init__(self, module):
        self.module = module
        self.path = module.get_bin_path(module.params["executable"], required=True)
        self.common = ["-c", module.params["cluster"], "--format", "json"]
        if module.params["state_dir"]:
            self.common += ["--state-dir", module.params["state_dir"]]

    def call(self, *words):
        """Return the exit code and the last document that it printed ({} where it printed none)."""
        code, out, err = self.module.run_command([self.path, *words, *self.common], use_unsafe_shell=False)
        lines = [line for line in out.splitlines() if line.strip()]
        for text in (out, lines[-1] if lines else ""):
            try:
                document = json.loads(text)
            except ValueError:
                continue
            if isinstance(document, dict):
                return code, document
        if code == DONE:
            self.module.fail_json(
                msg=f"{self.path} printed no JSON; is it ctmupgrade?", rc=code, stdout=out, stderr=err
            )
        return code, {"error": {"brief": err.strip() or out.strip(), "details": "", "remedy": ""}}


def is_unfinished(report):
    """Return whether a live run of this cluster waits to be gone on with."""
    return report.get("mode") == "LIVE" and report.get("state") not in (None, *OVER)


def diff_of(before, after):
    """Return versions of nodes as Ansible shows a difference."""

    def lines(versions):
        return "".join(f"{name}: {versions[name] or 'not known'}\n" for name in versions)

    return {"before": lines(before), "after": lines(after)}


def nodes_of(before, after):
    """Return versions of nodes as a list."""
    return [
        {"name": name, "version_before": before[name], "version_after": after.get(name, before[name])}
        for name in before
    ]


def message_of(document, otherwise):
    """Return why it ended so, with what to do about it."""
    error = document.get("error")
    if error:
        parts = [error.get("brief", ""), error.get("details", ""), error.get("remedy", "")]
        return "\n".join(part for part in parts if part)
    found = [f"{finding['check']}: {finding['summary']}" for finding in document.get("findings", [])]
    return "\n".join(found) or document.get("why") or otherwise


def planned(program, module):
    """Return the plan; end the module where there is nothing to do, or where checks stop it."""
    code, plan = program.call("plan")
    if "steps" not in plan:
        module.fail_json(msg=message_of(plan, "no plan could be made"), rc=code, nodes=[], changed=False)
    before = dict(plan["versions"])
    if code != DONE:
        _code, checked = program.call("check")
        stops = [f for f in checked.get("findings", []) if f["verdict"] in ("block", "unknown")]
        module.fail_json(
            msg=message_of({"findings": stops}, "blocked by checks"), rc=code, findings=stops, plan=plan,
            nodes=nodes_of(before, {}), changed=False,
        )  # fmt: skip
    return plan, before


def expected_after(plan, before):
    """Return the versions that a plan leads to."""
    target, touched = plan["target"]["version"], {step["node"] for step in plan["steps"]}
    return {name: target if name in touched else before[name] for name in before}


def run(module):
    """Look, and where it is wanted upgrade; always ends the module."""
    program = Program(module)
    code, last = program.call("status")
    if code == DONE and is_unfinished(last):
        before = {n["name"]: n["version_before"] for n in last["nodes"]}
        words, plan = ["resume", last["run"]], {}
        after = dict.fromkeys(before, last["target"])
    else:
        plan, before = planned(program, module)
        words, after = ["run", "--yes"], expected_after(plan, before)
        if not plan["steps"]:
            module.exit_json(
                changed=False, rc=DONE, plan=plan, nodes=nodes_of(before, {}), diff=diff_of(before, before)
            )
    if module.check_mode:
        module.exit_json(
            changed=True, rc=DONE, plan=plan, nodes=nodes_of(before, after), diff=diff_of(before, after)
        )
    if module.params["accept_partial"]:
        words.append("--accept-partial")
    code, report = program.call(*words)
    after = {n["name"]: n["version_after"] for n in report.get("nodes", [])}
    result = {
        "rc": code, "plan": plan, "nodes": nodes_of(before, after), "diff": diff_of(before, dict(before, **after)),
        "changed": bool(report.get("run")) and report.get("outcome") != "nothing-to-do",
    }  # fmt: skip
    if report.get("run"):
        result["report"] = report
    if report.get("findings"):
        result["findings"] = report["findings"]
    if code != DONE:
        module.fail_json(msg=message_of(report, f"ctmupgrade ended with {code}"), **result)
    module.exit_json(**result)


def main():
    """Run as Ansible runs a module."""
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "path", "required": True},
            "executable": {"type": "str", "default": "ctmupgrade"},
            "state_dir": {"type": "path"},
            "accept_partial": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except (KeyError, TypeError, ValueError) as error:
        module.fail_json(
            msg=f"ctmupgrade printed what was not expected: {error!r}", exception=traceback.format_exc()
        )


if __name__ == "__main__":
    main()
