"""Say which account received a mail, and whether its sender is proved."""

from collections.abc import Iterator

from mailrouting.accounts import ArrivesIn, EmailAccount
from mailrouting.addresses import OwnAddress, domain_key
from mailrouting.directory import Directory
from mailrouting.reading import AuthenticationResults, Defect, Message
from mailrouting.records import Authenticity

__all__ = ["authenticity", "receiving_account"]

_DELIVERY_HEADERS = 2  # Postfix writes X-Original-To and Delivered-To together


def receiving_account(
    message: Message, directory: Directory, *, fetched_for: str
) -> tuple[EmailAccount, OwnAddress | None, str]:
    """Say which account received a mail, as which of our addresses, and why.

    The delivery header fields of our own server (the topmost) come first, then To and Cc, then the
    account it was fetched for. An address whose mail we fetch from another mailbox does not win:
    that mailbox has its own copy.

    Raises:
        RecordNotFoundError: `fetched_for` is not in the directory.
    """
    fetched = directory.account(fetched_for)
    places = [("Delivered-To", text) for text in message.delivered_to[:_DELIVERY_HEADERS]]
    places += [("To", item.address) for item in message.to]
    places += [("Cc", item.address) for item in message.cc]
    for field, text in places:
        own = directory.address_book.find(text)
        account = directory.find_account(own.account_id) if own else None
        if own is None or account is None or _fetched_elsewhere(account, directory, fetched_for):
            continue
        return account, own, f"{field} names {own.addr}, {own.role.value}"
    return fetched, None, "no field names an address of ours; it was fetched for this account"


def _fetched_elsewhere(account: EmailAccount, directory: Directory, fetched_for: str) -> bool:
    """Tell whether this account's mail is fetched from another mailbox than this one."""
    holder: EmailAccount | None = account
    if isinstance(account.inbound, ArrivesIn):
        holder = directory.find_account(account.inbound.account_id)
    return (
        holder is not None
        and holder.id != fetched_for
        and holder.enabled
        and holder.mailbox is not None
        and holder.mailbox.enabled
    )


def authenticity(message: Message, account: EmailAccount) -> tuple[Authenticity, str]:
    """Say whether From is proved by a server that the account trusts, and why.

    Only the topmost Authentication-Results field counts (RFC 8601 §5, §7.1), and of it only a
    passed DMARC for From's domain: that alone speaks about From. Every DMARC result in it must say
    so; of what stands in comments and quoted strings nothing is believed.
    """
    trusted = account.trusted_authentication
    if trusted is None:
        return Authenticity.UNPROVED, "the account trusts no server's Authentication-Results"
    if message.has_defect(Defect.AMBIGUOUS_FROM) or message.from_ is None:
        return Authenticity.UNPROVED, "From names no single sender"
    if not message.authentication_results:
        return Authenticity.UNPROVED, "there is no Authentication-Results field"
    topmost = message.authentication_results[0]
    authserv_id = topmost.authserv_id.casefold()
    is_known = authserv_id in {known.casefold() for known in trusted.authserv_ids}
    is_nameless = trusted.topmost_without_id and not authserv_id  # Microsoft writes no authserv-id
    if not is_nameless and not (authserv_id and is_known):
        return Authenticity.UNPROVED, f"{authserv_id or 'a nameless server'} is not trusted"
    domain = domain_key(message.from_.address.rpartition("@")[2])
    proved = list(_dmarc_domains(topmost))
    if proved and all(one == domain for one in proved):
        return Authenticity.AUTHENTICATED, f"DMARC passed for {domain}"
    return Authenticity.UNPROVED, "DMARC did not pass for the domain in From"


def _dmarc_domains(found: AuthenticationResults) -> Iterator[str | None]:
    """Yield for each DMARC result the domain for which it passed, or None."""
    for one in found.results:
        if one.method != "dmarc":
            continue
        named = one.values("header.from")
        passed = one.result == "pass" and len(named) == 1
        yield domain_key(named[0].rpartition("@")[2]) if passed else None
