"""Know which account holds which address, domain and mailbox (floor 2).

Built once for all accounts, so that each is checked against the others in constant time.
"""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from mailrouting.accounts.checks import error, warning
from mailrouting.accounts.endpoint import Problem
from mailrouting.accounts.folder import canonical_folder
from mailrouting.accounts.settings import AliasUse, EmailAccount
from mailrouting.addresses import AddressBook, AddressRole, AddrSpec, OwnAddress, domain_key
from mailrouting.errors import AccountError

__all__ = ["Claims", "book_of"]

_ROLES = {
    AliasUse.SEND_AS: AddressRole.ALIAS,
    AliasUse.RECEIVE_ONLY: AddressRole.RECEIVE_ONLY,
    AliasUse.RETIRED: AddressRole.RETIRED,
}

_Mailbox = tuple[str, str, str]


def book_of(accounts: Sequence[EmailAccount], people: Sequence[AddrSpec] = ()) -> AddressBook:
    """Make the book of these accounts' addresses."""
    # Primary addresses first: they win over the same address as another account's alias.
    own = [
        OwnAddress(account_id=account.id, role=AddressRole.PRIMARY, addr=account.address.addr)
        for account in accounts
    ]
    own += [
        OwnAddress(account_id=account.id, role=_ROLES[alias.use], addr=alias.address.addr)
        for account in accounts
        for alias in account.aliases
    ]
    return AddressBook.build(
        own,
        separators=[(one.id, one.subaddress) for one in accounts if one.subaddress],
        catch_all=[(domain, one.id) for one in accounts for domain in one.catch_all_domains],
        people=people,
    )


@attrs.frozen
class Claims:
    """Hold who claims what, and find what two claim.

    The account that is asked about may be another version of one of these, or new: what stands
    here under its own id never counts against it.
    """

    _accounts: tuple[EmailAccount, ...]
    _book: AddressBook
    _addresses: dict[str, dict[str, None]]
    _domains: dict[str, dict[str, None]]
    _mailboxes: dict[_Mailbox, dict[str, None]]
    _agents: frozenset[str]
    _admin: str | None

    @classmethod
    def of(
        cls,
        accounts: tuple[EmailAccount, ...],
        *,
        agents: Iterable[AddrSpec] = (),
        admin: AddrSpec | None = None,
    ) -> "Claims":
        """Look through all accounts once."""
        addresses: dict[str, dict[str, None]] = {}
        domains: dict[str, dict[str, None]] = {}
        mailboxes: dict[_Mailbox, dict[str, None]] = {}
        for account in accounts:
            for _, address in _addresses(account):
                addresses.setdefault(address.key, {})[account.id] = None
            for domain in account.catch_all_domains:
                domains.setdefault(domain_key(domain), {})[account.id] = None
            if mailbox := _mailbox(account):
                mailboxes.setdefault(mailbox, {})[account.id] = None
        return cls(
            accounts,
            book_of(accounts),
            addresses,
            domains,
            mailboxes,
            frozenset(agent.key for agent in agents),
            admin.key if admin else None,
        )

    def problems(self, account: EmailAccount) -> Iterator[Problem]:
        """Find addresses, domains and mailboxes of an account that belong to somebody else."""
        yield from self._address_problems(account)
        for index, domain in enumerate(account.catch_all_domains):
            if taken_by := _other(self._domains.get(domain_key(domain)), account):
                text = f"Mail to {domain} arrives at the account {taken_by!r} already."
                yield error(f"catch_all_domains[{index}]", "domain-taken", text)
        bounces = account.outbound.bounce_address if account.outbound else None
        if bounces is not None and not self._is_ours(bounces, account):
            text = f"{bounces} is none of our addresses: bounces would never be seen."
            yield warning("outbound.bounce_address", "bounce-elsewhere", text)
        mailbox = _mailbox(account)
        if mailbox and (reader := _other(self._mailboxes.get(mailbox), account)):
            text = (
                f"The account {reader!r} reads this folder of this mailbox already; "
                f"let this address arrive in {reader!r} instead."
            )
            yield error("inbound", "mailbox-taken", text)

    def _address_problems(self, account: EmailAccount) -> Iterator[Problem]:
        seen: set[str] = set()
        for field, address in _addresses(account):
            key = address.key
            if owner := _other(self._addresses.get(key), account):
                text = f"{address} belongs to the account {owner!r} already."
                yield error(field, "address-taken", text)
            if key in seen:
                yield error(field, "address-twice", f"{address} stands twice in this account.")
            if key == self._admin:
                text = (
                    f"{address} is the admin's address; notices about a failing mailbox go there."
                )
                yield error(field, "address-admin", text)
            if key in self._agents:
                yield error(field, "address-agent", f"{address} is an agent's own address.")
            seen.add(key)

    def _is_ours(self, address: AddrSpec, account: EmailAccount) -> bool:
        if book_of((account,)).find(address):
            return True
        own = self._book.find(address)
        if own is None or own.account_id != account.id:
            return own is not None
        # An older version of this account stands before whoever else may have it.
        return bool(book_of([one for one in self._accounts if one.id != account.id]).find(address))


def _other(ids: dict[str, None] | None, account: EmailAccount) -> str | None:
    """Return the first id that is not the account's own."""
    return next((one for one in ids or () if one != account.id), None)


def _addresses(account: EmailAccount) -> Iterator[tuple[str, AddrSpec]]:
    yield "address", account.address.addr
    for index, alias in enumerate(account.aliases):
        yield f"aliases[{index}].address", alias.address.addr


def _mailbox(account: EmailAccount) -> _Mailbox | None:
    """Name the folder that an enabled account reads, whatever protocol and port it takes."""
    inbound = account.mailbox
    if inbound is None or not (account.enabled and inbound.enabled):
        return None
    try:
        host = inbound.endpoint.resolve(inbound.protocol).host
    except AccountError:
        return None
    return host, inbound.login.username.casefold(), canonical_folder(inbound.folder)
