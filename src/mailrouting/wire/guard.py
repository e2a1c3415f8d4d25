"""Refuse what must not reach a command line, before any command is built."""

import re
from collections.abc import Iterable

from mailrouting.accounts import EmailAccount, InboundSettings
from mailrouting.addresses import find_unsendable
from mailrouting.errors import ConfigurationError
from mailrouting.records import Uid

__all__ = ["imap_uids", "one_line", "own_inbound", "uid_set"]

_IMAP_UID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_LARGEST_UID = 2**32 - 1


def one_line(value: str, *, what: str) -> str:
    """Return the value unless it could end or split a command.

    Raises:
        ConfigurationError: It is empty, or has a character of `find_unsendable`.
    """
    if not value or find_unsendable(value) is not None:
        raise ConfigurationError(
            f"{what} is empty, or has a NUL, SOH, CR, LF or half a surrogate pair; it is not sent",
            hint="Enter it again: a line end was probably pasted with it.",
        )
    return value


def imap_uids(uids: Iterable[Uid]) -> list[int]:
    """Return the UIDs as numbers, in the order given, each once.

    Raises:
        ConfigurationError: One is no IMAP UID (RFC 9051 §9, nz-number).
    """
    numbers: dict[int, None] = {}
    for uid in uids:
        if not _IMAP_UID.fullmatch(uid) or int(uid) > _LARGEST_UID:
            raise ConfigurationError(
                f"{uid[:40]!r} is no IMAP UID; nothing was sent",
                hint="Pass UIDs as the session listed them.",
            )
        numbers[int(uid)] = None
    return list(numbers)


def uid_set(numbers: Iterable[int]) -> str:
    """Write UIDs as a sequence-set (RFC 9051 §9), runs joined, in ascending order.

    >>> uid_set([7, 1, 2, 3])
    '1:3,7'
    """
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(f"{first}" if first == last else f"{first}:{last}" for first, last in runs)


def own_inbound(account: EmailAccount) -> InboundSettings:
    """Return how the account's own mailbox is opened.

    Raises:
        ConfigurationError: The account has no mailbox of its own.
    """
    if account.mailbox is not None:
        return account.mailbox
    raise ConfigurationError(
        f"account {account.id!r} has no mailbox of its own to open",
        hint="Open the account in whose mailbox its mail arrives.",
    )
