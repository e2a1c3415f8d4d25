"""Name what a storage does for threads, health, operators and retention (floor 3b)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailrouting.health import AccountHealth, DeskHealth
from mailrouting.records import IntakeState, OutcomeKind, Pause, ThreadRecord

__all__ = ["UpkeepStorage"]


class UpkeepStorage(Protocol):
    """Be the part of `Storage` beside mailboxes and mail. See there for what is promised."""

    def find_threads(self, message_ids: Sequence[str]) -> tuple[ThreadRecord, ...]:
        """Return whose tickets these Message-IDs belong to (S11)."""
        ...

    def remember_threads(self, records: Sequence[ThreadRecord]) -> None:
        """Remember Message-IDs, for instance of mail that the host sent. Idempotent (S11)."""
        ...

    def health(self, account_id: str) -> AccountHealth | None:
        """Return an account's health; None when it was never looked at."""
        ...

    def save_health(self, health: AccountHealth) -> None:
        """Store an account's health; the last writer wins."""
        ...

    def desk_health(self, desk: str) -> DeskHealth | None:
        """Return a desk's health; None when none was saved (S26)."""
        ...

    def save_desk_health(self, health: DeskHealth) -> None:
        """Store a desk's health; the last writer wins (S26)."""
        ...

    def pause(self, account_id: str, *, because: str, now: datetime | None = None) -> None:
        """Note that an account's mailbox is not to be fetched from (S26).

        What was taken in already, or is pushed, is converted all the same. Of an account that is
        paused already `because` is replaced, and `since` stays. Apart from health, because health's
        last writer wins.
        """
        ...

    def resume(self, account_id: str) -> None:
        """Take `pause` back. Idempotent (S26)."""
        ...

    def paused(self) -> Mapping[str, Pause]:
        """Return every pause by account id (S26)."""
        ...

    def count(
        self, bucket: str, key: str, *, window_seconds: float, now: datetime | None = None
    ) -> int:
        """Count a hit; return how many fell into the window that ends now, this one too (S28).

        Args:
            bucket: What is counted; always asked with the same window.
            key: For whom or what.
            window_seconds: Its length.
            now: The time.
        """
        ...

    def outcome_counts(
        self, account_id: str | None = None
    ) -> Mapping[str, Mapping[OutcomeKind | IntakeState, int]]:
        """Count each account's rows: by outcome, and those without one by state (S27).

        What does not occur is left out, so an account without rows is, too.

        Args:
            account_id: Only of this account; None: of all.
        """
        ...

    def purge(self, *, before: datetime, limit: int) -> int:
        """Forget the bytes of mail that has its outcome (S29).

        Args:
            before: Only mail that was stored earlier.
            limit: At most so many, lowest id first; call again until fewer are returned.

        Returns:
            How many lost their bytes.
        """
        ...

    def erase(self, intake_ids: Sequence[int]) -> int:
        """Forget bytes, envelope and failure of these rows at once, whatever their state (S29).

        Returns:
            How many of them had their bytes still. Ids that are not there are passed over.
        """
        ...
