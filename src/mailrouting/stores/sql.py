"""Keep everything in SQL, written once for every database that has an `Executor` (floor 6)."""

from types import TracebackType
from typing import Self, TypeVar

from mailrouting.storage import Capability
from mailrouting.stores._executor import Executor, SqlDialect, SqlValue
from mailrouting.stores._schema import migrate
from mailrouting.stores._sql_mailboxes import SqlMailboxes
from mailrouting.stores._sql_positions import SqlPositions
from mailrouting.stores._sql_retention import SqlRetention
from mailrouting.stores.spool import Spool

__all__ = ["Executor", "SqlDialect", "SqlStorage", "SqlValue"]

Tx_co = TypeVar("Tx_co", covariant=True)


class SqlStorage(SqlMailboxes[Tx_co], SqlPositions[Tx_co], SqlRetention[Tx_co]):
    """Be a `Storage` in a SQL database. Creates or lifts its tables when it is made.

    Args:
        executor: Runs the statements; closed with this storage, also when this fails.
        dialect: How the database spells them.
        capabilities: What executor and database can do together.
        spool: Takes mail over 256 KiB; None keeps all mail in the database. A purge and a put of
            the same bytes must not run at once: one write transaction at a time, as SQLite has it.

    Raises:
        StorageError: A newer mailrouting has lifted the tables.
        StorageUnavailableError: The database is busy or away.
    """

    def __init__(
        self,
        executor: Executor[Tx_co],
        dialect: SqlDialect,
        *,
        capabilities: frozenset[Capability],
        spool: Spool | None = None,
    ) -> None:
        super().__init__(executor, dialect, spool=spool)
        self._capabilities = capabilities
        try:
            migrate(executor, dialect)
        except BaseException:
            executor.close()
            raise

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
        return self._capabilities

    def close(self) -> None:
        """See `Storage.close`."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
