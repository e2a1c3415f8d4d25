"""Put a whole help desk together in memory."""

import attrs
import pytest

from mailrouting.accounts import EmailAccount, Endpoint, FirstRun, InboundSettings
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.directory import Directory
from mailrouting.fetch import Fetcher
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.testing import FakeClock, FakeMailServer, RecordingDesk


class World:
    """Hold a server, a desk, a storage and accounts; `run` is one poll of one account."""

    def __init__(self, *, desk=None, storage=None, clock=None):
        self.clock = clock or FakeClock()
        self.server = FakeMailServer()
        self.desk = desk or RecordingDesk()
        self.storage = storage or MemoryStorage(clock=self.clock)
        self.accounts = MemoryAccounts(Directory())
        self.opener = self.server.open_session

    def add(self, name="help", *, domain="desk.example", account=None, **inbound):
        """Add a mailbox and its account; keywords are inbound settings."""
        address = f"{name}@{domain}"
        self.server.add_mailbox(address)
        settings = {
            "protocol": MailProtocol.IMAP,
            "endpoint": Endpoint("mail.desk.example"),
            "login": parse_login(address),
            "first_run": FirstRun.all(),
            **inbound,
        }
        self.put(
            EmailAccount(
                id=name,
                address=NamedAddress.parse(address),
                inbound=InboundSettings(**settings),
                **(account or {}),
            )
        )
        return address

    def put(self, account):
        """Store an account, new or changed."""
        self.accounts.save(account, expected_version=self.accounts.version(account.id))

    def change(self, name="help", **inbound):
        """Change inbound settings."""
        account = self.accounts.directory().account(name)
        self.put(attrs.evolve(account, inbound=attrs.evolve(account.inbound, **inbound)))

    def fetcher(self, **changes):
        """Make a fresh fetcher, as a new process would."""
        return Fetcher(
            **{
                "accounts": self.accounts,
                "storage": self.storage,
                "desk": self.desk,
                "open_session": self.opener,
                "clock": self.clock,
                **changes,
            }
        )

    def run(self, name="help", **changes):
        """Poll one account once."""
        return self.fetcher(**changes).run(name)

    def raws(self, name="help", folder="INBOX"):
        """Return the bytes of what is in a folder."""
        address = f"{name}@desk.example"
        if folder not in self.server.folders(address):
            return []
        return [mail.raw for mail in self.server.mails(address, folder)]

    def outcomes(self):
        """Return the kinds of all outcomes, by row; None where there is none yet."""
        return [row.outcome and row.outcome.kind for row in self.storage.intake_rows()]

    def verbs(self):
        """Return the commands that the server got."""
        return [record.verb for record in self.server.commands]


@pytest.fixture(scope="session")
def make_world():
    """Return what makes a world."""
    return World


@pytest.fixture
def world():
    """Return a world without accounts."""
    return World()
