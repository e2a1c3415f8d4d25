"""Say what an adapter promises that keeps our state (floor 3b).

Two protocols. `Accounts` reads what is configured: a host with its own tables implements just
that. `Storage` keeps all state that must commit together. The numbered obligations are quoted by
the tests of `mailrouting.testing.StorageConformance` that enforce them.

Times come in as `now`; `None` means the storage's own clock (the database's). Every method is one
transaction, durable on return where `DURABLE` is declared.
"""

from mailrouting.storage.accounts import Accounts as Accounts, AccountStore as AccountStore
from mailrouting.storage.capabilities import Capability as Capability
from mailrouting.storage.whole import Storage as Storage

__all__ = ["AccountStore", "Accounts", "Capability", "Storage"]
