"""Say what a store of accounts promises (floor 3b)."""

from typing import Protocol

from mailrouting.accounts import EmailAccount
from mailrouting.directory import Directory

__all__ = ["AccountStore", "Accounts"]


class Accounts(Protocol):
    """Read what is configured."""

    def directory(self) -> Directory:
        """Return one snapshot of accounts, departments and defaults. Cheap; asked often."""
        ...


class AccountStore(Accounts, Protocol):
    """Keep what is configured.

    Obligations:
        A1. `save` with the stored version stores and returns a higher version; with any other it
            raises `StaleWriteError` and changes nothing. No version of an id is ever used again,
            not even after `remove`.
        A2. What was returned is a value: changing the store does not change it.
        A3. A directory lists accounts by id, whatever the order of saving.
        A4. Any text that the values allow comes back unchanged.
    """

    def version(self, account_id: str) -> int | None:
        """Return the stored version of an account, or None when there is none."""
        ...

    def save(self, account: EmailAccount, *, expected_version: int | None) -> int:
        """Store an account; `None` for one that must not exist yet. Return its new version.

        Raises:
            StaleWriteError: Somebody stored another version meanwhile.
        """
        ...

    def remove(self, account_id: str) -> None:
        """Remove an account; its intake stays.

        Raises:
            RecordNotFoundError: There is none.
        """
        ...
