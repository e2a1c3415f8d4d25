"""Errors of sessions say what a person needs to choose."""

import pytest

from mailrouting.accounts import EmailAccount, FirstRun
from mailrouting.errors import AuthenticationError, ConnectError, FolderNotFoundError, SessionError
from mailrouting.testing import FakeMailServer

HELP = "help@desk.example"


def _missing(*folders):
    """Return what a session says of a missing folder in a mailbox of these."""
    server = FakeMailServer()
    server.add_mailbox(HELP, folders=folders)
    account = EmailAccount.from_url(
        "imaps://help%40desk.example@imap.desk.example",
        id="help",
        address=HELP,
        first_run=FirstRun.all(),
    )
    session = server.open_session(account)
    with pytest.raises(FolderNotFoundError) as found:
        session.open_folder("Inbocks", writable=False)
    session.close()
    return found.value


def test_a_missing_folder_names_those_that_exist():
    """The hint shows them, so nobody has to ask the server by other means."""
    error = _missing("Done", "Sent \x1b[31m")
    assert error.hint == "Name one that exists: 'INBOX', 'Done', 'Sent ?[31m'; or create it."
    assert error.available == ("INBOX", "Done", "Sent \x1b[31m")


def test_many_folders_are_counted():
    """At most twenty are named, and the rest is a number."""
    error = _missing(*(f"Folder {number}" for number in range(30)))
    assert "'Folder 18' and 11 more;" in error.hint
    assert "Folder 19" not in error.hint


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AUTH", AuthenticationError),
        (None, AuthenticationError),
        ("SYS/TEMP", ConnectError),
        ("IN-USE", ConnectError),
        ("LOGIN-DELAY", ConnectError),
        ("SYS/PERM", SessionError),
    ],
)
def test_a_refused_login_is_judged_by_its_code(code, expected):
    """A system failure is not taken for a wrong password (RFC 3206)."""
    server = FakeMailServer()
    server.add_mailbox(HELP)
    server.refuse_login(HELP, code)
    with pytest.raises(SessionError) as caught:
        server.open_mailbox(HELP)
    assert type(caught.value) is expected
    assert caught.value.response_code == code
