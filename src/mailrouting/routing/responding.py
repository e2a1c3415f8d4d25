"""Say whether a mail may be answered automatically."""

import re

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.addresses import AddressBook, AddrSpec, domain_key
from mailrouting.reading import Defect, HeaderAddress, Kind, Message
from mailrouting.records import IntakeRow

__all__ = ["Copies", "may_autorespond"]

_ROBOT = re.compile(
    r"(?:mailer-daemon|postmaster|no[-_.]?reply|do[-_.]?not[-_.]?reply|bounces?(?:[-+=.].*)?"
    r"|owner-.*|.*-owner|.*-request)",
    re.IGNORECASE,
)
_NO_RESPONSE_WANTED = frozenset({"all", "autoreply"})


@attrs.frozen(kw_only=True)
class Copies:
    """Say which other intake rows hold the same mail.

    Attributes:
        row: The row that is being converted; None when nothing is written (`explain`).
        others: Rows with the same content digest, any account, the row itself left out.
    """

    row: IntakeRow | None = None
    others: tuple[IntakeRow, ...] = ()


def may_autorespond(
    message: Message, *, account: EmailAccount, book: AddressBook, copies: Copies
) -> tuple[bool, str]:
    """Say whether an automatic response is allowed, by RFC 3834 §2 and our own caution, and why."""
    row = copies.row
    for forbidden, because in (
        (row is not None and row.is_backlog, "it lay there before this mailbox was fetched from"),
        (message.has_defect(Defect.SIZE_LIMIT), "the mail is too large to be read whole"),
        (not account.defaults.autorespond, "the account's defaults say no"),
        (message.kind is not Kind.PERSONAL, f"the mail is no person's: {message.kind.value}"),
        (message.from_ is None, "there is no From"),
        (message.has_defect(Defect.AMBIGUOUS_FROM), "From names no single sender"),
        (message.return_path is None, "there is no Return-Path, and guessing one may loop"),
        (message.return_path == "", "the reverse-path is null"),
        (bool(_NO_RESPONSE_WANTED & message.suppress_responses), "the sender asks for none"),
        (not _addressed(message, book), "none of our addresses is in To or Cc"),
        (_copy_responds(copies), "another copy of this mail is responded to"),
    ):
        if forbidden:
            return False, because
    fits, because = _reverse_path_fits(message.from_, message.return_path or "")
    if fits and message.automatic_signs:
        return False, f"it may be automatic: {message.automatic_signs[0]}"
    return fits, because


def _addressed(message: Message, book: AddressBook) -> bool:
    return any(book.find(item.address) for item in (*message.to, *message.cc))


def _copy_responds(copies: Copies) -> bool:
    """Let one copy alone respond: the first, unless a later one already did."""
    row = copies.row
    return row is not None and any(
        other.outcome.responded if other.outcome else other.id < row.id for other in copies.others
    )


def _reverse_path_fits(sender: HeaderAddress | None, return_path: str) -> tuple[bool, str]:
    path = AddrSpec.try_parse(return_path)
    author = AddrSpec.try_parse(sender.address if sender else "")
    if path is None or author is None:
        return False, "From or the reverse-path is no address that can be written to"
    if _ROBOT.fullmatch(path.local):
        return False, "the reverse-path is no person's"
    if _ROBOT.fullmatch(author.local):
        return False, "the sender is no person"
    domains = domain_key(path.domain), domain_key(author.domain)
    shorter, longer = sorted(domains, key=len)
    if shorter == longer or ("." in shorter and longer.endswith(f".{shorter}")):
        return True, "a person wrote to us, and the reverse-path fits"
    return False, f"the reverse-path's domain {domains[0]} is not that of From"
