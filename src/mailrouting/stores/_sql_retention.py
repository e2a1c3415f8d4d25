"""Forget mail that is no longer needed, in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from mailrouting.stores._executor import MANY, marks
from mailrouting.stores._sql_claims import SqlClaims
from mailrouting.stores._values import chunks, erased_outcome, micros, refuse_unstorable

__all__ = ["SqlRetention"]

Tx_co = TypeVar("Tx_co", covariant=True)

_ORPHAN_AGE = timedelta(days=1)


class SqlRetention(SqlClaims[Tx_co]):
    """Be the part of `SqlStorage` that purges and erases."""

    def purge(self, *, before: datetime, limit: int) -> int:
        """See `Storage.purge`; at its end the spool is swept, too."""
        refuse_unstorable(before)
        with self._executor.begin():
            found = self._executor.rows(
                "SELECT id FROM mailrouting_intake"
                " WHERE has_raw = 1 AND stored_at < ? AND outcome_kind IS NOT NULL"
                " ORDER BY id LIMIT ?",
                (micros(before), limit),
            )
            self._forget([intake_id for (intake_id,) in found])
            if len(found) < limit:
                self._sweep()
        return len(found)

    def erase(self, intake_ids: Sequence[int]) -> int:
        """See `Storage.erase`."""
        erased = 0
        with self._executor.begin():
            for some in chunks(tuple(dict.fromkeys(intake_ids)), MANY):
                rows = self._executor.rows(
                    "SELECT id, has_raw, outcome_kind FROM mailrouting_intake"
                    f" WHERE id IN ({marks(some)}) ORDER BY id{self._dialect.lock_rows}",
                    some,
                )
                for intake_id, _, kind in rows:
                    if kind is None:
                        self._finish(intake_id, erased_outcome())
                self._executor.execute(
                    "UPDATE mailrouting_intake SET envelope = NULL, failure = NULL"
                    f" WHERE id IN ({marks(some)})",
                    some,
                )
                whole = [intake_id for intake_id, has_raw, _ in rows if has_raw]
                self._forget(whole)
                erased += len(whole)
        return erased

    def _forget(self, intake_ids: Sequence[int]) -> None:
        for some in chunks(intake_ids, MANY):
            keys = self._executor.rows(
                "DELETE FROM mailrouting_raw"
                f" WHERE intake_id IN ({marks(some)}) RETURNING spool_key",
                some,
            )
            self._executor.execute(
                f"UPDATE mailrouting_intake SET has_raw = 0 WHERE id IN ({marks(some)})", some
            )
            for key in {key for (key,) in keys if key is not None}:
                self._unspool(key)

    def _unspool(self, key: str) -> None:
        """Remove a file that no other row names.

        Within the transaction: whoever is about to name it looks for it within theirs.
        """
        named = self._executor.rows(
            "SELECT 1 FROM mailrouting_raw WHERE spool_key = ? LIMIT 1", (key,)
        )
        if self._spool is not None and not named:
            self._spool.remove(key)

    def _sweep(self) -> None:
        if self._spool is None:
            return
        keys = self._executor.rows(
            "SELECT spool_key FROM mailrouting_raw WHERE spool_key IS NOT NULL", ()
        )
        self._spool.sweep({key for (key,) in keys}, older_than=self._executor.now() - _ORPHAN_AGE)
