"""Another client's hands on a mailbox, for the session kit: on the fake server and on Dovecot.

Registered as a pytest plugin by `tests/conftest.py`; test classes get the classes by fixture.
"""

import pytest

from mailrouting.auth import MailProtocol
from mailrouting.testing.conformance import MailOnServer
from mailrouting.testing.server import FakeMailServer

USER = "help@example.org"
SECRET = 'kit-marker "3d1e\\x"'


class FakeHands:
    """A mailbox on a fake server; `open_session` is the caller's."""

    secret = SECRET

    def __init__(self, open_session=None, *, protocol=MailProtocol.IMAP, without=()):
        self.server = FakeMailServer(without=without)
        self.server.add_mailbox(USER, password=SECRET)
        self._open = open_session
        self._protocol = protocol

    def open_session(self):
        if self._open is not None:
            return self._open(self.server)
        return self.server.open_mailbox(USER, protocol=self._protocol)

    def deliver(self, raw):
        self.server.deliver(raw, to=USER)

    def _number(self, uid):
        by_name = {mail.unique_id: mail.uid for mail in self.server.mails(USER)}
        return uid if self._protocol is MailProtocol.IMAP else by_name[uid]

    def remove(self, uid):
        self.server.expunge_elsewhere(USER, self._number(uid))

    def contents(self, folder="INBOX"):
        mails = self.server.mails(USER, folder)
        return [MailOnServer(raw=mail.raw, flags=mail.flags) for mail in mails]

    def set_flag(self, uid, flag):
        self.server.flag_elsewhere(USER, self._number(uid), flag)

    def renumber(self):
        self.server.roll_uidvalidity(USER)

    def cut(self):
        self.server.go_offline()
        self.server.go_online()

    def commands(self):
        return len(self.server.commands)


class DovecotHands:
    """A mailbox of its own on a real Dovecot, seen by another IMAP session."""

    def __init__(self, dovecot, username, open_session, *, protocol=MailProtocol.IMAP):
        self._dovecot, self._username = dovecot, username
        self._protocol = protocol
        self._open = open_session
        self.secret = dovecot.password

    def open_session(self):
        return self._open(self._username)

    def _number(self, uid):
        """Return IMAP's UID: Dovecot's unique-id is UID and UIDVALIDITY in hexadecimal."""
        return uid if self._protocol is MailProtocol.IMAP else str(int(uid[:8], 16))

    def deliver(self, raw):
        self._dovecot.deliver(raw, to=self._username)

    def remove(self, uid):
        self._dovecot.expunge_elsewhere(self._username, self._number(uid))

    def contents(self, folder="INBOX"):
        return [
            MailOnServer(raw=raw, flags=flags)
            for raw, flags in self._dovecot.contents(self._username, folder)
        ]

    def set_flag(self, uid, flag):
        self._dovecot.flag_elsewhere(self._username, self._number(uid), flag)

    def renumber(self):
        self._dovecot.renumber(self._username)

    def cut(self):
        self._dovecot.cut(self._username)


@pytest.fixture(scope="session")
def fake_hands():
    """Return the class of hands on a fake server."""
    return FakeHands


@pytest.fixture(scope="session")
def dovecot_hands():
    """Return the class of hands on a Dovecot."""
    return DovecotHands
