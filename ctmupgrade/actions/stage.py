"""The signature on this machine, and the archive onto the nodes.

A link that breaks looks like the end of the file to the node, and pipelined writes leave holes: so a size
proves nothing. The archive goes to a temporary name that holds its hash, is hashed *on the node*, and only
then gets its real name, in a command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.upload_proof import Proof, begin_proof, node_hash
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import file_probes, shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, Progress, TaskPart, Tick, Waiting
from ctmupgrade.errors import ConnectionLostError, HostKeyError, NodeError, UnreachableError
from ctmupgrade.ports import Shell

READ_BACK = "the node has no program for SHA-256: the file was read back and hashed on this machine"
ABANDONED = timedelta(days=1)  # a part of another archive that nobody has written to for so long
STAGE_AGAIN = "it was changed after its upload; to upload it again: ctmupgrade stage"
STATE = "size_inode_times"  # in the evidence: by it a later run tells that the file is still the one that was hashed


PART = re.compile(r"\..+\.[0-9a-f]{12}\.part")  # what part_name makes


class VerifyHandler(StepHandler):
    """The pinned signer's signature over the whole archive; its hash must be the plan's."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait an hour: the archive is read once."""
        return Patience(timedelta(hours=1))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Verify the signature, and that it is the file that was planned with.

        :raises SignatureError: it is not a good signature of ``target.signer``.
        """
        target = ctx.cluster.target
        signed = ctx.tools.verifier.verify(target.archive, target.signer, target.keyring)
        if ctx.plan.target.sha256 and signed.sha256 != ctx.plan.target.sha256:
            return LookResult(
                LookState.FAILED,
                f"{target.archive.name} is signed, but not the file that was planned with",
                remedy="put the planned file back; or abort the run, and begin a new one with this file",
            )
        return LookResult(LookState.DONE, evidence={"sha256": signed.sha256, "signer": signed.signer})


@dataclass(slots=True)
class Staged:
    """What is known of the node's archive.

    :ivar hashed: its SHA-256, seen by this process or proven by an earlier run. :ivar mark: the file's size, inode and
        times then. :ivar unchanged_since: the run that hashed it. :ivar read_back: it had to be hashed on this machine.
    :ivar no_mv: the node cannot rename a file."""

    hashed: str = ""
    mark: str = ""
    unchanged_since: str = ""
    read_back: bool = False
    no_mv: bool = False

    def evidence(self) -> dict[str, str]:
        """Return what of it is kept in the journal."""
        read_back = READ_BACK if self.read_back else ""
        told = {STATE: self.mark, "unchanged_since": self.unchanged_since, "read_back": read_back}
        return {name: text for name, text in told.items() if text}


class StageHandler(StepHandler):
    """Uploads, hashes on the node, renames."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.upload``."""
        return Patience(ctx.cluster.timeouts.upload)

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Upload what is missing, prove it on the node, and give it its name; go on after each broken connection.

        :raises UnreachableError: the node was away for longer than ``timeouts.upload``. :raises NodeError: it cannot take the file.
        """
        deadline = ctx.clock.monotonic() + ctx.cluster.timeouts.upload.total_seconds()
        pause = ctx.poll
        while True:
            try:
                yield from self._attempt(ctx, step)
                return
            except HostKeyError:
                raise
            except (UnreachableError, ConnectionLostError) as error:
                if ctx.clock.monotonic() + pause >= deadline:
                    raise UnreachableError(
                        error.brief, remedy=error.remedy or f"bring {step.node} back; the upload is continued"
                    ) from error
                yield Noted(f"upload interrupted: {error.brief}; continuing from what the node has")
                now = ctx.clock.now()
                yield Waiting(
                    pause, error.brief, now, now + timedelta(seconds=deadline - ctx.clock.monotonic())
                )
                pause = min(pause * 2, 60.0)

    def _attempt(self, ctx: Ctx, step: Step) -> TaskPart:
        shell, target = ctx.fleet.shell(step.node), ctx.plan.target
        there = self.look(ctx, step, {}).state is LookState.DONE
        part = target.archive if ctx.session(step).own(Staged).no_mv else part_name(ctx)
        yield from _remove_dead_parts(shell, target.archive, "" if there else part)
        if there:
            yield Noted("the archive is on the node already and is equal")
            return
        proof = yield from begin_proof(ctx, shell, part)
        try:
            yield from self._complete(ctx, step, part, proof)
        finally:
            proof.leave()

    def _complete(self, ctx: Ctx, step: Step, part: str, proof: Proof) -> TaskPart:
        """What is missing of a part, the proof that it is the archive, and its name."""
        shell, target = ctx.fleet.shell(step.node), ctx.plan.target
        if not (yield from _sent(ctx, shell, part, proof)):
            offset = yield from proof.disproven()
            proof = Proof(ctx, shell, part, offset)
            yield from _sent(ctx, shell, part, proof)
        yield Progress("hash on the node", target.size, target.size)
        own, mark = ctx.session(step).own(Staged), _mark(shell, part)
        equal = proof.of_the_whole()
        if proof.read_back:
            yield Noted(READ_BACK)
        own.read_back = proof.read_back
        if not equal:
            shell.change("rm", "-f", part)
            if ctx.tools.prefix_hash(target.size) != target.sha256:
                raise NodeError(
                    f"{ctx.cluster.target.archive} has changed since it was verified",
                    remedy="find out who writes to it; then put the verified file back, or abort the run and begin a new one",
                )
            raise ConnectionLostError(
                f"{step.node}: the uploaded file differs from the archive; starting again"
            )
        if part != target.archive:
            _rename(shell, step, own, part, target.archive)
        own.hashed, renamed = target.sha256, _mark(shell, target.archive)
        # Renaming changes the last of the numbers, and only that.
        own.mark = renamed if mark.split()[:3] == renamed.split()[:3] else ""

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by size and SHA-256 on the node; a file that is unchanged since a run hashed it is not hashed again.

        :raises UnreachableError: no answer. :raises NodeError: it can be neither hashed nor read.
        """
        shell, target = ctx.fleet.shell(step.node), ctx.plan.target
        size = known(
            ask(shell, file_probes.staged(target.archive)), f"{step.node}: whether the archive is there"
        )
        if size != target.size:
            return LookResult(
                LookState.NOT_YET, "the archive is not on the node" if size == 0 else f"it has {size} bytes"
            )
        own = ctx.session(step).own(Staged)
        if own.hashed != target.sha256:
            mark, proven = _mark(shell, target.archive), ctx.staged.get(step.node, {})
            if mark and mark == proven.get(STATE) and proven.get("sha256_on_node") == target.sha256:
                own.unchanged_since = proven.get("hashed_in", "")
            else:
                hashed = node_hash(shell, target.archive)
                own.read_back = hashed.read_back
                if hashed.sha256 != target.sha256:
                    return LookResult(
                        LookState.NOT_YET, "the node has a file of that name and size, but it differs"
                    )
                if mark != _mark(shell, target.archive):
                    return LookResult(LookState.NOT_YET, "the file was written to while it was hashed")
            own.hashed, own.mark = target.sha256, mark
        proof = {"sha256_on_node": target.sha256, "bytes": str(size)}
        return LookResult(LookState.DONE, evidence=proof | own.evidence())


def _rename(shell: Shell, step: Step, own: Staged, part: str, archive: str) -> None:
    """Give a part that was proven its name. ``mv`` is not known to be in the restricted shell (docs/appliance.md 5): where it
    is not, the archive is uploaded again under its own name. A part of it harms nobody: an upgrade asks for its hash.

    :raises NodeError: it cannot be renamed. :raises ConnectionLostError: to be uploaded again.
    """
    reply = shell.change("mv", "-f", part, archive)
    if reply.missing:
        own.no_mv = True
        shell.change("rm", "-f", part)
        raise ConnectionLostError(
            f"{step.node}: there is no mv to rename {part}; the archive is uploaded under its own name"
        )
    if not reply.ok:
        raise NodeError(f"{step.node}: cannot rename {part}: {reply.err.strip()}")


def refuse_size(ctx: Ctx, node: str, shell: Shell) -> None:
    """Refuse an archive on the node that has not the size of the one that is planned with.

    :raises NodeError: it has another size, or none is there.
    """
    target = ctx.plan.target
    size = known(ask(shell, file_probes.staged(target.archive)), f"{node}: its archive")
    if size != target.size:
        raise NodeError(f"{node}: the archive there has {size} bytes, not {target.size}", remedy=STAGE_AGAIN)


def refuse_changed(ctx: Ctx, node: str) -> bool:
    """Refuse an archive on the node that is no longer the one that was hashed there; where its size, inode and times are
    not those of then, it is hashed again.

    Return whether it was: that takes half a minute, in which other looks age.

    :raises NodeError: it is another file by now. :raises ConnectionLostError: no answer.
    """
    shell, target = ctx.fleet.shell(node), ctx.plan.target
    refuse_size(ctx, node, shell)
    mark, proven = _mark(shell, target.archive), ctx.staged.get(node, {})
    hashed_as = {proven.get(STATE)} if proven.get("sha256_on_node") == target.sha256 else set()
    if session := ctx.sessions.get(step_id("stage", node)):
        hashed_as.add(session.own(Staged).mark)
    if mark and mark in hashed_as:
        return False
    if node_hash(shell, target.archive).sha256 != target.sha256:
        raise NodeError(f"{node}: the archive there is not the one that was verified", remedy=STAGE_AGAIN)
    return True


def _mark(shell: Shell, path: str) -> str:
    """The file's size, inode and times; "" where the node does not tell, and then nothing is taken as unchanged."""
    told = ask(shell, file_probes.file_mark(path))
    return "" if isinstance(told, Unknown) else told


def part_name(ctx: Ctx) -> str:
    """Return the temporary name: it tells which content it will be, so another archive's is never resumed."""
    return f".{ctx.plan.target.archive}.{ctx.plan.target.sha256[:12]}.part"


def _sent(ctx: Ctx, shell: Shell, part: str, proof: Proof) -> Generator[Tick, None, bool]:
    """The rest of the archive, behind what the node has. False: that is not the archive's beginning."""
    size = ctx.plan.target.size
    yield Progress("upload", proof.offset, size)
    for sent in shell.upload(ctx.cluster.target.archive, part, offset=proof.offset):
        yield Progress("upload", sent.done, size, sent.pause)
        if sent.way:
            yield Noted(f"uploaded by {sent.way}")
        if proof.failed:
            return False
    return proof.beginning() is not False  # waits for the hashes


def _remove_dead_parts(shell: Shell, archive: str, current: str) -> Generator[Tick, None, None]:
    """Temporary files that nothing will ever resume: of other contents of this archive, and abandoned ones of others,
    which may be as large. One that was written to of late may be another operator's upload."""
    reply = shell.read("ls", "-1a")
    for name in reply.out.split():
        if not PART.fullmatch(name) or name == current:
            continue
        if name.startswith(f".{archive}.") or _is_abandoned(shell, name):
            removed = shell.change("rm", "-f", name).ok
            yield Noted(f"{'removed' if removed else 'could not remove'} {name}, which an earlier run left")
        else:
            yield Noted(f"kept {name}: an upload of another archive, which may still run")


def _is_abandoned(shell: Shell, name: str) -> bool:
    mark, clock = _mark(shell, name).split(), ask(shell, shell_probes.CLOCK)
    if len(mark) != 4 or isinstance(clock, Unknown):
        return False
    return clock[0] - float(mark[2]) > ABANDONED.total_seconds()
