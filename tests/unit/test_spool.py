"""The spool: a name means a whole file that has reached the disk."""

import errno
import hashlib
import mmap
import os
import resource
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from mailrouting.errors import RecordNotFoundError, StorageUnavailableError
from mailrouting.reading import identify
from mailrouting.records import IntakeMail, IntakeState, OutcomeKind
from mailrouting.stores.spool import Spool
from mailrouting.stores.sqlite import SqliteStorage

LARGE = b"Message-ID: <large@example.org>\r\n\r\n" + b"0123456789abcdef" * 40_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def spool(tmp_path):
    """Return a spool that has no folder yet."""
    return Spool(tmp_path / "spool")


def mail(account_id="a", raw=LARGE):
    """Return a pushed mail."""
    return IntakeMail(account_id=account_id, raw=raw, identity=identify(raw))


def files(spool):
    """Return the names in the spool's folder."""
    return sorted(path.name for path in spool.folder.iterdir())


@contextmanager
def files_of_at_most(size):
    """Let no file of this process grow further, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("raw", [b"", b"x", LARGE])
def test_a_mail_comes_back_under_its_digest(spool, raw):
    """The key is the SHA-256 of the bytes, which come back whole."""
    key = spool.put(raw)
    assert key == hashlib.sha256(raw).hexdigest()
    assert spool.open(key)[:] == raw
    assert spool.has(key)


def test_chunks_make_one_file(spool):
    """What is written in pieces is one mail, named when the last is there."""
    with spool.writer() as writer:
        writer.write(b"one ")
        assert writer.key == ""
        writer.write(b"two")
    assert spool.open(writer.key)[:] == b"one two"
    assert files(spool) == [writer.key]


def test_a_large_mail_is_a_memory_map(spool):
    """Bytes are read when they are looked at, also after the file has gone."""
    key = spool.put(LARGE)
    found = spool.open(key)
    assert isinstance(found, mmap.mmap)
    spool.remove(key)
    assert found[:] == LARGE
    assert not spool.has(key)


def test_a_memory_map_can_be_put(spool, tmp_path):
    """A mail that stands in another file is copied."""
    (tmp_path / "mail").write_bytes(LARGE)
    with (tmp_path / "mail").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert spool.put(mapped) == hashlib.sha256(LARGE).hexdigest()


def test_only_the_owner_may_look(spool):
    """Folder and files are closed to others."""
    key = spool.put(LARGE)
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert (spool.folder / key).stat().st_mode & 0o777 == 0o600


def test_a_writer_that_fails_leaves_nothing(spool):
    """An error within the block removes what was written."""
    with pytest.raises(TypeError), spool.writer() as writer:
        [writer.write(chunk) for chunk in (b"half", "no bytes")]
    assert files(spool) == []


def test_a_full_disk_leaves_nothing(spool):
    """Without room there is an error with a hint, and no file, not even a part."""
    with files_of_at_most(100_000), pytest.raises(StorageUnavailableError) as caught:
        spool.put(LARGE)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert caught.value.hint
    assert files(spool) == []
    assert spool.has(spool.put(LARGE))


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    """A missing parent is unavailable storage, with a hint."""
    with pytest.raises(StorageUnavailableError, match="No such file") as caught:
        Spool(tmp_path / "a" / "b").put(b"x")
    assert "folder exists" in caught.value.hint


def test_an_unknown_key_is_said(spool):
    """A file that is not there is a record that is not there; a path is no key."""
    with pytest.raises(RecordNotFoundError, match="no file"):
        spool.open("0" * 64)
    with pytest.raises(ValueError, match="no key"):
        spool.open("../mail.db")
    spool.remove("0" * 64)


def test_a_file_that_cannot_be_opened_is_unavailable(spool):
    """Anything but its absence is trouble that may pass."""
    (spool.folder / "abc").mkdir(parents=True)
    with pytest.raises(StorageUnavailableError):
        spool.open("abc")


def test_sweeping_takes_what_nothing_names(spool):
    """Old files without a name go, parts too; named and young ones stay."""
    assert spool.sweep((), older_than=datetime.now(UTC)) == 0
    kept, old, young = spool.put(b"kept"), spool.put(b"old"), spool.put(b"young")
    part = spool.folder / "abc.part"
    part.touch()
    day = timedelta(days=1)
    for path in (spool.folder / kept, spool.folder / old, part):
        before = (datetime.now(UTC) - 2 * day).timestamp()
        os.utime(path, (before, before))
    assert spool.sweep({kept}, older_than=datetime.now(UTC) - day) == 2
    assert files(spool) == sorted([kept, young])


def test_large_mail_of_a_store_is_in_its_spool(tmp_path):
    """Mail over 256 KiB stands beside the file, smaller mail in it."""
    with SqliteStorage(tmp_path / "mail.db") as storage:
        storage.intake_put([mail(raw=b"x" * 256 * 1024)], lease=None)
        assert not (tmp_path / "mail.db.spool").exists()
        storage.intake_put([mail()], lease=None)
        assert (tmp_path / "mail.db").stat().st_size < 1_000_000
    assert files(Spool(tmp_path / "mail.db.spool")) == [hashlib.sha256(LARGE).hexdigest()]


def test_known_mail_is_not_written_again(tmp_path):
    """A large mail that is known costs no second file, also when it was purged."""
    spool = Spool(tmp_path / "spool")
    with SqliteStorage(tmp_path / "mail.db", spool=spool) as storage:
        (result,) = storage.intake_put([mail()], lease=None)
        storage.erase([result.intake_id])
        assert files(spool) == []
        storage.intake_put([mail()], lease=None)
        assert files(spool) == []


def test_a_full_disk_of_the_spool_stores_nothing(tmp_path):
    """A large mail that finds no room leaves no row and no file, and is taken in later."""
    spool = Spool(tmp_path / "spool")
    with SqliteStorage(tmp_path / "mail.db", spool=spool) as storage:
        small = mail(raw=b"small")
        with files_of_at_most(300_000), pytest.raises(StorageUnavailableError) as caught:
            storage.intake_put([small, mail()], lease=None)
        assert caught.value.hint
        assert (storage.intake_rows(), files(spool)) == ((), [])
        assert len(storage.intake_put([small, mail()], lease=None)) == 2


def test_a_file_that_is_gone_is_set_aside(tmp_path):
    """A mail whose file is lost is quarantined with the reason, and keeps no other waiting."""
    spool = Spool(tmp_path / "spool")
    with SqliteStorage(tmp_path / "mail.db", spool=spool) as storage:
        storage.intake_put([mail(), mail(raw=b"small")], lease=None, now=NOW)
        spool.remove(hashlib.sha256(LARGE).hexdigest())
        claims = storage.intake_claim(
            worker="w", limit=9, visibility_seconds=60, max_attempts=3, now=NOW
        )
        assert [claim.raw for claim in claims.claimed] == [b"small"]
        (row,) = claims.quarantined
        assert (row.state, row.outcome.kind) == (IntakeState.DONE, OutcomeKind.QUARANTINED)
        assert "spool" in row.outcome.reason
        with pytest.raises(RecordNotFoundError, match="spool"):
            storage.intake_raw(row.id)
        spool.put(LARGE)
        storage.intake_reopen(row.id, now=NOW)
        assert storage.intake_raw(row.id)[:] == LARGE


def test_a_purge_sweeps_what_died_with_its_writer(tmp_path):
    """A file whose row was never written goes a day later with the next purge."""
    spool = Spool(tmp_path / "spool")
    spool.put(b"orphan")
    later = datetime.now(UTC) + timedelta(days=2)
    with SqliteStorage(tmp_path / "mail.db", spool=spool, clock=lambda: later) as storage:
        storage.intake_put([mail()], lease=None)
        storage.purge(before=NOW, limit=9)
    assert files(spool) == [hashlib.sha256(LARGE).hexdigest()]


def test_a_file_that_is_purged_between_is_written_again(tmp_path):
    """A put finds its file gone in its transaction, because another's purge took it, and writes it."""

    class Purged(Spool):
        def put(self, source):
            key = super().put(source)
            if not told:
                told.append(key)
                self.remove(key)
            return key

    told = []
    spool = Purged(tmp_path / "spool")
    with SqliteStorage(tmp_path / "mail.db", spool=spool) as storage:
        (result,) = storage.intake_put([mail()], lease=None)
        assert storage.intake_raw(result.intake_id)[:] == LARGE
