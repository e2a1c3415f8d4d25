"""Hold what every part of `SqlStorage` stands on (floor 6)."""

# Statements are put together from constants and `?` marks; values are parameters.
# ruff: noqa: S608

from datetime import datetime
from typing import Generic, TypeVar

from mailrouting.records import Lease, MailboxKey
from mailrouting.stores._executor import Executor, SqlDialect
from mailrouting.stores._values import lost_lease
from mailrouting.stores.spool import Spool

__all__ = ["MAILBOX", "SqlBase", "mailbox_key"]

Tx_co = TypeVar("Tx_co", covariant=True)

MAILBOX = "account_id = ? AND protocol = ? AND folder = ?"


def mailbox_key(mailbox: MailboxKey) -> tuple[str, str, str]:
    """Return the parameters of `MAILBOX`."""
    return mailbox.account_id, mailbox.protocol.value, mailbox.folder


class SqlBase(Generic[Tx_co]):
    """Hold executor, dialect and spool."""

    def __init__(
        self, executor: Executor[Tx_co], dialect: SqlDialect, *, spool: Spool | None = None
    ) -> None:
        self._executor = executor
        self._dialect = dialect
        self._spool = spool

    def _now(self, now: datetime | None) -> datetime:
        return self._executor.now() if now is None else now

    def _leased(self, lease: Lease) -> int:
        """Return the mailbox's id, kept from others until the transaction ends."""
        found = self._executor.rows(
            "SELECT id, lease_token, lease_expires_at FROM mailrouting_mailbox"
            f" WHERE {MAILBOX}{self._dialect.lock_rows}",
            mailbox_key(lease.mailbox),
        )
        for mailbox_id, token, expires_at in found:
            if token == lease.token and expires_at is not None:
                return int(mailbox_id)
        held = (token for _, token, expires_at in found if expires_at is not None)
        raise lost_lease(lease, next(held, None))
