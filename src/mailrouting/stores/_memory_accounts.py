"""Keep accounts in memory (floor 6)."""

import threading

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.directory import Directory
from mailrouting.errors import RecordNotFoundError, StaleWriteError

__all__ = ["MemoryAccounts"]


class MemoryAccounts:
    """Be an `AccountStore` over a `Directory`, which brings departments, defaults and switches.

    Args:
        directory: What is configured at first; each account in it has a version.
    """

    def __init__(self, directory: Directory) -> None:
        self._lock = threading.Lock()
        # One count for all, so that a version is never used twice, even after `remove`.
        self._count = 0
        self._accounts: dict[str, EmailAccount] = {}
        self._versions: dict[str, int] = {}
        self.replace(directory)

    def replace(self, directory: Directory) -> None:
        """Exchange everything; every account has a new version."""
        with self._lock:
            self._directory = directory
            self._accounts = {account.id: account for account in directory.accounts}
            self._versions = {account_id: self._next() for account_id in self._accounts}
            self._rebuild()

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _rebuild(self) -> None:
        accounts = tuple(self._accounts[account_id] for account_id in sorted(self._accounts))
        self._directory = attrs.evolve(self._directory, accounts=accounts)

    def directory(self) -> Directory:
        """See `Accounts.directory`."""
        return self._directory

    def version(self, account_id: str) -> int | None:
        """See `AccountStore.version`."""
        return self._versions.get(account_id)

    def save(self, account: EmailAccount, *, expected_version: int | None) -> int:
        """See `AccountStore.save`."""
        with self._lock:
            found = self._versions.get(account.id)
            if found != expected_version:
                raise StaleWriteError(
                    f"account {account.id!r} was changed meanwhile",
                    expected=expected_version,
                    found=found,
                    hint="Read it again, then decide.",
                )
            self._accounts[account.id] = account
            self._versions[account.id] = self._next()
            self._rebuild()
            return self._versions[account.id]

    def remove(self, account_id: str) -> None:
        """See `AccountStore.remove`."""
        with self._lock:
            if self._accounts.pop(account_id, None) is None:
                raise RecordNotFoundError(f"there is no account {account_id!r}")
            del self._versions[account_id]
            self._rebuild()
