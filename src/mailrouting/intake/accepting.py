"""Take in mail that is pushed: by an MTA's pipe, LMTP or a webhook."""

from datetime import datetime
from typing import TypeVar

from mailrouting.accounts import EmailAccount
from mailrouting.directory import Directory
from mailrouting.errors import AccountError
from mailrouting.intake.calling import storable
from mailrouting.intake.reports import Accepted
from mailrouting.intake.tools import Tools
from mailrouting.reading import MailSource, identify
from mailrouting.records import Envelope, IntakeMail

__all__ = ["accept"]

Tx = TypeVar("Tx")


def accept(
    raw: MailSource,
    *,
    account: EmailAccount,
    directory: Directory,
    tools: Tools[Tx],
    envelope: Envelope | None,
    received_at: datetime | None,
) -> Accepted:
    """Make a mail durable; nothing is converted.

    Raises:
        AccountError: The account takes in no mail now.
        StorageUnavailableError: Nothing was kept.
    """
    for is_on, because in (
        (directory.fetching, "fetching is switched off for all accounts"),
        (account.enabled, "the account is disabled"),
    ):
        if not is_on:
            raise AccountError(
                f"account {account.id!r} takes in no mail: {because}",
                account_id=account.id,
                hint="Let the sender keep the mail and try again, or switch it on.",
            )
    now = tools.clock()
    mail = IntakeMail(
        account_id=account.id,
        raw=raw,
        # Two mails without any name of their own may be alike: then the time tells them apart.
        identity=identify(raw, received_at=received_at or now),
        received_at=received_at or now,
        envelope=None if envelope is None else _storable(envelope),
    )
    [result] = tools.storage.intake_put([mail], lease=None, now=now)
    assert result.intake_id is not None  # only a position can be in conflict
    return Accepted(intake_id=result.intake_id, status=result.status)


def _storable(envelope: Envelope) -> Envelope:
    """Return it without what no storage keeps: octets that are no text must not refuse the mail."""
    sender = envelope.reverse_path
    return Envelope(
        recipients=tuple(map(storable, envelope.recipients)),
        reverse_path=None if sender is None else storable(sender),
    )
