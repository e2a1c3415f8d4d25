"""Find and forget what must not be kept (floor 5).

What is forgotten are the bytes of a mail, its envelope and the texts of its failures. Fingerprint,
outcome and trace stay, so that mail which comes again is still known.
"""

from collections.abc import Iterator
from datetime import datetime

from mailrouting.addresses import AddrSpec
from mailrouting.errors import AddressError, RecordNotFoundError
from mailrouting.reading import Message, read
from mailrouting.records import IntakeRow
from mailrouting.storage import Storage

__all__ = ["erase_address", "purge_before", "rows_naming"]

_AT_ONCE = 200
_LONGEST_HEADER = 256 * 1024


def rows_naming(
    storage: Storage[object], address: str, *, account_id: str | None = None
) -> Iterator[IntakeRow]:
    """Yield the rows whose mail names an address, by id.

    It is looked for in the envelope and in the header of the kept mail: From, Sender, Reply-To, To,
    Cc, Bcc, Return-Path, Delivered-To and what says the same. Domains are compared as IDNA has
    them, all of it without regard to case. What stands in texts and attachments is not looked at,
    nor are rows whose mail is forgotten already.

    Args:
        storage: Where the mail is kept.
        address: An addr-spec.
        account_id: Only rows of this account; None: of all.

    Raises:
        AddressError: It is no addr-spec.
        StorageUnavailableError: The storage is busy or away.
    """
    wanted = AddrSpec.parse(address).key
    after_id = 0
    while rows := storage.intake_rows(account_id=account_id, after_id=after_id, limit=_AT_ONCE):
        after_id = rows[-1].id
        for row in rows:
            if row.has_raw and wanted in map(_key, _named(storage, row)):
                yield row


def erase_address(
    storage: Storage[object], address: str, *, account_id: str | None = None
) -> tuple[int, ...]:
    """Forget every mail that `rows_naming` finds, at once and for ever, whatever its state.

    Returns the ids of the rows. May be called again.

    Raises:
        AddressError: It is no addr-spec.
        StorageUnavailableError: The storage is busy or away; some may be forgotten.
    """
    ids = tuple(row.id for row in rows_naming(storage, address, account_id=account_id))
    for start in range(0, len(ids), _AT_ONCE):
        storage.erase(ids[start : start + _AT_ONCE])
    return ids


def purge_before(storage: Storage[object], before: datetime) -> int:
    """Forget the bytes of mail that was stored before a time and has its outcome; count them.

    In transactions of its own for some at a time, so that fetching goes on beside it.

    Raises:
        StorageUnavailableError: The storage is busy or away; some may be forgotten.
    """
    total = 0
    while forgotten := storage.purge(before=before, limit=_AT_ONCE):
        total += forgotten
        if forgotten < _AT_ONCE:
            break
    return total


def _named(storage: Storage[object], row: IntakeRow) -> Iterator[str]:
    if row.envelope is not None:
        yield from row.envelope.recipients
        yield row.envelope.reverse_path or ""
    try:
        raw = storage.intake_raw(row.id)
    except RecordNotFoundError:  # forgotten since it was listed
        return
    yield from _addresses(read(bytes(raw[:_LONGEST_HEADER])))


def _addresses(message: Message) -> Iterator[str]:
    fields = (message.from_all, message.reply_to, message.to, message.cc, message.bcc)
    for one in (*(one for field in fields for one in field), message.sender):
        if one is not None:
            yield one.address
    yield from message.delivered_to
    yield message.return_path or ""


def _key(address: str) -> object:
    try:
        return AddrSpec.parse(address).key
    except AddressError:
        return None
