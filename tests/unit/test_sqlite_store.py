"""The SQLite store keeps a write hook inside its transaction, and SQLite's errors to itself."""

import os
import resource
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from mailrouting.auth import MailProtocol
from mailrouting.errors import (
    ConfigurationError,
    StaleWriteError,
    StorageError,
    StorageUnavailableError,
    TransactionMisuseError,
)
from mailrouting.reading import identify
from mailrouting.records import (
    Conclusion,
    Failure,
    IntakeMail,
    IntakeState,
    MailboxKey,
    Outcome,
    OutcomeKind,
    PutStatus,
    ThreadRecord,
)
from mailrouting.stores.sqlite import SqliteStorage

MAILBOX = MailboxKey("a", MailProtocol.IMAP, "INBOX")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONCLUSION = Conclusion(
    outcome=Outcome(kind=OutcomeKind.CREATED, reason="new", ticket="1"),
    threads=(ThreadRecord(message_id="1@example.org", ticket="1", account_id="a"),),
)


@pytest.fixture
def path(tmp_path):
    """A host's own file with a table of its own."""
    path = tmp_path / "host.db"
    with closing(sqlite3.connect(path)) as host:
        host.execute("CREATE TABLE ticket (id INTEGER PRIMARY KEY, subject TEXT UNIQUE)")
        host.commit()
    return path


@pytest.fixture
def storage(path):
    """The store in the host's file."""
    with SqliteStorage(path, busy_timeout_seconds=0.2) as storage:
        yield storage


def put(storage, count=1):
    """Store mails."""
    mails = [
        IntakeMail(account_id="a", raw=b"%d" % number, identity=identify(b"%d" % number))
        for number in range(count)
    ]
    storage.intake_put(mails, lease=None, now=NOW)


def claim(storage, limit=1):
    """Claim rows."""
    return storage.intake_claim(
        worker="w", limit=limit, visibility_seconds=60, max_attempts=9, now=NOW
    ).claimed


def tickets(path):
    """Return the host's tickets as another connection sees them."""
    with closing(sqlite3.connect(path)) as host:
        return [subject for (subject,) in host.execute("SELECT subject FROM ticket ORDER BY id")]


def open_ticket(tx, subject="half"):
    """Write a ticket as a host does."""
    tx.execute("INSERT INTO ticket (subject) VALUES (?)", (subject,))


def with_block(tx, path):
    """Use the connection as a context manager, which commits."""
    with tx:
        open_ticket(tx, "within")


def second_connection(tx, path):
    """Write through another connection to the same file."""
    with closing(sqlite3.connect(path, timeout=0)) as own:
        open_ticket(own, "elsewhere")
        own.commit()


def second_connection_wrapped(tx, path):
    """Do so in a layer with errors of its own."""
    try:
        second_connection(tx, path)
    except sqlite3.OperationalError as error:
        raise RuntimeError("the host's own layer failed") from error


def isolation_level(tx, path):
    """Have Python begin transactions by itself."""
    tx.isolation_level = "DEFERRED"


def isolation_level_and_write(tx, path):
    """Do so, and write."""
    tx.isolation_level = ""
    open_ticket(tx, "after")


def autocommit(tx, path):
    """Have Python keep a transaction open."""
    if sys.version_info < (3, 12):
        pytest.skip("Python 3.12 brings Connection.autocommit")
    tx.autocommit = False


def rolled_back_by_conflict(tx, path):
    """Lose the transaction to a conflict, and write on."""
    open_ticket(tx, "first")
    try:
        tx.execute("INSERT OR ROLLBACK INTO ticket (subject) VALUES ('first')")
    except sqlite3.IntegrityError:
        open_ticket(tx, "would commit by itself")


def rolled_back_by_conflict_and_done(tx, path):
    """Lose the transaction to a conflict."""
    open_ticket(tx, "first")
    with suppress(sqlite3.IntegrityError):
        tx.execute("INSERT OR ROLLBACK INTO ticket (subject) VALUES ('first')")


def unfinished_statement(tx, path):
    """Keep a statement that is not read to its end."""
    second_connection.kept = tx.execute(
        "INSERT INTO ticket (subject) VALUES ('x'), ('y') RETURNING id"
    )


def sql(statement):
    """Run a statement."""
    return lambda tx, path: tx.execute(statement)


MISUSES = {
    "with tx": with_block,
    "commit()": lambda tx, path: tx.commit(),
    "rollback()": lambda tx, path: tx.rollback(),
    "BEGIN": sql("BEGIN"),
    "COMMIT": sql("COMMIT"),
    "ROLLBACK": sql("ROLLBACK"),
    "END": sql("/* as if */ end transaction"),
    "SAVEPOINT": sql("SAVEPOINT x"),
    "RELEASE": sql("RELEASE mailrouting_hook"),
    "ROLLBACK TO": sql("ROLLBACK TO mailrouting_hook"),
    "ATTACH": sql("ATTACH ':memory:' AS other"),
    "DETACH": sql("DETACH main"),
    "PRAGMA synchronous": sql("PRAGMA synchronous = OFF"),
    "PRAGMA journal_mode": sql("PRAGMA journal_mode = DELETE"),
    "executescript()": lambda tx, path: tx.executescript("DELETE FROM ticket"),
    "isolation_level = None": lambda tx, path: setattr(tx, "isolation_level", None),
    "isolation_level": isolation_level,
    "isolation_level, then a row": isolation_level_and_write,
    "autocommit": autocommit,
    "OR ROLLBACK, then a row": rolled_back_by_conflict,
    "OR ROLLBACK": rolled_back_by_conflict_and_done,
    "an unfinished statement": unfinished_statement,
    "a second connection": second_connection,
    "a second connection, wrapped": second_connection_wrapped,
    "close()": lambda tx, path: tx.close(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
def test_misuse_is_refused_and_leaves_nothing(storage, path, misuse):
    """However a hook leaves its transaction: an error that says so, no ticket, no outcome."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        open_ticket(tx)
        misuse(tx, path)
        return CONCLUSION

    with pytest.raises(TransactionMisuseError) as caught:
        storage.conclude(claimed, write)
    assert caught.value.hook == "write"
    assert caught.value.hint
    assert tickets(path) == []
    row = storage.intake_row(claimed.row.id)
    assert (row.state, row.outcome) == (IntakeState.CLAIMED, None)
    assert storage.find_threads(["1@example.org"]) == ()

    def good(tx):
        open_ticket(tx, "whole")
        return CONCLUSION

    storage.conclude(claimed, good)
    assert tickets(path) == ["whole"]


@pytest.mark.parametrize("method", ["commit", "rollback"])
def test_swallowed_misuse_is_refused(storage, path, method):
    """A hook that catches the refusal itself does not conclude."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        open_ticket(tx)
        with suppress(sqlite3.Error):
            getattr(tx, method)()
        return CONCLUSION

    with pytest.raises(TransactionMisuseError, match=method.upper()):
        storage.conclude(claimed, write)
    assert tickets(path) == []


def test_misuse_explains_a_later_error(storage, path):
    """A hook that swallows the refusal and fails otherwise is told about the misuse first."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        with suppress(sqlite3.Error):
            tx.commit()
        raise KeyError("later")

    with pytest.raises(TransactionMisuseError) as caught:
        storage.conclude(claimed, write)
    assert isinstance(caught.value.__cause__, KeyError)


def test_cached_commit_is_refused(storage, path):
    """A COMMIT that SQLite has compiled before the hook runs is refused all the same."""
    put(storage, 2)
    first, second = claim(storage, 2)
    storage.conclude(first, lambda tx: CONCLUSION)

    def write(tx):
        open_ticket(tx)
        tx.execute("COMMIT")
        return CONCLUSION

    for _ in range(3):
        with pytest.raises(TransactionMisuseError):
            storage.conclude(second, write)
    assert tickets(path) == []


def test_what_is_compiled_between_hooks_is_refused_in_one(storage, path):
    """A COMMIT that a host has SQLite compile outside of its hook does not pass inside."""
    put(storage, 2)
    first, second = claim(storage, 2)
    kept = []
    storage.conclude(first, lambda tx: kept.append(tx) or CONCLUSION)
    with suppress(sqlite3.Error):
        kept[0].execute("COMMIT")

    def write(tx):
        open_ticket(tx)
        tx.execute("COMMIT")
        return CONCLUSION

    with pytest.raises(TransactionMisuseError):
        storage.conclude(second, write)
    assert tickets(path) == []


def test_a_guard_that_a_hook_takes_away_is_there_for_the_next(storage, path):
    """Only the hook that sets an authoriser of its own goes without ours."""
    put(storage, 2)
    first, second = claim(storage, 2)
    storage.conclude(first, lambda tx: tx.set_authorizer(None) or CONCLUSION)

    def write(tx):
        open_ticket(tx)
        tx.execute("COMMIT")
        return CONCLUSION

    with pytest.raises(TransactionMisuseError):
        storage.conclude(second, write)
    assert tickets(path) == []


def test_removed_guard_is_noticed(storage, path):
    """A hook that takes the guard away and commits is found out; no outcome is stored."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        tx.set_authorizer(None)
        tx.commit()
        return CONCLUSION

    with pytest.raises(TransactionMisuseError, match="ended the transaction"):
        storage.conclude(claimed, write)
    assert storage.intake_row(claimed.row.id).outcome is None


def test_reading_is_allowed(storage, path):
    """A hook may read, through its transaction and through the storage."""
    put(storage)
    (claimed,) = claim(storage)
    seen = []

    def write(tx):
        tx.row_factory = lambda cursor, row: {"subject": row[0]}
        tx.text_factory = bytes
        open_ticket(tx, "read")
        seen.append(tx.execute("SELECT subject FROM ticket").fetchall())
        seen.append(tx.execute("PRAGMA synchronous").fetchall())
        seen.append(storage.intake_row(claimed.row.id).state)
        return CONCLUSION

    storage.conclude(claimed, write)
    assert seen[0] == [{"subject": b"read"}]
    assert seen[2] is IntakeState.CLAIMED
    assert storage.intake_row(claimed.row.id).outcome == CONCLUSION.outcome


def test_storage_in_a_hook_is_misuse(storage, path):
    """A hook that closes the storage, or writes with it, is stopped."""
    put(storage)
    (claimed,) = claim(storage)

    for use in (storage.close, lambda: storage.remember_threads(CONCLUSION.threads)):

        def write(tx, use=use):
            open_ticket(tx)
            use()
            return CONCLUSION

        with pytest.raises(TransactionMisuseError):
            storage.conclude(claimed, write)
    assert tickets(path) == []


def test_own_error_of_the_hook_passes(storage, path):
    """What a hook raises comes through as it is, SQLite's own errors too."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        open_ticket(tx, "twice")
        open_ticket(tx, "twice")
        return CONCLUSION

    with pytest.raises(sqlite3.IntegrityError):
        storage.conclude(claimed, write)
    assert tickets(path) == []


def test_hook_may_say_that_something_is_away(storage, path):
    """StorageUnavailableError is the hook's own word, even when a locked file is behind it."""
    put(storage)
    (claimed,) = claim(storage)
    error = StorageUnavailableError("the other database is busy")

    def write(tx):
        try:
            second_connection(tx, path)
        except sqlite3.OperationalError as locked:
            raise error from locked

    with pytest.raises(StorageUnavailableError) as caught:
        storage.conclude(claimed, write)
    assert caught.value is error


def test_an_older_busy_error_is_no_misuse(storage, path):
    """A lock that the caller was handling before says nothing about the hook."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        raise KeyError("own")

    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    try:
        raise busy
    except sqlite3.OperationalError:
        with pytest.raises(KeyError):
            storage.conclude(claimed, write)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_any_end_of_a_hook_rolls_back(storage, path, error):
    """Whatever ends a hook, its half-done work goes, and the connection works on."""
    put(storage)
    (claimed,) = claim(storage)

    def write(tx):
        open_ticket(tx)
        raise error

    with pytest.raises(error):
        storage.conclude(claimed, write)
    assert tickets(path) == []
    storage.conclude(claimed, lambda tx: CONCLUSION)


def test_host_rows_commit_with_the_outcome(storage, path):
    """One conclude is one transaction in the host's own file."""
    put(storage)
    (good,) = claim(storage)

    def write(tx):
        open_ticket(tx, "kept")
        assert tickets(path) == []
        return CONCLUSION

    storage.conclude(good, write)
    assert tickets(path) == ["kept"]
    with pytest.raises(StaleWriteError):
        storage.conclude(good, lambda tx: open_ticket(tx, "never"))
    assert tickets(path) == ["kept"]


def test_pragmas(storage):
    """Every connection is in WAL mode, waits for the disk and checks references."""
    put(storage, 2)
    seen = []

    def conclude():
        (claimed,) = claim(storage)

        def write(tx):
            seen.append(
                [
                    tx.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("journal_mode", "synchronous", "foreign_keys", "fullfsync")
                ]
            )
            return CONCLUSION

        storage.conclude(claimed, write)

    conclude()
    thread = threading.Thread(target=conclude)
    thread.start()
    thread.join()
    assert seen == [["wal", 2, 1, 1]] * 2


def test_only_our_tables(storage, path):
    """In a host's file everything of ours is called mailrouting_*."""
    put(storage)
    with closing(sqlite3.connect(path)) as host:
        names = [name for (name,) in host.execute("SELECT name FROM sqlite_master")]
    ours = [name for name in names if not name.startswith("sqlite_") and "ticket" not in name]
    assert ours
    assert all(name.startswith("mailrouting_") for name in ours)


def test_queries_use_indexes(path, monkeypatch):
    """No query that runs often looks through a whole table."""
    statements = []
    connect = sqlite3.connect

    def listened_to(*args, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(statements.append)
        return connection

    # Some of them run on connections that no hook is given.
    monkeypatch.setattr(sqlite3, "connect", listened_to)
    with SqliteStorage(path) as storage:
        use_often(storage)
    monkeypatch.undo()
    queries = [one for one in statements if one.startswith("SELECT")]
    assert len(queries) > 8
    with closing(sqlite3.connect(path)) as host:
        for query in queries:
            for *_, plan in host.execute(f"EXPLAIN QUERY PLAN {query}"):
                # Of its version a file has one row; what SQLite says of itself is not ours.
                if "mailrouting_schema" not in query and "sqlite_master" not in query:
                    assert not plan.startswith("SCAN") or "USING" in plan, (query, plan)


def use_often(storage):
    """Do what runs for each poll and each mail."""
    put(storage)
    lease = storage.lease_acquire(MAILBOX, owner="w", ttl_seconds=60)
    (claimed,) = claim(storage)
    storage.conclude(claimed, lambda _: CONCLUSION)
    storage.stream_open(lease, uidvalidity=1, uidnext=1)
    storage.positions(MAILBOX, 1, ["1"])
    storage.unacknowledged(MAILBOX, limit=9, concluded_only=True)
    storage.find_threads(["1@example.org"])
    storage.intake_rows(content="x")
    storage.intake_rows(account_id="a")
    put(storage, 2)
    claim(storage)


def test_busy_file(path, storage):
    """A file that another writes to is unavailable for now, with a hint, and works afterwards."""
    put(storage)
    with closing(sqlite3.connect(path, isolation_level=None)) as host:
        host.execute("BEGIN IMMEDIATE")
        for use in (lambda: put(storage, 3), lambda: claim(storage)):
            with pytest.raises(StorageUnavailableError) as caught:
                use()
            assert caught.value.hint
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        host.execute("ROLLBACK")
    assert len(claim(storage)) == 1


def test_a_numbering_that_stayed_is_opened_without_the_write_lock(path, storage):
    """A poll with nothing new does not wait for another's write."""
    lease = storage.lease_acquire(MAILBOX, owner="w", ttl_seconds=60)
    opened = storage.stream_open(lease, uidvalidity=7, uidnext=3, cutoff=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        again = storage.stream_open(lease, uidvalidity=7, uidnext=3, cutoff=NOW)
        with pytest.raises(StorageUnavailableError):
            storage.stream_open(lease, uidvalidity=7, uidnext=4)
    assert again == attrs.evolve(opened, is_new=False)


def test_threads_of_one_storage_wait_in_turn(path):
    """A thread that waits for another's hook waits so long at most, and is told that it is busy."""
    with SqliteStorage(path, busy_timeout_seconds=0.05) as storage:
        put(storage)
        (claimed,) = claim(storage)
        refused = []

        def write_too():
            with pytest.raises(StorageUnavailableError) as caught:
                put(storage, 2)
            refused.append((caught.value.__cause__, caught.value.hint))

        def write(tx):
            thread = threading.Thread(target=write_too)
            thread.start()
            thread.join()
            return CONCLUSION

        storage.conclude(claimed, write)
        # By our own word: SQLite, which would let it starve, was not asked.
        assert refused == [
            (None, "Look for a long write transaction, or raise busy_timeout_seconds.")
        ]
        put(storage, 2)
        assert len(claim(storage)) == 1


def test_full_disk(storage):
    """A disk without room is unavailable; nothing of the batch stays, and later it goes on."""
    raw = b"x" * 10**6
    mails = [IntakeMail(account_id="b", raw=raw, identity=identify(raw))]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(StorageUnavailableError):
            storage.intake_put(mails, lease=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert storage.intake_rows(account_id="b") == ()
    assert storage.intake_put(mails, lease=None)[0].status is PutStatus.CREATED


def test_a_pragma_that_a_hook_forgets_is_refused(storage):
    """A connection-wide setting would outlive the hook and stop the thread's later writes."""
    put(storage)
    (claimed,) = claim(storage)
    with pytest.raises(TransactionMisuseError, match="query_only"):
        storage.conclude(claimed, lambda tx: tx.execute("PRAGMA query_only = ON") and CONCLUSION)
    assert storage.conclude(claimed, lambda tx: CONCLUSION) == CONCLUSION.outcome


class OwnCursor(sqlite3.Cursor):
    """Be a host's own cursor."""


CURSORS = {
    "execute()": lambda tx: tx.execute("select name from sqlite_master"),
    "cursor()": lambda tx: tx.cursor().execute("select name from sqlite_master"),
    "factory": lambda tx: tx.cursor(OwnCursor).execute("select name from sqlite_master"),
}


@pytest.mark.parametrize("read", CURSORS.values(), ids=CURSORS)
def test_a_cursor_that_a_hook_keeps_half_read_hides_nothing_later(path, storage, read):
    """The thread sees what others write afterwards, as if the cursor had been closed."""
    put(storage)
    (claimed,) = claim(storage)
    kept = []

    def careless(tx):
        kept.append(read(tx))
        kept[0].fetchone()
        return CONCLUSION

    storage.conclude(claimed, careless)
    with SqliteStorage(path) as other:
        raw = b"From: a@b.example\r\n\r\nnew"
        other.intake_put([IntakeMail(account_id="a", raw=raw, identity=identify(raw))], lease=None)
    assert len(claim(storage)) == 1


def test_an_old_snapshot_that_cannot_be_seen_is_let_go_when_it_is_in_the_way(path, storage):
    """A cursor that no method of the transaction made costs one try, not all that follow."""
    put(storage)
    (claimed,) = claim(storage)
    kept = []

    def careless(tx):
        kept.append(sqlite3.Cursor(tx).execute("select name from sqlite_master"))
        kept[0].fetchone()
        return CONCLUSION

    storage.conclude(claimed, careless)
    with SqliteStorage(path) as other:
        put(other, 2)
    with pytest.raises(StorageUnavailableError):
        claim(storage)
    assert len(claim(storage)) == 1


@pytest.mark.parametrize("fresh", [False, True], ids=["inherited", "opened in the child"])
def test_what_a_forked_worker_commits_survives_its_parents_close(path, storage, fresh):
    """Prefork servers open first and fork then; nothing that the child commits may vanish."""
    put(storage)
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        mine = SqliteStorage(path) if fresh else storage
        mine.intake_rows()
        os.read(ready, 1)
        (claimed,) = claim(mine)
        mine.conclude(claimed, lambda tx: CONCLUSION)
        os._exit(0)
    storage.close()
    os.write(told, b"x")
    assert os.waitpid(child, 0)[1] == 0
    with SqliteStorage(path) as later:
        assert [row.outcome and row.outcome.kind for row in later.intake_rows()] == [
            CONCLUSION.outcome.kind
        ]


def test_a_child_that_is_born_inside_a_hook_is_refused(storage):
    """It cannot know what its parent's transaction becomes."""
    put(storage)
    (claimed,) = claim(storage)
    statuses = []

    def forks(tx):
        child = os.fork()
        if child == 0:
            try:
                storage.intake_rows()
            except StorageUnavailableError as error:
                os._exit(0 if "hook" in error.hint else 2)
            os._exit(3)
        statuses.append(os.waitpid(child, 0)[1])
        return CONCLUSION

    assert storage.conclude(claimed, forks) == CONCLUSION.outcome
    assert statuses == [0]


def test_no_sqlite_file(tmp_path):
    """A file of another kind is an error of ours."""
    path = tmp_path / "mail.db"
    path.write_bytes(b"no database, but long enough to have a header of its own" * 20)
    with pytest.raises(StorageError) as caught:
        SqliteStorage(path)
    assert not isinstance(caught.value, StorageUnavailableError)


def test_missing_folder(tmp_path):
    """A file that cannot be opened is unavailable."""
    with pytest.raises(StorageUnavailableError, match="unable to open"):
        SqliteStorage(tmp_path / "none" / "mail.db")


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_no_file(path):
    """A path that names no file is refused: each thread would have data of its own."""
    with pytest.raises(ConfigurationError, match="names no file"):
        SqliteStorage(path)


def test_newer_schema(path):
    """A file that a newer release has lifted is refused, and left alone."""
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path)) as host:
        host.execute("UPDATE mailrouting_schema SET version = 99")
        host.commit()
    with pytest.raises(StorageError, match="99") as caught:
        SqliteStorage(path)
    assert "Upgrade" in caught.value.hint


def test_a_file_that_cannot_be_put_into_wal_mode_now(tmp_path):
    """A host's file in another journal mode, written to just now, is unavailable."""
    path = tmp_path / "mail.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError):
            SqliteStorage(path, busy_timeout_seconds=0.05)


def test_a_thread_takes_its_connection_along(path, storage):
    """Threads that come and go do not pile up connections."""
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        thread = threading.Thread(target=storage.intake_rows)
        thread.start()
        thread.join()
    assert len([*Path("/proc/self/fd").iterdir()]) <= before + 3


def test_close_from_another_thread(path):
    """`close` closes every thread's connection, after what it is doing."""
    storage = SqliteStorage(path)
    put(storage)
    (claimed,) = claim(storage)
    inside, closing_now = threading.Event(), threading.Event()

    def write(tx):
        inside.set()
        closing_now.wait(timeout=5)
        return CONCLUSION

    outcomes = []
    worker = threading.Thread(target=lambda: outcomes.append(storage.conclude(claimed, write)))
    worker.start()
    inside.wait(timeout=5)
    closer = threading.Thread(target=storage.close)
    closer.start()
    closing_now.set()
    worker.join()
    closer.join()
    # Closed in between, the conclude is refused whole; closed after, it is stored.
    with pytest.raises(StorageUnavailableError):
        storage.intake_rows()
    with SqliteStorage(path) as again:
        assert bool(again.intake_row(claimed.row.id).outcome) == bool(outcomes)


def test_a_fork_opens_its_own_connection(path, storage):
    """A child process never touches the connection of its parent."""
    put(storage, 2)
    child = os.fork()
    if child == 0:
        try:
            found = claim(storage)
            os._exit(0 if len(found) == 1 else 1)
        except BaseException:  # noqa: BLE001 - nothing may escape from the child
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert [claimed.row.id for claimed in claim(storage, 9)] == [2]


def test_many_processes_create_the_file(tmp_path):
    """Processes that open a new file at once all succeed."""
    script = (
        "import sys\n"
        "from mailrouting.stores.sqlite import SqliteStorage\n"
        "SqliteStorage(sys.argv[1]).close()\n"
    )
    for round_number in range(2):
        path = tmp_path / f"{round_number}.db"
        children = [
            subprocess.Popen([sys.executable, "-c", script, path], stderr=subprocess.PIPE)
            for _ in range(4)
        ]
        for child in children:
            _, errors = child.communicate()
            assert child.returncode == 0, errors.decode()


def test_failure_without_an_error(storage):
    """A row whose attempts all died says so as its reason."""
    put(storage)
    claim(storage)
    later = NOW.replace(hour=1)
    claims = storage.intake_claim(
        worker="w", limit=1, visibility_seconds=60, max_attempts=1, now=later
    )
    assert claims.claimed == ()
    (row,) = storage.intake_rows(state=IntakeState.DONE)
    assert "died" in row.outcome.reason


def test_times_without_a_zone_are_refused(storage):
    """A time that could mean any moment is refused."""
    put(storage)
    (claimed,) = claim(storage)
    with pytest.raises(ValueError, match="zone"):
        storage.intake_fail(
            claimed,
            Failure(step="a", error_type="b", text="c"),
            retry_at=datetime(2026, 1, 1),  # noqa: DTZ001 - the point
            counts=True,
        )
