"""Keep threads, health, pauses and counters in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mailrouting.health import AccountHealth, DeskHealth
from mailrouting.records import IntakeState, OutcomeKind, Pause, ThreadRecord
from mailrouting.stores._executor import MANY, marks
from mailrouting.stores._sql_base import SqlBase
from mailrouting.stores._texts import (
    desk_health_from_text,
    desk_health_to_text,
    health_from_text,
    health_to_text,
)
from mailrouting.stores._values import FAR_AHEAD, chunks, instant, micros, refuse_unstorable

__all__ = ["SqlUpkeep"]

Tx_co = TypeVar("Tx_co", covariant=True)

_KINDS = {kind.value: kind for kind in OutcomeKind}


class SqlUpkeep(SqlBase[Tx_co]):
    """Be the part of `SqlStorage` beside mailboxes and mail."""

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
        self._executor.execute_many(
            "INSERT INTO mailrouting_thread (message_id, ticket, account_id, sent)"
            " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (record.message_id, record.ticket, record.account_id, int(record.sent))
                for record in records
            ],
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

    def desk_health(self, desk: str) -> DeskHealth | None:
        """See `Storage.desk_health`."""
        found = self._executor.rows(
            "SELECT health FROM mailrouting_desk_health WHERE desk = ?", (desk,)
        )
        return desk_health_from_text(desk, found[0][0]) if found else None

    def save_desk_health(self, health: DeskHealth) -> None:
        """See `Storage.save_desk_health`."""
        refuse_unstorable(health)
        with self._executor.begin():
            self._executor.execute(
                "INSERT INTO mailrouting_desk_health (desk, health) VALUES (?, ?)"
                " ON CONFLICT (desk) DO UPDATE SET health = excluded.health",
                (health.desk, desk_health_to_text(health)),
            )

    def pause(self, account_id: str, *, because: str, now: datetime | None = None) -> None:
        """See `Storage.pause`."""
        now = self._now(now)
        refuse_unstorable((account_id, because, now))
        with self._executor.begin():
            self._executor.execute(
                "INSERT INTO mailrouting_pause (account_id, because, since) VALUES (?, ?, ?)"
                " ON CONFLICT (account_id) DO UPDATE SET because = excluded.because",
                (account_id, because, micros(now)),
            )

    def resume(self, account_id: str) -> None:
        """See `Storage.resume`."""
        with self._executor.begin():
            self._executor.execute(
                "DELETE FROM mailrouting_pause WHERE account_id = ?", (account_id,)
            )

    def paused(self) -> Mapping[str, Pause]:
        """See `Storage.paused`."""
        return {
            account_id: Pause(because=because, since=instant(since))
            for account_id, because, since in self._executor.rows(
                "SELECT account_id, because, since FROM mailrouting_pause ORDER BY account_id", ()
            )
        }

    def count(
        self, bucket: str, key: str, *, window_seconds: float, now: datetime | None = None
    ) -> int:
        """See `Storage.count`."""
        now = self._now(now)
        refuse_unstorable((bucket, key, now))
        begin = micros(now - timedelta(seconds=window_seconds))
        with self._executor.begin():
            # The bucket's other keys too: who asks once and never again must not leave a row.
            self._executor.execute(
                "DELETE FROM mailrouting_hit WHERE bucket = ? AND (hit_at <= ? OR hit_at > ?)",
                (bucket, begin, micros(now + FAR_AHEAD)),
            )
            self._executor.execute(
                "INSERT INTO mailrouting_hit (bucket, counted, hit_at) VALUES (?, ?, ?)",
                (bucket, key, micros(now)),
            )
            [(hits,)] = self._executor.rows(
                "SELECT COUNT(*) FROM mailrouting_hit WHERE bucket = ? AND counted = ?",
                (bucket, key),
            )
        return int(hits)

    def outcome_counts(
        self, account_id: str | None = None
    ) -> Mapping[str, Mapping[OutcomeKind | IntakeState, int]]:
        """See `Storage.outcome_counts`."""
        only = "" if account_id is None else " WHERE account_id = ?"
        found: dict[str, dict[OutcomeKind | IntakeState, int]] = {}
        for account, kind, state, number in self._executor.rows(
            "SELECT account_id, outcome_kind, state, COUNT(*) FROM mailrouting_intake"
            f"{only} GROUP BY account_id, outcome_kind, state ORDER BY account_id",
            () if account_id is None else (account_id,),
        ):
            what = IntakeState(state) if kind is None else _KINDS[kind]
            found.setdefault(account, {})[what] = number
        return found
