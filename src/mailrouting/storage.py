"""Say what an adapter promises that keeps our state (floor 3b).

Two protocols. `Accounts` reads what is configured: a host with its own tables implements just
that. `Storage` keeps all state that must commit together. The numbered obligations are quoted by
the tests of `mailrouting.testing.StorageConformance` that enforce them.

Times come in as `now`; `None` means the storage's own clock (the database's). Every method is one
transaction, durable on return where `DURABLE` is declared.
"""

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar

from mailrouting.accounts import EmailAccount
from mailrouting.directory import Directory
from mailrouting.health import AccountHealth
from mailrouting.records import (
    Claim,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    MailboxKey,
    Outcome,
    Position,
    PositionState,
    PutResult,
    Stream,
    ThreadRecord,
    Uid,
    Unacknowledged,
)

__all__ = ["AccountStore", "Accounts", "Capability", "Storage"]

Tx_co = TypeVar("Tx_co", covariant=True)


class Capability(enum.Enum):
    """Say what an adapter can do beyond the floor that every adapter has."""

    DURABLE = "what was returned survives close and the death of the process"
    MULTI_HANDLE = "several handles on the same data may be open at once"
    MULTI_PROCESS = "several processes may use the same data at once"
    SHARED_TRANSACTION = "the host's rows written through `tx` commit with ours, or not at all"
    GUARDED_TRANSACTION = "a hook that begins, commits or rolls back is stopped at once"


class Accounts(Protocol):
    """Read what is configured."""

    def directory(self) -> Directory:
        """Return one snapshot of accounts, departments and defaults. Cheap; asked often."""
        ...


class AccountStore(Accounts, Protocol):
    """Keep what is configured.

    Obligations:
        A1. `save` with the stored version stores and returns a higher version; with any other it
            raises `StaleWriteError` and changes nothing.
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


class Storage(Protocol[Tx_co]):
    """Keep leases, health, streams, intake and threads. `Tx_co` is what write hooks get.

    One storage may be shared by threads; a `tx` never. `capabilities` is read in production too,
    so the tests and the service cannot differ about it.

    Obligations:
        S1. At most one lease on a mailbox is valid at a time; its token is higher than any before,
            for ever.
        S2. A write with a lease that is expired and taken over, or released, raises
            `StaleWriteError` and changes nothing. One that is only expired may still write.
        S3. A generation counts up when `uidvalidity` differs from the stored one in either
            direction, or `uidnext` is lower than the stored one; it never counts down. None is no
            evidence: the stored number stays. The first cut-off stays for ever.
        S4. A batch put is one transaction with one result a mail, in order. A fingerprint is kept
            once for each account (`REAPPEARED` adds a position to the row that is there; pushed
            mail that is there is `KNOWN`); a position that holds another mail is a
            `UID_CONFLICT` and is not touched.
        S5. Raw mail comes back byte for byte.
        S6. A claim counts its attempt, and that is durable before the claim is returned. A row is
            claimed by one worker at a time, lowest id first, not before its `next_attempt_at`;
            a claim whose visibility has passed may be taken over. A row over `max_attempts` is
            quarantined instead of claimed, with its last failure as the reason.
        S7. `conclude` re-checks the claim, calls `write` once inside a savepoint of the transaction
            that stores outcome and threads, and commits all or nothing. A lost claim, or anything
            that `write` raises, leaves no trace of either.
        S8. A row has at most one outcome, for ever: a second `conclude` raises `StaleWriteError`.
        S9. `intake_fail` frees the claim and keeps the failure; with `counts=False` it gives the
            attempt back.
        S10. `unacknowledged` lists positions of the mailbox's present generation that the server
            was not told about, lowest first; `mark_acknowledged` takes them off. Idempotent.
        S11. `find_threads` returns every record of an id, oldest first; equal records are kept
            once.
        S12. Listing order is by id. What was returned is a value.
        S13. Ids and texts are compared code point by code point; any text without NUL survives,
            non-BMP included; a text with NUL or half a surrogate pair, or a time without a zone, is
            refused (`ValueError`), never cut.
        S14. `close` twice is once; use after it raises `StorageUnavailableError`.
        S15. DURABLE: what was returned is there when the data is opened again.
        S16. A storage that is busy or away raises `StorageUnavailableError`; no exception of a
            database leaves the storage.
        S17. Locks are taken in the order intake row, host's rows (by `write`), threads.
        S18. GUARDED_TRANSACTION: a `write` that begins, commits or rolls back, or writes through a
            second connection or the storage itself, raises `TransactionMisuseError`, and S7 holds
            all the same.
        S19. `abandon` ends every lease and claim that a worker holds: what it would still write is
            refused, and its attempts stay counted. Idempotent.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
        ...

    # leases and streams

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
    ) -> Stream:
        """Compare the server's numbering with the stored one, and store it (S3).

        Args:
            lease: The hold on the mailbox.
            uidvalidity: As the server told; None where there is none.
            uidnext: As the server told; None when it did not.
            cutoff: Used when the mailbox is opened for the first time ever; else the stored one
                holds.
        """
        ...

    def positions(
        self, mailbox: MailboxKey, generation: int, uids: Sequence[Uid]
    ) -> Mapping[Uid, PositionState]:
        """Return what is known of these UIDs; unknown ones are left out."""
        ...

    # intake

    def intake_put(
        self, mails: Sequence[IntakeMail], *, lease: Lease | None, now: datetime | None = None
    ) -> tuple[PutResult, ...]:
        """Make mails durable (S4, S5).

        Args:
            mails: Each with a position in the leased mailbox, or none when it was pushed.
            lease: The hold on the mailbox; None only for pushed mail.
            now: The time.
        """
        ...

    def intake_skip(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """Remember positions older than the cut-off, so that they are not asked for again."""
        ...

    def intake_claim(
        self,
        *,
        worker: str,
        limit: int,
        visibility_seconds: float,
        max_attempts: int,
        account_ids: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> tuple[Claim, ...]:
        """Claim rows for conversion (S6).

        Args:
            worker: Who claims, for the operator.
            limit: At most so many.
            visibility_seconds: How long the claim holds.
            max_attempts: A row with so many attempts is quarantined instead.
            account_ids: Only rows of these accounts; None: of all.
            now: The time.
        """
        ...

    def intake_fail(
        self,
        claim: Claim,
        failure: Failure,
        *,
        retry_at: datetime,
        counts: bool,
    ) -> None:
        """End an attempt that failed (S9).

        Raises:
            StaleWriteError: The claim is lost.
        """
        ...

    def conclude(self, claim: Claim, write: Callable[[Tx_co], Conclusion]) -> Outcome:
        """Store the outcome together with what the host writes (S7, S8, S17, S18).

        What `write` raises leaves this method unchanged, unless it is the database's complaint
        about misuse.

        Raises:
            StaleWriteError: The claim is lost; `write` was not called.
            TransactionMisuseError: See S18.
            StorageUnavailableError: Busy or away; nothing was written.
        """
        ...

    def intake_row(self, intake_id: int) -> IntakeRow:
        """Return a row.

        Raises:
            RecordNotFoundError: There is none.
        """
        ...

    def intake_raw(self, intake_id: int) -> bytes:
        """Return a row's mail, byte for byte.

        Raises:
            RecordNotFoundError: There is none.
        """
        ...

    def intake_rows(
        self,
        *,
        account_id: str | None = None,
        state: IntakeState | None = None,
        content: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[IntakeRow, ...]:
        """List rows by id (S12).

        Args:
            account_id: Only of this account.
            state: Only in this state.
            content: Only with this `MailIdentity.content`: copies of one mail.
            after_id: Only with a higher id.
            limit: At most so many.
        """
        ...

    # acknowledgement

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

    # threads and health

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

    def close(self) -> None:
        """Give everything back (S14)."""
        ...

    def __enter__(self) -> Self:
        """Return the storage itself."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        ...
