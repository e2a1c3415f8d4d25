"""Keep a write hook inside the SQLite transaction that it was given (floor 6)."""

import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager

from mailrouting.errors import StorageUnavailableError, TransactionMisuseError

__all__ = ["Guard"]

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


class Guard:
    """Watch one run of one write hook; it remembers a misuse that the hook keeps still about.

    Attributes:
        complaint: What the hook did, or empty.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
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
        self._connection.execute(f"SAVEPOINT {_SAVEPOINT}")
        self._connection.set_authorizer(self._authorize)
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
            self._withdraw()
        self._inspect()
        if self.complaint:
            raise self.misuse()

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        complaint = _DENIED.get(action, "")
        if action == sqlite3.SQLITE_TRANSACTION:
            complaint = f"ran {first}"
        elif action == sqlite3.SQLITE_SAVEPOINT:
            complaint = f"ran {first} on savepoint {second}"
        elif action == sqlite3.SQLITE_PRAGMA and second and first not in _ALLOWED_PRAGMAS:
            complaint = f"changed PRAGMA {first}"
        elif not self._connection.in_transaction:
            # ON CONFLICT ROLLBACK, or a trigger, ended it; from here all would commit by itself.
            complaint = "had the transaction rolled back, and went on"
        if not complaint:
            return sqlite3.SQLITE_OK
        self.refuse(complaint)
        return sqlite3.SQLITE_DENY

    def _withdraw(self) -> None:
        try:
            self._connection.set_authorizer(None)
        except sqlite3.ProgrammingError:
            self.refuse("closed the connection")

    def _inspect(self) -> None:
        if self.complaint:
            return
        if not self._connection.in_transaction:
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
                self._connection.execute(f"RELEASE {_SAVEPOINT}")
            except sqlite3.OperationalError as error:
                self.refuse(f"left its savepoint in disorder ({error})")
