"""Keep everything in SQL, written once for every database that has an `Executor` (floor 6)."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from mailrouting.health import AccountHealth
from mailrouting.records import (
    Claim,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    Outcome,
    PutResult,
    PutStatus,
    ThreadRecord,
)
from mailrouting.storage import Capability
from mailrouting.stores._executor import Executor, SqlDialect, SqlValue
from mailrouting.stores._schema import migrate
from mailrouting.stores._sql_mailboxes import MANY, SqlMailboxes, marks
from mailrouting.stores._sql_rows import ROW, ROW_WIDTH, intake_row
from mailrouting.stores._values import (
    chunks,
    envelope_to_text,
    failure_from_text,
    failure_to_text,
    health_from_text,
    health_to_text,
    lost_claim,
    micros,
    no_intake,
    outcome_to_text,
    quarantine_outcome,
    refuse_unplaced_mail,
    refuse_unstorable,
)

__all__ = ["Executor", "SqlDialect", "SqlStorage", "SqlValue"]

Tx_co = TypeVar("Tx_co", covariant=True)

_DUE = (
    "outcome_kind IS NULL AND (next_attempt_at IS NULL OR next_attempt_at <= ?)"
    " AND (claimed_until IS NULL OR claimed_until <= ?)"
)


class SqlStorage(SqlMailboxes[Tx_co]):
    """Be a `Storage` in a SQL database. Creates or lifts its tables when it is made.

    Args:
        executor: Runs the statements; closed with this storage, also when this fails.
        dialect: How the database spells them.
        capabilities: What executor and database can do together.

    Raises:
        StorageError: A newer mailrouting has lifted the tables.
        StorageUnavailableError: The database is busy or away.
    """

    def __init__(
        self,
        executor: Executor[Tx_co],
        dialect: SqlDialect,
        *,
        capabilities: frozenset[Capability],
    ) -> None:
        super().__init__(executor, dialect)
        self._capabilities = capabilities
        try:
            migrate(executor, dialect)
        except BaseException:
            executor.close()
            raise

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
        return self._capabilities

    # intake

    def intake_put(
        self, mails: Sequence[IntakeMail], *, lease: Lease | None, now: datetime | None = None
    ) -> tuple[PutResult, ...]:
        """See `Storage.intake_put`."""
        now = self._now(now)
        refuse_unplaced_mail(mails, lease)
        refuse_unstorable((*mails, now))
        with self._executor.begin():
            mailbox_id = None if lease is None else self._leased(lease)
            return tuple(self._put(mail, mailbox_id, now) for mail in mails)

    def _put(self, mail: IntakeMail, mailbox_id: int | None, now: datetime) -> PutResult:
        position = mail.position
        if position is None:
            known = self._known(mail)
            return PutResult(PutStatus.KNOWN, known) if known else self._create(mail, now)
        identity = mail.identity
        for held_id, version, fingerprint in self._executor.rows(
            "SELECT i.id, i.identity_version, i.fingerprint"
            " FROM mailrouting_position p JOIN mailrouting_intake i ON i.id = p.intake_id"
            " WHERE p.mailbox_id = ? AND p.generation = ? AND p.uid = ?",
            (mailbox_id, position.generation, position.uid),
        ):
            # Identities of two recipes cannot be compared; the position is the same.
            if version != identity.version or fingerprint == identity.fingerprint:
                return PutResult(PutStatus.KNOWN, held_id)
            return PutResult(PutStatus.UID_CONFLICT, None)
        known = self._known(mail)
        result = PutResult(PutStatus.REAPPEARED, known) if known else self._create(mail, now)
        # A position that was skipped may be taken in after all.
        self._executor.execute(
            "INSERT INTO mailrouting_position (mailbox_id, generation, uid, intake_id)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (mailbox_id, generation, uid)"
            " DO UPDATE SET intake_id = excluded.intake_id, acknowledged = 0",
            (mailbox_id, position.generation, position.uid, result.intake_id),
        )
        return result

    def _known(self, mail: IntakeMail) -> int | None:
        found = self._executor.rows(
            "SELECT id FROM mailrouting_intake"
            " WHERE account_id = ? AND fingerprint = ? AND identity_version = ?",
            (mail.account_id, mail.identity.fingerprint, mail.identity.version),
        )
        return found[0][0] if found else None

    def _create(self, mail: IntakeMail, now: datetime) -> PutResult:
        identity = mail.identity
        [(intake_id,)] = self._executor.rows(
            "INSERT INTO mailrouting_intake (account_id, identity_version, fingerprint, delivery,"
            " content, size, state, stored_at, received_at, envelope)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                mail.account_id,
                identity.version,
                identity.fingerprint,
                identity.delivery,
                identity.content,
                len(mail.raw),
                IntakeState.WAITING.value,
                micros(now),
                micros(mail.received_at),
                envelope_to_text(mail.envelope),
            ),
        )
        self._executor.execute(
            "INSERT INTO mailrouting_raw (intake_id, raw) VALUES (?, ?)", (intake_id, mail.raw)
        )
        return PutResult(PutStatus.CREATED, intake_id)

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
        """See `Storage.intake_claim`."""
        now = self._now(now)
        refuse_unstorable((worker, now))
        due, values = _DUE, [micros(now), micros(now)]
        parameters: list[SqlValue] = [*values]
        if account_ids is not None:
            due += f" AND account_id IN ({marks([*account_ids])})"
            parameters += account_ids
        query = f"SELECT id FROM mailrouting_intake WHERE {due}"
        if not self._executor.rows(f"{query} LIMIT 1", parameters):
            return ()  # an idle worker takes no write lock
        locked = self._dialect.skip_locked
        with self._executor.begin():
            self._quarantine(
                self._executor.rows(
                    "SELECT id, attempts, failure FROM mailrouting_intake"
                    f" WHERE {due} AND attempts >= ?{locked}",
                    (*parameters, max_attempts),
                )
            )
            found = self._executor.rows(
                f"{query} ORDER BY id LIMIT ?{locked}", (*parameters, limit)
            )
            until = micros(now + timedelta(seconds=visibility_seconds))
            ids = [intake_id for (intake_id,) in found]
            return tuple(
                claim for some in chunks(ids, MANY) for claim in self._take(some, worker, until)
            )

    def _quarantine(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for intake_id, attempts, failure in rows:
            outcome = quarantine_outcome(attempts, failure_from_text(failure))
            self._finish(intake_id, outcome)

    def _take(self, ids: Sequence[int], worker: str, until: int | None) -> list[Claim]:
        self._executor.execute(
            "UPDATE mailrouting_intake SET state = ?, attempts = attempts + 1,"
            " claim_token = claim_token + 1, claimed_by = ?, claimed_until = ?,"
            f" next_attempt_at = NULL WHERE id IN ({marks(ids)})",
            (IntakeState.CLAIMED.value, worker, until, *ids),
        )
        rows = self._executor.rows(
            f"SELECT {ROW}, i.claim_token, r.raw FROM mailrouting_intake i"
            f" JOIN mailrouting_raw r ON r.intake_id = i.id WHERE i.id IN ({marks(ids)})"
            " ORDER BY i.id",
            ids,
        )
        return [
            Claim(row=intake_row(row[:ROW_WIDTH]), token=row[ROW_WIDTH], raw=bytes(row[-1]))
            for row in rows
        ]

    def _check_claim(self, claim: Claim) -> None:
        found = self._executor.rows(
            "SELECT claim_token FROM mailrouting_intake"
            f" WHERE id = ? AND claimed_until IS NOT NULL{self._dialect.lock_rows}",
            (claim.row.id,),
        )
        token = found[0][0] if found else None
        if token != claim.token:
            raise lost_claim(claim, token)

    def _finish(self, intake_id: int, outcome: Outcome) -> None:
        self._executor.execute(
            "UPDATE mailrouting_intake SET state = ?, outcome_kind = ?, outcome = ?,"
            " claimed_until = NULL WHERE id = ?",
            (
                IntakeState.DONE.value,
                outcome.kind.value,
                outcome_to_text(outcome),
                intake_id,
            ),
        )

    def intake_fail(
        self,
        claim: Claim,
        failure: Failure,
        *,
        retry_at: datetime,
        counts: bool,
    ) -> None:
        """See `Storage.intake_fail`."""
        refuse_unstorable((failure, retry_at))
        with self._executor.begin():
            self._check_claim(claim)
            self._executor.execute(
                "UPDATE mailrouting_intake SET state = ?, attempts = attempts - ?,"
                " next_attempt_at = ?, claimed_until = NULL, failure = ? WHERE id = ?",
                (
                    IntakeState.WAITING.value,
                    0 if counts else 1,
                    micros(retry_at),
                    failure_to_text(failure),
                    claim.row.id,
                ),
            )

    def conclude(self, claim: Claim, write: Callable[[Tx_co], Conclusion]) -> Outcome:
        """See `Storage.conclude`."""
        with self._executor.begin():
            self._check_claim(claim)
            with self._executor.savepoint() as tx:
                conclusion = write(tx)
            refuse_unstorable(conclusion)
            self._finish(claim.row.id, conclusion.outcome)
            self._remember(conclusion.threads)
        return conclusion.outcome

    def intake_row(self, intake_id: int) -> IntakeRow:
        """See `Storage.intake_row`."""
        found = self._executor.rows(
            f"SELECT {ROW} FROM mailrouting_intake i WHERE i.id = ?", (intake_id,)
        )
        if not found:
            raise no_intake(intake_id)
        return intake_row(found[0])

    def intake_raw(self, intake_id: int) -> bytes:
        """See `Storage.intake_raw`."""
        found = self._executor.rows(
            "SELECT raw FROM mailrouting_raw WHERE intake_id = ?", (intake_id,)
        )
        if not found:
            raise no_intake(intake_id)
        return bytes(found[0][0])

    def intake_rows(
        self,
        *,
        account_id: str | None = None,
        state: IntakeState | None = None,
        content: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[IntakeRow, ...]:
        """See `Storage.intake_rows`."""
        wanted = {
            "i.account_id": account_id,
            "i.state": state.value if state else None,
            "i.content": content,
        }
        chosen = {column: value for column, value in wanted.items() if value is not None}
        conditions = " AND ".join(["i.id > ?", *(f"{column} = ?" for column in chosen)])
        rows = self._executor.rows(
            f"SELECT {ROW} FROM mailrouting_intake i WHERE {conditions} ORDER BY i.id LIMIT ?",
            (after_id, *chosen.values(), limit),
        )
        return tuple(intake_row(row) for row in rows)

    # threads and health

    def find_threads(self, message_ids: Sequence[str]) -> tuple[ThreadRecord, ...]:
        """See `Storage.find_threads`."""
        found: list[tuple[Any, ...]] = []
        for some in chunks(tuple(dict.fromkeys(message_ids)), MANY):
            found += self._executor.rows(
                "SELECT id, message_id, ticket, account_id, sent FROM mailrouting_thread"
                f" WHERE message_id IN ({marks(some)})",
                some,
            )
        return tuple(
            ThreadRecord(
                message_id=message_id, ticket=ticket, account_id=account_id, sent=bool(sent)
            )
            for _, message_id, ticket, account_id, sent in sorted(found)
        )

    def remember_threads(self, records: Sequence[ThreadRecord]) -> None:
        """See `Storage.remember_threads`."""
        refuse_unstorable((*records,))
        with self._executor.begin():
            self._remember(records)

    def _remember(self, records: Sequence[ThreadRecord]) -> None:
        for record in records:
            self._executor.execute(
                "INSERT INTO mailrouting_thread (message_id, ticket, account_id, sent)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (record.message_id, record.ticket, record.account_id, record.sent),
            )

    def health(self, account_id: str) -> AccountHealth | None:
        """See `Storage.health`."""
        found = self._executor.rows(
            "SELECT health FROM mailrouting_health WHERE account_id = ?", (account_id,)
        )
        return health_from_text(account_id, found[0][0]) if found else None

    def save_health(self, health: AccountHealth) -> None:
        """See `Storage.save_health`."""
        refuse_unstorable(health)
        with self._executor.begin():
            self._executor.execute(
                "INSERT INTO mailrouting_health (account_id, health) VALUES (?, ?)"
                " ON CONFLICT (account_id) DO UPDATE SET health = excluded.health",
                (health.account_id, health_to_text(health)),
            )

    def close(self) -> None:
        """See `Storage.close`."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
