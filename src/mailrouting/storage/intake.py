"""Name what a storage does for mail that was taken in (floor 3b)."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from mailrouting.reading import MailSource
from mailrouting.records import (
    Claim,
    Claims,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    Outcome,
    OutcomeKind,
    PutResult,
)

__all__ = ["IntakeStorage"]

Tx_co = TypeVar("Tx_co", covariant=True)


class IntakeStorage(Protocol[Tx_co]):
    """Be the part of `Storage` that knows intake rows. See there for what is promised."""

    def intake_put(
        self,
        mails: Sequence[IntakeMail],
        *,
        lease: Lease | None,
        now: datetime | None = None,
        rescan: bool = False,
    ) -> tuple[PutResult, ...]:
        """Make mails durable (S4, S5, S22).

        Args:
            mails: Each with a position in the leased mailbox, or none when it was pushed.
            lease: The hold on the mailbox; None only for pushed mail.
            now: The time.
            rescan: These were in the mailbox when its generation began: most are known.
        """
        ...

    def intake_claim(
        self,
        *,
        worker: str,
        limit: int,
        visibility_seconds: float,
        max_attempts: int,
        account_ids: Collection[str] | None = None,
        after_id: int = 0,
        now: datetime | None = None,
    ) -> Claims:
        """Claim rows for conversion (S6, S24, S25).

        Args:
            worker: Who claims, for the operator.
            limit: At most so many; at least 1.
            visibility_seconds: How long the claim holds.
            max_attempts: A row with so many attempts is quarantined instead, and told.
            account_ids: Only rows of these accounts; None: of all.
            after_id: Only rows with a higher id.
            now: The time.
        """
        ...

    def intake_give_back(self, claims: Sequence[Claim]) -> None:
        """End claims that were not tried, in one transaction (S30).

        Args:
            claims: A lost one is passed over.
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

        Args:
            claim: The claim, which ends.
            failure: How it failed.
            retry_at: Not claimed before; at most 24 hours away (S25).
            counts: False gives the attempt back.

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

    def intake_reopen(self, intake_id: int, *, now: datetime | None = None) -> IntakeRow:
        """Take the outcome of quarantined or filtered mail back; it is tried anew (S23).

        Args:
            intake_id: The row.
            now: The time; the row is due from then on.

        Raises:
            StaleWriteError: The row has no outcome, or one that is for ever.
            RecordNotFoundError: There is no such row, or its mail was purged or erased.
        """
        ...

    def known_deliveries(self, account_id: str, deliveries: Sequence[str]) -> frozenset[str]:
        """Return those of which the account has a row (S31).

        Args:
            account_id: Which account.
            deliveries: Each a `MailIdentity.delivery` that is not empty.
        """
        ...

    def intake_row(self, intake_id: int) -> IntakeRow:
        """Return a row.

        Raises:
            RecordNotFoundError: There is none.
        """
        ...

    def intake_raw(self, intake_id: int) -> MailSource:
        """Return a row's mail, byte for byte; a large one as a memory map (S5).

        Raises:
            RecordNotFoundError: There is no such row, or its mail was purged or erased.
        """
        ...

    def intake_rows(
        self,
        *,
        account_id: str | None = None,
        state: IntakeState | None = None,
        outcome: OutcomeKind | None = None,
        content: str | None = None,
        other_than: int | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[IntakeRow, ...]:
        """List rows by id (S12).

        Args:
            account_id: Only of this account.
            state: Only in this state.
            outcome: Only with this outcome.
            content: Only with this `MailIdentity.content`: copies of one mail.
            other_than: Leave out the row with this id.
            after_id: Only with a higher id.
            limit: At most so many.
        """
        ...
