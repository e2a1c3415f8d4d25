"""Name what a storage does for mailboxes: leases, numbering, positions (floor 3b)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailrouting.reading import MailIdentity
from mailrouting.records import (
    Lease,
    MailboxKey,
    Position,
    PositionState,
    Stream,
    Uid,
    Unacknowledged,
)

__all__ = ["MailboxStorage"]


class MailboxStorage(Protocol):
    """Be the part of `Storage` that knows mailboxes. See there for what is promised."""

    def lease_acquire(
        self, mailbox: MailboxKey, *, owner: str, ttl_seconds: float, now: datetime | None = None
    ) -> Lease | None:
        """Take the mailbox; None when somebody else holds it (S1)."""
        ...

    def lease_renew(
        self, lease: Lease, *, ttl_seconds: float, now: datetime | None = None
    ) -> Lease:
        """Prolong the lease; same token.

        Raises:
            StaleWriteError: It is no longer ours.
        """
        ...

    def lease_release(self, lease: Lease) -> None:
        """Give the mailbox back. Idempotent; a lost lease is no error."""
        ...

    def abandon(self, worker: str) -> None:
        """End all that a worker holds, because it is known to be dead (S19).

        Without it, what a killed worker held comes free when its lease and visibility have passed.

        Args:
            worker: The `owner` of its leases and the `worker` of its claims.
        """
        ...

    def stream_open(
        self,
        lease: Lease,
        *,
        uidvalidity: int | None,
        uidnext: int | None,
        cutoff: datetime | None = None,
        renumbered: bool = False,
    ) -> Stream:
        """Compare the server's numbering with the stored one, and store it (S3, S20).

        Args:
            lease: The hold on the mailbox.
            uidvalidity: As the server told; None where there is none.
            uidnext: As the server told; None when it did not.
            cutoff: Used when the mailbox is opened for the first time ever; else the stored one
                holds.
            renumbered: The mail at known positions is not what it was: begin a generation.
        """
        ...

    def positions(
        self, mailbox: MailboxKey, generation: int, uids: Sequence[Uid]
    ) -> Mapping[Uid, PositionState]:
        """Return what is known of these UIDs; unknown ones are left out."""
        ...

    def latest_positions(
        self, mailbox: MailboxKey, generation: int, *, limit: int
    ) -> tuple[tuple[Uid, MailIdentity], ...]:
        """Return the latest positions that have a mail, and whose it is, latest first (S21).

        Latest is the highest UID of IMAP, by number; of POP3 the mail that was stored last.
        """
        ...

    def intake_skip(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """Remember positions older than the cut-off, so that they are not asked for again."""
        ...

    def unacknowledged(
        self, mailbox: MailboxKey, *, limit: int, concluded_only: bool
    ) -> tuple[Unacknowledged, ...]:
        """List what the server was not told yet (S10).

        Args:
            mailbox: Which.
            limit: At most so many.
            concluded_only: Leave out rows that have no outcome yet.
        """
        ...

    def mark_acknowledged(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """Remember that the server was told, or is not to be told (S10)."""
        ...
