"""Test an account store: A1 to A4."""

from collections.abc import Callable
from pathlib import Path

import attrs

from mailrouting.accounts import EmailAccount, TicketDefaults
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.storage import AccountStore
from mailrouting.testing._kit import check_opener, must_raise

__all__ = ["AccountObligations"]

_NAMES = ("Ärger & Co", "\U0001f4e8", 'a "quoted" name', "' OR 1=1", "")


def _account(account_id: str, *, name: str = "Help") -> EmailAccount:
    return EmailAccount(
        id=account_id, address=NamedAddress(AddrSpec.parse(f"{account_id}@example.org"), name)
    )


class AccountObligations:
    """Hold an account store to A1 to A4."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        check_opener(cls)

    def opener(self, fresh_dir: Path) -> Callable[[], AccountStore]:
        """Return a way to open the same accounts again and again, none at first."""
        raise TypeError(f"{type(self).__name__} has no opener for data in {fresh_dir}")

    def test_versions(self, tmp_path: Path) -> None:
        """A1: the stored version is needed to save, and a higher one comes back."""
        store = self.opener(tmp_path)()
        assert store.version("a") is None
        first = store.save(_account("a"), expected_version=None)
        second = store.save(_account("a", name="Two"), expected_version=first)
        assert second > first, "A1: the version must grow"
        for expected in (first, None, second + 1):
            with must_raise(StaleWriteError, f"A1: saving over {expected} must be refused"):
                store.save(_account("a", name="Three"), expected_version=expected)
        assert store.version("a") == second
        assert store.directory().accounts == (_account("a", name="Two"),), (
            "A1: a refused save changed something"
        )

    def test_removal(self, tmp_path: Path) -> None:
        """A1: what is removed is gone; saved anew it has a version never used before."""
        store = self.opener(tmp_path)()
        first = store.save(_account("a"), expected_version=None)
        store.remove("a")
        assert (store.version("a"), store.directory().accounts) == (None, ())
        with must_raise(RecordNotFoundError, "removing what is not there must say so"):
            store.remove("a")
        with must_raise(StaleWriteError, "A1: a removed account has no version"):
            store.save(_account("a"), expected_version=first)
        assert store.save(_account("a"), expected_version=None) > first

    def test_values(self, tmp_path: Path) -> None:
        """A2: a directory that was returned does not change."""
        store = self.opener(tmp_path)()
        version = store.save(_account("a"), expected_version=None)
        directory = store.directory()
        kept = attrs.evolve(directory)
        store.save(_account("a", name="Two"), expected_version=version)
        store.save(_account("b"), expected_version=None)
        assert len(store.directory().accounts) == 2  # noqa: PLR2004 - both
        assert directory == kept, "A2: a returned directory changed"

    def test_order(self, tmp_path: Path) -> None:
        """A3: accounts are listed by id, compared code point by code point."""
        store = self.opener(tmp_path)()
        for account_id in ("b", "a", "C", "10", "9"):
            store.save(_account(account_id), expected_version=None)
        listed = [account.id for account in store.directory().accounts]
        assert listed == ["10", "9", "C", "a", "b"], "A3: accounts must be listed by id"

    def test_texts(self, tmp_path: Path) -> None:
        """A4: any text comes back unchanged."""
        store = self.opener(tmp_path)()
        for number, name in enumerate(_NAMES):
            account = attrs.evolve(
                _account(f"a{number}", name=name),
                defaults=TicketDefaults(department=name, help_topic=name, priority=name),
            )
            store.save(account, expected_version=None)
            assert store.directory().account(account.id) == account, (
                f"A4: {name!r} came back changed"
            )
