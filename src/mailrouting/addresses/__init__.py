"""Say what an address is, and which addresses are ours (floor 1).

`AddrSpec` is the strict form that accounts are configured with and that may go on the wire.
What stands in a received header field is read by `mailrouting.reading`, which is tolerant.
"""

from mailrouting.addresses._book import AddressBook, AddressRole, OwnAddress
from mailrouting.addresses._spec import (
    LOCAL_PART_OCTETS,
    AddrSpec,
    NamedAddress,
    address_key,
    domain_key,
    find_control,
    find_unsendable,
)

__all__ = [
    "LOCAL_PART_OCTETS",
    "AddrSpec",
    "AddressBook",
    "AddressRole",
    "NamedAddress",
    "OwnAddress",
    "address_key",
    "domain_key",
    "find_control",
    "find_unsendable",
]
