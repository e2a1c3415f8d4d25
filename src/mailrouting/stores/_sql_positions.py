"""Keep what is known of positions in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from typing import TypeVar

from mailrouting.auth import MailProtocol
from mailrouting.reading import MailIdentity
from mailrouting.records import (
    Lease,
    MailboxKey,
    OutcomeKind,
    Position,
    PositionState,
    Uid,
    Unacknowledged,
)
from mailrouting.stores._executor import MANY, marks
from mailrouting.stores._sql_base import SqlBase, mailbox_key
from mailrouting.stores._values import chunks, refuse_foreign_positions, refuse_unstorable

__all__ = ["SqlPositions"]

Tx_co = TypeVar("Tx_co", covariant=True)

_MAILBOX = "m.account_id = ? AND m.protocol = ? AND m.folder = ?"


def _kind(value: str | None) -> OutcomeKind | None:
    return OutcomeKind(value) if value else None


class SqlPositions(SqlBase[Tx_co]):
    """Be the part of `SqlStorage` that knows positions."""

    def positions(
        self, mailbox: MailboxKey, generation: int, uids: Sequence[Uid]
    ) -> Mapping[Uid, PositionState]:
        """See `Storage.positions`."""
        found: dict[Uid, PositionState] = {}
        for some in chunks(uids, MANY):
            for uid, intake_id, kind, acknowledged, size in self._executor.rows(
                "SELECT p.uid, p.intake_id, i.outcome_kind, p.acknowledged, i.size"
                " FROM mailrouting_position p"
                " JOIN mailrouting_mailbox m ON m.id = p.mailbox_id"
                " LEFT JOIN mailrouting_intake i ON i.id = p.intake_id"
                f" WHERE {_MAILBOX} AND p.generation = ? AND p.uid IN ({marks(some)})",
                (*mailbox_key(mailbox), generation, *some),
            ):
                found[uid] = PositionState(
                    intake_id=intake_id,
                    outcome=_kind(kind),
                    acknowledged=bool(acknowledged),
                    size=size,
                )
        return found

    def latest_positions(
        self, mailbox: MailboxKey, generation: int, *, limit: int
    ) -> tuple[tuple[Uid, MailIdentity], ...]:
        """See `Storage.latest_positions`."""
        # Length first sorts IMAP's decimal UIDs by number; POP3's have no order.
        order = "length(p.uid) DESC, p.uid DESC"
        if mailbox.protocol is MailProtocol.POP3:
            order = "p.intake_id DESC, p.uid DESC"
        return tuple(
            (
                uid,
                MailIdentity(
                    version=version, fingerprint=fingerprint, delivery=delivery, content=content
                ),
            )
            for uid, version, fingerprint, delivery, content in self._executor.rows(
                "SELECT p.uid, i.identity_version, i.fingerprint, i.delivery, i.content"
                " FROM mailrouting_mailbox m"
                " JOIN mailrouting_position p ON p.mailbox_id = m.id AND p.generation = ?"
                " JOIN mailrouting_intake i ON i.id = p.intake_id"
                f" WHERE {_MAILBOX} ORDER BY {order} LIMIT ?",
                (generation, *mailbox_key(mailbox), limit),
            )
        )

    def intake_skip(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.intake_skip`."""
        refuse_foreign_positions(positions, lease)
        refuse_unstorable((*positions,))
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            self._executor.execute_many(
                "INSERT INTO mailrouting_position (mailbox_id, generation, uid, acknowledged)"
                " VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING",
                [(mailbox_id, position.generation, position.uid) for position in positions],
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
                f" WHERE {_MAILBOX} AND p.acknowledged = 0{only}"
                # Length first sorts IMAP's decimal UIDs by number.
                " ORDER BY length(p.uid), p.uid LIMIT ?",
                (*mailbox_key(mailbox), limit),
            )
        )

    def mark_acknowledged(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.mark_acknowledged`."""
        refuse_foreign_positions(positions, lease)
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            self._executor.execute_many(
                "UPDATE mailrouting_position SET acknowledged = 1"
                " WHERE mailbox_id = ? AND generation = ? AND uid = ?",
                [(mailbox_id, position.generation, position.uid) for position in positions],
            )
