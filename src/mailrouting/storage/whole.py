"""Say what an adapter promises that keeps our state (floor 3b)."""

from types import TracebackType
from typing import Protocol, Self, TypeVar

from mailrouting.storage.capabilities import Capability
from mailrouting.storage.intake import IntakeStorage
from mailrouting.storage.mailboxes import MailboxStorage
from mailrouting.storage.upkeep import UpkeepStorage

__all__ = ["Storage"]

Tx_co = TypeVar("Tx_co", covariant=True)


class Storage(MailboxStorage, IntakeStorage[Tx_co], UpkeepStorage, Protocol[Tx_co]):
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
        S5. Raw mail comes back byte for byte, whatever its size, and whether it came as bytes or
            as a memory map.
        S6. A claim counts its attempt, and that is durable before the claim is returned. A row is
            claimed by one worker at a time, lowest id first, not before its `next_attempt_at`;
            a claim whose visibility has passed may be taken over. A row over `max_attempts` is
            quarantined instead of claimed, with its last failure as the reason, and told in
            `Claims.quarantined` by the claim that did it.
        S7. `conclude` re-checks the claim, calls `write` once inside a savepoint of the transaction
            that stores outcome and threads, and commits all or nothing. A lost claim, or anything
            that `write` raises, leaves no trace of either.
        S8. A row has at most one outcome: a second `conclude` raises `StaleWriteError`. An outcome
            is for ever, but for what S23 takes back.
        S9. `intake_fail` frees the claim and keeps the failure; with `counts=False` it gives the
            attempt back.
        S10. `unacknowledged` lists positions of the mailbox's present generation that the server
            was not told about, of IMAP the lowest UID first, by number; `mark_acknowledged` takes
            them off. Idempotent.
            `positions` says of each the row's id, outcome and size, and whether the server was
            told.
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
        S20. `stream_open` with `renumbered` begins a generation, whatever was told.
            `Stream.first_uidnext` is the `uidnext` that was told when the present generation
            began, and stays as long as the generation.
        S21. `latest_positions` lists positions of that generation that have a mail, with the
            identity that the row has: the highest UID first, by number; of POP3 the mail that was
            stored last.
        S22. With `rescan` a mail that has a `delivery`, and whose fingerprint is not known, counts
            as the one row of its account that has the same (`REAPPEARED`). Of several rows none
            is it. At a position that is known, a mail of the same `delivery` is `KNOWN` always.
        S23. `intake_reopen` takes the outcome of a `QUARANTINED` or `FILTERED` row back: it waits
            again, with no attempts, and `reopened` counts it. Any other row is refused with
            `StaleWriteError`: its outcome wrote for the host, or it has none.
        S24. Of the rows that are due the lowest id is claimed. When it was tried before
            (`attempts` of 1 or more: a worker may have died of it) it is claimed alone; else with
            those that follow, up to `limit` or the first that was tried.
        S25. What a clock far ahead wrote is void: a lease or claim made more than an hour after
            `now` has ended, and a `next_attempt_at` more than 25 hours after `now` is due.
        S26. Desk health and pauses come back as they were saved, the last one holds. Pausing what
            is paused keeps `since`; resuming what is not paused is no error.
        S27. `outcome_counts` counts each row of an account once, by its outcome, or by its state
            when it has none.
        S28. `count` is one atomic step: of hits at once no two get the same number. Hits of other
            buckets and keys do not count, nor do those that left the window.
        S29. `purge` and `erase` forget bytes and keep identity, outcome and trace: `has_raw` is
            False, `intake_raw` raises, and the same mail is known when it comes again. `erase`
            forgets envelope and failure too; a row without an outcome gets one
            (`QUARANTINED`), and its claim is lost. Copies in other rows stay whole.
        S30. `intake_give_back` frees claims, gives their attempts back, and changes nothing else:
            the rows are due at once. One that is lost stays as it is, and is no error.
        S31. `known_deliveries` compares rows of the account with identities of the present recipe.
        S32. Any number of ids may be asked about or told at once, whatever a database takes in one
            statement. (A preview, binding from 0.2 on.)
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
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
