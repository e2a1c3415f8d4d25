"""Say what a database must bring to run the SQL of `mailrouting.stores.sql` (floor 6)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

import attrs

__all__ = ["MANY", "Executor", "SqlDialect", "SqlValue", "marks"]

Tx_co = TypeVar("Tx_co", covariant=True)

SqlValue = str | int | bytes | None
"""All that goes into a statement: times are whole microseconds, the rest is JSON."""

MANY = 500
"""Parameters of one statement; older SQLite takes 999 at most."""


def marks(values: Sequence[object]) -> str:
    """Return as many parameters as there are values."""
    return ", ".join("?" * len(values))


@attrs.frozen(kw_only=True)
class SqlDialect:
    """Say how a database spells what SQL has not settled.

    Attributes:
        identity: Column definition of a key that grows and is never used twice.
        integer: Type of 64-bit numbers.
        text: Type of texts that compare code point by code point.
        blob: Type of bytes.
        has_table: Query with one parameter that returns a row when a table of that name exists.
        lock_rows: What keeps selected rows from others until the transaction ends.
        skip_locked: Likewise, passing over rows that others keep.
    """

    identity: str
    integer: str
    text: str
    blob: str
    has_table: str
    lock_rows: str = ""
    skip_locked: str = ""


class Executor(Protocol[Tx_co]):
    """Run SQL with `?` parameters, for many threads: each has a transaction of its own.

    Only errors of `mailrouting.errors` leave it, and what is raised inside its `with` blocks.
    """

    def execute(self, sql: str, parameters: Sequence[SqlValue]) -> None:
        """Run a statement whose rows nobody asks for."""
        ...

    def execute_many(self, sql: str, parameters: Sequence[Sequence[SqlValue]]) -> None:
        """Run a statement once for each set of parameters."""
        ...

    def rows(self, sql: str, parameters: Sequence[SqlValue]) -> Sequence[tuple[Any, ...]]:
        """Run a statement; return its rows. Their types are those of the tables."""
        ...

    def begin(self) -> AbstractContextManager[None]:
        """Return the span of a write transaction: committed at its end, rolled back on an error.

        Raises:
            TransactionMisuseError: On entering: a write hook runs in this thread.
        """
        ...

    def savepoint(self) -> AbstractContextManager[Tx_co]:
        """Return the span in which a write hook runs, within `begin`, and its transaction.

        An error that the hook raises passes through. `TransactionMisuseError` is raised, also
        when the hook kept still about it, where the database can tell.
        """
        ...

    def now(self) -> datetime:
        """Return the database's time."""
        ...

    def close(self) -> None:
        """Give everything back. Idempotent; use after it raises `StorageUnavailableError`."""
        ...
