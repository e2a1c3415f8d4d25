"""The stores in memory keep what `mailrouting.storage` promises."""

from mailrouting.directory import Directory
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.testing.conformance import AccountStoreConformance, StorageConformance


class TestMemoryStorage(StorageConformance):
    def opener(self, fresh_dir):
        self.committed = []
        return MemoryStorage

    def host_write(self, tx, word):
        tx.on_commit(lambda: self.committed.append(word))

    def host_words(self, tx):
        return self.committed


class TestMemoryAccounts(AccountStoreConformance):
    def opener(self, fresh_dir):
        return lambda: MemoryAccounts(Directory())
