"""Run SQL in one SQLite file for many threads, and keep its connections from forks (floor 6)."""

import functools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

from mailrouting.errors import StorageError, StorageUnavailableError, TransactionMisuseError
from mailrouting.stores._executor import SqlValue
from mailrouting.stores._sqlite_guard import Guard, HookConnection

__all__ = ["SqliteExecutor"]

_RETRY_SECONDS = 0.01

# The primary result codes that may pass by themselves or by the operator's hand, and what to do.
_AWAY = {
    sqlite3.SQLITE_BUSY: "Look for a long write transaction, or raise busy_timeout_seconds.",
    sqlite3.SQLITE_LOCKED: "Look for a statement of a write hook that was left unfinished.",
    sqlite3.SQLITE_FULL: "Free some disk space.",
    sqlite3.SQLITE_IOERR: "Look at the disk and at the system's log.",
    sqlite3.SQLITE_CANTOPEN: "Check that the folder exists and may be written to.",
    sqlite3.SQLITE_READONLY: "Check that file and folder may be written to.",
    sqlite3.SQLITE_NOMEM: "Free some memory.",
    sqlite3.SQLITE_PROTOCOL: "Keep the file on a local disk.",
    sqlite3.SQLITE_INTERRUPT: "",
}


def _error_for(error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", None)
    hint = _AWAY.get(code & 0xFF) if isinstance(code, int) else None
    if hint is None:
        return StorageError(f"SQLite failed: {error}")
    return StorageUnavailableError(f"SQLite is busy or away: {error}", hint=hint)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _error_for(error) from error


def _close_each(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()


class _Handle:
    """One thread's connections; the lock keeps `close` from pulling them away."""

    def __init__(self, connection: HookConnection) -> None:
        self.connection = connection
        self.reader: sqlite3.Connection | None = None
        self.lock = threading.RLock()
        self.begun = False
        self.has_written = False
        self._connections: list[sqlite3.Connection] = [connection]
        # A thread that ends takes its connections with it.
        self.close = weakref.finalize(self, _close_each, self._connections)
        self.close.atexit = False

    def read_through(self, reader: sqlite3.Connection) -> None:
        """Take a connection that only reads, and that no hook ever sees."""
        self.reader = reader
        self._connections.append(reader)


# SQLite keeps a table of locks in the process. After a fork the child believes that it holds what
# its parent holds: its commits vanish when the parent closes, even those of a new connection.
# So no connection of ours is open while the process forks.
_OPEN: "weakref.WeakSet[SqliteExecutor]" = weakref.WeakSet()


@functools.cache
def _watch_forks() -> None:
    def before() -> None:
        for executor in list(_OPEN):
            executor.before_fork()

    def in_parent() -> None:
        for executor in list(_OPEN):
            executor.after_fork()

    def in_child() -> None:
        for executor in list(_OPEN):
            executor.after_fork_in_child()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


class SqliteExecutor:
    """Be an `Executor` for one file: each thread has a connection to write and one to read."""

    def __init__(
        self, path: str, *, busy_timeout_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._local = threading.local()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._handles: set[weakref.ref[_Handle]] = set()
        self._forked_inside: tuple[_Handle, ...] = ()
        self._closed = False
        self.now = clock
        _watch_forks()
        _OPEN.add(self)

    def _connect(self) -> HookConnection:
        # We say BEGIN and COMMIT ourselves. Another thread only ever closes it.
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=HookConnection,
        )
        try:
            mode = self._turn_to_wal(connection)
            # A commit that the server is told about must survive power loss.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        if mode != "wal":
            connection.close()
            raise StorageError(
                f"SQLite keeps journal mode {mode!r} for {self._path}",
                hint="Keep the file on a local disk that allows shared memory.",
            )
        connection.stand_guard()
        return connection

    def _turn_to_wal(self, connection: sqlite3.Connection) -> str:
        """Return the journal mode: of two that turn a new file at once SQLite refuses one, unwaited."""
        deadline = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if (
                    error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                    or time.monotonic() > deadline
                ):
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return str(mode)

    def _handle(self) -> _Handle:
        handle: _Handle | None = getattr(self._local, "handle", None)
        if self._forked_inside:
            raise StorageUnavailableError(
                "the process was forked inside a transaction, and this is the child",
                hint="Do not fork inside a hook, or open the file only in the child.",
            )
        if self._closed and not (handle is not None and handle.begun):
            raise StorageUnavailableError("the storage is closed")
        if handle is None or not handle.close.alive:
            with self._lock, _translated():
                handle = _Handle(self._connect())
                self._handles = {ref for ref in self._handles if ref() is not None}
                self._handles.add(weakref.ref(handle))
            self._local.handle = handle
        return handle

    def _hold(self) -> _Handle:
        """Return the thread's connection, open, with its lock; the caller gives the lock back."""
        while True:
            handle = self._handle()
            handle.lock.acquire()
            # A fork in another thread may have closed it just now.
            if handle.close.alive or self._closed:
                return handle
            handle.lock.release()

    def _alive(self) -> list[_Handle]:
        return [handle for ref in self._handles if (handle := ref()) is not None]

    def before_fork(self) -> None:
        """Close every connection; those of other threads when their transactions are over."""
        own: _Handle | None = getattr(self._local, "handle", None)
        self._lock.acquire()
        for handle in self._alive():
            if handle is own and handle.begun:
                continue
            with handle.lock:
                handle.close()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on in the child, which has one thread; refuse if it was born inside a transaction."""
        self._lock, self._turn = threading.Lock(), threading.Lock()
        # Kept, because not even closing them is safe here.
        self._forked_inside = tuple(handle for handle in self._alive() if handle.close.alive)

    def execute(self, sql: str, parameters: Sequence[SqlValue]) -> None:
        self._run(lambda cursor: cursor.execute(sql, parameters))

    def execute_many(self, sql: str, parameters: Sequence[Sequence[SqlValue]]) -> None:
        if parameters:
            self._run(lambda cursor: cursor.executemany(sql, parameters))

    def rows(self, sql: str, parameters: Sequence[SqlValue]) -> Sequence[tuple[Any, ...]]:
        handle = self._hold()
        try:
            # Until our transaction writes, what it sees is what all see, for nobody else may write.
            if handle.begun and (handle.has_written or not sql.startswith("SELECT")):
                return self._run(lambda cursor: cursor.execute(sql, parameters))
            reader = handle.reader or self._open_reader(handle)
            return reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise _error_for(error) from error
        finally:
            handle.lock.release()

    def _open_reader(self, handle: _Handle) -> sqlite3.Connection:
        """Open the connection for questions outside of transactions; no hook's leavings are on it."""
        reader = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        handle.read_through(reader)
        reader.execute("PRAGMA query_only = ON")
        return reader

    def _run(self, run: Callable[[sqlite3.Cursor], sqlite3.Cursor]) -> list[tuple[Any, ...]]:
        handle = self._hold()
        handle.has_written = True
        connection, text_factory = handle.connection, handle.connection.text_factory
        try:
            # A host may have set its own factories on the connection.
            connection.text_factory = str
            cursor = sqlite3.Cursor(connection)
            cursor.row_factory = None
            return run(cursor).fetchall()
        except sqlite3.Error as error:
            raise _error_for(error) from error
        finally:
            connection.text_factory = text_factory
            handle.lock.release()

    @contextmanager
    def begin(self) -> Generator[None]:
        handle = self._hold()
        has_turn = False
        try:
            connection = handle.connection
            if connection.guard is not None:
                connection.guard.refuse("changed the storage that is storing its outcome")
                raise connection.guard.misuse()
            has_turn = self._await_turn()
            self._begin(handle)
            handle.begun, handle.has_written = True, False
            try:
                yield
                try:
                    connection.control("COMMIT")
                except sqlite3.Error as error:
                    raise _error_for(error) from error
            except BaseException as error:
                _roll_back(handle)
                if isinstance(error, TransactionMisuseError):
                    # Whatever the hook did to the connection goes with it.
                    handle.close()
                raise
            finally:
                handle.begun = False
                if handle.close.alive and not connection.is_left_clean():
                    handle.close()
        finally:
            if has_turn:
                self._turn.release()
            handle.lock.release()

    def _await_turn(self) -> bool:
        """Wait among our own threads: SQLite waits by looking now and then, and one may starve."""
        if self._turn.acquire(timeout=max(0.0, self._busy_timeout_seconds)):
            return True
        raise StorageUnavailableError(
            "SQLite is busy or away: other threads write", hint=_AWAY[sqlite3.SQLITE_BUSY]
        )

    def _begin(self, handle: _Handle) -> None:
        try:
            # At once: a transaction that starts by reading may find the lock taken when it writes.
            handle.connection.control("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            # Perhaps something of a hook's holds on to an old snapshot, which no waiting renews.
            handle.close()
            raise _error_for(error) from error

    def savepoint(self) -> AbstractContextManager[sqlite3.Connection]:
        handle = self._handle()
        handle.has_written = True
        return Guard(handle.connection).watch()

    def close(self) -> None:
        own: _Handle | None = getattr(self._local, "handle", None)
        guard = own.connection.guard if own is not None else None
        if guard is not None:
            guard.refuse("closed the storage that is storing its outcome")
            raise guard.misuse()
        self._closed = True
        with self._lock:
            handles = self._alive()
        if not self._forked_inside:
            for handle in handles:
                # Waits for what another thread has begun.
                with handle.lock:
                    handle.close()


def _roll_back(handle: _Handle) -> None:
    try:
        if handle.connection.in_transaction:
            handle.connection.control("ROLLBACK")
    except sqlite3.Error:
        handle.close()
