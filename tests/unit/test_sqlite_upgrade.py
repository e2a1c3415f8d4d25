"""Files that an older mailrouting wrote are lifted, with all that is in them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailrouting.records import IntakeState
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import _kit as kit

SCHEMA_1 = Path(__file__).parent / "data" / "schema-1.sql"


@pytest.fixture
def path(tmp_path):
    """Make a file as the first version left it: three mails fetched, one pushed."""
    with closing(sqlite3.connect(tmp_path / "mail.db")) as old:
        old.executescript(SCHEMA_1.read_text("utf-8"))
    return tmp_path / "mail.db"


def test_a_file_of_version_1_is_lifted_with_its_data(path):
    """Every row of an older file is there after the lift, and goes on where it stood."""
    with SqliteStorage(path) as storage:
        done, failed, held, pushed = storage.intake_rows()
        assert done.outcome == kit.conclusion(1).outcome
        assert (failed.failure, failed.next_attempt_at) == (kit.FAILURE, kit.at(9))
        assert (held.state, pushed.state) == (IntakeState.CLAIMED, IntakeState.WAITING)
        assert [row.attempts for row in (done, failed, held, pushed)] == [1, 1, 1, 0]
        assert all(row.has_raw and row.reopened == 0 for row in (done, failed, held, pushed))
        assert storage.intake_raw(held.id) == kit.mail(3).raw
        assert storage.find_threads(["1@example.org"]) == kit.conclusion(1).threads
        taken = kit.lease(storage)
        assert taken.token == 2
        stream = storage.stream_open(taken, uidvalidity=7, uidnext=1000)
        assert (stream.generation, stream.is_new, stream.first_uidnext) == (1, False, None)
        assert len(storage.positions(kit.MAILBOX, 1, ["1", "2", "3"])) == 3
        ids = []
        while claims := kit.claim(storage, now=kit.at(61)):
            ids += [claim.row.id for claim in claims]
        assert ids == [failed.id, held.id, pushed.id]


def test_lifting_again_changes_nothing(path):
    """A file that was lifted is opened as it is."""
    dumps = []
    for _ in range(2):
        SqliteStorage(path).close()
        with closing(sqlite3.connect(path)) as file:
            dumps.append(list(file.iterdump()))
    assert dumps[0] == dumps[1]


def test_a_lifted_file_has_the_tables_of_a_new_one(path, tmp_path):
    """Tables, columns and indexes do not depend on where a file began."""
    SqliteStorage(path).close()
    SqliteStorage(tmp_path / "new.db").close()
    layouts = []
    for file in (path, tmp_path / "new.db"):
        with closing(sqlite3.connect(file)) as connection:
            layouts.append(
                sorted(
                    (name, " ".join(sql.split()))
                    for name, sql in connection.execute("SELECT name, sql FROM sqlite_master")
                    if sql
                )
            )
    assert layouts[0] == layouts[1]
