"""Keep threads, health, pauses and counters in memory (floor 6)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from mailrouting.health import AccountHealth, DeskHealth
from mailrouting.records import IntakeState, OutcomeKind, Pause, ThreadRecord
from mailrouting.stores._memory_mailboxes import MemoryMailboxes
from mailrouting.stores._values import FAR_AHEAD

__all__ = ["MemoryUpkeep"]


class MemoryUpkeep(MemoryMailboxes):
    """Be the part of `MemoryStorage` beside mail."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._threads: dict[str, dict[ThreadRecord, int]] = {}
        self._thread_count = 0
        self._health: dict[str, AccountHealth] = {}
        self._desks: dict[str, DeskHealth] = {}
        self._pauses: dict[str, Pause] = {}
        self._hits: dict[tuple[str, str], list[datetime]] = {}

    def find_threads(self, message_ids: Sequence[str]) -> tuple[ThreadRecord, ...]:
        """See `Storage.find_threads`."""
        with self._reading():
            found: dict[ThreadRecord, int] = {}
            for message_id in message_ids:
                found.update(self._threads.get(message_id, {}))
            return tuple(sorted(found, key=found.__getitem__))

    def remember_threads(self, records: Sequence[ThreadRecord]) -> None:
        """See `Storage.remember_threads`."""
        with self._changing(*records):
            self._remember(records)

    def _remember(self, records: Sequence[ThreadRecord]) -> None:
        for record in records:
            self._thread_count += 1
            known = self._threads.setdefault(record.message_id, {})
            known.setdefault(record, self._thread_count)

    def health(self, account_id: str) -> AccountHealth | None:
        """See `Storage.health`."""
        with self._reading():
            return self._health.get(account_id)

    def save_health(self, health: AccountHealth) -> None:
        """See `Storage.save_health`."""
        with self._changing(health):
            self._health[health.account_id] = health

    def desk_health(self, desk: str) -> DeskHealth | None:
        """See `Storage.desk_health`."""
        with self._reading():
            return self._desks.get(desk)

    def save_desk_health(self, health: DeskHealth) -> None:
        """See `Storage.save_desk_health`."""
        with self._changing(health):
            self._desks[health.desk] = health

    def pause(self, account_id: str, *, because: str, now: datetime | None = None) -> None:
        """See `Storage.pause`."""
        now = now or self._clock()
        with self._changing(account_id, because, now):
            known = self._pauses.get(account_id)
            self._pauses[account_id] = (
                attrs.evolve(known, because=because) if known else Pause(because=because, since=now)
            )

    def resume(self, account_id: str) -> None:
        """See `Storage.resume`."""
        with self._changing():
            self._pauses.pop(account_id, None)

    def paused(self) -> Mapping[str, Pause]:
        """See `Storage.paused`."""
        with self._reading():
            return dict(sorted(self._pauses.items()))

    def count(
        self, bucket: str, key: str, *, window_seconds: float, now: datetime | None = None
    ) -> int:
        """See `Storage.count`."""
        now = now or self._clock()
        begin, end = now - timedelta(seconds=window_seconds), now + FAR_AHEAD
        with self._changing(bucket, key, now):
            hits = [at for at in self._hits.get((bucket, key), ()) if begin < at <= end]
            self._hits[bucket, key] = [*hits, now]
            return len(hits) + 1

    def outcome_counts(
        self, account_id: str | None = None
    ) -> Mapping[str, Mapping[OutcomeKind | IntakeState, int]]:
        """See `Storage.outcome_counts`."""
        found: dict[str, Counter[OutcomeKind | IntakeState]] = {}
        with self._reading():
            for intake in self._intake.values():
                row = intake.row
                if account_id in (None, row.account_id):
                    what = row.outcome.kind if row.outcome else row.state
                    found.setdefault(row.account_id, Counter())[what] += 1
        return {account: dict(counts) for account, counts in sorted(found.items())}
