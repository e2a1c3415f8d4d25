"""Turn mailboxes into tickets, and tickets into mail that leaves from the right address.

Here stand the names that most hosts use; everything else is imported from its own module. Importing
this package loads no network, database or command-line library.
"""

from mailrouting.accounts import (
    AfterFetch,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    OutboundSettings,
    TicketDefaults,
)
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.auth import Login, MailProtocol, Secret, parse_login
from mailrouting.directory import Department, Directory
from mailrouting.errors import MailroutingError
from mailrouting.fetch import Fetcher, FetchReport, explain
from mailrouting.hooks import HelpDesk
from mailrouting.outbound import OutboundContext, Purpose, Resolution, resolve
from mailrouting.reading import Message, read
from mailrouting.records import EntryDraft, TicketDraft, TicketState, Written

__all__ = [
    "AddrSpec",
    "AfterFetch",
    "Department",
    "Directory",
    "EmailAccount",
    "Endpoint",
    "EntryDraft",
    "FetchReport",
    "Fetcher",
    "FirstRun",
    "HelpDesk",
    "InboundSettings",
    "Login",
    "MailProtocol",
    "MailroutingError",
    "Message",
    "NamedAddress",
    "OutboundContext",
    "OutboundSettings",
    "Purpose",
    "Resolution",
    "Secret",
    "TicketDefaults",
    "TicketDraft",
    "TicketState",
    "Written",
    "explain",
    "parse_login",
    "read",
    "resolve",
]


def __getattr__(name: str) -> str:
    """Return `__version__`, read from the installed package when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom wanted

        return version("mailrouting")
    raise AttributeError(f"module 'mailrouting' has no attribute {name!r}")
