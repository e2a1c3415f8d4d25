"""The SQLite store keeps what `mailrouting.storage` promises."""

from functools import partial

from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing.conformance import StorageConformance


class TestSqliteStorage(StorageConformance):
    def opener(self, fresh_dir):
        return partial(SqliteStorage, fresh_dir / "mail.db")
