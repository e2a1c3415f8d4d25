"""Keep mail that was taken in in SQL (floor 6): a part of `SqlStorage`."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import attrs

from mailrouting.reading import MailIdentity, MailSource
from mailrouting.reading.identity import IDENTITY_VERSION
from mailrouting.records import (
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    OutcomeKind,
    Position,
    PutResult,
    PutStatus,
)
from mailrouting.stores._executor import MANY, SqlValue, marks
from mailrouting.stores._sql_base import SqlBase
from mailrouting.stores._sql_rows import ROW, intake_row
from mailrouting.stores._texts import envelope_to_text
from mailrouting.stores._values import (
    chunks,
    micros,
    no_intake,
    no_raw,
    refuse_unplaced_mail,
    refuse_unstorable,
)

__all__ = ["SPOOL_OVER", "SqlIntake"]

Tx_co = TypeVar("Tx_co", covariant=True)

SPOOL_OVER = 256 * 1024
"""Mail with more octets goes to the spool, where there is one."""

_Slot = tuple[int, str]  # generation and UID, within the leased mailbox
_Name = tuple[str, int, str]  # account, identity version and fingerprint


def _name(mail: IntakeMail) -> _Name:
    return mail.account_id, mail.identity.version, mail.identity.fingerprint


def _slot(position: Position) -> _Slot:
    return position.generation, position.uid


_COLUMNS = 11


def _columns(mail: IntakeMail, now: datetime) -> tuple[SqlValue, ...]:
    identity = mail.identity
    return (
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
        int(mail.is_backlog),
    )


@attrs.frozen
class _Held:
    """Say which mail stands at a position."""

    intake_id: int
    version: int
    fingerprint: str
    delivery: str

    def is_of(self, identity: MailIdentity) -> bool:
        # Identities of two recipes cannot be compared; the position is the same.
        return (
            self.version != identity.version
            or self.fingerprint == identity.fingerprint
            or bool(identity.delivery and self.delivery == identity.delivery)
        )


@attrs.define
class _Batch:
    """Hold what one put has found, and what it is still to write."""

    mailbox_id: int | None
    now: datetime
    rescan: bool
    spooled: Mapping[_Name, str]
    held: dict[_Slot, _Held]
    known: dict[_Name, int]
    new: list[IntakeMail] = attrs.field(factory=list[IntakeMail])
    placed: dict[_Slot, int] = attrs.field(factory=dict[_Slot, int])

    def add(self, mail: IntakeMail) -> int:
        """Add a new row; return its number in this batch, below zero, until it has an id."""
        self.new.append(mail)
        number = -len(self.new)
        self.known[_name(mail)] = number
        return number


class SqlIntake(SqlBase[Tx_co]):
    """Be the part of `SqlStorage` that stores and shows mail."""

    def intake_put(
        self,
        mails: Sequence[IntakeMail],
        *,
        lease: Lease | None,
        now: datetime | None = None,
        rescan: bool = False,
    ) -> tuple[PutResult, ...]:
        """See `Storage.intake_put`."""
        now = self._now(now)
        refuse_unplaced_mail(mails, lease)
        refuse_unstorable((*mails, now))
        spooled = self._spool_large(mails)
        with self._executor.begin():
            mailbox_id = None if lease is None else self._leased(lease)
            batch = _Batch(
                mailbox_id=mailbox_id,
                now=now,
                rescan=rescan,
                spooled=spooled,
                held=self._held(mailbox_id, mails),
                known=self._known(mails),
            )
            results = [self._put(mail, batch) for mail in mails]
            ids = self._insert(batch)
            # A position that was skipped may be taken in after all.
            self._executor.execute_many(
                "INSERT INTO mailrouting_position (mailbox_id, generation, uid, intake_id)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (mailbox_id, generation, uid)"
                " DO UPDATE SET intake_id = excluded.intake_id, acknowledged = 0",
                [
                    (mailbox_id, *slot, ids.get(intake_id, intake_id))
                    for slot, intake_id in batch.placed.items()
                ],
            )
        return tuple(
            PutResult(status, None if intake_id is None else ids.get(intake_id, intake_id))
            for status, intake_id in results
        )

    def _spool_large(self, mails: Sequence[IntakeMail]) -> Mapping[_Name, str]:
        """Write large mail that is not known to the spool: before the transaction, it takes long."""
        if self._spool is None:
            return {}
        large = [mail for mail in mails if len(mail.raw) > SPOOL_OVER]
        known = self._known(large)
        return {
            _name(mail): self._spool.put(mail.raw) for mail in large if _name(mail) not in known
        }

    def _held(self, mailbox_id: int | None, mails: Sequence[IntakeMail]) -> dict[_Slot, _Held]:
        uids: dict[int, list[str]] = {}
        for mail in mails:
            if mail.position is not None:
                uids.setdefault(mail.position.generation, []).append(mail.position.uid)
        return {
            (generation, uid): _Held(*mail)
            for generation, wanted in uids.items()
            for some in chunks(wanted, MANY)
            for uid, *mail in self._executor.rows(
                "SELECT p.uid, i.id, i.identity_version, i.fingerprint, i.delivery"
                " FROM mailrouting_position p JOIN mailrouting_intake i ON i.id = p.intake_id"
                f" WHERE p.mailbox_id = ? AND p.generation = ? AND p.uid IN ({marks(some)})",
                (mailbox_id, generation, *some),
            )
        }

    def _known(self, mails: Sequence[IntakeMail]) -> dict[_Name, int]:
        fingerprints: dict[str, list[str]] = {}
        for mail in mails:
            fingerprints.setdefault(mail.account_id, []).append(mail.identity.fingerprint)
        return {
            (account_id, version, fingerprint): intake_id
            for account_id, wanted in fingerprints.items()
            for some in chunks(wanted, MANY)
            for intake_id, version, fingerprint in self._executor.rows(
                "SELECT id, identity_version, fingerprint FROM mailrouting_intake"
                f" WHERE account_id = ? AND fingerprint IN ({marks(some)})",
                (account_id, *some),
            )
        }

    def _put(self, mail: IntakeMail, batch: _Batch) -> tuple[PutStatus, int | None]:
        known = batch.known.get(_name(mail))
        if mail.position is None:
            if known is not None:
                return PutStatus.KNOWN, known
            return PutStatus.CREATED, batch.add(mail)
        slot = _slot(mail.position)
        held = batch.held.get(slot)
        identity = mail.identity
        if held is not None:
            if held.is_of(identity):
                return PutStatus.KNOWN, held.intake_id
            return PutStatus.UID_CONFLICT, None
        if known is None and batch.rescan:
            known = self._known_by_delivery(mail, batch)
        status = PutStatus.CREATED if known is None else PutStatus.REAPPEARED
        intake_id = batch.add(mail) if known is None else known
        batch.held[slot] = _Held(
            intake_id, identity.version, identity.fingerprint, identity.delivery
        )
        batch.placed[slot] = intake_id
        return status, intake_id

    def _known_by_delivery(self, mail: IntakeMail, batch: _Batch) -> int | None:
        identity = mail.identity
        if not identity.delivery:
            return None
        found = [
            intake_id
            for (intake_id,) in self._executor.rows(
                "SELECT id FROM mailrouting_intake"
                " WHERE account_id = ? AND delivery = ? AND identity_version = ? LIMIT 2",
                (mail.account_id, identity.delivery, identity.version),
            )
        ]
        found += [
            -number
            for number, one in enumerate(batch.new, start=1)
            if (one.account_id, one.identity.delivery) == (mail.account_id, identity.delivery)
        ]
        return found[0] if len(found) == 1 else None

    def _insert(self, batch: _Batch) -> Mapping[int, int]:
        """Write the new rows; return the id of each by its number in the batch."""
        names: dict[_Name, int] = {}
        for some in chunks(batch.new, MANY // _COLUMNS):
            rows = ", ".join([f"({marks(range(_COLUMNS))})"] * len(some))
            values = [value for mail in some for value in _columns(mail, batch.now)]
            for intake_id, *name in self._executor.rows(
                "INSERT INTO mailrouting_intake (account_id, identity_version, fingerprint,"
                " delivery, content, size, state, stored_at, received_at, envelope, is_backlog)"
                f" VALUES {rows} RETURNING id, account_id, identity_version, fingerprint",
                values,
            ):
                names[name[0], name[1], name[2]] = intake_id
        ids = {-number: names[_name(mail)] for number, mail in enumerate(batch.new, start=1)}
        raws: list[tuple[SqlValue, ...]] = []
        for number, mail in enumerate(batch.new, start=1):
            key = self._spool_key(mail, batch)
            raws.append((ids[-number], b"" if key else mail.raw[:], key))
        self._executor.execute_many(
            "INSERT INTO mailrouting_raw (intake_id, raw, spool_key) VALUES (?, ?, ?)", raws
        )
        return ids

    def _spool_key(self, mail: IntakeMail, batch: _Batch) -> str | None:
        if self._spool is None or len(mail.raw) <= SPOOL_OVER:
            return None
        key = batch.spooled.get(_name(mail))
        # A purge may have removed it since: it does so in a write transaction, as this is one.
        if key is None or not self._spool.has(key):
            key = self._spool.put(mail.raw)
        return key

    def known_deliveries(self, account_id: str, deliveries: Sequence[str]) -> frozenset[str]:
        """See `Storage.known_deliveries`."""
        return frozenset(
            delivery
            for some in chunks(deliveries, MANY)
            for (delivery,) in self._executor.rows(
                "SELECT DISTINCT delivery FROM mailrouting_intake"
                f" WHERE account_id = ? AND identity_version = ? AND delivery IN ({marks(some)})",
                (account_id, IDENTITY_VERSION, *some),
            )
        )

    def intake_row(self, intake_id: int) -> IntakeRow:
        """See `Storage.intake_row`."""
        found = self._executor.rows(
            f"SELECT {ROW} FROM mailrouting_intake i WHERE i.id = ?", (intake_id,)
        )
        if not found:
            raise no_intake(intake_id)
        return intake_row(found[0])

    def intake_raw(self, intake_id: int) -> MailSource:
        """See `Storage.intake_raw`."""
        found = self._executor.rows(
            "SELECT raw, spool_key FROM mailrouting_raw WHERE intake_id = ?", (intake_id,)
        )
        if not found:
            self.intake_row(intake_id)
            raise no_raw(intake_id)
        return self._source(*found[0])

    def _source(self, raw: bytes, key: str | None) -> MailSource:
        if key is None:
            return bytes(raw)
        assert self._spool is not None
        return self._spool.open(key)

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
        """See `Storage.intake_rows`."""
        wanted = {
            "i.account_id =": account_id,
            "i.state =": state.value if state else None,
            "i.content =": content,
            "i.id <>": other_than,
        }
        chosen = {what: value for what, value in wanted.items() if value is not None}
        conditions = ["i.id > ?", *(f"{what} ?" for what in chosen)]
        # Written out, so that a partial index can serve.
        if outcome is not None:
            conditions.append(f"i.outcome_kind = '{outcome.value}'")
        elif state not in (None, IntakeState.DONE):
            conditions.append("i.outcome_kind IS NULL")
        rows = self._executor.rows(
            f"SELECT {ROW} FROM mailrouting_intake i WHERE {' AND '.join(conditions)}"
            " ORDER BY i.id LIMIT ?",
            (after_id, *chosen.values(), limit),
        )
        return tuple(intake_row(row) for row in rows)
