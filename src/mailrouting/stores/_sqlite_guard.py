"""Keep a write hook inside the SQLite transaction that it was given (floor 6)."""

import sqlite3
import sys
import weakref
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Self, TypeVar, overload

from mailrouting.errors import StorageUnavailableError, TransactionMisuseError

__all__ = ["Guard", "HookConnection"]

_CursorT = TypeVar("_CursorT", bound=sqlite3.Cursor)

_SAVEPOINT = "mailrouting_hook"

_DENIED = {
    sqlite3.SQLITE_ATTACH: "attached a database",
    sqlite3.SQLITE_DETACH: "detached a database",
}

# The others outlive the transaction when they are given a value, and we rely on them.
_ALLOWED_PRAGMAS = frozenset(
    {
        "application_id",
        "defer_foreign_keys",
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
    }
)

_WENT_ON = "had the transaction rolled back, and went on"

# `sqlite3.LEGACY_TRANSACTION_CONTROL`, which only Python 3.12 names.
_LEGACY_TRANSACTION_CONTROL = -1


def _is_busy(error: BaseException, *, outer: BaseException | None) -> bool:
    """Say whether SQLite's "locked" is at the root of an error raised under `outer`."""
    link: BaseException | None = error
    while link is not None and link is not outer:
        code = getattr(link, "sqlite_errorcode", None)
        if isinstance(code, int) and code & 0xFF == sqlite3.SQLITE_BUSY:
            return True
        link = link.__cause__ or link.__context__
    return False


class HookConnection(sqlite3.Connection):
    """Be a connection that write hooks get, in which only `control` begins and ends transactions.

    SQLite asks the authoriser when it compiles a statement, and what was compiled is kept and run
    again unasked. So the authoriser is there all the time: what it denies a hook is never compiled,
    and what is ours is marked, so that no hook finds it.

    Attributes:
        guard: Watches the hook that runs; None when none does.
    """

    guard: "Guard | None" = None
    _cursors: "list[weakref.ref[sqlite3.Cursor]]"
    _is_ours = False
    _is_unguarded = True

    def stand_guard(self) -> None:
        """Deny others from now on."""
        self._cursors = []
        self.create_function("mailrouting_idle", 0, _nothing)
        self.set_authorizer(self._authorize)
        self._is_unguarded = False

    def control(self, sql: str) -> None:
        """Begin or end a transaction or a savepoint."""
        self._is_ours = True
        try:
            sqlite3.Cursor(self).execute(f"{sql} -- by mailrouting")
        finally:
            self._is_ours = False

    def is_left_clean(self) -> bool:
        """Tell whether nothing that a hook left behind can disturb what comes later.

        A statement that is half run would hold on to an old snapshot.
        """
        if self._is_unguarded:
            return False
        self._cursors = [cursor for cursor in self._cursors if cursor() is not None]
        if not self._cursors:
            return True
        try:
            # SQLite refuses to replace a function while any statement runs; nothing else tells.
            self.create_function("mailrouting_idle", 0, _nothing)
        except sqlite3.Error:
            return False
        return True

    def set_authorizer(self, authorizer_callback: Callable[..., int] | None) -> None:
        """Replace the authoriser; a hook that does so had the connection for the last time."""
        self._is_unguarded = True
        super().set_authorizer(authorizer_callback)

    @overload
    def cursor(self, factory: None = None) -> sqlite3.Cursor: ...
    @overload
    def cursor(self, factory: Callable[[sqlite3.Connection], _CursorT]) -> _CursorT: ...
    def cursor(
        self, factory: Callable[[sqlite3.Connection], sqlite3.Cursor] | None = None
    ) -> sqlite3.Cursor:
        """Make a cursor, and remember it while it lives."""
        cursor = super().cursor(factory or _HookCursor)
        if self.guard is not None:
            self._cursors.append(weakref.ref(cursor))
        return cursor

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement through `cursor`, as Python's documentation says."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run a statement many times through `cursor`, likewise."""
        return self.cursor().executemany(sql, parameters)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if self._is_ours:
            return sqlite3.SQLITE_OK
        complaint = _DENIED.get(action, "")
        if action == sqlite3.SQLITE_TRANSACTION:
            complaint = f"ran {first}"
        elif action == sqlite3.SQLITE_SAVEPOINT:
            complaint = f"ran {first} on savepoint {second}"
        elif action == sqlite3.SQLITE_PRAGMA and second and first not in _ALLOWED_PRAGMAS:
            complaint = f"changed PRAGMA {first}"
        elif self.guard is not None and not self.in_transaction:
            complaint = _WENT_ON
        if not complaint:
            return sqlite3.SQLITE_OK
        if self.guard is not None:
            self.guard.refuse(complaint)
        return sqlite3.SQLITE_DENY


class _HookCursor(sqlite3.Cursor):
    """Run nothing, compiled or not, when the transaction of the hook is over."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self._require_transaction()
        return super().execute(sql, parameters)

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Self:
        self._require_transaction()
        return super().executemany(sql, seq_of_parameters)

    def _require_transaction(self) -> None:
        connection = self.connection
        if (
            isinstance(connection, HookConnection)
            and connection.guard is not None
            and not connection.in_transaction
        ):
            connection.guard.refuse(_WENT_ON)
            raise sqlite3.DatabaseError("not authorized")


def _nothing() -> int:
    return 0


class Guard:
    """Watch one run of one write hook; it remembers a misuse that the hook keeps still about.

    Attributes:
        complaint: What the hook did, or empty.
    """

    def __init__(self, connection: HookConnection) -> None:
        self.complaint = ""
        self._connection = connection

    def refuse(self, complaint: str) -> None:
        """Remember the first misuse."""
        self.complaint = self.complaint or complaint

    def misuse(self) -> TransactionMisuseError:
        """Return the error that tells of it."""
        return TransactionMisuseError(
            f"a write hook {self.complaint}",
            hook="write",
            hint=(
                "Write through the transaction that the hook was given, and leave beginning, "
                "committing and rolling back to the storage."
            ),
        )

    @contextmanager
    def watch(self) -> Generator[sqlite3.Connection]:
        """Return the span of the hook, in a savepoint.

        Raises:
            TransactionMisuseError: See `Storage`, S18. The transaction must be rolled back.
        """
        outer = sys.exception()
        self._connection.control(f"SAVEPOINT {_SAVEPOINT}")
        self._connection.guard = self
        try:
            yield self._connection
        except Exception as error:
            # We hold the write lock: only another connection of the hook's can have met it. A
            # StorageUnavailableError is the hook's own word that something else is away.
            if _is_busy(error, outer=outer) and not isinstance(error, StorageUnavailableError):
                self.refuse("wrote through a connection of its own")
            if self.complaint:
                raise self.misuse() from error
            raise
        finally:
            self._connection.guard = None
        self._inspect()
        if self.complaint:
            raise self.misuse()

    def _inspect(self) -> None:
        if self.complaint:
            return
        try:
            has_ended = not self._connection.in_transaction
        except sqlite3.ProgrammingError:
            self.refuse("closed the connection")
            return
        if has_ended:
            self.refuse("ended the transaction")
        elif self._connection.isolation_level is not None:
            self.refuse("changed isolation_level")
        elif (
            getattr(self._connection, "autocommit", _LEGACY_TRANSACTION_CONTROL)
            != _LEGACY_TRANSACTION_CONTROL
        ):
            self.refuse("changed autocommit")
        else:
            try:
                self._connection.control(f"RELEASE {_SAVEPOINT}")
            except sqlite3.OperationalError as error:
                self.refuse(f"left its savepoint in disorder ({error})")
