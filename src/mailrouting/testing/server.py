"""Fake a mail server: real behaviour in memory, and misbehaviour on demand.

`FakeMailServer` is state only: no socket, no thread. Its `open_session` gives a `MailSession` in
the same process; `mailrouting.testing.loopback` lets real clients speak to the same state.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from mailrouting.accounts import EmailAccount
from mailrouting.auth import MailProtocol
from mailrouting.errors import ConfigurationError, SessionError
from mailrouting.records import Uid
from mailrouting.session import MailSession
from mailrouting.testing._fake_pop3 import FakePop3Session
from mailrouting.testing._fake_session import FakeSession
from mailrouting.testing._server_state import (
    CommandRecord,
    Dropped,
    FakeMail,
    Fault,
    FaultKind,
    FolderState,
    Garbage,
    MailboxState,
    Refused,
    ServerState,
    Silence,
)
from mailrouting.wire.guard import own_inbound
from mailrouting.wire.trouble import Place

__all__ = ["CommandRecord", "FakeMail", "FakeMailServer"]

_ENDPOINT = "fake.invalid:993"


class FakeMailServer:
    r"""Be a mail server in memory: mailboxes, folders, mails, logins, and faults as verbs.

    Everything takes effect at once and is safe to call from any thread. What a session asked for
    is in `commands`, without secrets. Faults strike the in-process and the loopback face alike.

    >>> server = FakeMailServer()
    >>> server.add_mailbox("help@example.org")
    >>> server.deliver(b"Subject: printer\r\n\r\nIt burns.\r\n", to="help@example.org")
    '1'
    >>> session = server.open_mailbox("help@example.org")
    >>> session.open_folder("INBOX", writable=True).messages
    1
    >>> [mail.uid for mail in session.read(["1"])]
    ['1']
    >>> server
    <FakeMailServer: 1 mailbox, 1 mail, 1 open session>

    Args:
        without: Extensions that are not offered, for instance `("MOVE", "UIDPLUS")` of IMAP, or
            `("UIDL", "PIPELINING")` of POP3. `KEYWORDS` and `FLAGS` say which flags are not kept:
            those beside IMAP's own, and those.
        clock: Gives the time of arrival; without one, mails arrive a second apart from a fixed
            day in 2026.

    Attributes:
        state: What the faces share; tests have the verbs.
    """

    def __init__(
        self, *, without: Collection[str] = (), clock: Callable[[], datetime] | None = None
    ) -> None:
        self.state: ServerState = ServerState(without=without, clock=clock)

    def __repr__(self) -> str:
        with self.state.lock:
            mailboxes = self.state.mailboxes.values()
            mails = sum(len(folder.mails) for box in mailboxes for folder in box.folders.values())
            sessions = len(self.state.open_sessions)
            offline = "" if self.state.online else ", offline"
            return (
                f"<FakeMailServer: {_count(len(mailboxes), 'mailbox', 'mailboxes')}, "
                f"{_count(mails, 'mail', 'mails')}, "
                f"{_count(sessions, 'open session', 'open sessions')}{offline}>"
            )

    def add_mailbox(
        self,
        username: str,
        *,
        password: str = "correct horse",  # noqa: S107 - a fake's password
        folders: Collection[str] = ("INBOX",),
        addresses: Collection[str] = (),
    ) -> None:
        """Add a mailbox and the login that opens it.

        Args:
            username: The name that logs in; mail can be delivered to it.
            password: Its password, and on the loopback face its access token.
            folders: Its folders; `INBOX` is always there.
            addresses: More names that mail can be delivered to.
        """
        with self.state.lock:
            if username in self.state.mailboxes:
                raise ConfigurationError(f"there is a mailbox {username!r} already")
            mailbox = MailboxState(
                username=username, password=password, addresses=frozenset(addresses), folders={}
            )
            for name in dict.fromkeys(("INBOX", *folders)):
                mailbox.create(name)
            self.state.mailboxes[username] = mailbox

    def grant(self, authname: str, username: str) -> None:
        """Let one login open another's mailbox: a shared mailbox."""
        with self.state.lock:
            self._mailbox(username).granted.add(authname)

    def deliver(
        self,
        raw: bytes,
        *,
        to: str,
        folder: str = "INBOX",
        received_at: datetime | None = None,
        flags: Collection[str] = (),
    ) -> Uid:
        """Put a mail into a folder at once; return its IMAP UID.

        Args:
            raw: The mail.
            to: A user name or an address of a mailbox.
            folder: Where to put it.
            received_at: INTERNALDATE; by default the clock's time.
            flags: IMAP flags it has from the start.
        """
        with self.state.lock:
            when = received_at or self.state.now()
            found = self._folder(self._recipient(to), folder)
            return str(found.append(raw, received_at=when, flags=frozenset(flags)))

    def mails(self, username: str, folder: str = "INBOX") -> tuple[FakeMail, ...]:
        """Return the mails of a folder in order of arrival."""
        with self.state.lock:
            return tuple(self._folder(self._mailbox(username), folder).mails.values())

    def folders(self, username: str) -> tuple[str, ...]:
        """Return the names of a mailbox's folders."""
        with self.state.lock:
            return tuple(self._mailbox(username).folders)

    @property
    def commands(self) -> tuple[CommandRecord, ...]:
        """Return what sessions asked for so far, in order, without secrets."""
        with self.state.lock:
            return tuple(self.state.records)

    def forget_commands(self) -> None:
        """Empty `commands`."""
        with self.state.lock:
            self.state.records.clear()

    def open_session(self, account: EmailAccount) -> MailSession:
        """Open the account's mailbox in this process, by its login; no password is asked for.

        The method itself is the `SessionOpener` that `mailrouting.fetch.Fetcher` takes.

        Raises:
            ConfigurationError: The account has no mailbox of its own.
            ConnectError: The server is offline, or puts the login off.
            AuthenticationError: No such mailbox, no right to open it, or `refuse_login`.
        """
        inbound = own_inbound(account)
        return self._open(
            inbound.login.username,
            authname=inbound.login.authname,
            protocol=inbound.protocol,
            account_id=account.id,
        )

    def open_mailbox(
        self,
        username: str,
        *,
        authname: str | None = None,
        protocol: MailProtocol = MailProtocol.IMAP,
    ) -> MailSession:
        """Open a mailbox without an account.

        Raises:
            ConnectError: The server is offline, or puts the login off.
            AuthenticationError: No such mailbox, no right to open it, or `refuse_login`.
        """
        return self._open(username, authname=authname, protocol=protocol, account_id=None)

    def _open(
        self, username: str, *, authname: str | None, protocol: MailProtocol, account_id: str | None
    ) -> MailSession:
        place = Place(account_id=account_id, endpoint=_ENDPOINT)
        names = (username,) if authname is None else (username, authname)
        number: int | None = None
        try:
            number = self.state.begin_session()
            mailbox = self.state.log_in(
                number, "LOGIN", *names, username=username, authname=authname
            )
        except Dropped:
            error: SessionError = place.unreachable("the server hung up")
        except Silence:
            error = place.unreachable("it was silent or slow for too long", command="LOGIN")
        except Garbage:
            error = place.broken("its answer makes no sense", command="LOGIN")
        except Refused as refusal:
            error = place.login_refused(refusal.text, code=refusal.code)
        else:
            face = FakePop3Session if protocol is MailProtocol.POP3 else FakeSession
            return face(self.state, mailbox, number=number, place=place)
        if number is not None:
            self.state.end_session(number)
        raise error

    def expunge_elsewhere(self, username: str, uid: Uid, folder: str = "INBOX") -> None:
        """Let another client remove a mail."""
        with self.state.lock:
            self._folder(self._mailbox(username), folder).remove([int(uid)])

    def flag_elsewhere(self, username: str, uid: Uid, *flags: str, folder: str = "INBOX") -> None:
        r"""Let another client set flags, for instance `\Seen`."""
        with self.state.lock:
            self._folder(self._mailbox(username), folder).flag(int(uid), add=flags)

    def roll_uidvalidity(self, username: str, folder: str = "INBOX") -> None:
        """Begin a new generation, as after a migration: new UIDVALIDITY, UIDs from 1."""
        with self.state.lock:
            self._folder(self._mailbox(username), folder).renumber()

    def share_unique_id(self, username: str, *uids: Uid) -> None:
        """Give mails of INBOX one POP3 unique-id, that of the first.

        RFC 1939 §7 allows it for equal mails; some servers do it for others.
        """
        with self.state.lock:
            self._folder(self._mailbox(username), "INBOX").share_unique_id([*map(int, uids)])

    def read_only(self, username: str, folder: str = "INBOX") -> None:
        """Give a folder read-only from now on."""
        with self.state.lock:
            self._folder(self._mailbox(username), folder).read_only = True

    def refuse_login(
        self, username: str, response_code: str | None = "AUTHENTICATIONFAILED"
    ) -> None:
        """Refuse logins that name this user, with this response code (RFC 5530)."""
        with self.state.lock:
            self.state.login_refusals[username] = response_code

    def accept_login(self, username: str) -> None:
        """End `refuse_login`."""
        with self.state.lock:
            self.state.login_refusals.pop(username, None)

    def go_offline(self) -> None:
        """End all sessions and accept no more."""
        with self.state.lock:
            self.state.online = False
            self.state.open_sessions.clear()

    def go_online(self) -> None:
        """End `go_offline`."""
        with self.state.lock:
            self.state.online = True

    def drop_connection(
        self, *, after: str | None = None, before: str | None = None, nth: int = 1
    ) -> None:
        """Hang up once, at the nth command of that name from now.

        Args:
            after: A verb: it is carried out, and its answer is lost.
            before: A verb: it is lost, and nothing is done.
            nth: Which one; 1 is the next.
        """
        if (after is None) == (before is None):
            raise ConfigurationError("name one verb, after or before which to hang up")
        kind = FaultKind.DROP_BEFORE if after is None else FaultKind.DROP_AFTER
        self._add_fault(Fault(kind=kind, verb=(after or before or "").upper(), waits=nth - 1))

    def answer_no(
        self, command: str, code: str | None = None, *, times: int | None = 1, nth: int = 1
    ) -> None:
        """Refuse a command, and do nothing of it.

        Args:
            command: Its verb, for instance `MOVE`; `LOGIN` means every way to log in.
            code: The response code, for instance `OVERQUOTA`.
            times: How often; None means from now on.
            nth: From which one on; 1 is the next.
        """
        self._add_fault(
            Fault(
                kind=FaultKind.ANSWER_NO,
                verb=command.upper(),
                waits=nth - 1,
                times=times,
                code=code,
            )
        )

    def answer_garbage(self, command: str, *, nth: int = 1) -> None:
        """Answer a command once with what is no answer, and do nothing of it.

        Args:
            command: Its verb; `LOGIN` means every way to log in.
            nth: Which one; 1 is the next.
        """
        self._add_fault(Fault(kind=FaultKind.GARBAGE, verb=command.upper(), waits=nth - 1))

    def go_silent(self, command: str, *, nth: int = 1) -> None:
        """Never answer a command, and do nothing of it: the connection stays open.

        Args:
            command: Its verb; `LOGIN` means every way to log in.
            nth: Which one; 1 is the next.
        """
        self._add_fault(Fault(kind=FaultKind.SILENCE, verb=command.upper(), waits=nth - 1))

    def _add_fault(self, fault: Fault) -> None:
        with self.state.lock:
            self.state.faults.append(fault)

    def _mailbox(self, username: str) -> MailboxState:
        mailbox = self.state.mailboxes.get(username)
        if mailbox is None:
            raise ConfigurationError(
                f"there is no mailbox {username!r}; there are {sorted(self.state.mailboxes)}"
            )
        return mailbox

    def _recipient(self, to: str) -> MailboxState:
        for mailbox in self.state.mailboxes.values():
            if to in mailbox.addresses:
                return mailbox
        return self._mailbox(to)

    @staticmethod
    def _folder(mailbox: MailboxState, name: str) -> FolderState:
        folder = mailbox.folder(name)
        if folder is None:
            raise ConfigurationError(
                f"{mailbox.username!r} has no folder {name!r}; it has {sorted(mailbox.folders)}"
            )
        return folder


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
