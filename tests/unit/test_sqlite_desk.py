"""The small desk answers from connections that it keeps, one for each thread, none across a fork."""

import os
import sqlite3
from contextlib import closing

import pytest

from mailrouting.errors import StorageUnavailableError
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.records import Role


@pytest.fixture
def path(tmp_path):
    """A file in which Jane has ticket 7, and nobody ticket 8."""
    path = tmp_path / "desk.db"
    SqliteDesk(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "insert into desk_ticket (id, idempotency_key, account_id, subject, requester, linked,"
            " may_autorespond) values (7, 'a', 'help', 'x', 'jane@web.example', '', 0),"
            " (8, 'b', 'help', 'x', null, '', 0);"
            "insert into desk_participant values (7, 'jane@web.example'), (7, 'joe@web.example');"
        )
    return path


def test_a_ticket_is_described_with_all_who_are_on_it(path):
    """Whoever takes part is named; a ticket without people is there, one that is gone is not."""
    desk = SqliteDesk(path)
    state = desk.describe("7")
    assert set(state.participants) == {"jane@web.example", "joe@web.example"}
    assert (state.account_id, state.requester) == ("help", "jane@web.example")
    assert desk.describe("8").participants == ()
    assert desk.describe("9") is None


def test_a_question_opens_no_connection_of_its_own(path, monkeypatch):
    """After the first question of a thread the file is not opened again."""
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: opened.append(1) or connect(*args, **options)
    )
    desk = SqliteDesk(path)
    assert desk.role_of("joe@web.example") is Role.CUSTOMER
    at_first = len(opened)
    assert at_first > 0
    assert desk.role_of("jim@web.example") is Role.UNKNOWN
    assert desk.find_by_number("7") == "7"
    assert desk.find_by_number("9") is None
    assert desk.describe("7") is not None
    assert len(opened) == at_first


def test_what_others_write_is_seen_at_once(path):
    """A question that was asked before is not answered from the past."""
    desk = SqliteDesk(path)
    assert desk.find_by_number("9") is None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update desk_ticket set id = 9 where id = 8")
        connection.commit()
    assert desk.find_by_number("9") == "9"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_asks_for_itself(path):
    """A child has connections of its own, and its end leaves the parent's alone."""
    desk = SqliteDesk(path)
    assert desk.find_by_number("7") == "7"
    child = os.fork()
    if not child:
        is_right = desk.find_by_number("7") == "7"
        desk.close()
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert desk.find_by_number("7") == "7"


def test_people_are_found_by_an_index(path):
    """Who wrote is asked for each mail, so the answer must not take longer with each ticket."""
    with closing(sqlite3.connect(path)) as connection:
        [(*_, plan)] = connection.execute(
            "explain query plan select 1 from desk_participant where address = 'x' limit 1"
        )
    assert "desk_participant_address" in plan


def test_a_closed_desk_says_so(path):
    """A question after `close` is refused as a storage that is away; closing twice is no fault."""
    desk = SqliteDesk(path)
    desk.close()
    desk.close()
    with pytest.raises(StorageUnavailableError):
        desk.find_by_number("7")
