"""Tell which addresses are ours, and as what."""

import enum
from collections.abc import Iterable

import attrs

from mailrouting.addresses._spec import AddrSpec, domain_key, folded

__all__ = ["AddressBook", "AddressRole", "OwnAddress"]


class AddressRole(enum.Enum):
    """Say as what an address is ours."""

    PRIMARY = "the account's own address"
    ALIAS = "an alias that may also send"
    RECEIVE_ONLY = "an alias that only receives"
    RETIRED = "an address that is no longer given out"
    SUBADDRESS = "an address of ours with a detail behind the separator"
    CATCH_ALL = "an address in a domain whose mail all arrives here"


@attrs.frozen(kw_only=True)
class OwnAddress:
    """Say that an address is ours, whose, and as what.

    Attributes:
        account_id: The account that it belongs to.
        role: As what it is ours.
        addr: Our address that matched: without the detail for a `SUBADDRESS`, the looked-up
            address itself for `CATCH_ALL`.
        detail: What stands behind the separator; empty unless `role` is `SUBADDRESS`.
    """

    account_id: str
    role: AddressRole
    addr: AddrSpec
    detail: str = ""


@attrs.frozen
class AddressBook:
    """Answer "is this ours, and as what?", once for the whole library.

    An exact match wins over a subaddress, a subaddress over a catch-all domain. When two accounts
    claim the same address, the first one given has it.
    """

    _exact: dict[str, OwnAddress]
    _separators: dict[str, str]
    _catch_all: dict[str, str]
    _people: frozenset[str]
    _plain: dict[str, OwnAddress]
    _open_domains: frozenset[str]

    @classmethod
    def build(
        cls,
        addresses: Iterable[OwnAddress],
        *,
        separators: Iterable[tuple[str, str]] = (),
        catch_all: Iterable[tuple[str, str]] = (),
        people: Iterable[AddrSpec] = (),
    ) -> "AddressBook":
        """Make a book.

        Args:
            addresses: Our addresses; roles `SUBADDRESS` and `CATCH_ALL` are found, not given.
            separators: Pairs of account id and subaddress separator.
            catch_all: Pairs of domain and account id.
            people: Addresses of people, which a catch-all domain does not make ours.
        """
        exact: dict[str, OwnAddress] = {}
        for own in addresses:
            exact.setdefault(own.addr.key, own)
        domains: dict[str, str] = {}
        for domain, account_id in catch_all:
            domains.setdefault(domain_key(domain), account_id)
        marks = dict(separators)
        return cls(
            exact,
            marks,
            domains,
            frozenset(one.key for one in people),
            {key: own for key, own in exact.items() if _is_plain(key)},
            frozenset(domains)
            | {domain_key(own.addr.domain) for own in exact.values() if own.account_id in marks},
        )

    def find(self, address: AddrSpec | str) -> OwnAddress | None:
        """Return whose address this is, or None when it is not ours.

        A text that is no addr-spec is not ours.

        >>> own = OwnAddress(account_id="a", role=AddressRole.PRIMARY,
        ...                  addr=AddrSpec.parse("help@example.org"))
        >>> book = AddressBook.build([own], separators=[("a", "+")])
        >>> book.find("HELP+x7@Example.ORG").detail
        'x7'
        """
        text = str(address)
        if text.isascii() and not (text.startswith('"') or text.endswith(".")):
            # Folding such a text is lower case, so most of what is not ours need not be parsed.
            key = text.lower()
            own = self._plain.get(key)
            if own is not None or key.rpartition("@")[2] not in self._open_domains:
                return own
        if isinstance(address, str):
            parsed = AddrSpec.try_parse(address)
            if parsed is None:
                return None
            address = parsed
        return self._exact.get(address.key) or self._subaddress(address) or self._domain(address)

    def _subaddress(self, address: AddrSpec) -> OwnAddress | None:
        if address.local.startswith('"'):
            return None
        for separator in sorted(set(self._separators.values())):
            # The separator may stand in our own local part and in the detail: the longest of
            # our addresses wins.
            local = address.local
            while separator in local:
                local = local.rpartition(separator)[0]
                own = self._exact.get(f"{folded(local)}@{domain_key(address.domain)}")
                if own and self._separators.get(own.account_id) == separator:
                    detail = address.local[len(local) + len(separator) :]
                    return attrs.evolve(own, role=AddressRole.SUBADDRESS, detail=detail)
        return None

    def _domain(self, address: AddrSpec) -> OwnAddress | None:
        account_id = self._catch_all.get(domain_key(address.domain))
        if account_id is None or address.key in self._people:
            return None
        return OwnAddress(account_id=account_id, role=AddressRole.CATCH_ALL, addr=address)


def _is_plain(key: str) -> bool:
    """Tell whether every ASCII text in this spelling, in any case, is the address itself."""
    address = AddrSpec.try_parse(key)
    return key.isascii() and address is not None and address.key == key
