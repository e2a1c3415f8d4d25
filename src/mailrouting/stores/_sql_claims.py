"""Claim, fail and conclude intake rows in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from mailrouting.errors import RecordNotFoundError
from mailrouting.records import (
    Claim,
    Claims,
    Conclusion,
    Failure,
    IntakeRow,
    IntakeState,
    Outcome,
)
from mailrouting.stores._executor import MANY, SqlValue, marks
from mailrouting.stores._sql_intake import SqlIntake
from mailrouting.stores._sql_rows import ROW, ROW_WIDTH, intake_row
from mailrouting.stores._sql_upkeep import SqlUpkeep
from mailrouting.stores._texts import failure_from_text, failure_to_text, outcome_to_text
from mailrouting.stores._values import (
    FAR_AHEAD,
    LONGEST_WAIT,
    choose,
    chunks,
    lost_claim,
    lost_mail_outcome,
    micros,
    quarantine_outcome,
    refuse_reopening,
    refuse_unstorable,
)

__all__ = ["SqlClaims"]

Tx_co = TypeVar("Tx_co", covariant=True)

_DUE = (
    "outcome_kind IS NULL"
    " AND (next_attempt_at IS NULL OR next_attempt_at <= ? OR next_attempt_at > ?)"
    " AND (claimed_until IS NULL OR claimed_until <= ? OR claimed_at > ?)"
)


def _due(now: datetime, account_ids: Collection[str] | None) -> tuple[str, tuple[SqlValue, ...]]:
    """Return the condition of rows that are due, and its parameters."""
    times = micros(now), micros(now + LONGEST_WAIT), micros(now), micros(now + FAR_AHEAD)
    if account_ids is None:
        return _DUE, times
    accounts = tuple(account_ids)
    return f"{_DUE} AND account_id IN ({marks(accounts)})", (*times, *accounts)


class SqlClaims(SqlIntake[Tx_co], SqlUpkeep[Tx_co]):
    """Be the part of `SqlStorage` that works on mail."""

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
        """See `Storage.intake_claim`."""
        now = self._now(now)
        refuse_unstorable((worker, now))
        condition, parameters = _due(now, account_ids)
        query = f"SELECT id, attempts FROM mailrouting_intake WHERE {condition}"
        if not self._executor.rows(f"{query} AND id > ? LIMIT 1", (*parameters, after_id)):
            return Claims()  # an idle worker takes no write lock
        until = now + timedelta(seconds=visibility_seconds)
        with self._executor.begin():
            taken, worn = choose(
                self._pages(query, parameters, limit, after_id),
                limit=limit,
                max_attempts=max_attempts,
            )
            quarantined = [self._quarantine(intake_id) for intake_id in worn]
            claimed: list[Claim] = []
            for some in chunks(taken, MANY):
                self._take(some, worker=worker, now=now, until=until)
                for claim in self._claims(some):
                    if isinstance(claim, Claim):
                        claimed.append(claim)
                    else:
                        quarantined.append(claim)
        return Claims(claimed=tuple(claimed), quarantined=tuple(quarantined))

    def _pages(
        self, query: str, parameters: Sequence[SqlValue], size: int, after: int
    ) -> Iterator[tuple[int, int]]:
        while True:
            page = self._executor.rows(
                f"{query} AND id > ? ORDER BY id LIMIT ?{self._dialect.skip_locked}",
                (*parameters, after, size),
            )
            yield from ((intake_id, attempts) for intake_id, attempts in page)
            if len(page) < size:
                return
            after = page[-1][0]

    def _quarantine(self, intake_id: int) -> IntakeRow:
        [(attempts, failure)] = self._executor.rows(
            "SELECT attempts, failure FROM mailrouting_intake WHERE id = ?", (intake_id,)
        )
        self._finish(intake_id, quarantine_outcome(attempts, failure_from_text(failure)))
        return self.intake_row(intake_id)

    def _take(self, ids: Sequence[int], *, worker: str, now: datetime, until: datetime) -> None:
        self._executor.execute(
            "UPDATE mailrouting_intake SET state = ?, attempts = attempts + 1,"
            " claim_token = claim_token + 1, claimed_by = ?, claimed_at = ?, claimed_until = ?,"
            f" next_attempt_at = NULL WHERE id IN ({marks(ids)})",
            (IntakeState.CLAIMED.value, worker, micros(now), micros(until), *ids),
        )

    def _claims(self, ids: Sequence[int]) -> Iterator[Claim | IntakeRow]:
        for row in self._executor.rows(
            f"SELECT {ROW}, i.claim_token, r.raw, r.spool_key FROM mailrouting_intake i"
            f" JOIN mailrouting_raw r ON r.intake_id = i.id WHERE i.id IN ({marks(ids)})"
            " ORDER BY i.id",
            ids,
        ):
            try:
                raw = self._source(*row[-2:])
            except RecordNotFoundError as error:
                # One that is not to be had must not keep those behind it waiting for ever.
                self._finish(row[0], lost_mail_outcome(error))
                yield self.intake_row(row[0])
            else:
                yield Claim(row=intake_row(row[:ROW_WIDTH]), token=row[ROW_WIDTH], raw=raw)

    def _check_claim(self, claim: Claim) -> None:
        found = self._executor.rows(
            "SELECT claim_token FROM mailrouting_intake"
            f" WHERE id = ? AND claimed_until IS NOT NULL{self._dialect.lock_rows}",
            (claim.row.id,),
        )
        token = found[0][0] if found else None
        if token != claim.token:
            raise lost_claim(claim, token)

    def intake_give_back(self, claims: Sequence[Claim]) -> None:
        """See `Storage.intake_give_back`."""
        with self._executor.begin():
            self._executor.execute_many(
                "UPDATE mailrouting_intake SET state = ?, attempts = attempts - 1,"
                " claimed_until = NULL"
                " WHERE id = ? AND claim_token = ? AND claimed_until IS NOT NULL",
                [(IntakeState.WAITING.value, claim.row.id, claim.token) for claim in claims],
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

    def intake_reopen(self, intake_id: int, *, now: datetime | None = None) -> IntakeRow:
        """See `Storage.intake_reopen`."""
        now = self._now(now)
        refuse_unstorable(now)
        with self._executor.begin():
            self._executor.rows(
                f"SELECT id FROM mailrouting_intake WHERE id = ?{self._dialect.lock_rows}",
                (intake_id,),
            )
            refuse_reopening(self.intake_row(intake_id))
            self._executor.execute(
                "UPDATE mailrouting_intake SET state = ?, attempts = 0, reopened = reopened + 1,"
                " next_attempt_at = ?, outcome_kind = NULL, outcome = NULL WHERE id = ?",
                (IntakeState.WAITING.value, micros(now), intake_id),
            )
            return self.intake_row(intake_id)
