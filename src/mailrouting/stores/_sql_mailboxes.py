"""Keep leases, streams and positions in SQL (floor 6): one half of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from mailrouting.records import (
    IntakeState,
    Lease,
    MailboxKey,
    OutcomeKind,
    Position,
    PositionState,
    Stream,
    Uid,
    Unacknowledged,
)
from mailrouting.stores._executor import Executor, SqlDialect
from mailrouting.stores._values import (
    Numbering,
    chunks,
    lost_lease,
    micros,
    moment,
    refuse_foreign_positions,
    refuse_unstorable,
)

__all__ = ["MANY", "SqlMailboxes", "marks"]

Tx_co = TypeVar("Tx_co", covariant=True)

MANY = 500
"""Parameters of one statement; older SQLite takes 999 at most."""

_MAILBOX = "account_id = ? AND protocol = ? AND folder = ?"
_MAILBOX_OF_M = "m.account_id = ? AND m.protocol = ? AND m.folder = ?"


def marks(values: Sequence[object]) -> str:
    """Return as many parameters as there are values."""
    return ", ".join("?" * len(values))


def _key(mailbox: MailboxKey) -> tuple[str, str, str]:
    return mailbox.account_id, mailbox.protocol.value, mailbox.folder


def _kind(value: str | None) -> OutcomeKind | None:
    return OutcomeKind(value) if value else None


class SqlMailboxes(Generic[Tx_co]):
    """Be the half of `SqlStorage` that knows mailboxes."""

    def __init__(self, executor: Executor[Tx_co], dialect: SqlDialect) -> None:
        self._executor = executor
        self._dialect = dialect

    def _now(self, now: datetime | None) -> datetime:
        return self._executor.now() if now is None else now

    def _leased(self, lease: Lease) -> int:
        """Return the mailbox's id, kept from others until the transaction ends."""
        found = self._executor.rows(
            "SELECT id, lease_token, lease_expires_at FROM mailrouting_mailbox"
            f" WHERE {_MAILBOX}{self._dialect.lock_rows}",
            _key(lease.mailbox),
        )
        for mailbox_id, token, expires_at in found:
            if token == lease.token and expires_at is not None:
                return int(mailbox_id)
        held = (token for _, token, expires_at in found if expires_at is not None)
        raise lost_lease(lease, next(held, None))

    def lease_acquire(
        self, mailbox: MailboxKey, *, owner: str, ttl_seconds: float, now: datetime | None = None
    ) -> Lease | None:
        """See `Storage.lease_acquire`."""
        now = self._now(now)
        refuse_unstorable((mailbox, owner, now))
        expires_at = now + timedelta(seconds=ttl_seconds)
        with self._executor.begin():
            self._executor.execute(
                "INSERT INTO mailrouting_mailbox (account_id, protocol, folder) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                _key(mailbox),
            )
            # The comparison is in the statement, so that of two at once only one changes the row.
            taken = self._executor.rows(
                "UPDATE mailrouting_mailbox"
                " SET lease_token = lease_token + 1, lease_owner = ?, lease_expires_at = ?"
                f" WHERE {_MAILBOX} AND (lease_expires_at IS NULL OR lease_expires_at <= ?)"
                " RETURNING lease_token",
                (owner, micros(expires_at), *_key(mailbox), micros(now)),
            )
        if not taken:
            return None
        return Lease(mailbox=mailbox, owner=owner, token=taken[0][0], expires_at=expires_at)

    def lease_renew(
        self, lease: Lease, *, ttl_seconds: float, now: datetime | None = None
    ) -> Lease:
        """See `Storage.lease_renew`."""
        expires_at = self._now(now) + timedelta(seconds=ttl_seconds)
        refuse_unstorable(expires_at)
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_mailbox SET lease_expires_at = ? WHERE id = ?",
                (micros(expires_at), self._leased(lease)),
            )
        return Lease(
            mailbox=lease.mailbox, owner=lease.owner, token=lease.token, expires_at=expires_at
        )

    def lease_release(self, lease: Lease) -> None:
        """See `Storage.lease_release`."""
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_mailbox SET lease_owner = NULL, lease_expires_at = NULL"
                f" WHERE {_MAILBOX} AND lease_token = ?",
                (*_key(lease.mailbox), lease.token),
            )

    def abandon(self, worker: str) -> None:
        """See `Storage.abandon`."""
        refuse_unstorable(worker)
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_mailbox SET lease_owner = NULL, lease_expires_at = NULL"
                " WHERE lease_owner = ?",
                (worker,),
            )
            self._executor.execute(
                "UPDATE mailrouting_intake SET state = ?, claimed_by = NULL, claimed_until = NULL"
                " WHERE state = ? AND claimed_by = ?",
                (IntakeState.WAITING.value, IntakeState.CLAIMED.value, worker),
            )

    def stream_open(
        self,
        lease: Lease,
        *,
        uidvalidity: int | None,
        uidnext: int | None,
        cutoff: datetime | None = None,
    ) -> Stream:
        """See `Storage.stream_open`."""
        refuse_unstorable(cutoff)
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            [(generation, *numbers, stored_cutoff)] = self._executor.rows(
                "SELECT generation, uidvalidity, uidnext, cutoff FROM mailrouting_mailbox"
                " WHERE id = ?",
                (mailbox_id,),
            )
            if generation is None:
                stored_cutoff = micros(cutoff)
                after = Numbering(generation=1, uidvalidity=uidvalidity, uidnext=uidnext)
            else:
                before = Numbering(
                    generation=generation, uidvalidity=numbers[0], uidnext=numbers[1]
                )
                after = before.opened(uidvalidity=uidvalidity, uidnext=uidnext)
            self._executor.execute(
                "UPDATE mailrouting_mailbox"
                " SET generation = ?, uidvalidity = ?, uidnext = ?, cutoff = ? WHERE id = ?",
                (after.generation, after.uidvalidity, after.uidnext, stored_cutoff, mailbox_id),
            )
        return Stream(
            mailbox=lease.mailbox,
            generation=after.generation,
            cutoff=moment(stored_cutoff),
            is_new=after.generation != generation,
        )

    def positions(
        self, mailbox: MailboxKey, generation: int, uids: Sequence[Uid]
    ) -> Mapping[Uid, PositionState]:
        """See `Storage.positions`."""
        found: dict[Uid, PositionState] = {}
        for some in chunks(uids, MANY):
            for uid, intake_id, kind, acknowledged in self._executor.rows(
                "SELECT p.uid, p.intake_id, i.outcome_kind, p.acknowledged"
                " FROM mailrouting_position p"
                " JOIN mailrouting_mailbox m ON m.id = p.mailbox_id"
                " LEFT JOIN mailrouting_intake i ON i.id = p.intake_id"
                f" WHERE {_MAILBOX_OF_M} AND p.generation = ? AND p.uid IN ({marks(some)})",
                (*_key(mailbox), generation, *some),
            ):
                found[uid] = PositionState(
                    intake_id=intake_id, outcome=_kind(kind), acknowledged=bool(acknowledged)
                )
        return found

    def intake_skip(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.intake_skip`."""
        refuse_foreign_positions(positions, lease)
        refuse_unstorable((*positions,))
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            for position in positions:
                self._executor.execute(
                    "INSERT INTO mailrouting_position (mailbox_id, generation, uid, acknowledged)"
                    " VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING",
                    (mailbox_id, position.generation, position.uid),
                )

    def unacknowledged(
        self, mailbox: MailboxKey, *, limit: int, concluded_only: bool
    ) -> tuple[Unacknowledged, ...]:
        """See `Storage.unacknowledged`."""
        only = " AND i.outcome_kind IS NOT NULL" if concluded_only else ""
        return tuple(
            Unacknowledged(
                position=Position(mailbox, generation, uid),
                intake_id=intake_id,
                outcome=_kind(kind),
            )
            for generation, uid, intake_id, kind in self._executor.rows(
                "SELECT p.generation, p.uid, p.intake_id, i.outcome_kind"
                " FROM mailrouting_mailbox m"
                " JOIN mailrouting_position p"
                " ON p.mailbox_id = m.id AND p.generation = m.generation"
                " JOIN mailrouting_intake i ON i.id = p.intake_id"
                f" WHERE {_MAILBOX_OF_M} AND p.acknowledged = 0{only}"
                # Length first sorts IMAP's decimal UIDs by number.
                " ORDER BY length(p.uid), p.uid LIMIT ?",
                (*_key(mailbox), limit),
            )
        )

    def mark_acknowledged(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.mark_acknowledged`."""
        refuse_foreign_positions(positions, lease)
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            for position in positions:
                self._executor.execute(
                    "UPDATE mailrouting_position SET acknowledged = 1"
                    " WHERE mailbox_id = ? AND generation = ? AND uid = ?",
                    (mailbox_id, position.generation, position.uid),
                )
