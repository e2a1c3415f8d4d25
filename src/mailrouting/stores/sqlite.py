"""Keep everything in one SQLite file, ours or the host's own (floor 6). See `SqliteStorage`."""

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime

from mailrouting.errors import ConfigurationError
from mailrouting.storage import Capability
from mailrouting.stores._sqlite_executor import SqliteExecutor
from mailrouting.stores._values import utc_now
from mailrouting.stores.spool import Spool
from mailrouting.stores.sql import SqlDialect, SqlStorage

__all__ = ["SqliteStorage"]

_DIALECT = SqlDialect(
    identity="INTEGER PRIMARY KEY AUTOINCREMENT",
    integer="INTEGER",
    text="TEXT",
    blob="BLOB",
    has_table="SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
)

# Listed, not all there are: a new one is declared when it is kept.
_CAPABILITIES = frozenset(
    {
        Capability.DURABLE,
        Capability.MULTI_HANDLE,
        Capability.MULTI_PROCESS,
        Capability.SHARED_TRANSACTION,
        Capability.GUARDED_TRANSACTION,
    }
)


class SqliteStorage(SqlStorage[sqlite3.Connection]):
    """Be a `Storage` in one SQLite file, for many threads and processes of one machine.

    The file may be the host's own: only tables named `mailrouting_*` are used, and a write hook's
    `tx` is a connection to it, so that a ticket commits with the outcome of its mail, or not at
    all. The file is put into WAL mode; every commit reaches the disk (`synchronous=FULL`).

    Each thread has a connection of its own, opened when it first asks and closed when it ends. Before
    the process forks all of them are closed, because SQLite loses what a child commits while it
    inherited an open one: a host must do the same with its own connections to the file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, SqliteStorage(f"{folder}/mail.db") as storage:
    ...     storage.intake_rows()
    ()

    Args:
        path: The file; created when there is none, but not its folder.
        spool: Takes mail over 256 KiB; None: a folder beside the file, called like it with
            `.spool` at its end, made when the first large mail comes.
        busy_timeout_seconds: How long to wait for another's write before
            `StorageUnavailableError`.
        clock: Used where no `now` is given.

    Raises:
        ConfigurationError: The path names no file (`:memory:`, empty).
        StorageError: It is no SQLite file, or a newer mailrouting has written it.
        StorageUnavailableError: It cannot be opened now.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        spool: Spool | None = None,
        busy_timeout_seconds: float = 5.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        name = os.fspath(path)
        if name in {"", ":memory:"}:
            raise ConfigurationError(
                f"{name!r} names no file", hint="Use MemoryStorage to keep nothing."
            )
        executor = SqliteExecutor(name, busy_timeout_seconds=busy_timeout_seconds, clock=clock)
        super().__init__(
            executor,
            _DIALECT,
            capabilities=_CAPABILITIES,
            spool=spool or Spool(f"{name}.spool"),
        )
