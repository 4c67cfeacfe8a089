"""What proves that a step was done, in words for a reader; hashes, ids and files apart from them."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from ctmupgrade.core.plan import steps
from ctmupgrade.core.plan.step_words import step_words
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.events import Evidence
from ctmupgrade.core.run.journal import RunState, Status, StepState, said_only
from ctmupgrade.core.timing import clock_time


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one step.

    :ivar words: a sentence. :ivar details: what it is proven by, to be looked up: hashes, ids, files.
    """

    step: str
    node: str
    words: str
    details: tuple[tuple[str, str], ...] = ()


# A sentence for each kind of step, with the evidence that it tells; what is not told in it is a detail.
_SENTENCES: dict[type, str] = {
    steps.VerifyArchive: "The archive's signature was good, and of the signer that cluster.yaml names.",
    steps.MakeBackup: "A system backup was made and downloaded, with the key that opens it.",
    steps.StageArchive: "The archive was on the node, and its hash there was that of the verified one.",
    steps.Gate: "Right before it was changed every node was healthy.",
    steps.RunUpgrade: 'ks_upgrade.sh reported: "{success_line}".',
    steps.Reboot: "It was rebooted: its boot id changed.",
    steps.AwaitNode: "It came back on version {version}, keysecure {keysecure}, services {services}.",
    steps.Settle: "It stayed healthy on version {version} for {duration}.",
    steps.RecordSettings: "Its settings that no cluster replicates were recorded.",
    steps.RemoveNode: "It was removed from the cluster; {proven_by} confirmed it.",
    steps.DeleteClusterConfig: "Its cluster configuration was deleted; its data stayed.",
    steps.ResetNode: "It was reset, which erased its data.",
    steps.NewCluster: "A new cluster was made on it.",
    steps.RestoreSettings: "Its settings were put back; time servers: {ntp}.",
    steps.JoinNode: "It joined the cluster; {seen_ready_by} saw it ready, on version {version}.",
    steps.CompareSettings: "Its settings were compared with those recorded before; different: {differences}.",
    steps.RestartServices: "Its services were restarted.",
}
_BY_A_PERSON = "operator"  # the evidence of a step that an operator has counted as done


def proofs_of(state: RunState) -> tuple[Proof, ...]:
    """Return what is known of each step that was begun or decided, in the plan's order."""
    return tuple(
        _proof(step, state.steps[step.id])
        for step in state.plan.steps
        if state.steps[step.id].status is not Status.PENDING
    )


def _proof(step: Step, held: StepState) -> Proof:
    match held.status:
        case Status.DONE:
            words, told = _done_words(step, held)
            details = tuple(
                (name.replace("_", " "), value) for name, value in held.evidence.items() if name not in told
            )
            return Proof(step.id, step.node, words, details)
        case Status.SKIPPED:
            return Proof(step.id, step.node, f"Skipped by a decision: {held.error}")
        case Status.FAILED:
            return Proof(step.id, step.node, f"Failed: {step_words(step)}.")
        case Status.INCONCLUSIVE:
            return Proof(step.id, step.node, f"Not known whether it was done: {step_words(step)}.")
        case _:
            return Proof(step.id, step.node, f"Begun: {step_words(step)}. Its end is not known yet.")


def _done_words(step: Step, held: StepState) -> tuple[str, frozenset[str]]:
    """The sentence, and the names of the evidence that it tells."""
    if person := held.evidence.get(_BY_A_PERSON):
        return f"No look proved it. Counted as done by {person}", frozenset({_BY_A_PERSON})
    sentence = _SENTENCES.get(type(step.action), "")
    known = {**held.evidence, "duration": _duration(held)}
    names = frozenset(name for _, name, _, _ in Formatter().parse(sentence) if name)
    if (
        not sentence or not names <= known.keys()
    ):  # of another version, with other evidence: nothing is made up
        return f"Done: {step_words(step)}.", frozenset()
    return sentence.format_map(known), names


def _duration(held: StepState) -> str:
    if held.started is None or held.finished is None:
        return "a time that is not known"
    return clock_time(round((held.finished - held.started).total_seconds()))


def proven_by_look(state: RunState, step: str) -> bool:
    """Return whether a step is done because a look has shown it, not by an operator's word alone."""
    held = state.steps.get(step)
    return held is not None and held.status is Status.DONE and not said_only(held)


def judged_by_a_person(state: RunState, step: str) -> Evidence:
    """Return what the last look at a step saw before an operator said that it is done; nothing where none said so."""
    held = state.steps.get(step)
    return held.seen if held is not None and said_only(held) else {}
