"""Keep leases and numbering in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from datetime import datetime, timedelta
from typing import TypeVar

from mailrouting.records import IntakeState, Lease, MailboxKey, Stream
from mailrouting.stores._sql_base import MAILBOX, SqlBase, mailbox_key
from mailrouting.stores._values import FAR_AHEAD, Numbering, micros, moment, refuse_unstorable

__all__ = ["SqlMailboxes"]

Tx_co = TypeVar("Tx_co", covariant=True)


class SqlMailboxes(SqlBase[Tx_co]):
    """Be the part of `SqlStorage` that knows mailboxes."""

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
                mailbox_key(mailbox),
            )
            # The comparison is in the statement, so that of two at once only one changes the row.
            taken = self._executor.rows(
                "UPDATE mailrouting_mailbox"
                " SET lease_token = lease_token + 1, lease_owner = ?, lease_expires_at = ?,"
                f" lease_taken_at = ? WHERE {MAILBOX}"
                " AND (lease_expires_at IS NULL OR lease_expires_at <= ? OR lease_taken_at > ?)"
                " RETURNING lease_token",
                (
                    owner,
                    micros(expires_at),
                    micros(now),
                    *mailbox_key(mailbox),
                    micros(now),
                    micros(now + FAR_AHEAD),
                ),
            )
        if not taken:
            return None
        return Lease(mailbox=mailbox, owner=owner, token=taken[0][0], expires_at=expires_at)

    def lease_renew(
        self, lease: Lease, *, ttl_seconds: float, now: datetime | None = None
    ) -> Lease:
        """See `Storage.lease_renew`."""
        now = self._now(now)
        refuse_unstorable(now)
        expires_at = now + timedelta(seconds=ttl_seconds)
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_mailbox SET lease_expires_at = ?, lease_taken_at = ?"
                " WHERE id = ?",
                (micros(expires_at), micros(now), self._leased(lease)),
            )
        return Lease(
            mailbox=lease.mailbox, owner=lease.owner, token=lease.token, expires_at=expires_at
        )

    def lease_release(self, lease: Lease) -> None:
        """See `Storage.lease_release`."""
        with self._executor.begin():
            self._executor.execute(
                "UPDATE mailrouting_mailbox SET lease_owner = NULL, lease_expires_at = NULL"
                f" WHERE {MAILBOX} AND lease_token = ?",
                (*mailbox_key(lease.mailbox), lease.token),
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
        renumbered: bool = False,
    ) -> Stream:
        """See `Storage.stream_open`."""
        refuse_unstorable(cutoff)
        unchanged = self._unchanged(lease, uidvalidity, uidnext, renumbered=renumbered)
        if unchanged is not None:
            return unchanged  # an idle poll takes no write lock
        with self._executor.begin():
            mailbox_id = self._leased(lease)
            [(generation, stored_validity, stored_next, first_next, stored_cutoff)] = (
                self._executor.rows(
                    "SELECT generation, uidvalidity, uidnext, first_uidnext, cutoff"
                    " FROM mailrouting_mailbox WHERE id = ?",
                    (mailbox_id,),
                )
            )
            if generation is None:
                stored_cutoff = micros(cutoff)
                after = Numbering.first(uidvalidity=uidvalidity, uidnext=uidnext)
            else:
                before = Numbering(
                    generation=generation,
                    uidvalidity=stored_validity,
                    uidnext=stored_next,
                    first_uidnext=first_next,
                )
                after = before.opened(
                    uidvalidity=uidvalidity, uidnext=uidnext, renumbered=renumbered
                )
            self._executor.execute(
                "UPDATE mailrouting_mailbox"
                " SET generation = ?, uidvalidity = ?, uidnext = ?, first_uidnext = ?, cutoff = ?"
                " WHERE id = ?",
                (
                    after.generation,
                    after.uidvalidity,
                    after.uidnext,
                    after.first_uidnext,
                    stored_cutoff,
                    mailbox_id,
                ),
            )
        return _stream(lease, after, stored_cutoff, is_new=after.generation != generation)

    def _unchanged(
        self, lease: Lease, uidvalidity: int | None, uidnext: int | None, *, renumbered: bool
    ) -> Stream | None:
        """Return the stream when the lease holds and the numbering is as it is stored."""
        for generation, *numbers, cutoff, token, expires_at in self._executor.rows(
            "SELECT generation, uidvalidity, uidnext, first_uidnext, cutoff, lease_token,"
            f" lease_expires_at FROM mailrouting_mailbox WHERE {MAILBOX}",
            mailbox_key(lease.mailbox),
        ):
            if generation is None or token != lease.token or expires_at is None:
                return None
            before = Numbering(
                generation=generation,
                uidvalidity=numbers[0],
                uidnext=numbers[1],
                first_uidnext=numbers[2],
            )
            after = before.opened(uidvalidity=uidvalidity, uidnext=uidnext, renumbered=renumbered)
            if after == before:
                return _stream(lease, before, cutoff, is_new=False)
        return None


def _stream(lease: Lease, numbering: Numbering, cutoff: int | None, *, is_new: bool) -> Stream:
    return Stream(
        mailbox=lease.mailbox,
        generation=numbering.generation,
        cutoff=moment(cutoff),
        is_new=is_new,
        first_uidnext=numbering.first_uidnext,
    )
