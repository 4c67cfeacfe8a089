"""Downloaded backups: nobody else reads or plants them, and the folder is tried before it is needed."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.disk.durable import sync_dir
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.errors import NodeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir(mode=0o755)
    made.chmod(0o755)
    return made


def _download(store: BackupStore, backup_id: str = "b-0") -> tuple[Path, Path]:
    file, key = store.paths("n1", backup_id)
    for path in (file, key):
        path.write_text(f"content of {path.name}")
        path.chmod(0o666)  # as ksctl with a loose umask
    return file, key


def _keep(store: BackupStore, file: Path, key: Path) -> Manifest:
    return store.keep(Manifest("n1", "2.20.0", "b-0", "k", datetime.now(UTC), str(file), str(key)))


def test_what_arrives_is_out_of_others_reach(folder: Path) -> None:
    store = BackupStore(folder, "c")
    file, key = _download(store)
    assert file.parent.parent == folder and file.parent == key.parent
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    kept = _keep(store, file, key)
    assert [stat.S_IMODE(Path(p).stat().st_mode) for p in (kept.file, kept.key_file)] == [0o600, 0o600]
    assert sorted(p.name for p in folder.iterdir()) == [
        "c-n1-b-0.backup",
        "c-n1-b-0.key",
        "c-n1-b-0.manifest.json",
    ]
    assert [m.problem for m in store.manifests()] == [""]


def test_old_remains_of_killed_downloads_are_removed(folder: Path) -> None:
    """Only this cluster's, only folders of ours, and only where nothing was written to for a day."""
    store, two_days = BackupStore(folder, "c"), time.time() - 2 * 86_400
    old, _ = _download(store, "b-1")
    young, _ = _download(store, "b-2")
    grows, _ = _download(store, "b-3")
    other, _ = _download(BackupStore(folder, "other"), "b-1")
    mine = folder / "c-notes.arriving"
    mine.mkdir()
    (folder / "target").mkdir()
    (folder / ".c-n1-b-9-x.arriving").symlink_to(folder / "target")
    for path in (
        old.parent,
        grows.parent,
        other.parent,
        mine,
        *old.parent.iterdir(),
        *other.parent.iterdir(),
    ):
        os.utime(path, (two_days, two_days))
    store.paths("n2", "b-4")
    assert not old.parent.exists()
    assert young.exists() and grows.exists() and other.exists() and mine.exists()
    assert (folder / "target").is_dir() and (folder / ".c-n1-b-9-x.arriving").is_symlink()


def test_downloads_that_end_meanwhile_are_no_failure(folder: Path) -> None:
    """Three nodes at once: found by a test that kills at random moments."""

    def downloads(node: str) -> None:
        store = BackupStore(folder, "c")
        for n in range(300):
            store.paths(node, f"b-{n}")[0].parent.rmdir()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(downloads, ("n1", "n2", "n3"))) == [None] * 3


def test_names_cannot_be_guessed_and_remains_are_removed(folder: Path) -> None:
    store = BackupStore(folder, "c")
    first, _ = _download(store)
    second, _ = _download(store)
    assert first.parent != second.parent and not first.parent.exists()


def test_a_link_in_the_place_of_a_download_is_not_followed(folder: Path, tmp_path: Path) -> None:
    store = BackupStore(folder, "c")
    file, key = _download(store)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o644)
    key.unlink()
    key.symlink_to(victim)
    with pytest.raises(NodeError, match="backup key"):
        _keep(store, file, key)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644 and victim.read_text() == "mine"


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_folder_that_others_can_write_is_refused_before_and_when_it_is_needed(
    folder: Path, mode: int
) -> None:
    folder.chmod(mode)
    store = BackupStore(folder, "c")
    assert "others can write" in store.unusable() and "chmod go-w" in store.unusable()
    with pytest.raises(NodeError, match="others can write"):
        store.paths("n1", "b-0")
    assert list(folder.iterdir()) == []


def test_a_folder_that_others_can_read_is_told(folder: Path) -> None:
    assert "chmod 700" in BackupStore(folder, "c").warning()
    folder.chmod(0o700)
    assert BackupStore(folder, "c").warning() == ""
    assert BackupStore(folder / "not-yet", "c").warning() == ""


@pytest.mark.parametrize(
    ("call", "number", "says"),
    [
        ("os.fchmod", errno.EPERM, "chmod: "), ("pathlib.Path.replace", errno.EPERM, "renaming"),
        ("tempfile.mkdtemp", errno.EROFS, "not writable"), ("os.fsync", errno.EIO, "fsync"),
    ],
)  # fmt: skip
def test_the_folder_is_tried_out_as_it_will_be_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, says: str
) -> None:
    """What file systems of other machines refuse; a mode that is open to others shows that chmod is needed."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    store = BackupStore(folder, "c")
    assert store.unusable() == ""
    monkeypatch.setattr(call, refuse)
    if call == "os.fchmod":  # where others cannot read the file anyway a refused chmod does no harm
        assert store.unusable() == ""
        really = os.fstat
        monkeypatch.setattr(
            "os.fstat", lambda fd: os.stat_result((really(fd).st_mode | 0o066, *really(fd)[1:]))
        )
    assert says in store.unusable()
    monkeypatch.undo()
    assert list(folder.iterdir()) == [] and store.unusable() == ""
    assert BackupStore(folder / "not" / "yet", "c").unusable() == "" and list(folder.iterdir()) == []


@pytest.fixture
def no_chmod(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that keeps the mode which a file is made with, and refuses chmod: some of CIFS and FUSE do."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.fchmod", refuse)
    monkeypatch.setattr("os.chmod", refuse)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_what_check_calls_usable_keeps_a_backup_where_chmod_is_refused(
    folder: Path, mode: int, request: pytest.FixtureRequest
) -> None:
    """However ksctl has made its files: two backups were made, and then the run failed with "chmod 600"."""
    folder.chmod(0o700)
    store = BackupStore(folder, "c")
    file, key = _download(store)
    for path in (file, key):
        path.chmod(mode)
    request.getfixturevalue("no_chmod")
    assert store.unusable() == ""
    kept = _keep(store, file, key)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert [path.read_text() for path in (Path(kept.file), Path(kept.key_file))] == [
        "content of c-n1-b-0.backup", "content of c-n1-b-0.key",
    ]  # fmt: skip
    assert store.manifests() == (kept,) and kept.problem == "" and len(list(folder.iterdir())) == 3


def test_what_others_can_read_whatever_is_done_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is open to others there, also a new one: check says so, and nothing is kept for them to read."""
    store = BackupStore(folder, "c")
    file, key = _download(store)
    really = os.fstat

    def refuse(*_args: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.fchmod", refuse)
    monkeypatch.setattr("os.fstat", lambda fd: os.stat_result((really(fd).st_mode | 0o044, *really(fd)[1:])))
    assert "chmod" in store.unusable()
    with pytest.raises(NodeError, match=r"cannot be kept.*chmod 600"):
        _keep(store, file, key)
    assert not list(folder.glob("*.backup")) and not list(folder.glob("*.key"))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_folder_that_cannot_be_synced_is_tolerated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    if number == errno.EIO:
        with pytest.raises(OSError, match="error"):
            sync_dir(folder)
    else:
        sync_dir(folder)


def test_a_manifest_of_an_earlier_version_tells_what_it_does_not_know(tmp_path: Path) -> None:
    store = BackupStore(tmp_path, "c")
    kept = _keep(store, *_download(store))
    path = next(tmp_path.glob("*.manifest.json"))
    body = json.loads(path.read_text())
    for name in ("tied_to_hsm", "hsm", "counts", "proven", "downloaded"):
        del body[name]
    path.write_text(json.dumps(body))
    (read,) = store.manifests()
    assert (read.tied_to_hsm, read.hsm, read.counts, read.proven, read.problem) == (None, None, {}, None, "")
    assert read.sha256 == kept.sha256 and len(read.key_sha256) == 64


def test_a_proof_is_written_into_the_manifest_of_the_files_that_were_proven(tmp_path: Path) -> None:
    store = BackupStore(tmp_path, "c")
    kept = _keep(store, *_download(store))
    proven = store.note_proven(kept, datetime.now(UTC))
    assert store.manifests() == (proven,) and proven.proven is not None
    Path(kept.file).write_bytes(b"another")
    with pytest.raises(NodeError, match="not what was downloaded"):
        store.note_proven(kept, datetime.now(UTC))


def test_settings_are_those_of_the_newest_run_and_of_no_other_node(tmp_path: Path) -> None:
    store = BackupStore(tmp_path, "c")
    for name in ("n1-20260102T000000-0000000", "n1-20260101T000000-0000000", "n1-x-20260103T000000-0000000"):
        store.save(f"{name}-settings.json", name)
    assert store.settings_of("n1") == "n1-20260102T000000-0000000"
    assert (store.settings_of("n1-x"), store.settings_of("n2")) == ("n1-x-20260103T000000-0000000", "")


def test_settings_that_may_be_of_another_clusters_node_are_nobodys(tmp_path: Path) -> None:
    """prod-eu and ctm-1 make the same name as prod and eu-ctm-1, and both may keep their backups in one folder."""
    ours, theirs = BackupStore(tmp_path, "prod"), BackupStore(tmp_path, "prod-eu")
    ours.save("eu-ctm-1-20260101T000000-0000000-settings.json", "ours")
    assert ours.settings_of("eu-ctm-1") == "ours"
    for store, node in ((ours, "eu-ctm-1"), (theirs, "ctm-1")):
        file, key = store.paths(node, store.cluster)
        for path in (file, key):
            path.write_text("x", encoding="utf-8")
        store.keep(Manifest(node, "2.20.0", store.cluster, "k", datetime.now(UTC), str(file), str(key)))
    assert (ours.settings_of("eu-ctm-1"), theirs.settings_of("ctm-1")) == ("", "")
